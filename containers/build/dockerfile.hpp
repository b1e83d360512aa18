// Dockerfile: what the lines mean. Stages with their instructions, each checked for its shape:
// unknown instructions and flags, missing and superfluous arguments are errors that name the line
// and, where one is near, what was probably meant. Nothing is ever ignored.
//
// Values are as written: variables are expanded when an instruction is carried out, see
// word_expand.hpp and build_plan.hpp.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "containers/build/dockerfile_lines.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"

namespace gangway::containers::build {

// A command: a program and its arguments, or a line for the shell.
struct Command {
  std::vector<std::string> words;  // shell form: one, the line
  bool shell = false;
  friend bool operator==(const Command&, const Command&) = default;
};

struct RunMount {
  enum class Kind { Bind, Cache, Secret, Tmpfs };
  Kind kind = Kind::Bind;
  std::string target;
  std::string source;     // bind: below the context or the stage `from`; cache: below its root
  std::string from;       // bind: a stage or an image; "": the context
  std::string id;         // cache, secret
  std::string env;        // secret: a variable in place of a file
  bool read_only = true;  // bind; others: false
  bool required = false;  // secret
  mode_t mode = 0400;     // secret
  friend bool operator==(const RunMount&, const RunMount&) = default;
};

struct Run {
  Command command;
  std::vector<Heredoc> heredocs;
  std::vector<RunMount> mounts;
  bool network = true;
};
struct Copy {
  bool add = false;  // ADD: archives among the sources are unpacked
  std::vector<std::string> sources;
  std::string destination;
  std::string from;
  std::string chown;
  std::string chmod;
  std::vector<std::string> excludes;
  std::vector<Heredoc> heredocs;  // a source "<<NAME" is one of these
};
using NameValues = std::vector<std::pair<std::string, std::string>>;
struct Env {
  NameValues values;
};
struct Arg {
  std::vector<std::pair<std::string, std::optional<std::string>>> values;
};
struct Label {
  NameValues values;
};
struct Workdir {
  std::string path;
};
struct User {
  std::string name;
};
struct Cmd {
  Command command;
};
struct Entrypoint {
  Command command;
};
struct Shell {
  std::vector<std::string> words;
};
struct Expose {
  std::vector<std::string> ports;
};
struct Volume {
  std::vector<std::string> paths;
};
struct StopSignal {
  std::string signal;
};
struct Healthcheck {
  std::optional<Command> command;  // none: NONE
  Duration interval{};             // 0: not said
  Duration timeout{};
  Duration start_period{};
  Duration start_interval{};
  int retries = 0;
};
struct OnBuild {
  std::string line;  // an instruction
};
struct Maintainer {
  std::string name;
};

using Action = std::variant<Run,
                            Copy,
                            Env,
                            Arg,
                            Label,
                            Workdir,
                            User,
                            Cmd,
                            Entrypoint,
                            Shell,
                            Expose,
                            Volume,
                            StopSignal,
                            Healthcheck,
                            OnBuild,
                            Maintainer>;

struct Instruction {
  int line = 0;
  std::string text;  // as written, on one line: for people
  Action action;
};

struct Stage {
  int line = 0;
  std::string base;      // as written
  std::string platform;  // as written
  std::string name;      // lower case; "" if it has none
  std::vector<Instruction> instructions;
};

struct Dockerfile {
  std::string name;  // for messages
  char escape = '\\';
  std::vector<Instruction> global_args;  // before the first FROM
  std::vector<Stage> stages;
  std::vector<std::string> warnings;
};

// Errors: Invalid, as "NAME:LINE: what", Exhausted.
[[nodiscard]] Result<Dockerfile> parse_dockerfile(std::string_view text, std::string_view name);

// One instruction that ONBUILD has kept. Errors: as above, FROM, MAINTAINER and ONBUILD included.
[[nodiscard]] Result<Instruction> parse_trigger(std::string_view text, std::string_view name);

// "90s", "1m30s", "500ms": Go's durations.
[[nodiscard]] std::optional<Duration> parse_go_duration(std::string_view text);

}  // namespace gangway::containers::build
