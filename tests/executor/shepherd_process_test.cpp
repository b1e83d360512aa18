// The real jshepherd with the real container runtime, on the host's file system.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/executor/played_agents.hpp"

namespace gangway::executor {
namespace {

namespace fs = std::filesystem;

class ShepherdProcessTest : public testing::PlayedAgents {
 protected:
  void on_prepared() override {
    launch();
    if (when_running_) when_running_();
  }
  void run_job(const JobSpec& s, std::function<void()> when_running = {}) {
    when_running_ = std::move(when_running);
    PlayedAgents::run_job(s);
  }
  Node& node() { return *nodes_[0]; }
  Outcome outcome() { return node().outcome(); }
  void cancel() {
    Outcome cancelled;
    cancelled.kind = OutcomeKind::Cancelled;
    stop(node(), cancelled, false);
  }
  std::function<void()> when_running_;
};

TEST_F(ShepherdProcessTest, AScriptRunsAsItsUserInItsDirectory) {
  run_job(spec("#!/bin/sh\necho $GREETING from $(hostname) job $JOB_ID; id -u; pwd; exit 3\n"));
  EXPECT_EQ(node().exit_status, 0);
  EXPECT_EQ(outcome().kind, OutcomeKind::Failed) << outcome().detail;
  EXPECT_EQ(outcome().exit_code, 3);
  EXPECT_EQ(read("job-42.out"), cat("hello from n0 job 42\n", owner_, "\n", work(), "\n"));
  struct stat out {};
  ASSERT_EQ(::stat((work() + "/job-42.out").c_str(), &out), 0);
  EXPECT_EQ(out.st_uid, owner_);
  EXPECT_TRUE(node().record_was_there);
  EXPECT_TRUE(node().sandbox_was_gone);
}
TEST_F(ShepherdProcessTest, EveryTaskWritesToTheSharedFile) {
  JobSpec s = spec("");
  s.argv = {"sh", "-c", "echo rank $JOB_PROCID of $JOB_NTASKS"};
  s.launch = LaunchMode::Tasks;
  s.components[0].tasks = 3;
  std::ofstream(work() + "/job-42.out") << "old\n";
  ASSERT_EQ(::chown((work() + "/job-42.out").c_str(), owner_, static_cast<gid_t>(-1)), 0);
  run_job(s);
  EXPECT_EQ(outcome().kind, OutcomeKind::Completed) << outcome().detail;
  const std::string out = read("job-42.out");
  EXPECT_EQ(out.find("old"), std::string::npos);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_NE(out.find(cat("rank ", rank, " of 3\n")), std::string::npos) << out;
  }
}
TEST_F(ShepherdProcessTest, ACommandThatDoesNotExistIsNamed) {
  JobSpec s = spec("");
  s.argv = {"no-such-command"};
  run_job(s);
  EXPECT_EQ(outcome().kind, OutcomeKind::Failed);
  EXPECT_EQ(outcome().exit_code, 127);
  EXPECT_NE(outcome().detail.find("no-such-command"), std::string::npos) << outcome().detail;
}
TEST_F(ShepherdProcessTest, AnOutputThatCannotBeWrittenFailsBeforeAnythingRuns) {
  JobSpec s = spec("#!/bin/sh\ntouch ran\n");
  s.stdio.out = "/proc/no/such/file";
  run_job(s);
  EXPECT_EQ(outcome().kind, OutcomeKind::LaunchFailed);
  EXPECT_NE(outcome().exit_code, 75);
  EXPECT_TRUE(node().finished && node().finished->never_launched());
  EXPECT_FALSE(fs::exists(work() + "/ran"));
}
TEST_F(ShepherdProcessTest, AStopReachesTheScriptAndWhatItStarted) {
  // Whether the shell also says that its sleep was ended is a matter of who is faster.
  run_job(spec("#!/bin/sh\nexec 2> /dev/null\ntrap 'echo told; exit 9' TERM\ntouch up\n"
               "sleep 1000 & wait\n"),
          [this] { when_there("up", [this] { cancel(); }); });
  EXPECT_EQ(outcome().kind, OutcomeKind::Cancelled);
  EXPECT_EQ(read("job-42.out"), "told\n");
}
TEST_F(ShepherdProcessTest, AfterTheGraceComesTheKill) {
  run_job(spec("#!/bin/sh\ntrap '' TERM\ntouch up\nwhile :; do sleep 1000; done\n"),
          [this] { when_there("up", [this] { cancel(); }); });
  EXPECT_EQ(outcome().kind, OutcomeKind::Cancelled);
}
TEST_F(ShepherdProcessTest, TheLimitHoldsWithoutAnybodysHelp) {
  JobSpec s = spec("#!/bin/sh\nsleep 1000\n");
  s.time_limit = milliseconds(100);
  run_job(s);
  EXPECT_EQ(outcome().kind, OutcomeKind::TimedOut);
}
TEST_F(ShepherdProcessTest, ASignalEndsTheJobWithItsName) {
  run_job(spec("#!/bin/sh\nkill -SEGV $$\n"));
  EXPECT_EQ(outcome().kind, OutcomeKind::Signaled);
  EXPECT_EQ(outcome().signal, SIGSEGV);
}
TEST_F(ShepherdProcessTest, NothingOutlivesItsJob) {
  run_job(spec("#!/bin/sh\nsetsid sleep 98765 >/dev/null 2>&1 &\nexit 0\n"));
  EXPECT_EQ(outcome().kind, OutcomeKind::Completed) << outcome().detail;
  EXPECT_NE(std::system("pgrep -f '[s]leep 98765' >/dev/null"), 0);
}
TEST_F(ShepherdProcessTest, AKilledShepherdTakesItsJobWithIt) {
  run_job(spec("#!/bin/sh\ntouch up\nsleep 87654\n"),
          [this] { when_there("up", [this] { ::kill(node().pid, SIGKILL); }); });
  EXPECT_EQ(node().exit_status, SIGKILL);
  // The kernel ends the sandbox's processes when its first one is told; that is soon, not at once.
  int left = 0;
  for (int i = 0; i < 500 && left == 0; ++i) {
    left = std::system("pgrep -f '[s]leep 87654' >/dev/null");
    if (left == 0) ::usleep(10'000);
  }
  EXPECT_NE(left, 0);
}
TEST_F(ShepherdProcessTest, AnAgentThatIsAwayMissesNothing) {
  // The connection is closed by the test once the job runs; the shepherd comes back.
  run_job(spec("#!/bin/sh\ntouch up\nwhile ! test -e go; do sleep 0.01; done\nexit 4\n"), [this] {
    when_there("up", [this] {
      transport_.close(node().peer);
      std::ofstream(work() + "/go") << "\n";
    });
  });
  EXPECT_EQ(node().exit_status, 0);
  EXPECT_EQ(outcome().exit_code, 4);
  EXPECT_EQ(node().hellos.size(), 2U);
}

TEST(ShepherdProgram, ADirectoryWithoutAnOrderIsBadData) {
  const std::string program = std::string(GANGWAY_BINARY_DIR) + "/bin/jshepherd";
  EXPECT_EQ(WEXITSTATUS(std::system((program + " /nonexistent 2>/dev/null").c_str())), 65);
  EXPECT_EQ(WEXITSTATUS(std::system((program + " 2>/dev/null").c_str())), 64);
}

}  // namespace
}  // namespace gangway::executor
