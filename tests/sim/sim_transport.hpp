// Connections between simulated processes: in order, late, broken, doubled, cut off.
//
// A connection behaves as TCP does: frames arrive in order; a cut shorter than dead_after only
// delays them; a longer one, or the death of a host, ends the connection and loses what was under
// way.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "queues/io/transport.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

class Network;

// The Transport of one process.
class SimTransport final : public io::Transport {
 public:
  SimTransport(Network& network, Process& process) : network_(network), process_(process) {}
  Result<void> send(io::PeerId peer, wire::Frame frame) override;
  void close(io::PeerId peer) override;

  // Accepts connections to `address` ("sched:6810", "n01:agent").
  void listen(const std::string& address, io::PeerHandler& handler);
  // Connects to `address`, presenting `identity`, until it has worked once, and again after each
  // loss if `again`. `peer` is who the handler is told that the other side is.
  void connect(const std::string& address,
               io::PeerIdentity identity,
               io::PeerIdentity peer,
               io::PeerHandler& handler,
               bool again);

  [[nodiscard]] Process& process() { return process_; }

 private:
  Network& network_;
  Process& process_;
};

class Network {
 public:
  explicit Network(World& world);

  void listen(Process& process, const std::string& address, io::PeerHandler& handler);
  void connect(Process& process,
               const std::string& address,
               io::PeerIdentity identity,
               io::PeerIdentity peer,
               io::PeerHandler& handler,
               bool again,
               Duration wait);
  Result<void> send(Process& process, io::PeerId peer, wire::Frame frame);
  void close(Process& process, io::PeerId peer);

  // Frames that `filter` names are lost (true) once each; for scenarios.
  std::function<bool(const std::string& from, const std::string& to, const wire::Frame&)> lose;

 private:
  struct UnderWay {
    BootTime at;
    wire::Frame frame;
  };
  struct Side {
    Process* self = nullptr;  // valid while the process lives; its events are dropped after
    std::uint64_t process = 0;
    std::string host;
    io::PeerHandler* handler = nullptr;
    io::PeerId seen_as;      // the id by which this side knows the other
    io::PeerIdentity shown;  // who the other side is
    BootTime last_delivery;  // of frames that travel to this side
    std::deque<UnderWay> arriving{};
  };
  struct Link {
    Side sides[2];
    std::string address;
    bool again = false;
    bool doomed = false;  // a cut is being timed
    io::PeerIdentity identity;
  };
  struct Listener {
    Process* self = nullptr;
    std::uint64_t process = 0;
    std::string host;
    io::PeerHandler* handler = nullptr;
  };

  void break_link(std::uint64_t number, Duration notice_after, const std::string& why);
  void pump(std::uint64_t number, int to);
  void time_the_cut(std::uint64_t number);
  void process_left(std::uint64_t process);

  World& world_;
  std::uint64_t next_link_ = 1;
  std::uint64_t next_peer_ = 1;
  std::map<std::uint64_t, Link> links_;
  std::map<std::pair<std::uint64_t, io::PeerId>, std::pair<std::uint64_t, int>> by_peer_;
  std::map<std::string, Listener> listeners_;
};

}  // namespace gangway::sim
