// AgentDaemon: performs what the Agent decides, over the interfaces of the world. The same class
// runs in jexecd over sockets and processes, and in the simulator over virtual ones.
//
// After its start it first waits for the shepherds that its host has found alive to say hello, for
// a bounded time, so that it registers with their true states; then it connects to the scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "executor/agent.hpp"
#include "executor/ports.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"

namespace gangway::executor {

struct AgentWorld {
  io::EventLoop& loop;
  io::Transport& transport;
  AgentPorts& ports;
  ShepherdHost& host;
  // The process has to end and start again: the epoch could not be stored.
  std::function<void(const Error&)> on_fatal;
};

inline constexpr Duration kHelloPatience = seconds(3);

class AgentDaemon final {
 public:
  // `own_uid`: shepherds are processes of this user; others who connect are turned away. Everything
  // in `world` outlives the daemon.
  AgentDaemon(AgentWorld world,
              AgentConfig config,
              const std::vector<RecoveredAttempt>& recovered,
              std::uint64_t highest_epoch,
              std::uint32_t own_uid);
  ~AgentDaemon();
  AgentDaemon(const AgentDaemon&) = delete;
  AgentDaemon& operator=(const AgentDaemon&) = delete;

  void start();
  // For whom listens on the agent's socket.
  [[nodiscard]] io::PeerHandler& shepherds() { return shepherd_side_; }
  [[nodiscard]] const Agent& agent() const { return agent_; }

 private:
  struct SchedulerSide final : io::PeerHandler {
    explicit SchedulerSide(AgentDaemon& d) : daemon(d) {}
    void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
    void on_frame(io::PeerId peer, wire::Frame frame) override;
    void on_closed(io::PeerId peer, const Error& why) override;
    AgentDaemon& daemon;
  };
  struct ShepherdSide final : io::PeerHandler {
    explicit ShepherdSide(AgentDaemon& d) : daemon(d) {}
    void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
    void on_frame(io::PeerId peer, wire::Frame frame) override;
    void on_closed(io::PeerId peer, const Error& why) override;
    AgentDaemon& daemon;
  };

  void feed(const AgentEvent& event);
  void perform(AgentAction action);
  void on_hello(io::PeerId peer, const wire::ShepherdHello& hello);
  void expect_no_longer(const AttemptKey& key);
  void connect_scheduler();

  AgentWorld world_;
  Agent agent_;
  std::uint32_t own_uid_;
  SchedulerSide scheduler_side_;
  ShepherdSide shepherd_side_;
  std::optional<io::PeerId> scheduler_;
  std::map<AttemptKey, io::PeerId> peer_of_;
  std::map<io::PeerId, std::optional<AttemptKey>> shepherds_;  // without a key until the hello
  std::set<AttemptKey> expected_;                              // alive, not heard yet
  bool connecting_ = false;
  bool stopped_ = false;
  std::optional<io::TimerId> timer_;
  std::optional<io::TimerId> patience_;
};

}  // namespace gangway::executor
