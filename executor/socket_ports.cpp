#include "executor/socket_ports.hpp"

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

namespace {
void note_failure(std::string_view what, const std::string& endpoint, const Error& why) {
  log_error("connect_impossible",
            {{"what", std::string(what)}, {"endpoint", endpoint}, {"why", why.message()}});
}

// A partition that is shorter than the lease must not end a job, and the end of a process is told
// by the kernel: so the gang's links are not pinged.
io::TransportLimits gang_limits() {
  io::TransportLimits limits;
  limits.ping_every = Duration{};
  return limits;
}
}  // namespace

std::string make_endpoint(const std::string& address, std::uint16_t port) {
  if (address.find(':') != std::string::npos) return cat('[', address, "]:", port);
  return cat(address, ':', port);
}

void SocketAgentPorts::connect_scheduler(io::PeerHandler& handler) {
  io::ConnectOptions options;
  options.handler = &handler;
  options.node = node_;
  options.key = key_;
  options.peer = NodeName("scheduler");
  if (const auto made = transport_.connect(scheduler_, options); !made) {
    note_failure("scheduler", scheduler_, made.error());
  }
}

void SocketShepherdPorts::connect_agent(io::PeerHandler& handler) {
  io::ConnectOptions options;
  options.handler = &handler;
  // An agent that has been started again waits only so long before it registers.
  options.max_backoff = milliseconds(500);
  if (const auto made = transport_.connect(where_.agent_socket, options); !made) {
    note_failure("agent", where_.agent_socket, made.error());
  }
}

Result<std::uint16_t> SocketShepherdPorts::listen_for_gang(io::PeerHandler& handler) {
  io::ListenOptions options;
  options.handler = &handler;
  options.key = where_.secret;
  options.limits = gang_limits();
  const std::string address = where_.address.empty() ? "0.0.0.0" : where_.address;
  GANGWAY_ASSIGN(const io::Listening listening,
                 transport_.listen(make_endpoint(address, 0), options));
  return listening.port;
}

void SocketShepherdPorts::connect_peer(const PeerAddress& peer, io::PeerHandler& handler) {
  peers_.push_back(std::make_unique<OneConnection>(transport_, handler));
  io::ConnectOptions options;
  options.handler = peers_.back().get();
  options.node = where_.node;
  options.key = where_.secret;
  options.peer = NodeName(peer.node);
  options.limits = gang_limits();
  options.max_backoff = seconds(2);
  const std::string endpoint = make_endpoint(peer.address, peer.port);
  const auto made = transport_.connect(endpoint, options);
  if (made) {
    peers_.back()->connector = *made;
  } else {
    note_failure("peer", endpoint, made.error());
  }
}

void SocketShepherdPorts::OneConnection::on_connected(io::PeerId peer,
                                                      const io::PeerIdentity& identity) {
  connected = true;
  handler.on_connected(peer, identity);
}

void SocketShepherdPorts::OneConnection::on_frame(io::PeerId peer, wire::Frame frame) {
  handler.on_frame(peer, std::move(frame));
}

void SocketShepherdPorts::OneConnection::on_closed(io::PeerId peer, const Error& why) {
  if (connected) transport.disconnect(connector);
  handler.on_closed(peer, why);
}

}  // namespace gangway::executor
