#include "executor/agent.hpp"

#include <algorithm>
#include <utility>

#include "executor/exit_status.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {

std::string to_string(const AttemptKey& key) { return cat(to_string(key.key), ".", key.attempt); }

std::optional<AttemptKey> parse_attempt_key(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto key = parse_job_key(text.substr(0, dot));
  const auto attempt = parse_integer<Attempt>(text.substr(dot + 1));
  if (!key || !attempt) return std::nullopt;
  const AttemptKey parsed{.key = *key, .attempt = *attempt};
  if (to_string(parsed) != text) return std::nullopt;  // "042.1" is no name of ours
  return parsed;
}

AttemptKey make_attempt_key(const wire::JobKey& key, std::uint32_t attempt) {
  return {.key = wire::from_wire(key), .attempt = attempt};
}

namespace {

template <typename Message>
AttemptKey key_of(const Message& m) {
  return make_attempt_key(m.key(), m.attempt());
}

template <typename Message>
void set_key(const AttemptKey& key, Message* m) {
  wire::to_wire(key.key, m->mutable_key());
  m->set_attempt(key.attempt);
}

wire::StepFinished make_finished(const AttemptKey& key,
                                 const Outcome& outcome,
                                 bool never_launched,
                                 Time ended) {
  wire::StepFinished finished;
  set_key(key, &finished);
  wire::to_wire(outcome, finished.mutable_outcome());
  finished.set_never_launched(never_launched);
  finished.set_ended_at_ns(ended.ns);
  return finished;
}

Outcome shepherd_gone(const NodeName& node, bool launched, std::string_view why) {
  Outcome outcome;
  outcome.kind = launched ? OutcomeKind::NodeFailed : OutcomeKind::LaunchFailed;
  outcome.exit_code = launched ? 0 : kTryAgainCode;
  outcome.detail = cat("the job's shepherd on ", node.value, " is gone: ", why);
  return outcome;
}

bool is_plain_signal(const wire::ToShepherd& message) {
  return message.has_stop() && message.stop().signal() != 0;
}

}  // namespace

Agent::Agent(AgentConfig config,
             std::vector<RecoveredAttempt> recovered,
             std::uint64_t highest_epoch)
    : config_(std::move(config)), highest_epoch_(highest_epoch) {
  for (RecoveredAttempt& attempt : recovered) {
    Held held;
    held.leased = attempt.leased;
    held.shepherd_alive = attempt.shepherd_alive;
    // Unknown until its shepherd says hello: something may run.
    held.launched = true;
    held.state = wire::HeldAttempt::RUNNING;
    if (attempt.finished) {
      held.finished = std::move(attempt.finished);
    } else if (!attempt.shepherd_alive) {
      held.finished = make_finished(
          attempt.key, shepherd_gone(config_.node, true, "it left no report"), false, Time{});
    }
    if (held.finished) held.state = wire::HeldAttempt::FINISHED;
    held_.emplace(attempt.key, std::move(held));
  }
}

AgentActions Agent::on(const AgentEvent& event, Now now) {
  AgentActions out;
  std::visit([&](const auto& e) { handle(e, now, out); }, event);
  arm(out);
  return out;
}

// ---- contact with the scheduler ----------------------------------------------------------------

void Agent::handle(const agent_event::Connected&, Now now, AgentActions& out) {
  connected_ = true;
  registered_ = false;
  registered_at_ = now.boot;
  wire::FromNode message;
  wire::Register* reg = message.mutable_register_();
  reg->set_node(config_.node.value);
  wire::to_wire(config_.capacity, reg->mutable_capacity());
  for (const std::string& feature : config_.features) reg->add_features(feature);
  reg->set_boot_id(config_.boot_id);
  reg->set_address(config_.address);
  reg->set_version(config_.version);
  reg->set_highest_epoch(highest_epoch_);
  for (const auto& [key, held] : held_) {
    wire::HeldAttempt* attempt = reg->add_attempts();
    set_key(key, attempt);
    attempt->set_state(held.state);
  }
  out.push_back(agent_action::Tell{std::move(message)});
}

void Agent::handle(const agent_event::Disconnected&, Now, AgentActions& out) {
  connected_ = false;
  registered_ = false;
  // Sessions go through the scheduler, and are over with it.
  for (const auto& [key, held] : held_) {
    if (!held.shepherd_connected || held.finished) continue;
    wire::ToShepherd message;
    message.mutable_session()->set_closed(true);
    out.push_back(agent_action::TellShepherd{key, std::move(message)});
  }
}

void Agent::handle(const agent_event::Ordered& e, Now now, AgentActions& out) {
  const wire::ToNode& message = e.message;
  if (message.epoch() < highest_epoch_) {
    // A scheduler that has been replaced; its orders concern a state that is no more.
    const Error old(ErrorKind::Conflict, cat("order of epoch ", message.epoch(), " is older than ",
                                             highest_epoch_, " seen before"));
    switch (message.what_case()) {
      case wire::ToNode::kPrepare:
        refuse(key_of(message.prepare()), old, out);
        break;
      case wire::ToNode::kLaunch:
        refuse(key_of(message.launch()), old, out);
        break;
      case wire::ToNode::kStop:
        refuse(key_of(message.stop()), old, out);
        break;
      case wire::ToNode::kRelease:
        refuse(key_of(message.release()), old, out);
        break;
      case wire::ToNode::kPause:
        refuse(key_of(message.pause()), old, out);
        break;
      case wire::ToNode::kSession:
      case wire::ToNode::kRegistered:
      case wire::ToNode::kHeartbeatAck:
      case wire::ToNode::WHAT_NOT_SET:
        break;
    }
    return;
  }
  if (message.epoch() > highest_epoch_) {
    highest_epoch_ = message.epoch();
    out.push_back(agent_action::NoteEpoch{highest_epoch_});
  }
  switch (message.what_case()) {
    case wire::ToNode::kRegistered:
      on_registered(message.registered(), now, out);
      break;
    case wire::ToNode::kHeartbeatAck:
      on_heartbeat_ack(message.heartbeat_ack(), now, out);
      break;
    case wire::ToNode::kPrepare:
      on_prepare(message.prepare(), now, out);
      break;
    case wire::ToNode::kLaunch:
      on_launch(message.launch(), now, out);
      break;
    case wire::ToNode::kStop:
      on_stop(message.stop(), now, out);
      break;
    case wire::ToNode::kRelease:
      on_release(message.release(), out);
      break;
    case wire::ToNode::kSession:
      on_session(message.session(), out);
      break;
    case wire::ToNode::kPause:
      on_pause(message.pause(), now, out);
      break;
    case wire::ToNode::WHAT_NOT_SET:
      break;  // of a later version
  }
}

void Agent::on_registered(const wire::Registered& m, Now now, AgentActions& out) {
  if (!connected_) return;
  registered_ = true;
  if (m.lease_ns() > 0) lease_ = nanoseconds(m.lease_ns());
  if (m.heartbeat_every_ns() > 0) heartbeat_every_ = nanoseconds(m.heartbeat_every_ns());
  contact_ = std::max(contact_, registered_at_);
  next_heartbeat_ = now.boot;
  // What was said before the connection was lost may not have arrived.
  for (Entry entry = held_.begin(); entry != held_.end(); ++entry) {
    if (entry->second.finished) {
      report_finished(entry, now, out);
    } else if (entry->second.state == wire::HeldAttempt::PREPARED) {
      answer_present_state(entry, now, out);
    } else if (entry->second.health) {
      wire::FromNode message;
      *message.mutable_health() = *entry->second.health;
      out.push_back(agent_action::Tell{std::move(message)});
    }
  }
  wire::HeartbeatAck contact;
  contact.set_boot_ns(contact_.ns);
  on_heartbeat_ack(contact, now, out);
}

void Agent::on_heartbeat_ack(const wire::HeartbeatAck& m, Now now, AgentActions& out) {
  // Never from the future: it is our own clock that comes back.
  contact_ = std::max(contact_, std::min(BootTime{m.boot_ns()}, now.boot));
  for (auto& [key, held] : held_) {
    if (!held.leased || held.finished || !held.shepherd_connected) continue;
    wire::ToShepherd message;
    message.mutable_lease_until()->set_boot_ns((contact_ + lease_).ns);
    out.push_back(agent_action::TellShepherd{key, std::move(message)});
  }
}

void Agent::handle(const agent_event::TimerFired&, Now now, AgentActions& out) {
  armed_.reset();
  if (!registered_) return;
  if (next_heartbeat_ <= now.boot) {
    wire::FromNode message;
    message.mutable_heartbeat()->set_boot_ns(now.boot.ns);
    out.push_back(agent_action::Tell{std::move(message)});
    next_heartbeat_ = now.boot + heartbeat_every_;
  }
  for (Entry entry = held_.begin(); entry != held_.end(); ++entry) {
    if (entry->second.finished && entry->second.report_at <= now.boot) {
      report_finished(entry, now, out);
    }
  }
}

void Agent::arm(AgentActions& out) {
  if (!registered_) return;
  BootTime next = next_heartbeat_;
  for (const auto& [key, held] : held_) {
    if (held.finished) next = std::min(next, held.report_at);
  }
  if (armed_ == next) return;
  armed_ = next;
  out.push_back(agent_action::ArmTimer{next});
}

// ---- orders ------------------------------------------------------------------------------------

Result<void> Agent::check(const wire::Prepare& m) const {
  if (!registered_) {
    return Error(ErrorKind::Unavailable, cat(config_.node.value, " has not registered yet"));
  }
  const AttemptKey key = key_of(m);
  const auto index = static_cast<int>(std::min<std::uint32_t>(m.node_index(), kMaxNodesPerJob));
  if (index >= m.allocation().shares_size() ||
      m.allocation().shares(index).node() != config_.node.value) {
    return Error(ErrorKind::Invalid, cat("order of job ", to_string(key.key),
                                         " is not for this node (", config_.node.value, ")"));
  }
  const std::uint32_t uid = m.owner().uid();
  if (config_.only_uid && uid != *config_.only_uid) {
    return Error(ErrorKind::Denied,
                 cat("the executor on ", config_.node.value, " runs as uid ", *config_.only_uid,
                     " and can start only that user's jobs, not those of uid ", uid));
  }
  if (uid == 0 && !config_.allow_root_jobs) {
    return Error(ErrorKind::Denied, cat("the executor on ", config_.node.value,
                                        " runs no jobs of root (allow_root_jobs is off)"));
  }
  const auto first = held_.lower_bound(AttemptKey{.key = key.key, .attempt = 0});
  for (auto other = first; other != held_.end() && other->first.key == key.key; ++other) {
    if (!other->second.finished) {
      return Error(ErrorKind::Conflict,
                   cat("attempt ", other->first.attempt, " of job ", to_string(key.key),
                       " is still on ", config_.node.value));
    }
    if (other->first.attempt > key.attempt) {
      return Error(ErrorKind::Conflict,
                   cat("attempt ", key.attempt, " of job ", to_string(key.key), " is older than ",
                       other->first.attempt, " on ", config_.node.value));
    }
  }
  if (held_.size() >= kMaxHeldAttempts) {
    return Error(ErrorKind::Exhausted,
                 cat(config_.node.value, " holds ", held_.size(), " attempts already"));
  }
  return {};
}

void Agent::on_prepare(const wire::Prepare& m, Now now, AgentActions& out) {
  const AttemptKey key = key_of(m);
  if (const Entry entry = held_.find(key); entry != held_.end()) {
    answer_present_state(entry, now, out);
    return;
  }
  if (const Result<void> fine = check(m); !fine) {
    refuse(key, fine.error(), out);
    return;
  }
  Held held;
  held.leased = m.leased();
  held_.emplace(key, std::move(held));
  out.push_back(agent_action::SpawnShepherd{key, m, contact_ + lease_});
}

// A repeated order: the answer may have been lost, or the scheduler restarted.
void Agent::answer_present_state(Entry entry, Now now, AgentActions& out) {
  if (entry->second.finished) {
    report_finished(entry, now, out);
  } else if (entry->second.prepared) {
    wire::FromNode message;
    *message.mutable_prepared() = *entry->second.prepared;
    out.push_back(agent_action::Tell{std::move(message)});
  }
}

// The attempt that an order is about; end() if it is not here or has ended, which is said.
Agent::Entry Agent::find_live(const AttemptKey& key, Now now, AgentActions& out) {
  const Entry entry = held_.find(key);
  if (entry == held_.end()) {
    refuse(
        key,
        Error(ErrorKind::NotFound, cat("no attempt ", to_string(key), " on ", config_.node.value)),
        out);
    return held_.end();
  }
  if (!entry->second.finished) return entry;
  report_finished(entry, now, out);
  return held_.end();
}

void Agent::on_launch(const wire::Launch& m, Now now, AgentActions& out) {
  const Entry entry = find_live(key_of(m), now, out);
  if (entry == held_.end()) return;
  Held& held = entry->second;
  if (held.launched && held.shepherd_connected) return;
  held.launched = true;
  held.launch = m;
  held.state = wire::HeldAttempt::RUNNING;
  wire::ToShepherd message;
  *message.mutable_launch() = m;
  tell_shepherd(entry, std::move(message), out);
}

void Agent::on_stop(const wire::Stop& m, Now now, AgentActions& out) {
  const Entry entry = find_live(key_of(m), now, out);
  if (entry == held_.end()) return;
  wire::ToShepherd message;
  *message.mutable_stop() = m;
  tell_shepherd(entry, std::move(message), out);
}

// Only the shepherd knows whether it is so already, and says it again if it is asked again.
void Agent::on_pause(const wire::Pause& m, Now now, AgentActions& out) {
  const Entry entry = find_live(key_of(m), now, out);
  if (entry == held_.end()) return;
  wire::ToShepherd message;
  *message.mutable_pause() = m;
  // Of those that wait for the shepherd's hello the newest is enough.
  std::erase_if(entry->second.unsent, [](const wire::ToShepherd& old) { return old.has_pause(); });
  tell_shepherd(entry, std::move(message), out);
}

void Agent::on_release(const wire::Release& m, AgentActions& out) {
  const AttemptKey key = key_of(m);
  const Entry entry = held_.find(key);
  if (entry == held_.end()) return;
  wire::ToShepherd message;
  *message.mutable_release() = m;
  if (entry->second.finished) {
    if (entry->second.shepherd_connected) {
      out.push_back(agent_action::TellShepherd{key, std::move(message)});
    }
    // A shepherd that is alive and not connected hears it when it says hello.
    out.push_back(agent_action::Forget{key});
    held_.erase(entry);
    return;
  }
  if (entry->second.released) return;
  entry->second.released = true;
  tell_shepherd(entry, std::move(message), out);
}

// People talk with shepherds that are there; nothing of it is kept.
void Agent::on_session(const wire::NodeSession& m, AgentActions& out) {
  const AttemptKey key = key_of(m);
  const Entry entry = held_.find(key);
  if (entry != held_.end() && !entry->second.finished && entry->second.shepherd_connected) {
    wire::ToShepherd message;
    *message.mutable_session() = m;
    out.push_back(agent_action::TellShepherd{key, std::move(message)});
    return;
  }
  if (m.has_closed()) return;
  wire::FromNode answer;
  set_key(key, answer.mutable_session());
  answer.mutable_session()->set_id(m.id());
  answer.mutable_session()->set_closed(true);
  out.push_back(agent_action::Tell{std::move(answer)});
}

void Agent::refuse(const AttemptKey& key, const Error& why, AgentActions& out) const {
  wire::FromNode message;
  set_key(key, message.mutable_refused());
  wire::to_wire(why, message.mutable_refused()->mutable_error());
  out.push_back(agent_action::Tell{std::move(message)});
}

// ---- shepherds ---------------------------------------------------------------------------------

void Agent::tell_shepherd(Entry entry, wire::ToShepherd message, AgentActions& out) {
  Held& held = entry->second;
  if (held.shepherd_connected) {
    out.push_back(agent_action::TellShepherd{entry->first, std::move(message)});
    return;
  }
  if (held.unsent.size() >= kMaxUnsent) {
    // A signal to programs that do not run yet is nothing lost; a launch, a stop or a release is.
    if (is_plain_signal(message)) return;
    const auto signal = std::find_if(held.unsent.begin(), held.unsent.end(), is_plain_signal);
    held.unsent.erase(signal != held.unsent.end() ? signal : held.unsent.begin());
  }
  const auto same = [&](const wire::ToShepherd& waiting) {
    return waiting.what_case() == message.what_case() && !is_plain_signal(message) &&
           !is_plain_signal(waiting) && waiting.stop().at_once() == message.stop().at_once();
  };
  if (std::any_of(held.unsent.begin(), held.unsent.end(), same)) return;
  held.unsent.push_back(std::move(message));
}

void Agent::handle(const agent_event::ShepherdConnected& e, Now, AgentActions& out) {
  const AttemptKey key = key_of(e.hello);
  const Entry entry = held_.find(key);
  if (entry == held_.end()) {
    // Released while it was away, or of a spool that is gone: it has to end.
    wire::ToShepherd message;
    set_key(key, message.mutable_release());
    out.push_back(agent_action::TellShepherd{key, std::move(message)});
    return;
  }
  Held& held = entry->second;
  held.shepherd_alive = true;
  if (!held.finished) {
    held.state = e.hello.state();
    held.launched = held.launch || held.state >= wire::HeldAttempt::RUNNING;
    if (held.launch && held.state < wire::HeldAttempt::RUNNING) {
      // It was on its way when the connection was lost, or waits below; launching is done once.
      wire::ToShepherd launch;
      *launch.mutable_launch() = *held.launch;
      tell_shepherd(entry, std::move(launch), out);
      held.state = wire::HeldAttempt::RUNNING;
    }
    if (held.leased) {
      wire::ToShepherd lease;
      lease.mutable_lease_until()->set_boot_ns((contact_ + lease_).ns);
      out.push_back(agent_action::TellShepherd{key, std::move(lease)});
    }
  }
  for (wire::ToShepherd& message : held.unsent) {
    out.push_back(agent_action::TellShepherd{key, std::move(message)});
  }
  held.unsent.clear();
  held.shepherd_connected = true;
}

void Agent::handle(const agent_event::ShepherdDisconnected& e, Now, AgentActions&) {
  const Entry entry = held_.find(e.key);
  if (entry != held_.end()) entry->second.shepherd_connected = false;
}

void Agent::handle(const agent_event::ShepherdSaid& e, Now now, AgentActions& out) {
  const Entry entry = held_.find(e.key);
  if (entry == held_.end()) return;
  Held& held = entry->second;
  if (e.message.has_prepared()) {
    if (held.finished) return;
    wire::Prepared prepared = e.message.prepared();
    set_key(e.key, &prepared);  // a shepherd speaks for its own attempt only
    if (prepared.address().empty()) prepared.set_address(config_.address);
    held.prepared = std::move(prepared);
    if (held.state == wire::HeldAttempt::PREPARING) held.state = wire::HeldAttempt::PREPARED;
    if (registered_) answer_present_state(entry, now, out);
  } else if (e.message.has_paused()) {
    if (held.finished || !registered_) return;  // it is asked again
    wire::FromNode message;
    *message.mutable_paused() = e.message.paused();
    set_key(e.key, message.mutable_paused());
    out.push_back(agent_action::Tell{std::move(message)});
  } else if (e.message.has_health()) {
    if (held.finished) return;
    held.health = e.message.health();
    set_key(e.key, &*held.health);
    if (!registered_) return;
    wire::FromNode message;
    *message.mutable_health() = *held.health;
    out.push_back(agent_action::Tell{std::move(message)});
  } else if (e.message.has_finished()) {
    wire::StepFinished finished = e.message.finished();
    set_key(e.key, &finished);
    finish(entry, std::move(finished), now, out);
  } else if (e.message.has_session()) {
    wire::FromNode message;
    *message.mutable_session() = e.message.session();
    set_key(e.key, message.mutable_session());
    out.push_back(agent_action::Tell{std::move(message)});
  }
}

void Agent::handle(const agent_event::ShepherdGone& e, Now now, AgentActions& out) {
  const Entry entry = held_.find(e.key);
  if (entry == held_.end()) return;
  entry->second.shepherd_connected = false;
  entry->second.shepherd_alive = false;
  entry->second.unsent.clear();
  if (entry->second.finished) return;  // its report has come before
  if (e.finished) {
    wire::StepFinished finished = *e.finished;
    set_key(e.key, &finished);
    finish(entry, std::move(finished), now, out);
    return;
  }
  const bool launched = entry->second.launched;
  finish(entry,
         make_finished(e.key, shepherd_gone(config_.node, launched, e.why), !launched, now.wall),
         now, out);
}

void Agent::finish(Entry entry, wire::StepFinished finished, Now now, AgentActions& out) {
  Held& held = entry->second;
  if (!held.finished) held.finished = std::move(finished);
  held.state = wire::HeldAttempt::FINISHED;
  report_finished(entry, now, out);
  if (held.released) {
    out.push_back(agent_action::Forget{entry->first});
    held_.erase(entry);
  }
}

void Agent::report_finished(Entry entry, Now now, AgentActions& out) {
  entry->second.report_at = now.boot + config_.retry_report;
  if (!registered_) return;
  wire::FromNode message;
  *message.mutable_finished() = *entry->second.finished;
  out.push_back(agent_action::Tell{std::move(message)});
}

}  // namespace gangway::executor
