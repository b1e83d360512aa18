// A sandbox for tests: a runtime over PollReactor, a temporary directory the job's user may write,
// and programs whose output is read back.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <optional>
#include <string>
#include <vector>

#include "containers/remove_tree.hpp"
#include "containers/sandbox_runtime.hpp"
#include "containers/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/poll_reactor.hpp"

namespace gangway::containers {

inline constexpr uid_t kTestUid = 12345;

// Runs `body` in a child with these ids; expectations that fail in it are printed and fail here
// too.
inline void as_user(uid_t uid, const std::function<void()>& body) {
  fflush(nullptr);
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 ||
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

// A directory under /tmp that `owner` may write, removed at the end.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(uid_t owner = geteuid()) {
    char pattern[] = "/tmp/gangway-test-XXXXXX";
    if (mkdtemp(pattern) != nullptr) path_ = pattern;
    if (owner != geteuid() && chown(path_.c_str(), owner, owner) != 0) path_.clear();
  }
  ~TemporaryDirectory() {
    if (!path_.empty()) [[maybe_unused]]
      const auto removed = remove_tree(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class TestSandbox {
 public:
  explicit TestSandbox(uid_t uid = geteuid() == 0 ? kTestUid : geteuid()) : home(uid) {
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
         {"memory", "cpuset", "cpu", "cpuacct", "pids", "freezer", "unified", "blkio"}) {
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
  std::optional<ProgramEnd> find_end(std::uint32_t id) const {
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
  SandboxUsage cleanup() {
    std::optional<SandboxUsage> usage;
    runtime->cleanup([&](SandboxUsage seen) { usage = seen; });
    EXPECT_TRUE(reactor.run_until([&] { return usage.has_value(); })) << "no end of cleanup";
    reactor.run_until([&] { return reactor.children() == 0; });
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
