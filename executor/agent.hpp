// Agent: the executor as a function from what happened to what to do. It registers with the
// scheduler, keeps contact, hands orders to shepherds and their reports to the scheduler, until the
// scheduler has noted them. No I/O; agent_daemon.hpp performs its actions.
//
// It survives its own restart: shepherds go on without it and say hello when it is back; records in
// the spool tell of attempts whose shepherd is gone. An order of an older epoch than one seen before
// is refused. Leases are renewed from the time a heartbeat was *sent*, so that this node's end of a
// lease is never after the scheduler's idea of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

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
[[nodiscard]] std::string to_string(const AttemptKey& key);  // "42.1", "42_7.2": also the spool's name

struct AgentConfig {
  NodeName node;
  Resources capacity;
  std::string boot_id;
  std::string address;          // where the other nodes reach this one's shepherds
  std::string version;
  Duration retry_report = seconds(2);  // a finished attempt is reported again after this
};

// What the spool told at start of an attempt whose shepherd may still run.
struct RecoveredAttempt {
  AttemptKey key;
  bool leased = false;
  bool shepherd_alive = false;                 // it will say hello
  std::optional<wire::StepFinished> finished;  // its shepherd has left this behind
};

namespace agent_event {
struct Connected {};                              // to the scheduler, handshake done
struct Disconnected {};
struct Ordered { wire::ToNode message; };
struct ShepherdConnected { wire::ShepherdHello hello; };
struct ShepherdSaid { AttemptKey key; wire::FromShepherd message; };
struct ShepherdGone { AttemptKey key; std::string why; };  // process over; finished record if any follows
struct TimerFired {};
}  // namespace agent_event
using AgentEvent = std::variant<agent_event::Connected, agent_event::Disconnected, agent_event::Ordered,
                                agent_event::ShepherdConnected, agent_event::ShepherdSaid,
                                agent_event::ShepherdGone, agent_event::TimerFired>;

namespace agent_action {
struct Tell { wire::FromNode message; };                      // the scheduler; dropped if not connected
struct SpawnShepherd { AttemptKey key; wire::Prepare order; BootTime lease_until; };  // refusals come as ShepherdGone
struct TellShepherd { AttemptKey key; wire::ToShepherd message; };
struct Forget { AttemptKey key; };                            // remove what the spool still has of it
struct ArmTimer { BootTime at; };                             // the one timer; replaces
}  // namespace agent_action
using AgentAction = std::variant<agent_action::Tell, agent_action::SpawnShepherd,
                                 agent_action::TellShepherd, agent_action::Forget,
                                 agent_action::ArmTimer>;
using AgentActions = std::vector<AgentAction>;

class Agent {
 public:
  Agent(AgentConfig config, std::vector<RecoveredAttempt> recovered, std::uint64_t highest_epoch);
  [[nodiscard]] AgentActions on(const AgentEvent& event, Now now);
  [[nodiscard]] std::uint64_t highest_epoch() const { return highest_epoch_; }

 private:
  struct Held {
    wire::HeldAttempt::State state = wire::HeldAttempt::PREPARING;
    bool leased = false;
    bool shepherd_connected = false;
    BootTime lease_until;
    std::optional<wire::Prepared> prepared;
    std::optional<wire::StepFinished> finished;
    std::vector<wire::ToShepherd> unsent;   // bounded: kept until the shepherd says hello
  };
  AgentActions on_order(const wire::ToNode& message, Now now);

  AgentConfig config_;
  std::map<AttemptKey, Held> held_;
  std::uint64_t highest_epoch_ = 0;
  bool connected_ = false;
  bool registered_ = false;
  Duration lease_ = minutes(10);
  Duration heartbeat_every_ = seconds(5);
  BootTime next_heartbeat_;
};

}  // namespace gangway::executor
