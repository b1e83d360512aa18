// SocketTransport: the real Transport, over unix sockets (people; credentials by SO_PEERCRED) and
// TCP (daemons; a shared key, see handshake.hpp).
//
// One transport holds any number of listeners and connectors, each with a handler, a key and limits
// of its own. It stands on an EventLoop and is driven by it: one thread, nothing blocks. Every
// bound is in TransportLimits. A peer is read in slices, so that none starves the others; what is
// sent to it in one turn goes out in one write after it.
//
// Handlers are called in turns of their own, never from inside send(), close(), listen() or
// connect(); they may call all of these. Handlers outlive the transport.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/handshake.hpp"
#include "queues/io/transport.hpp"

namespace gangway::io {

using ListenerId = NumberId<struct ListenerIdTag>;
using ConnectorId = NumberId<struct ConnectorIdTag>;

struct TransportLimits {
  std::size_t max_payload = wire::kMaxPayloadBytes;  // of one frame
  std::size_t max_queue_bytes = 64 << 20;  // waiting for one peer; above it is closed (Exhausted)
  std::size_t max_partial_bytes = 256 << 20;  // of frames half read, over all peers of a listener
  std::size_t max_partial_bytes_per_user = 32 << 20;  // the same of one user (unix; not of root)
  // Of one listener; at most half of the process's descriptors, and an eighth for one user (unix
  // only; root is exempt).
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_user = 1024;
  Duration handshake_deadline = seconds(5);  // from the connect() to Welcome
  Duration partial_deadline = seconds(30);   // for more of a frame that was begun, without pings
  Duration ping_every = seconds(2);          // when idle; zero: never
  int pings_missed = 3;                      // then the peer is dead
  Duration flush_deadline = seconds(5);      // for what is queued at close()
};

struct ListenOptions {
  PeerHandler* handler = nullptr;
  // Required for TCP, where peers become ClusterMember; must be absent for unix, where they become
  // LocalUser.
  std::optional<std::string> key{};
  Security security = Security::ClusterKey;
  // Pings default to none on unix sockets: the kernel tells of a peer's death, and a person's
  // stopped program (^Z) harms nobody.
  TransportLimits limits{};
  bool ping_on_unix = false;
  unsigned socket_mode = 0666;  // of a unix socket's file; who may do what is the handler's matter
};

struct Listening {
  ListenerId id;
  std::string endpoint;    // as it is: "0.0.0.0:41235" for "0.0.0.0:0"
  std::uint16_t port = 0;  // TCP
};

struct ConnectOptions {
  PeerHandler* handler = nullptr;
  NodeName node{};                   // what we call ourselves (TCP)
  std::optional<std::string> key{};  // TCP
  Security security = Security::ClusterKey;
  NodeName peer{};  // on_connected tells TCP handlers this name: whom they connect to
  TransportLimits limits{};
  bool ping_on_unix = false;
  bool reconnect = true;  // else the connector is gone with its first loss or failure
  Duration first_backoff = milliseconds(100);  // doubled after each failure, +-25 % by chance
  Duration max_backoff = seconds(10);
};

class SocketTransport final : public Transport {
 public:
  // `seed` feeds the jitter of reconnecting. `loop` outlives the transport.
  SocketTransport(EventLoop& loop, Greeting self, std::uint64_t seed);
  // Drops everything without on_closed; what is queued gets one last try.
  ~SocketTransport() override;
  SocketTransport(const SocketTransport&) = delete;
  SocketTransport& operator=(const SocketTransport&) = delete;

  // Errors: Invalid (endpoint, missing key), Conflict (somebody listens there), Denied.
  Result<Listening> listen(const std::string& endpoint, ListenOptions options);
  // Its peers stay. The socket's file is removed if it is still ours.
  void stop_listening(ListenerId id);

  // Every attempt has a PeerId of its own. One that fails ends in on_closed with an id that
  // on_connected never saw; the first failure in a row and every refusal are logged.
  // Errors: Invalid (endpoint, missing key or node).
  Result<ConnectorId> connect(const std::string& endpoint, ConnectOptions options);
  // Gives up; an open connection is closed as by close().
  void disconnect(ConnectorId id);

  Result<void> send(PeerId peer, wire::Frame frame) override;
  void close(PeerId peer) override;

  // Bytes waiting for `peer`; 0 if there is no such peer.
  [[nodiscard]] std::size_t queued_bytes(PeerId peer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gangway::io
