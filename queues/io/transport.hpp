// Transport: frames to and from authenticated peers; the third of the five faces.
//
// A peer is a connection, not a machine: when it closes and comes back it has a new PeerId. The
// handshake (version, credentials or HMAC) is over before on_connected; pings, deadlines of the
// handshake and the bound of each peer's queue are the transport's matter. Messages to one peer
// arrive in order or not at all; what was sent right before a close may be lost.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/wire/framing.hpp"

namespace gangway::io {

using PeerId = NumberId<struct PeerIdTag>;

struct LocalUser {  // by SO_PEERCRED
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
  friend bool operator==(const LocalUser&, const LocalUser&) = default;
};
struct ClusterMember {  // by the key; `name` is the node it says it is
  NodeName name;
  friend bool operator==(const ClusterMember&, const ClusterMember&) = default;
};
using PeerIdentity = std::variant<LocalUser, ClusterMember>;

class PeerHandler {
 public:
  virtual ~PeerHandler() = default;
  virtual void on_connected(PeerId peer, const PeerIdentity& identity) = 0;
  virtual void on_frame(PeerId peer, wire::Frame frame) = 0;
  virtual void on_closed(PeerId peer, const Error& why) = 0;  // also after a refused connect
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Queues the frame. Errors: NotFound (no such peer any more), Exhausted (its queue is full; the
  // peer is closed, because skipping frames would break its order).
  virtual Result<void> send(PeerId peer, wire::Frame frame) = 0;
  virtual void close(PeerId peer) = 0;  // after what is queued has been written; on_closed follows
};

}  // namespace gangway::io
