// Which stages of a Dockerfile a target needs, and what each begins from. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "containers/build/dockerfile.hpp"
#include "containers/build/word_expand.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct StageBase {
  enum class Kind { Scratch, Stage, Image };
  Kind kind = Kind::Scratch;
  std::size_t stage = 0;
  std::string image;  // as named, variables expanded
  friend bool operator==(const StageBase&, const StageBase&) = default;
};

struct StagePlan {
  std::vector<StageBase> bases;     // of all stages, by their place
  std::vector<std::size_t> needed;  // in the order in which they are built; the last is the target
  Variables globals;                // what stages may take over by ARG
  std::vector<std::string> unknown_args;  // given, and in no ARG
};

// The stage that `name` means in `FROM name` or `--from=name` of stage `before` (their number for
// all): by name, else by number. npos if none.
[[nodiscard]] std::size_t find_stage(const Dockerfile& file,
                                     std::string_view name,
                                     std::size_t before);

// `target`: a stage's name or number, "" for the last. `platform`: predefined variables.
// Errors: Invalid, NotFound (no such target, with those there are).
[[nodiscard]] Result<StagePlan> plan_stages(const Dockerfile& file,
                                            const std::string& target,
                                            const Variables& build_args,
                                            const Variables& platform);

// Variables that may be given and need no ARG: proxies. They are no part of what an image is.
[[nodiscard]] bool is_proxy_variable(std::string_view name);

}  // namespace gangway::containers::build
