// The real jshepherd with the real container runtime; the test plays its agent. Jobs run as nobody
// when the tests run as root, else as the user of the tests, on the host's file system.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "containers/cgroup.hpp"
#include "executor/agent.hpp"
#include "executor/launcher.hpp"
#include "executor/processes.hpp"
#include "executor/spool.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/socket_transport.hpp"
#include "queues/model/job.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kNobody = 65534;
const std::string kCgroup = "gangway-shepherd-test-" + std::to_string(::getpid());

class ShepherdProcessTest : public ::testing::Test, public io::PeerHandler {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/gangway-shepherd-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = pattern;
    ::chmod(root_.c_str(), 0755);
    fs::create_directory(root_ + "/work");
    fs::create_directory(root_ + "/spool");
    owner_ = ::geteuid() == 0 ? kNobody : ::geteuid();
    ASSERT_EQ(::chown((root_ + "/work").c_str(), owner_, static_cast<gid_t>(-1)), 0);
    io::ListenOptions options;
    options.handler = this;
    options.socket_mode = 0600;
    ASSERT_TRUE(transport_.listen(root_ + "/spool/agent.sock", options));
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    fs::remove_all(root_);
    // A killed shepherd leaves its control group to the agent, and each one its parent group.
    const containers::CgroupLayout layout = containers::read_cgroup_layout();
    EXPECT_TRUE(containers::Cgroup::find(layout, kCgroup, "42.1").remove());
    EXPECT_TRUE(containers::Cgroup::find(layout, "", kCgroup).remove());
  }

  JobSpec spec(const std::string& script) const {
    JobSpec s;
    s.name = "test";
    s.script = script;
    s.workdir = root_ + "/work";
    s.env = {"PATH=/usr/bin:/bin", "GREETING=hello"};
    s.components = {Component{}};
    s.kill_grace = milliseconds(200);
    return s;
  }
  void start(const JobSpec& s) {
    wire::AttemptRecord record;
    wire::ShepherdStart* start = record.mutable_start();
    wire::Prepare* order = start->mutable_order();
    wire::to_wire(JobKey{JobId{42}}, order->mutable_key());
    order->set_attempt(1);
    order->set_secret("a secret of this attempt");
    order->mutable_owner()->set_uid(owner_);
    order->mutable_owner()->set_gid(owner_ == kNobody ? kNobody : ::getegid());
    wire::to_wire(s, order->mutable_spec());
    Allocation allocation;
    NodeShare share;
    share.node = NodeName("n0");
    share.resources.cores = 1;
    share.tasks = s.total_tasks();
    allocation.shares.push_back(share);
    wire::to_wire(allocation, order->mutable_allocation());
    const Result<wire::UserRecord> user = find_user(owner_);
    ASSERT_TRUE(user);
    start->set_user_name(user->name());
    start->set_home(user->home());
    start->set_shell(user->shell());
    start->set_node("n0");
    start->set_address("127.0.0.1");
    start->set_agent_socket(root_ + "/spool/agent.sock");
    start->set_images(root_ + "/spool/images");
    start->set_cgroup(kCgroup);
    start->set_shared_machine(true);
    // Limits are the container runtime's own tests; here any kernel will do.
    for (const char* waiver : {"cgroup-memory", "cgroup-cpus", "cgroup-pids", "user-namespace",
                               "seccomp", "overlay-fs", "proc-mount"}) {
      start->add_waivers(waiver);
    }
    const AttemptDirectory directory(root_ + "/spool/42.1");
    ASSERT_TRUE(directory.create(record));
    const std::string program = std::string(GANGWAY_BINARY_DIR) + "/bin/jshepherd";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl(program.c_str(), program.c_str(), directory.path().c_str(), nullptr);
      ::_exit(127);
    }
    loop_.watch_child(pid_, [this](int status) {
      pid_ = 0;
      exit_status_ = status;
      loop_.stop();
    });
  }
  void tell(const wire::ToShepherd& message) {
    wire::Frame frame;
    frame.type = wire::FrameType::ToShepherd;
    frame.payload = message.SerializeAsString();
    ASSERT_TRUE(transport_.send(peer_, frame));
  }
  void launch() {
    wire::ToShepherd message;
    message.mutable_launch();
    tell(message);
  }
  void stop(bool at_once) {
    wire::ToShepherd message;
    Outcome outcome;
    outcome.kind = OutcomeKind::Cancelled;
    wire::to_wire(outcome, message.mutable_stop()->mutable_outcome());
    message.mutable_stop()->set_at_once(at_once);
    tell(message);
  }
  void release() {
    wire::ToShepherd message;
    message.mutable_release();
    tell(message);
  }
  // Until the process has ended; a minute at most.
  void run() {
    const io::TimerId limit = loop_.arm(loop_.now().boot + minutes(1), [this] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
  }
  // From preparation to release; `when_running` once the launch is out.
  void run_job(const JobSpec& s, std::function<void()> when_running = {}) {
    on_prepared_ = [this, when_running] {
      launch();
      if (when_running) when_running();
    };
    start(s);
    run();
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(root_ + "/work/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  [[nodiscard]] Outcome outcome() const {
    return finished_ ? *wire::from_wire(finished_->outcome()) : Outcome{};
  }
  // Calls `then` when the job has made the file `name`.
  void when_there(const std::string& name, std::function<void()> then) {
    if (fs::exists(root_ + "/work/" + name)) {
      then();
      return;
    }
    loop_.arm(loop_.now().boot + milliseconds(1),
              [this, name, then = std::move(then)] { when_there(name, then); });
  }

  void on_connected(io::PeerId peer, const io::PeerIdentity&) override { peer_ = peer; }
  void on_frame(io::PeerId, wire::Frame frame) override {
    wire::FromShepherd message;
    ASSERT_TRUE(message.ParseFromString(frame.payload));
    if (message.has_hello()) hellos_.push_back(message.hello().state());
    if (message.has_prepared() && on_prepared_) on_prepared_();
    if (message.has_finished()) {
      finished_ = message.finished();
      // Its own word on the disk comes before what it tells.
      record_was_there_ = fs::exists(root_ + "/spool/42.1/finished");
      sandbox_was_gone_ = !fs::exists(root_ + "/spool/42.1/sandbox");
      release();
    }
  }
  void on_closed(io::PeerId, const Error&) override {}

  std::string root_;
  std::uint32_t owner_ = 0;
  io::AsioLoop loop_;
  io::SocketTransport transport_{loop_, [] { io::Greeting g; g.program = "test"; return g; }(), 1};
  io::PeerId peer_;
  pid_t pid_ = 0;
  std::optional<int> exit_status_;
  std::function<void()> on_prepared_;
  std::vector<wire::HeldAttempt::State> hellos_;
  std::optional<wire::StepFinished> finished_;
  bool record_was_there_ = false;
  bool sandbox_was_gone_ = false;
};

TEST_F(ShepherdProcessTest, AScriptRunsAsItsUserInItsDirectory) {
  run_job(spec("#!/bin/sh\necho $GREETING from $(hostname) job $JOB_ID; id -u; pwd; exit 3\n"));
  EXPECT_EQ(exit_status_, 0);
  EXPECT_EQ(outcome().kind, OutcomeKind::Failed) << outcome().detail;
  EXPECT_EQ(outcome().exit_code, 3);
  EXPECT_EQ(read("job-42.out"), "hello from n0 job 42\n" + std::to_string(owner_) + "\n" + root_ +
                                    "/work\n");
  struct stat out{};
  ASSERT_EQ(::stat((root_ + "/work/job-42.out").c_str(), &out), 0);
  EXPECT_EQ(out.st_uid, owner_);
  EXPECT_TRUE(record_was_there_);
  EXPECT_TRUE(sandbox_was_gone_);
}
TEST_F(ShepherdProcessTest, EveryTaskWritesToTheSharedFile) {
  JobSpec s = spec("");
  s.argv = {"sh", "-c", "echo rank $JOB_PROCID of $JOB_NTASKS"};
  s.launch = LaunchMode::Tasks;
  s.components[0].tasks = 3;
  std::ofstream(root_ + "/work/job-42.out") << "old\n";
  ASSERT_EQ(::chown((root_ + "/work/job-42.out").c_str(), owner_, static_cast<gid_t>(-1)), 0);
  run_job(s);
  EXPECT_EQ(outcome().kind, OutcomeKind::Completed) << outcome().detail;
  const std::string out = read("job-42.out");
  EXPECT_EQ(out.find("old"), std::string::npos);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_NE(out.find("rank " + std::to_string(rank) + " of 3\n"), std::string::npos) << out;
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
  EXPECT_TRUE(finished_ && finished_->never_launched());
  EXPECT_FALSE(fs::exists(root_ + "/work/ran"));
}
TEST_F(ShepherdProcessTest, AStopReachesTheScriptAndWhatItStarted) {
  run_job(spec("#!/bin/sh\ntrap 'echo told; exit 9' TERM\ntouch up\nsleep 1000 & wait\n"),
          [this] { when_there("up", [this] { stop(false); }); });
  EXPECT_EQ(outcome().kind, OutcomeKind::Cancelled);
  EXPECT_EQ(read("job-42.out"), "told\n");
}
TEST_F(ShepherdProcessTest, AfterTheGraceComesTheKill) {
  run_job(spec("#!/bin/sh\ntrap '' TERM\ntouch up\nwhile :; do sleep 1000; done\n"),
          [this] { when_there("up", [this] { stop(false); }); });
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
          [this] { when_there("up", [this] { ::kill(pid_, SIGKILL); }); });
  EXPECT_EQ(exit_status_, SIGKILL);
  // The kernel ends the sandbox's processes when its first one is told; that is soon, not at once.
  int left = 0;
  for (int i = 0; i < 500 && left == 0; ++i) {
    left = std::system("pgrep -f '[s]leep 87654' >/dev/null");
    if (left == 0) ::usleep(10'000);
  }
  EXPECT_NE(left, 0);
}
TEST_F(ShepherdProcessTest, AnAgentThatIsAwayMissesNothing) {
  // The first connection is closed by the test once the job runs; the shepherd comes back.
  on_prepared_ = [this] {
    on_prepared_ = {};
    launch();
    when_there("up", [this] {
      transport_.close(peer_);
      std::ofstream(root_ + "/work/go") << "\n";
    });
  };
  start(spec("#!/bin/sh\ntouch up\nwhile ! test -e go; do sleep 0.01; done\nexit 4\n"));
  run();
  EXPECT_EQ(exit_status_, 0);
  EXPECT_EQ(outcome().exit_code, 4);
  ASSERT_EQ(hellos_.size(), 2U);
}

TEST(ShepherdProgram, ADirectoryWithoutAnOrderIsBadData) {
  const std::string program = std::string(GANGWAY_BINARY_DIR) + "/bin/jshepherd";
  EXPECT_EQ(WEXITSTATUS(std::system((program + " /nonexistent 2>/dev/null").c_str())), 65);
  EXPECT_EQ(WEXITSTATUS(std::system((program + " 2>/dev/null").c_str())), 64);
}

}  // namespace
}  // namespace gangway::executor
