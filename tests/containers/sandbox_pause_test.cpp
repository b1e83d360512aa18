// Sandboxes whose programs stand still: by either freezer, and by signals.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "containers/cgroup.hpp"
#include "containers/freezer.hpp"
#include "tests/containers/sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

// A child that counts in memory that we see.
struct Counter {
  Counter()
      : count(static_cast<volatile std::int64_t*>(
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    pid = fork();
    if (pid == 0) {
      while (true) *count = *count + 1;
    }
  }
  ~Counter() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    munmap(const_cast<std::int64_t*>(count), 4096);
  }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  [[nodiscard]] bool moves_on() const {
    const std::int64_t before = *count;
    for (int round = 0; round < 5000 && *count == before; ++round) usleep(1000);
    return *count != before;
  }
  volatile std::int64_t* count;
  pid_t pid = -1;
};

class RealFreezer : public testing::TestWithParam<int> {
 protected:
  ~RealFreezer() override {
    for (const CgroupHierarchy& hierarchy : layout_.hierarchies) {
      rmdir((hierarchy.mount + "/" + request_.parent).c_str());
    }
  }
  // Of this version only; nullopt: the kernel has none.
  std::optional<Freezer> make() {
    auto group = Cgroup::make(layout_, request_, {}, waived_);
    if (!group) return std::nullopt;
    group_ = *std::move(group);
    for (const std::string& directory : group_->directories()) {
      const auto found = Freezer::find({directory});
      if (found && found->version() == GetParam()) return found;
    }
    return std::nullopt;
  }
  static bool settles(const Freezer& freezer, bool frozen) {
    for (int round = 0; round < 5000; ++round) {
      if (!freezer.ask(frozen)) return false;
      const auto settled = freezer.is_settled(frozen);
      if (settled && *settled) return true;
      usleep(1000);
    }
    return false;
  }
  CgroupLayout layout_ = read_cgroup_layout();
  CgroupRequest request_{.parent = cat("gangway-test-", getpid()),
                         .name = "frozen",
                         .cores = {},
                         .memory = {},
                         .pids = {}};
  std::vector<std::string> waived_;
  std::optional<Cgroup> group_;
};
INSTANTIATE_TEST_SUITE_P(Version, RealFreezer, testing::Values(1, 2), [](const auto& version) {
  return cat("V", version.param);
});

TEST_P(RealFreezer, ProcessesStandStillAndGoOn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto freezer = make();
  if (!freezer) GTEST_SKIP() << "this kernel has no freezer of version " << GetParam();
  {
    const Counter counter;
    ASSERT_TRUE(group_->add(counter.pid));
    EXPECT_TRUE(counter.moves_on());
    ASSERT_TRUE(settles(*freezer, true));
    const std::int64_t before = *counter.count;
    usleep(50'000);
    EXPECT_EQ(*counter.count, before);
    ASSERT_TRUE(settles(*freezer, false));
    EXPECT_TRUE(counter.moves_on());
  }
  EXPECT_TRUE(group_->remove());
}

TEST_P(RealFreezer, WhatIsFrozenCanBeKilledAndTheGroupGoes) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto freezer = make();
  if (!freezer) GTEST_SKIP() << "this kernel has no freezer of version " << GetParam();
  const pid_t pid = fork();
  if (pid == 0) {
    while (true) pause();
  }
  ASSERT_TRUE(group_->add(pid));
  ASSERT_TRUE(settles(*freezer, true));
  group_->kill_all();
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  const Result<void> removed = group_->remove();
  EXPECT_TRUE(removed) << removed.error().message();
}

class PausedSandbox : public BothExecutors {
 protected:
  // With a freezer if there is one, and with signals.
  void each(const std::function<void(TestSandbox&)>& body) const {
    for_executor([&] {
      for (const bool use_freezer : {true, false}) {
        TestSandbox sandbox;
        sandbox.settings.use_freezer = use_freezer;
        const auto ready = sandbox.prepare();
        ASSERT_TRUE(ready) << ready.error().message();
        body(sandbox);
      }
    });
  }
  static void pause(TestSandbox& sandbox, bool on) {
    std::optional<Result<void>> done;
    sandbox.runtime->pause(on, [&](Result<void> result) { done = std::move(result); });
    EXPECT_FALSE(done.has_value()) << "answered in the same turn";
    ASSERT_TRUE(sandbox.reactor.run_until([&] { return done.has_value(); })) << "no answer";
    EXPECT_TRUE(*done) << done->error().message();
  }
  static std::string written(const TestSandbox& sandbox) {
    return read_small_file(sandbox.home / "ticks").value_or("");
  }
};
INSTANTIATE_TEST_SUITE_P(Executor, PausedSandbox, testing::Bool(), executor_name);

constexpr const char* kTicks =
    "tick() { while :; do echo $1 >> ticks; sleep 0.01; done; }; tick a & setsid sh -c "
    "'while :; do echo b >> ticks; sleep 0.01; done' & until grep -q a ticks 2>/dev/null && "
    "grep -q b ticks; do sleep 0.01; done; : > up; wait";

TEST_P(PausedSandbox, EveryProgramStandsStillAndGoesOn) {
  each([](TestSandbox& sandbox) {
    sandbox.start({sandbox.shell(kTicks)});
    sandbox.wait_for_file("up");
    pause(sandbox, true);
    const std::string before = written(sandbox);
    usleep(60'000);
    EXPECT_EQ(written(sandbox), before);
    pause(sandbox, true);  // again: nothing new
    pause(sandbox, false);
    EXPECT_TRUE(sandbox.reactor.run_until([&] { return written(sandbox) != before; }, true));
  });
}

TEST_P(PausedSandbox, ProgramsStartedMeanwhileBeginWhenItGoesOn) {
  each([](TestSandbox& sandbox) {
    pause(sandbox, true);
    const ProgramRequest late = sandbox.shell(": > late");
    sandbox.start({late});
    for (int turn = 0; turn < 50; ++turn) sandbox.reactor.turn_once();
    EXPECT_NE(access((sandbox.home / "late").c_str(), F_OK), 0);
    pause(sandbox, false);
    EXPECT_EQ(sandbox.wait_end(late.id).wait_status, 0);
    EXPECT_EQ(access((sandbox.home / "late").c_str(), F_OK), 0);
  });
}

TEST_P(PausedSandbox, ASignalComesThroughWhenItGoesOn) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest program =
        sandbox.shell("trap ': > caught; exit 7' TERM; : > up; while :; do sleep 0.01; done");
    sandbox.start({program});
    sandbox.wait_for_file("up");
    pause(sandbox, true);
    sandbox.runtime->signal(SIGTERM, std::nullopt);
    pause(sandbox, false);
    EXPECT_EQ(WEXITSTATUS(sandbox.wait_end(program.id).wait_status), 7);
  });
}

TEST_P(PausedSandbox, ManySignalsWhileItStandsStillEndNothing) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest program = sandbox.shell(
        "trap ': > caught' USR1; trap 'exit 7' TERM; : > up; while :; do sleep 0.01; done");
    sandbox.start({program});
    sandbox.wait_for_file("up");
    pause(sandbox, true);
    for (int i = 0; i < 2000; ++i) {
      sandbox.runtime->signal(SIGUSR1, std::nullopt);
      sandbox.runtime->signal(SIGWINCH, program.id);
    }
    const ProgramRequest late = sandbox.shell(": > late");
    sandbox.start({late});
    pause(sandbox, false);
    sandbox.wait_for_file("caught");
    EXPECT_EQ(sandbox.wait_end(late.id).wait_status, 0);
    sandbox.runtime->signal(SIGTERM, program.id);
    EXPECT_EQ(WEXITSTATUS(sandbox.wait_end(program.id).wait_status), 7);
  });
}

TEST_P(PausedSandbox, CleanupEndsWhatStandsStill) {
  each([](TestSandbox& sandbox) {
    const ProgramRequest program = sandbox.shell(": > up; setsid sleep 1000 & sleep 1000");
    sandbox.start({program});
    sandbox.wait_for_file("up");
    pause(sandbox, true);
    sandbox.cleanup();
    ASSERT_EQ(sandbox.ends.size(), 1U);
    EXPECT_EQ(WTERMSIG(sandbox.ends[0].wait_status), SIGKILL);
  });
}

}  // namespace
}  // namespace gangway::containers
