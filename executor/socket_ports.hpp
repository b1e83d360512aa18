// The real ports of agent and shepherd: where their connections go over sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "executor/ports.hpp"
#include "queues/io/socket_transport.hpp"

namespace gangway::executor {

class SocketAgentPorts final : public AgentPorts {
 public:
  // `scheduler`: numeric endpoint.
  SocketAgentPorts(io::SocketTransport& transport,
                   std::string scheduler,
                   NodeName node,
                   std::string key)
      : transport_(transport),
        scheduler_(std::move(scheduler)),
        node_(std::move(node)),
        key_(std::move(key)) {}
  void connect_scheduler(io::PeerHandler& handler) override;

 private:
  io::SocketTransport& transport_;
  std::string scheduler_;
  NodeName node_;
  std::string key_;
};

struct ShepherdSockets {
  std::string agent_socket;  // path
  NodeName node;
  std::string address;  // of this node, numeric: listen here for the gang
  std::string secret;   // of the attempt
};

class SocketShepherdPorts final : public ShepherdPorts {
 public:
  SocketShepherdPorts(io::SocketTransport& transport, ShepherdSockets where)
      : transport_(transport), where_(std::move(where)) {}
  void connect_agent(io::PeerHandler& handler) override;
  Result<std::uint16_t> listen_for_gang(io::PeerHandler& handler) override;
  void connect_peer(const PeerAddress& peer, io::PeerHandler& handler) override;

 private:
  // The transport connects again after a loss; the gang must not (PROTOCOL.md 8).
  struct OneConnection final : io::PeerHandler {
    OneConnection(io::SocketTransport& t, io::PeerHandler& h) : transport(t), handler(h) {}
    void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
    void on_frame(io::PeerId peer, wire::Frame frame) override;
    void on_closed(io::PeerId peer, const Error& why) override;
    io::SocketTransport& transport;
    io::PeerHandler& handler;
    io::ConnectorId connector;
    bool connected = false;
  };
  io::SocketTransport& transport_;
  ShepherdSockets where_;
  std::vector<std::unique_ptr<OneConnection>> peers_;
};

// "10.0.0.1" and 6810 to "10.0.0.1:6810", "fe80::1" to "[fe80::1]:6810".
[[nodiscard]] std::string make_endpoint(const std::string& address, std::uint16_t port);

}  // namespace gangway::executor
