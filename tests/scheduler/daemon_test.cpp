// The daemon over a store whose commits the test ends by hand.
#include "scheduler/daemon.hpp"

#include <gtest/gtest.h>

#include "controller_world.hpp"
#include "queues/model/job_machine.hpp"

namespace gangway::scheduler {
namespace {

class ManualLoop final : public io::EventLoop {
 public:
  [[nodiscard]] Now now() const override { return now_; }
  io::TimerId arm(BootTime at, std::function<void()> then) override {
    timers_.emplace(++last_, std::pair(at, std::move(then)));
    return {last_};
  }
  void cancel(io::TimerId id) override { timers_.erase(id.value); }
  void post(std::function<void()> then) override { (void)arm(now_.boot, std::move(then)); }
  io::WatchId watch_readable(int, std::function<void()>) override { return {}; }
  io::WatchId watch_writable(int, std::function<void()>) override { return {}; }
  void unwatch(io::WatchId) override {}
  void watch_child(pid_t, std::function<void(int)>) override {}
  void watch_signal(int, std::function<void()>) override {}
  void run() override {
    for (bool fired = true; fired;) {
      fired = false;
      for (const auto& [id, timer] : timers_) {
        if (timer.first > now_.boot) continue;
        const auto then = timer.second;
        timers_.erase(id);
        then();
        fired = true;
        break;
      }
    }
  }
  void stop() override {}

 private:
  Now now_{Time{seconds(1'700'000'000).ns}, BootTime{seconds(1000).ns}};
  std::map<std::uint64_t, std::pair<BootTime, std::function<void()>>> timers_;
  std::uint64_t last_ = 0;
};

class Outbox final : public io::Transport {
 public:
  Result<void> send(io::PeerId peer, wire::Frame frame) override {
    sent.emplace_back(peer, std::move(frame));
    return {};
  }
  void close(io::PeerId peer) override { closed.push_back(peer); }
  std::vector<std::pair<io::PeerId, wire::Frame>> sent;
  std::vector<io::PeerId> closed;
};

class ManualStore final : public store::JobStore {
 public:
  Result<Epoch> open_epoch() override { return Epoch{1}; }
  Result<store::LiveState> load_live() override { return store::LiveState{}; }
  void commit(store::Batch, Epoch, std::function<void(store::CommitEnd)> on_done) override {
    open.push_back(std::move(on_done));
  }
  Result<std::string> find_spec(const std::string&) override { return std::string(); }
  Result<std::vector<Event>> read_events(std::uint64_t, std::size_t) override {
    return std::vector<Event>{};
  }
  Result<std::vector<Job>> query_history(const store::HistoryQuery&) override { return history; }
  Result<std::optional<Workflow>> find_workflow(WorkflowId) override {
    return std::optional<Workflow>{};
  }
  std::vector<std::function<void(store::CommitEnd)>> open;
  std::vector<Job> history;
};

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    Queue queue;
    queue.name = QueueName("batch");
    queue.is_default = true;
    ControllerConfig config;
    config.queues = {queue};
    store::LiveState loaded;
    loaded.nodes.push_back(
        {.name = NodeName("n1"), .capacity = {.cores = 4, .memory = gibibytes(4)}});
    controller.emplace(
        config, Epoch{1}, std::move(loaded), users,
        [](JobKey, Attempt) { return std::string("s"); }, loop.now());
    daemon.emplace(loop, outbox, store, Epoch{1}, *controller,
                   [this](store::CommitEnd end) { fatal = end; });
    daemon->start();
    daemon->on_connected(io::PeerId{1}, io::LocalUser{kAlice, kAlice, 1});
  }
  void submit(std::uint32_t stream) {
    wire::Request request;
    request.mutable_submit()->set_key(cat("a-key-of-16-chars-", stream));
    wire::to_wire(job().spec(), request.mutable_submit()->add_jobs()->mutable_spec());
    daemon->on_frame(io::PeerId{1},
                     {wire::FrameType::Request, stream, request.SerializeAsString()});
  }
  void ping(std::uint32_t stream) {
    wire::Request request;
    request.mutable_ping();
    daemon->on_frame(io::PeerId{1},
                     {wire::FrameType::Request, stream, request.SerializeAsString()});
  }
  [[nodiscard]] std::vector<std::uint32_t> answered() const {
    std::vector<std::uint32_t> out;
    for (const auto& [peer, frame] : outbox.sent) out.push_back(frame.stream);
    return out;
  }

  ManualLoop loop;
  Outbox outbox;
  ManualStore store;
  NamedUsers users;
  std::optional<Controller> controller;
  std::optional<Daemon> daemon;
  std::optional<store::CommitEnd> fatal;
};

using Streams = std::vector<std::uint32_t>;

TEST_F(DaemonTest, RepliesAfterTheCommitAndNotBefore) {
  submit(1);
  EXPECT_EQ(answered(), Streams{});
  store.open.at(0)(store::CommitEnd::Durable);
  EXPECT_EQ(answered(), Streams{1});
}

TEST_F(DaemonTest, AnswersThatChangeNothingWaitForThoseBeforeThem) {
  submit(1);
  ping(2);
  EXPECT_EQ(answered(), Streams{});
  store.open.at(0)(store::CommitEnd::Durable);
  EXPECT_EQ(answered(), (Streams{1, 2}));
  ping(3);
  EXPECT_EQ(answered(), (Streams{1, 2, 3}));
}

TEST_F(DaemonTest, APeerWhoseAnswersHaveToWaitForTooLongIsClosed) {
  submit(1);
  for (std::uint32_t stream = 2; stream < 60'000; ++stream) ping(stream);
  loop.run();
  EXPECT_TRUE(outbox.closed.empty());
  for (std::uint32_t stream = 0; stream < 10'000; ++stream) ping(stream);
  loop.run();
  EXPECT_EQ(outbox.closed, std::vector{io::PeerId{1}});
  store.open.at(0)(store::CommitEnd::Durable);
  outbox.closed.clear();
  for (std::uint32_t stream = 0; stream < 70'000; ++stream) ping(stream);
  loop.run();
  EXPECT_TRUE(outbox.closed.empty()) << "these are sent at once";
}

TEST_F(DaemonTest, AFailedCommitIsFatalAndNothingMoreIsSaid) {
  submit(1);
  submit(2);
  store.open.at(0)(store::CommitEnd::Fenced);
  EXPECT_EQ(fatal, store::CommitEnd::Fenced);
  store.open.at(1)(store::CommitEnd::Durable);
  ping(3);
  EXPECT_EQ(answered(), Streams{});
}

TEST_F(DaemonTest, AnUnreadableRequestIsAnsweredWithAnError) {
  daemon->on_frame(io::PeerId{1}, {wire::FrameType::Request, 5, "\xff\xff"});
  ASSERT_EQ(outbox.sent.size(), 1u);
  wire::Response response;
  ASSERT_TRUE(response.ParseFromString(outbox.sent[0].second.payload));
  EXPECT_EQ(wire::from_wire(response.error()).kind(), ErrorKind::Corrupt);
}

TEST_F(DaemonTest, AnUnreadableNodeIsClosed) {
  daemon->on_connected(io::PeerId{9}, io::ClusterMember{NodeName("n1")});
  daemon->on_frame(io::PeerId{9}, {wire::FrameType::FromNode, 0, "\xff\xff"});
  EXPECT_EQ(outbox.closed, std::vector{io::PeerId{9}});
}

TEST_F(DaemonTest, WhatIsForgottenIsAskedOfTheStore) {
  wire::Request request;
  request.mutable_list_jobs()->set_finished_too(true);
  Job old = make_job({JobId{1}}, {}, std::make_shared<JobSpec>(job().spec()), Time{1});
  old.phase = phase::Finished{};
  store.history = {old};
  daemon->on_frame(io::PeerId{1}, {wire::FrameType::Request, 4, request.SerializeAsString()});
  ASSERT_EQ(answered(), Streams{4});
  wire::Response response;
  ASSERT_TRUE(response.ParseFromString(outbox.sent[0].second.payload));
  EXPECT_EQ(response.jobs().jobs_size(), 1);
}

TEST_F(DaemonTest, ALoadedStateIsCompletedByWhatWaitingJobsDependOn) {
  store::LiveState loaded;
  loaded.jobs.emplace(
      JobKey{JobId{7}},
      make_job({JobId{7}}, {},
               std::make_shared<JobSpec>(job().after(DependencyKind::AfterOk, 3).spec()), Time{1}));
  Job old = make_job({JobId{3}}, {}, std::make_shared<JobSpec>(job().spec()), Time{1});
  old.phase = phase::Finished{};
  store.history = {old};
  const auto completed = complete_live_state(std::move(loaded), store);
  ASSERT_TRUE(completed);
  EXPECT_EQ(completed->jobs.size(), 2u);
}

}  // namespace
}  // namespace gangway::scheduler
