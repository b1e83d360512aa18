// From options to a JobSpec: sources in their order (command line over environment over script),
// the counts that follow from others, and the checks that need no cluster.
//
// Counts, as with Slurm: --ntasks defaults to one for each node (or --ntasks-per-node), --nodes to
// what --ntasks and --ntasks-per-node need, else to the counts of --constraint or the length of
// --nodelist, else to 1. Fewer
// tasks than nodes make fewer nodes, with a warning. --ntasks alone stays on one node, unless the
// cluster's nodes are known and none has room: then it takes as few as have.
//
// Pure but for --begin, which reads the time zone.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/model/job_spec.hpp"
#include "submit/job_options.hpp"
#include "submit/script_directives.hpp"

namespace gangway::submit {

// What is to be run.
struct ProgramText {
  std::string script;             // empty: a command
  std::vector<std::string> argv;  // the command, or the script's arguments
  std::string default_name;       // of the job, if --job-name gives none
};

// Where and by whom.
struct Surroundings {
  std::string host{};                    // the name of this machine; empty: not told
  std::string directory;                 // absolute; relative paths are resolved against it
  std::vector<std::string> environment;  // "NAME=value"
  std::uint32_t umask = 022;
  Now now;
  // For --get-user-env: "NAME=value" as the user's login shell leaves them; null: nothing.
  Result<std::vector<std::string>> (*login_environment)() = nullptr;
  // What the cluster's nodes have; asked for only when tasks were refused that stay on one.
  std::vector<Resources> nodes{};
};

struct ParsedJob {
  JobSpec spec;                      // without its image
  std::optional<std::string> image;  // as given: still to be resolved by `jimage`
  SubmitChoices choices;
  bool nodes_are_open = false;  // with Surroundings::nodes it may get more of them
  std::vector<std::string> warnings;
};

// Errors: Invalid, a line for people: an empty script, one without "#!", one with some DOS line
// ends.
[[nodiscard]] Result<void> check_script(std::string_view script, std::string_view name);

// A script whose first line ends as with DOS could not even be started: all its lines are given
// the ends of Unix. True: so it was.
bool repair_line_ends(std::string& script);

// The options of a script's directives, in the order of the file. `name` is the file's, for
// messages.
[[nodiscard]] Result<void> apply_script(JobDraft& draft,
                                        std::string_view script,
                                        const std::string& name);

// The spec that `draft` asks for. Warnings are added to the draft's.
[[nodiscard]] Result<JobSpec> make_spec(JobDraft& draft,
                                        const ProgramText& program,
                                        const Surroundings& around);

// All of it: script directives, environment, command line. `script_name` is empty for a command.
[[nodiscard]] Result<ParsedJob> parse_job(std::span<const GivenOption> command_line,
                                          const ProgramText& program,
                                          const std::string& script_name,
                                          const Surroundings& around);

// The one line that names all options without effect; "" if there are none.
[[nodiscard]] std::string ignored_warning(std::vector<std::string> ignored);

// Parts a list at its commas, but for those between quotes, which are taken away.
[[nodiscard]] std::vector<std::string> split_quoted(std::string_view list);

// The absolute path of `path` seen from `directory`.
[[nodiscard]] std::string absolute_path(std::string_view path, std::string_view directory);

}  // namespace gangway::submit
