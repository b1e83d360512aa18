// Real shepherds whose agents the test plays: as many nodes as it likes, all on this machine. Jobs
// run as nobody when the tests run as root, else as the user of the tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "containers/cgroup.hpp"
#include "executor/launcher.hpp"
#include "executor/spool.hpp"
#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/socket_transport.hpp"
#include "queues/model/job.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor::testing {

inline io::Greeting test_greeting() {
  io::Greeting greeting;
  greeting.program = "test";
  return greeting;
}

class PlayedAgents : public ::testing::Test {
 protected:
  struct Node final : io::PeerHandler {
    Node(PlayedAgents& t, std::string n) : test(t), name(std::move(n)) {}
    void on_connected(io::PeerId p, const io::PeerIdentity&) override { peer = p; }
    void on_frame(io::PeerId, wire::Frame frame) override {
      wire::FromShepherd message;
      ASSERT_TRUE(message.ParseFromString(frame.payload));
      if (message.has_hello()) hellos.push_back(message.hello().state());
      if (message.has_prepared()) {
        port = message.prepared().port();
        const bool first = !std::exchange(prepared, true);
        if (first && test.all([](const Node& n) { return n.prepared; })) test.on_prepared();
      }
      if (message.has_finished()) {
        finished = message.finished();
        // Its own word on the disk comes before what it tells.
        record_was_there = std::filesystem::exists(directory() + "/finished");
        sandbox_was_gone = !std::filesystem::exists(directory() + "/sandbox");
        test.on_finished(*this);
      }
    }
    void on_closed(io::PeerId, const Error&) override {}
    [[nodiscard]] std::string directory() const { return test.root_ + "/" + name + "/42.1"; }
    [[nodiscard]] Outcome outcome() const {
      return finished ? *wire::from_wire(finished->outcome()) : Outcome{};
    }

    PlayedAgents& test;
    std::string name;
    io::PeerId peer;
    pid_t pid = 0;
    std::optional<int> exit_status;
    bool prepared = false;
    std::uint32_t port = 0;
    std::vector<wire::HeldAttempt::State> hellos;
    std::optional<wire::StepFinished> finished;
    bool record_was_there = false;
    bool sandbox_was_gone = false;
  };

  void SetUp() override {
    char pattern[] = "/tmp/gangway-shepherd-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = pattern;
    ::chmod(root_.c_str(), 0755);
    std::filesystem::create_directory(work());
    owner_ = ::geteuid() == 0 ? kNobody : ::geteuid();
    ASSERT_EQ(::chown(work().c_str(), owner_, static_cast<gid_t>(-1)), 0);
  }
  void TearDown() override {
    for (const auto& node : nodes_) {
      if (node->pid <= 0) continue;
      ::kill(node->pid, SIGKILL);
      ::waitpid(node->pid, nullptr, 0);
    }
    // A killed shepherd leaves its control group to the agent, and each one its parent group.
    const containers::CgroupLayout layout = containers::read_cgroup_layout();
    for (const auto& node : nodes_) {
      EXPECT_TRUE(containers::Cgroup::find(layout, cgroup(*node), "42.1").remove());
      EXPECT_TRUE(containers::Cgroup::find(layout, "", cgroup(*node)).remove());
    }
    std::filesystem::remove_all(root_);
  }

  // What the test does when all are prepared, and when one is finished.
  virtual void on_prepared() { launch(); }
  virtual void on_finished(Node& node) { release(node); }

  [[nodiscard]] JobSpec spec(const std::string& script) const {
    JobSpec s;
    s.name = "test";
    s.script = script;
    s.workdir = work();
    s.env = {"PATH=/usr/bin:/bin", "GREETING=hello"};
    s.components = {Component{}};
    s.kill_grace = milliseconds(200);
    return s;
  }
  // A shepherd on each of the spec's nodes; tasks in blocks.
  void start(const JobSpec& s) {
    const std::int32_t count = s.total_nodes();
    Allocation allocation;
    for (std::int32_t i = 0; i < count; ++i) {
      NodeShare share;
      share.node = NodeName(cat("n", i));
      share.tasks = s.total_tasks() / count;
      share.first_task = i * share.tasks;
      share.resources.cores = share.tasks;
      allocation.shares.push_back(share);
    }
    for (std::int32_t i = 0; i < count; ++i)
      start_one(s, allocation, static_cast<std::uint32_t>(i));
  }
  // Until every shepherd has ended; a minute at most.
  void run() {
    const io::TimerId limit = loop_.arm(loop_.now().boot + minutes(1), [this] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
  }
  void run_job(const JobSpec& s) {
    start(s);
    run();
  }

  void tell(Node& node, const wire::ToShepherd& message) {
    wire::Frame frame;
    frame.type = wire::FrameType::ToShepherd;
    frame.payload = message.SerializeAsString();
    EXPECT_TRUE(transport_.send(node.peer, frame));
  }
  void launch() {
    wire::ToShepherd message;
    for (const auto& node : nodes_) {
      wire::GangPeer* peer = message.mutable_launch()->add_peers();
      peer->set_node(node->name);
      peer->set_address("127.0.0.1");
      peer->set_port(node->port);
    }
    for (const auto& node : nodes_) tell(*node, message);
  }
  void stop(Node& node, const Outcome& outcome, bool at_once) {
    wire::ToShepherd message;
    wire::to_wire(outcome, message.mutable_stop()->mutable_outcome());
    message.mutable_stop()->set_at_once(at_once);
    tell(node, message);
  }
  void release(Node& node) {
    wire::ToShepherd message;
    message.mutable_release();
    tell(node, message);
  }
  [[nodiscard]] bool all(const std::function<bool(const Node&)>& holds) const {
    for (const auto& node : nodes_) {
      if (!holds(*node)) return false;
    }
    return true;
  }
  [[nodiscard]] std::string work() const { return root_ + "/work"; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(work() + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // Calls `then` when the job has made the file `name`.
  void when_there(const std::string& name, std::function<void()> then) {
    if (std::filesystem::exists(work() + "/" + name)) {
      then();
      return;
    }
    loop_.arm(loop_.now().boot + milliseconds(1),
              [this, name, then = std::move(then)] { when_there(name, then); });
  }

  static constexpr std::uint32_t kNobody = 65534;
  std::string root_;
  std::uint32_t owner_ = 0;
  io::AsioLoop loop_;
  io::SocketTransport transport_{loop_, test_greeting(), 1};
  std::vector<std::unique_ptr<Node>> nodes_;

 private:
  static std::string cgroup(const Node& node) {
    return cat("gangway-test-", ::getpid(), "-", node.name);
  }
  void start_one(const JobSpec& s, const Allocation& allocation, std::uint32_t index) {
    nodes_.push_back(std::make_unique<Node>(*this, allocation.shares[index].node.value));
    Node& node = *nodes_.back();
    const std::string spool = root_ + "/" + node.name;
    std::filesystem::create_directory(spool);
    io::ListenOptions options;
    options.handler = &node;
    options.socket_mode = 0600;
    ASSERT_TRUE(transport_.listen(spool + "/agent.sock", options));
    const AttemptDirectory directory(node.directory());
    ASSERT_TRUE(directory.create(make_order(s, allocation, index, spool, cgroup(node))));
    const std::string program = std::string(GANGWAY_BINARY_DIR) + "/bin/jshepherd";
    node.pid = ::fork();
    if (node.pid == 0) {
      ::execl(program.c_str(), program.c_str(), directory.path().c_str(), nullptr);
      ::_exit(127);
    }
    loop_.watch_child(node.pid, [this, &node](int status) {
      node.pid = 0;
      node.exit_status = status;
      if (all([](const Node& n) { return n.pid == 0; })) loop_.stop();
    });
  }
  [[nodiscard]] wire::AttemptRecord make_order(const JobSpec& s,
                                               const Allocation& allocation,
                                               std::uint32_t index,
                                               const std::string& spool,
                                               const std::string& cgroup) const {
    wire::AttemptRecord record;
    wire::ShepherdStart* start = record.mutable_start();
    wire::Prepare* order = start->mutable_order();
    wire::to_wire(JobKey{JobId{42}}, order->mutable_key());
    order->set_attempt(1);
    order->set_secret("a secret of this attempt");
    order->mutable_owner()->set_uid(owner_);
    order->mutable_owner()->set_gid(owner_ == kNobody ? kNobody : ::getegid());
    order->set_node_index(index);
    wire::to_wire(s, order->mutable_spec());
    wire::to_wire(allocation, order->mutable_allocation());
    if (const Result<wire::UserRecord> user = find_user(owner_)) {
      start->set_user_name(user->name());
      start->set_home(user->home());
      start->set_shell(user->shell());
    }
    start->set_node(allocation.shares[index].node.value);
    start->set_address("127.0.0.1");
    start->set_agent_socket(spool + "/agent.sock");
    start->set_images(spool + "/images");
    start->set_cgroup(cgroup);
    start->set_shared_machine(true);
    start->set_tcp_networks("127.0.0.0/8");
    // Limits are the container runtime's own tests; here any kernel will do.
    for (const char* waiver : {"cgroup-memory", "cgroup-cpus", "cgroup-pids", "user-namespace",
                               "seccomp", "overlay-fs", "proc-mount"}) {
      start->add_waivers(waiver);
    }
    return record;
  }
};

}  // namespace gangway::executor::testing
