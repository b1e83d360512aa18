// What goes before a job, the job and what goes behind it as one script. Pure.
#pragma once

#include <string>
#include <string_view>

#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

// A word as a shell reads it.
[[nodiscard]] std::string quoted_word(std::string_view word);

// If `pre` fails, the job does not run and has failed. `post` finds the job's code in
// $JOB_EXIT_CODE; its own is then that of the whole. Either may be empty. Requires: a script begins
// with "#!".
[[nodiscard]] std::string wrap_program(const std::string& pre,
                                       const ProgramText& program,
                                       const std::string& post);

}  // namespace gangway::submit
