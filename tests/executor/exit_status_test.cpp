#include "executor/exit_status.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace gangway::executor {
namespace {

constexpr int exited(int code) { return code << 8; }

TEST(ExitStatus, ZeroIsCompleted) {
  EXPECT_EQ(outcome_of(read_wait_status(exited(0))).kind, OutcomeKind::Completed);
}
TEST(ExitStatus, ACodeIsKept) {
  const Outcome outcome = outcome_of(read_wait_status(exited(3)));
  EXPECT_EQ(outcome.kind, OutcomeKind::Failed);
  EXPECT_EQ(outcome.exit_code, 3);
}
TEST(ExitStatus, ASignalIsNamed) {
  const ProgramResult result = read_wait_status(SIGKILL);
  EXPECT_EQ(outcome_of(result).kind, OutcomeKind::Signaled);
  EXPECT_EQ(outcome_of(result).signal, SIGKILL);
  EXPECT_EQ(result.shell_code(), 137);
  EXPECT_EQ(describe(result), "killed by signal 9 (SIGKILL)");
}
TEST(ExitStatus, ACoreDumpIsStillItsSignal) {
  EXPECT_EQ(read_wait_status(SIGSEGV | 0x80).signal, SIGSEGV);
}
TEST(ExitStatus, AnAbortIsNeverASuccess) {
  EXPECT_EQ(abort_exit_code(42), 42);
  EXPECT_EQ(abort_exit_code(0), 1);
  EXPECT_EQ(abort_exit_code(256), 1);
  EXPECT_EQ(abort_exit_code(-1), 255);
}
TEST(ExitStatus, OnlyWhatMayGoAwayIsTriedAgain) {
  EXPECT_EQ(launch_failed(Error(ErrorKind::Exhausted, "disk full")).exit_code, kTryAgainCode);
  EXPECT_NE(launch_failed(Error(ErrorKind::NotFound, "no image")).exit_code, kTryAgainCode);
  EXPECT_NE(launch_failed(Error(ErrorKind::Corrupt, "wrong digest")).exit_code, kTryAgainCode);
}

}  // namespace
}  // namespace gangway::executor
