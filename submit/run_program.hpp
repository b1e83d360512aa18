// Runs another program to its end, without a shell: its input is empty, its output is collected.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::submit {

struct RanProgram {
  int wait_status = 0;  // as waitpid(2) has it
  std::string out;
  std::string err;
};

// argv[0] is a path, or a name to be found by PATH. Blocks. Requires: argv is not empty.
// Errors: of starting it (NotFound: there is no such program); of waiting for it.
[[nodiscard]] Result<RanProgram> run_program(const std::vector<std::string>& argv);

}  // namespace gangway::submit
