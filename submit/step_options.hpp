// The options of jrun: those of a step in an allocation, in srun's names, and those of a job, for a
// jrun that makes its allocation itself.
//
// Pure but for the file of --multi-prog.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/wire/step.pb.h"
#include "submit/options.hpp"

namespace gangway::submit {

struct StepRequest {
  wire::StepRun run;
  bool label = false;
  bool quiet = false;
  bool pty = false;
  bool multi_prog = false;
  bool show_bindings = false;
  bool help = false;
  bool version = false;
  bool hold = false;               // ours alone: the program of a job made for one step
  std::optional<std::string> in;   // "all", "none", a rank, or a file
  std::optional<std::string> out;  // files
  std::optional<std::string> err;
  std::optional<std::string> job;  // --jobid
  std::string socket;
  std::optional<std::string> mpi;   // as said
  std::vector<GivenOption> of_job;  // with indices into job_option_names()
  std::vector<std::string> warnings;
};

// `words` are the command line. Errors: Invalid, one line with the option and what would be right.
[[nodiscard]] Result<StepRequest> parse_step(std::span<const std::string> words);

// The lines of a --multi-prog file: "RANKS PROGRAM ARGUMENTS", RANKS as "0,2-3" or "*" for the
// rest; %t is the rank, %o its place in the line's ranks. Errors: Invalid, with the line.
[[nodiscard]] Result<std::vector<wire::StepProgram>> parse_multi_prog(std::string_view text,
                                                                      const std::string& name,
                                                                      std::uint32_t tasks);

[[nodiscard]] std::span<const OptionName> step_option_names();

}  // namespace gangway::submit
