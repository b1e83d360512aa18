#include "executor/agent_daemon.hpp"

#include <utility>

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/message_frame.hpp"

namespace gangway::executor {

AgentDaemon::AgentDaemon(AgentWorld world,
                         AgentConfig config,
                         const std::vector<RecoveredAttempt>& recovered,
                         std::uint64_t highest_epoch,
                         std::uint32_t own_uid)
    : world_(std::move(world)),
      agent_(std::move(config), recovered, highest_epoch),
      own_uid_(own_uid),
      scheduler_side_(*this),
      shepherd_side_(*this) {
  for (const RecoveredAttempt& attempt : recovered) {
    if (attempt.shepherd_alive && !attempt.finished) expected_.insert(attempt.key);
  }
  world_.host.set_on_gone(
      [this](AttemptKey key, std::string why, std::optional<wire::StepFinished> finished) {
        log_info("shepherd_gone", {{"attempt", to_string(key)}, {"why", why}});
        feed(agent_event::ShepherdGone{key, std::move(why), std::move(finished)});
        expect_no_longer(key);
      });
}

AgentDaemon::~AgentDaemon() {
  world_.host.set_on_gone({});
  if (timer_) world_.loop.cancel(*timer_);
  if (patience_) world_.loop.cancel(*patience_);
}

void AgentDaemon::start() {
  if (expected_.empty()) {
    connect_scheduler();
    return;
  }
  patience_ = world_.loop.arm(world_.loop.now().boot + kHelloPatience, [this] {
    patience_.reset();
    connect_scheduler();
  });
}

void AgentDaemon::connect_scheduler() {
  if (connecting_) return;
  connecting_ = true;
  world_.ports.connect_scheduler(scheduler_side_);
}

void AgentDaemon::expect_no_longer(const AttemptKey& key) {
  expected_.erase(key);
  if (!expected_.empty() || !patience_) return;
  world_.loop.cancel(*patience_);
  patience_.reset();
  connect_scheduler();
}

void AgentDaemon::feed(const AgentEvent& event) {
  if (stopped_) return;
  for (AgentAction& action : agent_.on(event, world_.loop.now())) {
    if (stopped_) return;
    perform(std::move(action));
  }
}

void AgentDaemon::perform(AgentAction action) {
  struct Performer {
    AgentDaemon& d;
    void operator()(const agent_action::Tell& a) const {
      if (!d.scheduler_) return;
      const Result<void> sent = d.world_.transport.send(
          *d.scheduler_, wire::make_frame(wire::FrameType::FromNode, a.message));
      if (!sent) log_warning("scheduler_unreachable", {{"why", sent.error().message()}});
    }
    void operator()(const agent_action::SpawnShepherd& a) const {
      log_info("attempt_begins", {{"attempt", to_string(a.key)}});
      d.world_.host.spawn(a.key, a.order, a.lease_until);
    }
    void operator()(const agent_action::TellShepherd& a) const {
      const auto peer = d.peer_of_.find(a.key);
      if (peer == d.peer_of_.end()) return;
      const Result<void> sent = d.world_.transport.send(
          peer->second, wire::make_frame(wire::FrameType::ToShepherd, a.message));
      if (!sent) log_warning("shepherd_unreachable", {{"why", sent.error().message()}});
    }
    void operator()(const agent_action::Forget& a) const { d.world_.host.forget(a.key); }
    void operator()(const agent_action::NoteEpoch& a) const {
      const Result<void> noted = d.world_.host.note_epoch(a.epoch);
      if (noted) return;
      // Orders of this epoch must not be followed before it is remembered.
      d.stopped_ = true;
      d.world_.on_fatal(noted.error().with_context("store the scheduler's epoch"));
    }
    void operator()(const agent_action::ArmTimer& a) const {
      if (d.timer_) d.world_.loop.cancel(*d.timer_);
      d.timer_ = d.world_.loop.arm(a.at, [daemon = &d] {
        daemon->timer_.reset();
        daemon->feed(agent_event::TimerFired{});
      });
    }
  };
  std::visit(Performer{*this}, action);
}

// ---- the scheduler -----------------------------------------------------------------------------

void AgentDaemon::SchedulerSide::on_connected(io::PeerId peer, const io::PeerIdentity&) {
  daemon.scheduler_ = peer;
  log_info("scheduler_reached");
  daemon.feed(agent_event::Connected{});
}

void AgentDaemon::SchedulerSide::on_frame(io::PeerId peer, wire::Frame frame) {
  wire::ToNode message;
  if (frame.type != wire::FrameType::ToNode || !message.ParseFromString(frame.payload)) {
    log_error("scheduler_frame_bad", {{"bytes", cat(frame.payload.size())}});
    daemon.world_.transport.close(peer);
    return;
  }
  if (daemon.scheduler_ != peer) return;  // of a connection that has been replaced
  daemon.feed(agent_event::Ordered{std::move(message)});
}

void AgentDaemon::SchedulerSide::on_closed(io::PeerId peer, const Error& why) {
  if (daemon.scheduler_ != peer) return;  // an attempt to connect that failed
  daemon.scheduler_.reset();
  log_warning("scheduler_lost", {{"why", why.message()}});
  daemon.feed(agent_event::Disconnected{});
}

// ---- shepherds ---------------------------------------------------------------------------------

void AgentDaemon::ShepherdSide::on_connected(io::PeerId peer, const io::PeerIdentity& identity) {
  const auto* user = std::get_if<io::LocalUser>(&identity);
  if (user == nullptr || user->uid != daemon.own_uid_) {
    log_warning("stranger_turned_away",
                {{"uid", user != nullptr ? cat(user->uid) : std::string("none")}});
    daemon.world_.transport.close(peer);
    return;
  }
  daemon.shepherds_[peer] = std::nullopt;
}

void AgentDaemon::ShepherdSide::on_frame(io::PeerId peer, wire::Frame frame) {
  const auto shepherd = daemon.shepherds_.find(peer);
  if (shepherd == daemon.shepherds_.end()) return;
  wire::FromShepherd message;
  if (frame.type != wire::FrameType::FromShepherd || !message.ParseFromString(frame.payload) ||
      message.has_hello() == shepherd->second.has_value()) {  // one hello, and first
    log_error("shepherd_frame_bad", {{"bytes", cat(frame.payload.size())}});
    daemon.world_.transport.close(peer);
    return;
  }
  if (message.has_hello()) {
    daemon.on_hello(peer, message.hello());
  } else {
    daemon.feed(agent_event::ShepherdSaid{*shepherd->second, std::move(message)});
  }
}

void AgentDaemon::on_hello(io::PeerId peer, const wire::ShepherdHello& hello) {
  const AttemptKey key = make_attempt_key(hello.key(), hello.attempt());
  shepherds_[peer] = key;
  peer_of_[key] = peer;  // an older connection of the same shepherd is on its way out
  feed(agent_event::ShepherdConnected{hello});
  expect_no_longer(key);
}

void AgentDaemon::ShepherdSide::on_closed(io::PeerId peer, const Error&) {
  const auto shepherd = daemon.shepherds_.find(peer);
  if (shepherd == daemon.shepherds_.end()) return;
  const std::optional<AttemptKey> key = shepherd->second;
  daemon.shepherds_.erase(shepherd);
  if (!key) return;
  const auto current = daemon.peer_of_.find(*key);
  if (current == daemon.peer_of_.end() || current->second != peer) return;
  daemon.peer_of_.erase(current);
  daemon.feed(agent_event::ShepherdDisconnected{*key});
}

}  // namespace gangway::executor
