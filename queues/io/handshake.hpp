// The two sides of a connection's first words: version and, over TCP, proof of a shared key.
//
//   unix:  client  Hello ------------------------->  server      (requests may follow at once)
//                        <------------------------- Welcome
//   TCP:   client  Hello{node, nonce_c} ----------->  server
//                        <--- Challenge{nonce_s, proof_s}
//                  Proof{proof_c} ----------------->
//                        <------------------------- Welcome
//
//   proof_s = HMAC-SHA256(key, "gangway server" | nonce_c | nonce_s | node)
//   proof_c = HMAC-SHA256(key, "gangway client" | nonce_c | nonce_s | node)
//
// Source: a challenge and response on both sides with distinct labels, so that no answer can be
// reflected; both nonces are fresh, so that none can be replayed. The client proves itself last and
// only to a server that has proved itself. What follows is neither encrypted nor signed until TLS
// comes (Security below): the network between the daemons must be trusted not to alter bytes.
//
// Whatever goes wrong is said in a Refused frame before the connection is closed. The version is
// chosen by the server: the highest that both speak.
//
// Pure: nonces and times come from the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/wire/framing.hpp"

namespace gangway::io {

// How a TCP connection is protected. TLS 1.3 with mutual certificates gets its place here; it will
// wrap the socket below the frames, and the handshake above it stays as it is.
enum class Security { ClusterKey };

inline constexpr std::size_t kNonceBytes = 32;
// Before the other side is known, it may not make us keep more than this.
inline constexpr std::size_t kMaxHandshakePayload = 4096;
inline constexpr std::size_t kMaxNodeNameBytes = 64;

struct ProtocolRange {
  std::uint32_t min = wire::kProtocolMin;
  std::uint32_t max = wire::kProtocolMax;
};

// Who we are.
struct Greeting {
  std::string program{};  // "jexecd"
  std::string version = GANGWAY_VERSION;
  std::string cluster{};  // told by servers
  ProtocolRange protocol{};
};

// What one input leads to.
struct HandshakeStep {
  std::vector<wire::Frame> send{};
  std::optional<Error> failed{};  // close once `send` has gone out
  bool done = false;              // the connection is open; frames that follow are the handler's
};

class ServerHandshake {
 public:
  // Without a key (unix) a Hello is enough. `nonce`: kNonceBytes random bytes.
  ServerHandshake(Greeting self,
                  std::optional<std::string> key,
                  std::string nonce,
                  BootTime deadline);

  [[nodiscard]] HandshakeStep on_frame(const wire::Frame& frame);
  [[nodiscard]] HandshakeStep on_time(BootTime now);  // fails at the deadline
  [[nodiscard]] BootTime deadline() const { return deadline_; }
  // After done, with a key: who has proved to know it.
  [[nodiscard]] const NodeName& node() const { return node_; }
  [[nodiscard]] std::uint32_t protocol() const { return protocol_; }

 private:
  enum class State { AwaitHello, AwaitProof, Over };
  HandshakeStep on_hello(const wire::Frame& frame);
  HandshakeStep on_proof(const wire::Frame& frame);
  HandshakeStep refuse(Error why);
  HandshakeStep welcome();

  Greeting self_;
  std::optional<std::string> key_;
  std::string nonce_;
  BootTime deadline_;
  State state_ = State::AwaitHello;
  NodeName node_;
  std::string client_nonce_;
  std::uint32_t protocol_ = 0;
};

class ClientHandshake {
 public:
  // `node`: the name to be known by, used with a key only. `nonce`: kNonceBytes random bytes.
  ClientHandshake(Greeting self,
                  NodeName node,
                  std::optional<std::string> key,
                  std::string nonce,
                  BootTime deadline);

  [[nodiscard]] HandshakeStep start();  // the Hello
  [[nodiscard]] HandshakeStep on_frame(const wire::Frame& frame);
  [[nodiscard]] HandshakeStep on_time(BootTime now);
  [[nodiscard]] BootTime deadline() const { return deadline_; }
  // After done.
  [[nodiscard]] std::uint32_t protocol() const { return protocol_; }
  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  [[nodiscard]] const std::string& server_version() const { return server_version_; }

 private:
  enum class State { AwaitChallenge, AwaitWelcome, Over };
  HandshakeStep on_challenge(const wire::Frame& frame);
  HandshakeStep on_welcome(const wire::Frame& frame);
  HandshakeStep fail(Error why);

  Greeting self_;
  NodeName node_;
  std::optional<std::string> key_;
  std::string nonce_;
  BootTime deadline_;
  State state_;
  std::uint32_t protocol_ = 0;
  std::string cluster_;
  std::string server_version_;
};

// The frame that says why a connection is refused.
[[nodiscard]] wire::Frame make_refusal(const Error& why);
// What a Refused frame says, with the context "refused by the other side".
[[nodiscard]] Error read_refusal(const wire::Frame& frame);

}  // namespace gangway::io
