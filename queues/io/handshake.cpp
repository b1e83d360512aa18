#include "queues/io/handshake.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::io {

namespace {

using wire::Frame;
using wire::FrameType;

std::string prove(const std::string& key,
                  std::string_view label,
                  std::string_view client_nonce,
                  std::string_view server_nonce,
                  const NodeName& node) {
  return hmac_sha256(key, cat(label, client_nonce, server_nonce, node.value));
}
constexpr std::string_view kServerLabel = "gangway server";
constexpr std::string_view kClientLabel = "gangway client";

template <typename Message>
Frame frame_of(FrameType type, const Message& message) {
  return {.type = type, .stream = 0, .payload = message.SerializeAsString()};
}

Error unexpected(const Frame& frame) {
  return {ErrorKind::Invalid, cat("unexpected frame of type ",
                                  static_cast<std::uint16_t>(frame.type), " in the handshake")};
}

Error malformed(std::string_view name) {
  return {ErrorKind::Corrupt, cat("malformed ", name, " in the handshake")};
}

// The other side has refused; there is nothing to answer.
HandshakeStep refused_by_peer(const Frame& frame) { return {.failed = read_refusal(frame)}; }

Error too_slow() { return {ErrorKind::Unavailable, "the handshake took too long"}; }

std::string render(ProtocolRange range) {
  return range.min == range.max ? cat(range.min) : cat(range.min, " to ", range.max);
}

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNodeNameBytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

}  // namespace

Frame make_refusal(const Error& why) {
  wire::Refused refused;
  to_wire(why, refused.mutable_error());
  return frame_of(FrameType::Refused, refused);
}

Error read_refusal(const Frame& frame) {
  wire::Refused refused;
  if (!refused.ParseFromString(frame.payload)) return malformed("Refused");
  return from_wire(refused.error()).with_context("refused by the other side");
}

ServerHandshake::ServerHandshake(Greeting self,
                                 std::optional<std::string> key,
                                 std::string nonce,
                                 BootTime deadline)
    : self_(std::move(self)), key_(std::move(key)), nonce_(std::move(nonce)), deadline_(deadline) {
  CHECK(nonce_.size() == kNonceBytes);
}

HandshakeStep ServerHandshake::on_frame(const Frame& frame) {
  if (state_ != State::Over && frame.type == FrameType::Refused) {
    state_ = State::Over;
    return refused_by_peer(frame);
  }
  if (state_ == State::AwaitHello && frame.type == FrameType::Hello) return on_hello(frame);
  if (state_ == State::AwaitProof && frame.type == FrameType::Proof) return on_proof(frame);
  return refuse(unexpected(frame));
}

HandshakeStep ServerHandshake::on_time(BootTime now) {
  if (state_ == State::Over || now < deadline_) return {};
  return refuse(too_slow());
}

HandshakeStep ServerHandshake::on_hello(const Frame& frame) {
  wire::Hello hello;
  if (!hello.ParseFromString(frame.payload)) return refuse(malformed("Hello"));
  const ProtocolRange theirs{hello.protocol_min(), hello.protocol_max()};
  protocol_ = std::min(self_.protocol.max, theirs.max);
  if (theirs.min > theirs.max || protocol_ < std::max(self_.protocol.min, theirs.min)) {
    return refuse({ErrorKind::Unsupported,
                   cat("no common protocol version: ", self_.program, " ", self_.version,
                       " speaks ", render(self_.protocol), ", ",
                       hello.program().empty() ? "the other side" : hello.program(), " ",
                       hello.version(), " speaks ", render(theirs), "; upgrade the older one")});
  }
  if (!key_) return welcome();

  if (hello.nonce().size() != kNonceBytes) return refuse(malformed("Hello: nonce"));
  if (!is_node_name(hello.node())) {
    return refuse({ErrorKind::Invalid,
                   "a node's name has 1 to 64 letters, digits, dots, dashes and underscores"});
  }
  node_ = NodeName(hello.node());
  client_nonce_ = hello.nonce();
  wire::Challenge challenge;
  challenge.set_nonce(nonce_);
  challenge.set_proof(prove(*key_, kServerLabel, client_nonce_, nonce_, node_));
  state_ = State::AwaitProof;
  return {.send = {frame_of(FrameType::Challenge, challenge)}};
}

HandshakeStep ServerHandshake::on_proof(const Frame& frame) {
  wire::Proof proof;
  if (!proof.ParseFromString(frame.payload)) return refuse(malformed("Proof"));
  if (!equal_secrets(proof.proof(), prove(*key_, kClientLabel, client_nonce_, nonce_, node_))) {
    return refuse({ErrorKind::Denied, cat("node ", node_.value, " does not know the key")});
  }
  return welcome();
}

HandshakeStep ServerHandshake::welcome() {
  state_ = State::Over;
  wire::Welcome welcome;
  welcome.set_protocol(protocol_);
  welcome.set_version(self_.version);
  welcome.set_cluster(self_.cluster);
  return {.send = {frame_of(FrameType::Welcome, welcome)}, .done = true};
}

HandshakeStep ServerHandshake::refuse(Error why) {
  state_ = State::Over;
  HandshakeStep step{.send = {make_refusal(why)}};
  step.failed = std::move(why);
  return step;
}

ClientHandshake::ClientHandshake(Greeting self,
                                 NodeName node,
                                 std::optional<std::string> key,
                                 std::string nonce,
                                 BootTime deadline)
    : self_(std::move(self)),
      node_(std::move(node)),
      key_(std::move(key)),
      nonce_(std::move(nonce)),
      deadline_(deadline),
      state_(key_ ? State::AwaitChallenge : State::AwaitWelcome) {
  CHECK(nonce_.size() == kNonceBytes);
}

HandshakeStep ClientHandshake::start() {
  wire::Hello hello;
  hello.set_protocol_min(self_.protocol.min);
  hello.set_protocol_max(self_.protocol.max);
  hello.set_program(self_.program);
  hello.set_version(self_.version);
  if (key_) {
    hello.set_node(node_.value);
    hello.set_nonce(nonce_);
  }
  return {.send = {frame_of(FrameType::Hello, hello)}};
}

HandshakeStep ClientHandshake::on_frame(const Frame& frame) {
  if (state_ != State::Over && frame.type == FrameType::Refused) {
    state_ = State::Over;
    return refused_by_peer(frame);
  }
  if (state_ == State::AwaitChallenge && frame.type == FrameType::Challenge) {
    return on_challenge(frame);
  }
  if (state_ == State::AwaitWelcome && frame.type == FrameType::Welcome) return on_welcome(frame);
  return fail(unexpected(frame));
}

HandshakeStep ClientHandshake::on_time(BootTime now) {
  if (state_ == State::Over || now < deadline_) return {};
  return fail(too_slow());
}

HandshakeStep ClientHandshake::on_challenge(const Frame& frame) {
  wire::Challenge challenge;
  if (!challenge.ParseFromString(frame.payload) || challenge.nonce().size() != kNonceBytes) {
    return fail(malformed("Challenge"));
  }
  if (!equal_secrets(challenge.proof(),
                     prove(*key_, kServerLabel, nonce_, challenge.nonce(), node_))) {
    return fail({ErrorKind::Denied, "the other side does not know the key"});
  }
  wire::Proof proof;
  proof.set_proof(prove(*key_, kClientLabel, nonce_, challenge.nonce(), node_));
  state_ = State::AwaitWelcome;
  return {.send = {frame_of(FrameType::Proof, proof)}};
}

HandshakeStep ClientHandshake::on_welcome(const Frame& frame) {
  wire::Welcome welcome;
  if (!welcome.ParseFromString(frame.payload)) return fail(malformed("Welcome"));
  if (welcome.protocol() < self_.protocol.min || welcome.protocol() > self_.protocol.max) {
    return fail({ErrorKind::Unsupported, cat("the other side chose protocol ", welcome.protocol(),
                                             ", this one speaks ", render(self_.protocol))});
  }
  state_ = State::Over;
  protocol_ = welcome.protocol();
  cluster_ = welcome.cluster();
  server_version_ = welcome.version();
  return {.done = true};
}

HandshakeStep ClientHandshake::fail(Error why) {
  state_ = State::Over;
  HandshakeStep step{.send = {make_refusal(why)}};
  step.failed = std::move(why);
  return step;
}

}  // namespace gangway::io
