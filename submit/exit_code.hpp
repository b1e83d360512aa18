// The exit codes of people's programs: the job's own where there is a job, sysexits(3) for ours.
// docs/exit-codes.md says the same to people; a test holds the two together.
//
// Pure.
#pragma once

#include "queues/base/result.hpp"

namespace gangway::submit {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 64;    // an option or operand is wrong
inline constexpr int kExitBadData = 65;  // a script, a file, a request cannot be accepted as it is
inline constexpr int kExitNoInput = 66;  // a file, an image, a job does not exist
inline constexpr int kExitUnavailable = 69;    // the scheduler does not answer
inline constexpr int kExitInternal = 70;       // our mistake
inline constexpr int kExitCannotCreate = 73;   // a file of ours cannot be written
inline constexpr int kExitTryLater = 75;       // a bound is reached
inline constexpr int kExitRefused = 77;        // not permitted, or not in this state
inline constexpr int kExitConfiguration = 78;  // the configuration file has errors

// The code for a failure that the scheduler or the operating system answered with.
[[nodiscard]] constexpr int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Invalid:
    case ErrorKind::Unsupported:
    case ErrorKind::Corrupt:
      return kExitBadData;
    case ErrorKind::NotFound:
      return kExitNoInput;
    case ErrorKind::Denied:
    case ErrorKind::Conflict:
      return kExitRefused;
    case ErrorKind::Unavailable:
      return kExitUnavailable;
    case ErrorKind::Exhausted:
      return kExitTryLater;
    case ErrorKind::Internal:
      return kExitInternal;
  }
  return kExitInternal;
}

}  // namespace gangway::submit
