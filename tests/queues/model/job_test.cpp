#include "queues/model/job.hpp"

#include <gtest/gtest.h>

namespace gangway {
namespace {

TEST(Outcome, ShellCodeIsTheJobsOwnOr128PlusTheSignal) {
  EXPECT_EQ((Outcome{.kind = OutcomeKind::Completed}).shell_code(), 0);
  EXPECT_EQ((Outcome{.kind = OutcomeKind::Failed, .exit_code = 7}).shell_code(), 7);
  EXPECT_EQ((Outcome{.kind = OutcomeKind::Failed, .exit_code = 0}).shell_code(), 1);
  EXPECT_EQ((Outcome{.kind = OutcomeKind::Signaled, .signal = 9}).shell_code(), 137);
  for (const auto kind : {OutcomeKind::Cancelled, OutcomeKind::TimedOut, OutcomeKind::NodeFailed,
                          OutcomeKind::LaunchFailed, OutcomeKind::OutOfMemory}) {
    EXPECT_EQ((Outcome{.kind = kind, .signal = 15}).shell_code(), 1);
  }
}

TEST(Phase, HasItsCustomaryLetters) {
  EXPECT_EQ(customary_letters(Phase(phase::Waiting{})), "PD");
  EXPECT_EQ(customary_letters(Phase(phase::Starting{})), "CF");
  EXPECT_EQ(customary_letters(Phase(phase::Running{})), "R");
  EXPECT_EQ(customary_letters(Phase(phase::Suspended{})), "S");
  EXPECT_EQ(customary_letters(Phase(phase::Completing{})), "CG");
  EXPECT_EQ(customary_letters(Phase(phase::Finished{{.kind = OutcomeKind::TimedOut}})), "TO");
}

TEST(Job, SameStateComparesEverythingStored) {
  Job a;
  a.spec = std::make_shared<JobSpec>();
  Job b = a;
  b.spec = std::make_shared<JobSpec>();  // equal by digest
  EXPECT_TRUE(same_state(a, b));
  b.ended = Time{1};
  EXPECT_FALSE(same_state(a, b));
}

TEST(Allocation, FindsTheShareOfANode) {
  Allocation allocation;
  allocation.shares.push_back(
      {.component = 0, .node = NodeName{"n02"}, .resources = {}, .cores = {3}});
  ASSERT_NE(allocation.find(NodeName{"n02"}), nullptr);
  EXPECT_EQ(allocation.find(NodeName{"n02"})->cores.front(), 3);
  EXPECT_EQ(allocation.find(NodeName{"n01"}), nullptr);
}

}  // namespace
}  // namespace gangway
