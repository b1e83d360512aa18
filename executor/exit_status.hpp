// What wait(2) said, in the words of the model. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "queues/base/result.hpp"
#include "queues/model/job.hpp"

namespace gangway::executor {

// Exit codes that say what kind of LaunchFailed it is (PROTOCOL.md): 75 may be tried again,
// anything else fails the same way everywhere.
inline constexpr std::int32_t kTryAgainCode = 75;  // EX_TEMPFAIL
// A rank of several came through without having met the others.
inline constexpr std::int32_t kAloneCode = 76;  // EX_PROTOCOL

// How a program ended: by itself with a code, or by a signal.
struct ProgramResult {
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  friend bool operator==(const ProgramResult&, const ProgramResult&) = default;
  [[nodiscard]] bool is_success() const { return exit_code == 0 && signal == 0; }
  // As a shell says it: the code, or 128 + the signal.
  [[nodiscard]] std::int32_t shell_code() const { return signal != 0 ? 128 + signal : exit_code; }
};
[[nodiscard]] ProgramResult read_wait_status(int wait_status);

// Completed, Failed or Signaled.
[[nodiscard]] Outcome outcome_of(const ProgramResult& result);
// "exit code 3", "killed by signal 9 (SIGKILL)".
[[nodiscard]] std::string describe(const ProgramResult& result);

// MPI_Abort's code as an exit code: its low eight bits, but never 0, because an abort is a failure.
[[nodiscard]] std::int32_t abort_exit_code(std::int32_t status);

// LaunchFailed with the code that fits the error's kind: Unavailable, Exhausted, Conflict and
// Internal may go away; a missing image, a wrong digest, a refused or unsupported request does not.
[[nodiscard]] Outcome launch_failed(const Error& error);

}  // namespace gangway::executor
