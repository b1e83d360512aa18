// The exit codes of people's programs: the job's own where there is a job, sysexits(3) for ours.
// docs/exit-codes.md says the same to people; a test holds the two together.
//
// Pure.
#pragma once

#include "queues/base/result.hpp"

namespace gangway::submit {

enum ExitCode : int {
  kExitOk = 0,
  kExitUsage = 64,          // an option or operand is wrong
  kExitBadData = 65,        // a script, workflow file or request cannot be accepted as it is
  kExitNoInput = 66,        // a file, an image, a job that was named does not exist
  kExitUnavailable = 69,    // the scheduler does not answer
  kExitInternal = 70,       // our mistake
  kExitCannotCreate = 73,   // a file of ours cannot be written
  kExitTryLater = 75,       // a bound is reached
  kExitRefused = 77,        // not permitted, or not in this state
  kExitConfiguration = 78,  // the configuration file has errors
};

// The code for a failure that the scheduler or the operating system answered with.
[[nodiscard]] constexpr ExitCode exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Invalid:
      return kExitBadData;
    case ErrorKind::NotFound:
      return kExitNoInput;
    case ErrorKind::Denied:
      return kExitRefused;
    case ErrorKind::Conflict:
      return kExitRefused;
    case ErrorKind::Unavailable:
      return kExitUnavailable;
    case ErrorKind::Exhausted:
      return kExitTryLater;
    case ErrorKind::Unsupported:
      return kExitBadData;
    case ErrorKind::Corrupt:
      return kExitBadData;
    case ErrorKind::Internal:
      return kExitInternal;
  }
  return kExitInternal;
}

}  // namespace gangway::submit
