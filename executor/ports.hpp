// The small interfaces through which the executor's processes meet the world beside the five faces:
// where connections come from, what the spool keeps, how shepherds are started. The real ones are
// in socket_ports.hpp, spool.hpp and process_host.hpp; the simulator has its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "executor/agent.hpp"
#include "executor/step_machine.hpp"
#include "queues/base/result.hpp"
#include "queues/io/transport.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

// ---- of a shepherd -----------------------------------------------------------------------------

// What the shepherd of one attempt leaves behind.
class SpoolRecords {
 public:
  virtual ~SpoolRecords() = default;
  // Whole when it returns: it survives this process. Errors: of the disk.
  virtual Result<void> write_finished(const wire::StepFinished& record) = 0;
  // What has been written survives a crash of the machine, too. Where there is no disk: nothing to
  // do.
  virtual Result<void> sync_finished() { return {}; }
};

// A shepherd's connections. Handlers outlive them.
class ShepherdPorts {
 public:
  virtual ~ShepherdPorts() = default;
  // Keeps a connection to the agent: tries for ever, again after each loss.
  virtual void connect_agent(io::PeerHandler& handler) = 0;
  // Listens for the gang's other shepherds, who prove that they know the attempt's secret and are
  // ClusterMembers by the name of their node. Returns the port.
  virtual Result<std::uint16_t> listen_for_gang(io::PeerHandler& handler) = 0;
  // Tries until it has connected once; does not connect again after a loss.
  virtual void connect_peer(const PeerAddress& peer, io::PeerHandler& handler) = 0;
};

// ---- of the agent ------------------------------------------------------------------------------

// The agent's connections.
class AgentPorts {
 public:
  virtual ~AgentPorts() = default;
  // Keeps a connection to the scheduler: tries for ever, again after each loss.
  virtual void connect_scheduler(io::PeerHandler& handler) = 0;
};

// The node as the agent changes it: its spool and its shepherds' processes.
class ShepherdHost {
 public:
  using OnGone =
      std::function<void(AttemptKey, std::string why, std::optional<wire::StepFinished> finished)>;

  virtual ~ShepherdHost() = default;
  // Called in a later turn, once for each attempt spawned or recovered alive, when its shepherd's
  // process is over (or could not be started) and what it left of a sandbox is gone.
  virtual void set_on_gone(OnGone on_gone) = 0;
  // Writes the order and starts the shepherd. The host adds what it knows of user and node.
  virtual void spawn(const AttemptKey& key, const wire::Prepare& order, BootTime lease_until) = 0;
  // Removes what the spool has of it. Its shepherd has been released or is gone.
  virtual void forget(const AttemptKey& key) = 0;
  // Durable when it returns. Errors: of the disk.
  virtual Result<void> note_epoch(std::uint64_t epoch) = 0;
};

}  // namespace gangway::executor
