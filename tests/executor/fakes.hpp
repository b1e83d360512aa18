// The faces of the world as a test sees them: time by hand, connections as lists, programs on word.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/pmix_link.hpp"
#include "executor/ports.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"

namespace gangway::executor::testing {

class FakeLoop final : public io::EventLoop {
 public:
  [[nodiscard]] Now now() const override { return now_; }
  io::TimerId arm(BootTime at, std::function<void()> then) override {
    const io::TimerId id{next_++};
    timers_.emplace(std::pair{at, id.value}, std::move(then));
    return id;
  }
  void cancel(io::TimerId id) override {
    std::erase_if(timers_, [&](const auto& timer) { return timer.first.second == id.value; });
  }
  void post(std::function<void()> then) override { posted_.push_back(std::move(then)); }
  io::WatchId watch_readable(int, std::function<void()>) override { return {next_++}; }
  io::WatchId watch_writable(int, std::function<void()>) override { return {next_++}; }
  void unwatch(io::WatchId) override {}
  void watch_child(pid_t, std::function<void(int)>) override {}
  void watch_signal(int, std::function<void()>) override {}
  void run() override {}
  void stop() override { stopped = true; }

  // Runs what is posted, then what is due within `by`.
  void pass(Duration by = {}) {
    const BootTime until = now_.boot + by;
    drain();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto timer = timers_.extract(timers_.begin());
      advance_to(std::max(now_.boot, timer.key().first));
      timer.mapped()();
      drain();
    }
    advance_to(until);
  }
  bool stopped = false;

 private:
  void drain() {
    while (!posted_.empty()) {
      const std::function<void()> next = std::move(posted_.front());
      posted_.pop_front();
      next();
    }
  }
  void advance_to(BootTime at) {
    now_.wall = now_.wall + (at - now_.boot);
    now_.boot = at;
  }
  Now now_{Time{seconds(1'000'000).ns}, BootTime{seconds(1000).ns}};
  std::uint64_t next_ = 1;
  std::map<std::pair<BootTime, std::uint64_t>, std::function<void()>> timers_;
  std::deque<std::function<void()>> posted_;
};

class FakeTransport final : public io::Transport {
 public:
  Result<void> send(io::PeerId peer, wire::Frame frame) override {
    sent.emplace_back(peer, std::move(frame));
    return {};
  }
  void close(io::PeerId peer) override { closed.push_back(peer); }

  // What was sent to `peer` since the last call, as messages.
  template <typename Message>
  std::vector<Message> take(io::PeerId peer) {
    std::vector<Message> messages;
    for (auto it = sent.begin(); it != sent.end();) {
      if (it->first != peer) {
        ++it;
        continue;
      }
      Message message;
      message.ParseFromString(it->second.payload);
      messages.push_back(std::move(message));
      it = sent.erase(it);
    }
    return messages;
  }
  std::deque<std::pair<io::PeerId, wire::Frame>> sent;
  std::vector<io::PeerId> closed;
};

class FakeRuntime final : public containers::ContainerRuntime {
 public:
  void prepare(containers::SandboxRequest r,
               std::function<void(Result<containers::SandboxReady>)> done) override {
    request = std::move(r);
    prepared = std::move(done);
  }
  void start(std::vector<containers::ProgramRequest> list,
             std::function<void(containers::ProgramEnd)> on_end) override {
    for (containers::ProgramRequest& program : list) {
      ends[program.id] = on_end;
      programs.push_back(std::move(program));
    }
  }
  void signal(int number, std::optional<std::uint32_t> id) override {
    if (id) {
      signals_to.emplace_back(*id, number);
    } else {
      signals.push_back(number);
    }
  }
  void signal_others(int number, std::uint32_t) override { signals.push_back(number); }
  void pause(bool on, std::function<void(Result<void>)> done) override {
    pauses.push_back(on);
    paused = std::move(done);
  }
  [[nodiscard]] containers::SandboxUsage usage() const override { return {}; }
  void cleanup(std::function<void(containers::SandboxUsage)> done) override {
    cleaned = std::move(done);
  }
  void end(std::uint32_t id, int wait_status) {
    ends.at(id)({.id = id, .started = true, .wait_status = wait_status, .message = {}});
  }

  std::optional<containers::SandboxRequest> request;
  std::function<void(Result<containers::SandboxReady>)> prepared;
  std::vector<containers::ProgramRequest> programs;
  std::map<std::uint32_t, std::function<void(containers::ProgramEnd)>> ends;
  std::vector<int> signals;  // to all
  std::vector<std::pair<std::uint32_t, int>> signals_to;
  std::vector<bool> pauses;
  std::function<void(Result<void>)> paused;
  std::function<void(containers::SandboxUsage)> cleaned;
};

class FakeShepherdPorts final : public ShepherdPorts {
 public:
  void connect_agent(io::PeerHandler& handler) override { agent = &handler; }
  Result<std::uint16_t> listen_for_gang(io::PeerHandler& handler) override {
    if (listen_error) return *listen_error;
    gang = &handler;
    return std::uint16_t{7001};
  }
  void connect_peer(const PeerAddress& peer, io::PeerHandler& handler) override {
    dialled.push_back(peer);
    dialled_handler = &handler;
  }
  io::PeerHandler* agent = nullptr;
  io::PeerHandler* gang = nullptr;
  io::PeerHandler* dialled_handler = nullptr;
  std::vector<PeerAddress> dialled;
  std::optional<Error> listen_error;
};

class FakeRecords final : public SpoolRecords {
 public:
  Result<void> write_finished(const wire::StepFinished& record) override {
    ++writes;
    finished = record;
    if (error) return *error;
    return {};
  }
  Result<void> sync_finished() override {
    ++syncs;
    return {};
  }
  int writes = 0;
  int syncs = 0;
  std::optional<wire::StepFinished> finished;
  std::optional<Error> error;
};

// What the shepherd says to the PMIx server; the test plays the server through `handler`.
struct FakePmix {
  PmixHandler* handler = nullptr;
  std::vector<wire::ToPmix> heard;
  bool closed = false;
};
class FakePmixLink final : public PmixLink {
 public:
  FakePmixLink(FakePmix& pmix, PmixHandler& handler) : pmix_(pmix) { pmix_.handler = &handler; }
  Result<Fd> open() override { return Fd(); }
  void send(const wire::ToPmix& message) override {
    pmix_.heard.push_back(message);
    if (message.has_sync()) pmix_.handler->on_pmix_synced();
  }
  void close() override { pmix_.closed = true; }

 private:
  FakePmix& pmix_;
};

class FakeHost final : public ShepherdHost {
 public:
  void set_on_gone(OnGone gone) override { on_gone = std::move(gone); }
  void spawn(const AttemptKey& key, const wire::Prepare&, BootTime) override {
    spawned.push_back(key);
  }
  void forget(const AttemptKey& key) override { forgotten.push_back(key); }
  Result<void> note_epoch(std::uint64_t e) override {
    if (epoch_error) return *epoch_error;
    epoch = e;
    return {};
  }
  OnGone on_gone;
  std::vector<AttemptKey> spawned;
  std::vector<AttemptKey> forgotten;
  std::uint64_t epoch = 0;
  std::optional<Error> epoch_error;
};

class FakeAgentPorts final : public AgentPorts {
 public:
  void connect_scheduler(io::PeerHandler& handler) override { scheduler = &handler; }
  io::PeerHandler* scheduler = nullptr;
};

inline wire::Frame frame(wire::FrameType type, const google::protobuf::MessageLite& message) {
  wire::Frame f;
  f.type = type;
  f.payload = message.SerializeAsString();
  return f;
}

}  // namespace gangway::executor::testing
