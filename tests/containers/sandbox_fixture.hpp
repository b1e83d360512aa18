// A sandbox for tests: a runtime over PollReactor, a temporary directory the job's user may write,
// and programs whose output is read back.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "containers/remove_tree.hpp"
#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_runtime.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/poll_reactor.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {

inline constexpr uid_t kTestUid = 12345;

// Runs `body` in a child with these ids; expectations that fail in it are printed and fail here
// too.
inline void as_user(uid_t uid,
                    const std::function<void()>& body,
                    const std::vector<gid_t>& groups = {}) {
  fflush(nullptr);
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    if (setgroups(groups.size(), groups.data()) != 0 || setresgid(uid, uid, uid) != 0 ||
        setresuid(uid, uid, uid) != 0) {
      _exit(99);
    }
    prctl(PR_SET_DUMPABLE, 1);  // as a program has it that this user has started
    body();
    fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "in the child, status " << status;
}

inline void write_test_file(const std::string& path, const std::string& text, mode_t mode) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  fchmod(fd.get(), mode);
}

// The same test for an executor of root and one of an ordinary user (parameter: of root).
class BothExecutors : public testing::TestWithParam<bool> {
 protected:
  void for_executor(const std::function<void()>& body) const {
    if (geteuid() != 0) {
      if (GetParam()) GTEST_SKIP() << "needs root";
      body();
    } else if (GetParam()) {
      body();
    } else {
      as_user(kTestUid, body, groups_);
    }
  }

  std::vector<gid_t> groups_;  // the ordinary user's beside the first
};
inline std::string executor_name(const testing::TestParamInfo<bool>& of_root) {
  return of_root.param ? "OfRoot" : "OfTheUser";
}

class TestSandbox {
 public:
  explicit TestSandbox(uid_t uid = geteuid() == 0 ? kTestUid : geteuid(),
                       const std::string& parent = "/tmp")
      : home(uid, parent) {
    request.name = cat("test-", getpid(), "-", counter()++);
    request.directory = home / "private";
    mkdir(request.directory.c_str(), 0700);
    request.user = {.uid = uid,
                    .gid = uid,
                    .groups = {uid},
                    .name = "tester",
                    .home = home.path(),
                    .shell = "/bin/sh"};
    request.hostname = "node-under-test";
    request.workdir = home.path();
    settings.cgroup_parent = cat("gangway-test-", getpid());
    settings.image_helper = GANGWAY_BINARY_DIR "/bin/jimage-unpack";
    settings.image_store = home / "store";
  }
  ~TestSandbox() {
    if (runtime) cleanup();
    for (const char* controller :
         {"memory", "cpuset", "cpu", "cpuacct", "pids", "freezer", "unified", "blkio", "devices"}) {
      rmdir(cat("/sys/fs/cgroup/", controller, "/", settings.cgroup_parent).c_str());
    }
    rmdir(cat("/sys/fs/cgroup/", settings.cgroup_parent).c_str());
  }

  Result<SandboxReady> prepare() {
    runtime.emplace(reactor, settings);
    std::optional<Result<SandboxReady>> answer;
    runtime->prepare(request, [&](Result<SandboxReady> result) { answer = std::move(result); });
    EXPECT_FALSE(answer.has_value()) << "answered in the same turn";
    if (!reactor.run_until([&] { return answer.has_value(); })) {
      return Error(ErrorKind::Internal, "no answer to prepare");
    }
    return *answer;
  }

  ProgramRequest program(std::vector<std::string> argv) {
    ProgramRequest program;
    program.id = next_id++;
    program.argv = std::move(argv);
    program.env = {"PATH=/usr/bin:/bin", cat("HOME=", home.path())};
    program.workdir = request.workdir;
    program.out = {.path = home / cat("out.", program.id), .truncate = false};
    return program;
  }
  ProgramRequest shell(const std::string& script) { return program({"/bin/sh", "-c", script}); }

  void start(std::vector<ProgramRequest> programs) {
    runtime->start(std::move(programs), [this](ProgramEnd end) { ends.push_back(std::move(end)); });
  }
  [[nodiscard]] std::optional<ProgramEnd> find_end(std::uint32_t id) const {
    for (const ProgramEnd& end : ends) {
      if (end.id == id) return end;
    }
    return std::nullopt;
  }
  ProgramEnd wait_end(std::uint32_t id) {
    EXPECT_TRUE(reactor.run_until([&] { return find_end(id).has_value(); })) << "no end";
    return find_end(id).value_or(ProgramEnd{id, false, 0, "timeout"});
  }
  ProgramEnd run(const ProgramRequest& one) {
    start({one});
    return wait_end(one.id);
  }
  // What a shell script prints, with its errors.
  std::string output_of(const std::string& script) {
    const ProgramRequest one = shell(script);
    const ProgramEnd end = run(one);
    EXPECT_TRUE(end.started) << end.message;
    return read_small_file(one.out.path).value_or("");
  }
  // Until a program has made `name` in the home directory.
  void wait_for_file(const std::string& name) {
    EXPECT_TRUE(reactor.run_until([&] { return access((home / name).c_str(), F_OK) == 0; }, true))
        << "no " << name;
  }
  // A FIFO that programs can have as output; read() of it ends when the last one is gone.
  int make_witness(const std::string& name) {
    const std::string path = home / name;
    EXPECT_EQ(mkfifo(path.c_str(), 0666), 0);
    chmod(path.c_str(), 0666);
    return open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
  // Until some program has written to it.
  void wait_for_word(int witness) {
    char text[64];
    EXPECT_TRUE(reactor.run_until([&] { return read(witness, text, sizeof text) > 0; }, true));
  }
  SandboxUsage cleanup() {
    std::optional<SandboxUsage> usage;
    runtime->cleanup([&](SandboxUsage seen) { usage = seen; });
    EXPECT_TRUE(reactor.run_until([&] { return usage.has_value(); })) << "no end of cleanup";
    runtime.reset();
    return usage.value_or(SandboxUsage{});
  }

  TemporaryDirectory home;
  PollReactor reactor;
  SandboxSettings settings;
  SandboxRequest request;
  std::optional<SandboxRuntime> runtime;
  std::vector<ProgramEnd> ends;
  std::uint32_t next_id = 1;

 private:
  static int& counter() {
    static int value = 0;
    return value;
  }
};

}  // namespace gangway::containers
