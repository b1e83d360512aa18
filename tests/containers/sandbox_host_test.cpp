// Sandboxes without an image on the real kernel: as root's executor for an ordinary user, and as
// that user's own.
#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/containers/sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

class HostSandbox : public testing::TestWithParam<bool> {
 protected:
  // The same test for both kinds of executor.
  void each(const std::function<void(TestSandbox&)>& body) {
    const auto with_sandbox = [&] {
      TestSandbox sandbox;
      const Result<SandboxReady> ready = sandbox.prepare();
      ASSERT_TRUE(ready) << ready.error().message();
      body(sandbox);
    };
    if (geteuid() != 0) {
      if (GetParam()) GTEST_SKIP() << "needs root";
      with_sandbox();
    } else if (GetParam()) {
      with_sandbox();
    } else {
      as_user(kTestUid, with_sandbox);
    }
  }
};

std::string executor_name(const testing::TestParamInfo<bool>& of_root) {
  return of_root.param ? "OfRoot" : "OfTheUser";
}
INSTANTIATE_TEST_SUITE_P(Executor, HostSandbox, testing::Bool(), executor_name);

TEST_P(HostSandbox, ProgramRunsAsTheUserAndItsExitCodeComesBack) {
  each([](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("id -u; id -g"), cat(kTestUid, "\n", kTestUid, "\n"));
    const ProgramEnd end = sandbox.run(sandbox.shell("exit 7"));
    EXPECT_TRUE(end.started);
    EXPECT_EQ(WEXITSTATUS(end.wait_status), 7);
  });
}

TEST_P(HostSandbox, ProgramHasNoRightsAndAFilter) {
  each([](TestSandbox& sandbox) {
    const std::string status = sandbox.output_of("cat /proc/self/status");
    for (const char* line : {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
                             "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                             "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
      EXPECT_NE(status.find(line), std::string::npos) << line << "\n" << status;
    }
  });
}

TEST_P(HostSandbox, OnlyItsOwnProcessesAndHostNameAreSeen) {
  each([](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("hostname"), "node-under-test\n");
    // init, the shell, ls; and nothing else.
    EXPECT_EQ(sandbox.output_of("ls /proc | grep -c '^[0-9]*$'"), "4\n");
  });
}

}  // namespace
}  // namespace gangway::containers
