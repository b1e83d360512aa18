// Agent: the executor as a function from what happened to what to do. It registers with the
// scheduler, keeps contact, hands orders to shepherds and their reports to the scheduler, until the
// scheduler has noted them. No I/O; agent_daemon.hpp performs its actions.
//
// It survives its own restart: shepherds go on without it and say hello when it is back; records in
// the spool tell of attempts whose shepherd is gone. An order of an older epoch than one seen
// before is refused. Leases are renewed from the time a heartbeat was *sent*, so that this node's
// end of a lease is never after the scheduler's idea of it.
//
// An attempt whose shepherd ends without a report is reported by the agent: as LaunchFailed, to be
// tried again, if the order to launch had not been passed on, and as NodeFailed if it had, because
// programs may have run. Repeated orders are answered with how things stand and start nothing
// twice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/resources.hpp"
#include "queues/wire/gangway.pb.h"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct AttemptKey {
  JobKey key;
  Attempt attempt = 0;
  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
};
// "42.1", "42_7.2": also the spool's name.
[[nodiscard]] std::string to_string(const AttemptKey& key);
[[nodiscard]] std::optional<AttemptKey> parse_attempt_key(std::string_view text);
// Of any message with the fields `key` and `attempt`.
[[nodiscard]] AttemptKey make_attempt_key(const wire::JobKey& key, std::uint32_t attempt);

struct AgentConfig {
  NodeName node;
  Resources capacity;
  std::vector<std::string> features;  // sorted
  std::string boot_id;
  std::string address;  // where the other nodes reach this one's shepherds
  std::string version;
  bool allow_root_jobs = false;
  std::optional<std::uint32_t>
      only_uid;                        // an executor of an ordinary user runs this user's jobs only
  Duration retry_report = seconds(2);  // a finished attempt is reported again after this
};

inline constexpr std::size_t kMaxHeldAttempts = 4096;
inline constexpr std::size_t kMaxUnsent =
    16;  // messages kept for a shepherd that has not said hello

// What the spool told at start of an attempt.
struct RecoveredAttempt {
  AttemptKey key;
  bool leased = false;
  bool shepherd_alive = false;                 // it will say hello
  std::optional<wire::StepFinished> finished;  // its shepherd has left this behind
};

namespace agent_event {
struct Connected {};  // to the scheduler, handshake done
struct Disconnected {};
struct Ordered {
  wire::ToNode message;
};
struct ShepherdConnected {
  wire::ShepherdHello hello;
};
struct ShepherdDisconnected {
  AttemptKey key;
};
struct ShepherdSaid {
  AttemptKey key;
  wire::FromShepherd message;
};
// Its process is over, or could not be started. `finished`: the record it left.
struct ShepherdGone {
  AttemptKey key;
  std::string why;
  std::optional<wire::StepFinished> finished;
};
struct TimerFired {};
}  // namespace agent_event
using AgentEvent = std::variant<agent_event::Connected,
                                agent_event::Disconnected,
                                agent_event::Ordered,
                                agent_event::ShepherdConnected,
                                agent_event::ShepherdDisconnected,
                                agent_event::ShepherdSaid,
                                agent_event::ShepherdGone,
                                agent_event::TimerFired>;

namespace agent_action {
struct Tell {  // the scheduler; dropped if not connected
  wire::FromNode message;
};
struct SpawnShepherd {  // refusals come as ShepherdGone
  AttemptKey key;
  wire::Prepare order;
  BootTime lease_until;
};
struct TellShepherd {
  AttemptKey key;
  wire::ToShepherd message;
};
struct Forget {  // remove what the spool still has of it
  AttemptKey key;
};
struct NoteEpoch {  // durably, before what follows is done
  std::uint64_t epoch = 0;
};
struct ArmTimer {  // the one timer; replaces
  BootTime at;
};
}  // namespace agent_action
using AgentAction = std::variant<agent_action::Tell,
                                 agent_action::SpawnShepherd,
                                 agent_action::TellShepherd,
                                 agent_action::Forget,
                                 agent_action::NoteEpoch,
                                 agent_action::ArmTimer>;
using AgentActions = std::vector<AgentAction>;

class Agent {
 public:
  Agent(AgentConfig config, std::vector<RecoveredAttempt> recovered, std::uint64_t highest_epoch);
  [[nodiscard]] AgentActions on(const AgentEvent& event, Now now);
  [[nodiscard]] std::uint64_t highest_epoch() const { return highest_epoch_; }
  [[nodiscard]] bool is_registered() const { return registered_; }
  [[nodiscard]] std::size_t held_attempts() const { return held_.size(); }

 private:
  struct Held {
    wire::HeldAttempt::State state = wire::HeldAttempt::PREPARING;
    bool leased = false;
    bool shepherd_alive = true;
    bool shepherd_connected = false;
    bool launched = false;  // the order to launch has been passed on, as far as is known
    std::optional<wire::Launch> launch;  // repeated to a shepherd that comes back without it
    bool released = false;               // forget it when it is finished
    std::optional<wire::Prepared> prepared;
    std::optional<wire::ReplicaHealth> health;  // the last, said again to who has not heard it
    std::optional<wire::StepFinished> finished;
    BootTime report_at;                    // again, if finished
    std::vector<wire::ToShepherd> unsent;  // kept until the shepherd says hello
  };
  using Entry = std::map<AttemptKey, Held>::iterator;

  void handle(const agent_event::Connected& e, Now now, AgentActions& out);
  void handle(const agent_event::Disconnected& e, Now now, AgentActions& out);
  void handle(const agent_event::Ordered& e, Now now, AgentActions& out);
  void handle(const agent_event::ShepherdConnected& e, Now now, AgentActions& out);
  void handle(const agent_event::ShepherdDisconnected& e, Now now, AgentActions& out);
  void handle(const agent_event::ShepherdSaid& e, Now now, AgentActions& out);
  void handle(const agent_event::ShepherdGone& e, Now now, AgentActions& out);
  void handle(const agent_event::TimerFired& e, Now now, AgentActions& out);

  void on_registered(const wire::Registered& m, Now now, AgentActions& out);
  void on_heartbeat_ack(const wire::HeartbeatAck& m, Now now, AgentActions& out);
  void on_prepare(const wire::Prepare& m, Now now, AgentActions& out);
  void on_launch(const wire::Launch& m, Now now, AgentActions& out);
  void on_stop(const wire::Stop& m, Now now, AgentActions& out);
  void on_release(const wire::Release& m, AgentActions& out);
  void on_session(const wire::NodeSession& m, AgentActions& out);
  void on_pause(const wire::Pause& m, Now now, AgentActions& out);
  [[nodiscard]] Entry find_live(const AttemptKey& key, Now now, AgentActions& out);

  [[nodiscard]] Result<void> check(const wire::Prepare& m) const;
  void tell_shepherd(Entry entry, wire::ToShepherd message, AgentActions& out);
  void answer_present_state(Entry entry, Now now, AgentActions& out);
  void report_finished(Entry entry, Now now, AgentActions& out);
  void finish(Entry entry, wire::StepFinished finished, Now now, AgentActions& out);
  void refuse(const AttemptKey& key, const Error& why, AgentActions& out) const;
  void arm(AgentActions& out);

  AgentConfig config_;
  std::map<AttemptKey, Held> held_;
  std::uint64_t highest_epoch_ = 0;
  bool connected_ = false;
  bool registered_ = false;
  Duration lease_ = minutes(10);
  Duration heartbeat_every_ = seconds(5);
  BootTime registered_at_;  // when the Register that waits for its answer was sent
  BootTime contact_;        // the latest of our messages that the scheduler has answered
  BootTime next_heartbeat_;
  std::optional<BootTime> armed_;
};

}  // namespace gangway::executor
