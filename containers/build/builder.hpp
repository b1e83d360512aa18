// build_image: an image from a Dockerfile and a context, step by step, in the library of the user.
//
// What each instruction means is BuildKit's (frontend/dockerfile/docs/reference.md). Deviations,
// all because a build needs no privileges and has one id: owners other than those that --chown and
// USER give are root in the layers; COPY drops set-id bits; nothing is fetched from registries.
//
// A step that has been carried out before, on the same contents with the same inputs, is taken from
// the library. With a SOURCE_DATE_EPOCH no time is later than it, and the same input gives the same
// digest, on every machine.
//
// Requires: a process with one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "containers/build/image_library.hpp"
#include "containers/build/sandboxed_command.hpp"
#include "containers/build/word_expand.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct BuildSecret {
  std::string path;      // a file, or
  std::string variable;  // of the caller's environment
};

struct BuildRequest {
  std::string context;     // a directory
  std::string dockerfile;  // a path; "": Dockerfile in the context
  std::string text;        // the file's text, if it does not come from a file
  std::string target;
  std::vector<std::string> names;  // normalised
  Variables build_args;
  std::map<std::string, std::string, std::less<>>
      images;  // names in FROM and --from: what they are
  std::map<std::string, BuildSecret, std::less<>> secrets;
  std::vector<TreeBind> volumes;  // seen by every RUN
  bool network = true;
  bool use_cache = true;
  std::optional<std::int64_t> epoch_s;
  Compression compression = Compression::Zstd;
};

// What happens, for people.
struct BuildProgress {
  std::function<void(std::string_view line)> warning;
  // "2/7", "RUN npm install".
  std::function<void(std::string_view place, std::string_view what)> step_begins;
  std::function<void(std::string_view text)> output;
  std::function<void(bool remembered)> step_ends;
};

// Errors: those of a Dockerfile with file and line; Invalid (a command failed).
[[nodiscard]] Result<NamedManifest> build_image(const ImageLibrary& library,
                                                const BuildRequest& request,
                                                const BuildProgress& progress);

}  // namespace gangway::containers::build
