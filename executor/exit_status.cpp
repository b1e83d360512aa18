#include "executor/exit_status.hpp"

#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "queues/base/text.hpp"

namespace gangway::executor {

ProgramResult read_wait_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {.exit_code = 0, .signal = WTERMSIG(wait_status)};
  if (WIFEXITED(wait_status)) return {.exit_code = WEXITSTATUS(wait_status), .signal = 0};
  // Stopped and continued children are not reported to us; if one is, it has not succeeded.
  return {.exit_code = 70, .signal = 0};
}

Outcome outcome_of(const ProgramResult& result) {
  Outcome outcome;
  outcome.exit_code = result.exit_code;
  outcome.signal = result.signal;
  outcome.kind = result.signal != 0      ? OutcomeKind::Signaled
                 : result.exit_code != 0 ? OutcomeKind::Failed
                                         : OutcomeKind::Completed;
  return outcome;
}

std::string describe(const ProgramResult& result) {
  if (result.signal == 0) return cat("exit code ", result.exit_code);
  const char* name = ::sigabbrev_np(result.signal);  // nullptr for real-time signals
  if (name == nullptr) return cat("killed by signal ", result.signal);
  return cat("killed by signal ", result.signal, " (SIG", std::string_view(name), ")");
}

std::int32_t abort_exit_code(std::int32_t status) {
  const std::int32_t low = status & 0xff;
  return low == 0 ? 1 : low;
}

Outcome launch_failed(const Error& error) {
  Outcome outcome;
  outcome.kind = OutcomeKind::LaunchFailed;
  outcome.detail = error.message();
  switch (error.kind()) {
    case ErrorKind::Unavailable:
    case ErrorKind::Exhausted:
    case ErrorKind::Conflict:
    case ErrorKind::Internal:
      outcome.exit_code = kTryAgainCode;
      break;
    case ErrorKind::Invalid:
      outcome.exit_code = 64;
      break;  // EX_USAGE
    case ErrorKind::NotFound:
      outcome.exit_code = 66;
      break;  // EX_NOINPUT
    case ErrorKind::Denied:
      outcome.exit_code = 77;
      break;  // EX_NOPERM
    case ErrorKind::Unsupported:
      outcome.exit_code = 69;
      break;  // EX_UNAVAILABLE
    case ErrorKind::Corrupt:
      outcome.exit_code = 65;
      break;  // EX_DATAERR
  }
  return outcome;
}

}  // namespace gangway::executor
