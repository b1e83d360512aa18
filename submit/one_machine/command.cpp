#include "submit/one_machine/command.hpp"

#include <sys/wait.h>

#include "queues/base/text.hpp"
#include "submit/run_program.hpp"

namespace gangway::one_machine {

Result<std::string> run_command(const Argv& argv) {
  GANGWAY_ASSIGN(submit::RanProgram ran, submit::run_program(argv));
  if (WIFEXITED(ran.wait_status) && WEXITSTATUS(ran.wait_status) == 0) return std::move(ran.out);
  std::string why(trim(ran.err));
  if (why.empty()) why = cat("wait status ", ran.wait_status);
  return Error(ErrorKind::Internal, cat(join(argv, " "), ": ", why));
}

}  // namespace gangway::one_machine
