// The first words of a connection, both sides, without a network and in virtual time.
#include "queues/io/handshake.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "queues/base/digest.hpp"
#include "queues/io/keepalive.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::io {
namespace {

using wire::Frame;
using wire::FrameType;

constexpr BootTime kStart{1'000'000'000};
constexpr BootTime kDeadline = kStart + seconds(5);

Greeting server_greeting() {
  return {.program = "jschedd", .version = "1.0", .cluster = "testbed", .protocol = {1, 1}};
}
Greeting client_greeting() {
  return {.program = "jexecd", .version = "1.1", .cluster = {}, .protocol = {1, 1}};
}

ServerHandshake make_server(std::optional<std::string> key, char nonce = 's') {
  return {server_greeting(), std::move(key), std::string(kNonceBytes, nonce), kDeadline};
}
ClientHandshake make_client(std::optional<std::string> key, const std::string& node = "n01") {
  return {client_greeting(), NodeName(node), std::move(key), std::string(kNonceBytes, 'c'),
          kDeadline};
}

// Hands frames over until nobody has more to say; the last step of each side.
struct Ends {
  HandshakeStep server;
  HandshakeStep client;
};
Ends talk(ServerHandshake& server, ClientHandshake& client) {
  Ends ends;
  std::vector<Frame> to_server = client.start().send;
  while (!to_server.empty()) {
    ends.server = server.on_frame(to_server.front());
    to_server.clear();
    if (ends.server.send.empty()) break;
    ends.client = client.on_frame(ends.server.send.front());
    to_server = ends.client.send;
  }
  return ends;
}

TEST(Handshake, LocalClientNeedsOneRoundTrip) {
  auto server = make_server(std::nullopt);
  auto client = make_client(std::nullopt);
  const Ends ends = talk(server, client);
  EXPECT_TRUE(ends.server.done);
  EXPECT_TRUE(ends.client.done);
  EXPECT_EQ(client.cluster(), "testbed");
  EXPECT_EQ(client.server_version(), "1.0");
}

TEST(Handshake, BothSidesProveTheKey) {
  auto server = make_server("secret");
  auto client = make_client("secret");
  const Ends ends = talk(server, client);
  EXPECT_TRUE(ends.server.done);
  EXPECT_TRUE(ends.client.done);
  EXPECT_EQ(server.node(), NodeName("n01"));
  EXPECT_EQ(server.protocol(), 1u);
}

TEST(Handshake, ProofsAreThoseOfTheSpecification) {
  auto server = make_server("secret");
  auto client = make_client("secret");
  const HandshakeStep challenge_step = server.on_frame(client.start().send.front());
  wire::Challenge challenge;
  ASSERT_TRUE(challenge.ParseFromString(challenge_step.send.front().payload));
  const std::string nonces = std::string(kNonceBytes, 'c') + std::string(kNonceBytes, 's');
  EXPECT_EQ(challenge.proof(), hmac_sha256("secret", "gangway server" + nonces + "n01"));
  wire::Proof proof;
  ASSERT_TRUE(
      proof.ParseFromString(client.on_frame(challenge_step.send.front()).send.front().payload));
  EXPECT_EQ(proof.proof(), hmac_sha256("secret", "gangway client" + nonces + "n01"));
}

TEST(Handshake, ClientWithAnotherKeyRefusesTheServerBeforeProvingItself) {
  auto server = make_server("secret");
  auto client = make_client("other");
  const Ends ends = talk(server, client);
  ASSERT_TRUE(ends.client.failed.has_value());
  EXPECT_EQ(ends.client.failed->kind(), ErrorKind::Denied);
  ASSERT_EQ(ends.client.send.size(), 1u);
  EXPECT_EQ(ends.client.send.front().type, FrameType::Refused);
  ASSERT_TRUE(ends.server.failed.has_value());
  EXPECT_EQ(ends.server.failed->message(),
            "refused by the other side: the other side does not know the key");
}

TEST(Handshake, ServerRefusesAWrongProof) {
  auto server = make_server("secret");
  auto client = make_client("secret");
  (void)server.on_frame(client.start().send.front());
  wire::Proof proof;
  proof.set_proof(hmac_sha256("other", "anything"));
  const HandshakeStep step = server.on_frame(
      {.type = FrameType::Proof, .stream = 0, .payload = proof.SerializeAsString()});
  ASSERT_TRUE(step.failed.has_value());
  EXPECT_EQ(step.failed->message(), "node n01 does not know the key");
  EXPECT_FALSE(step.done);
}

TEST(Handshake, ReplayedProofIsRefused) {
  auto server = make_server("secret", 's');
  auto client = make_client("secret");
  const Frame hello = client.start().send.front();
  const Frame proof = client.on_frame(server.on_frame(hello).send.front()).send.front();
  ASSERT_TRUE(server.on_frame(proof).done);

  auto next = make_server("secret", 't');  // a fresh nonce
  (void)next.on_frame(hello);
  const HandshakeStep step = next.on_frame(proof);
  ASSERT_TRUE(step.failed.has_value());
  EXPECT_EQ(step.failed->kind(), ErrorKind::Denied);
}

TEST(Handshake, ServersOwnProofSentBackIsRefused) {
  auto server = make_server("secret");
  auto client = make_client("secret");
  wire::Challenge challenge;
  ASSERT_TRUE(
      challenge.ParseFromString(server.on_frame(client.start().send.front()).send.front().payload));
  wire::Proof reflected;
  reflected.set_proof(challenge.proof());
  EXPECT_TRUE(
      server
          .on_frame(
              {.type = FrameType::Proof, .stream = 0, .payload = reflected.SerializeAsString()})
          .failed.has_value());
}

TEST(Handshake, ProofForAnotherNodeIsRefused) {
  auto server = make_server("secret");
  auto honest = make_client("secret", "n01");
  const Frame proof =
      honest.on_frame(server.on_frame(honest.start().send.front()).send.front()).send.front();
  auto again = make_server("secret");
  (void)again.on_frame(make_client("secret", "n02").start().send.front());
  EXPECT_TRUE(again.on_frame(proof).failed.has_value());
}

TEST(Handshake, HighestCommonVersionIsChosen) {
  Greeting old = server_greeting();
  old.protocol = {1, 3};
  ServerHandshake server(old, std::nullopt, std::string(kNonceBytes, 's'), kDeadline);
  Greeting young = client_greeting();
  young.protocol = {2, 7};
  ClientHandshake client(young, NodeName("n01"), std::nullopt, std::string(kNonceBytes, 'c'),
                         kDeadline);
  EXPECT_TRUE(talk(server, client).client.done);
  EXPECT_EQ(server.protocol(), 3u);
  EXPECT_EQ(client.protocol(), 3u);
}

TEST(Handshake, NoCommonVersionIsSaidWithBothRanges) {
  auto server = make_server(std::nullopt);
  Greeting young = client_greeting();
  young.protocol = {2, 3};
  ClientHandshake client(young, NodeName("n01"), std::nullopt, std::string(kNonceBytes, 'c'),
                         kDeadline);
  const Ends ends = talk(server, client);
  ASSERT_TRUE(ends.client.failed.has_value());
  EXPECT_EQ(ends.client.failed->kind(), ErrorKind::Unsupported);
  EXPECT_EQ(ends.client.failed->message(),
            "refused by the other side: no common protocol version: jschedd 1.0 speaks 1, jexecd "
            "1.1 speaks 2 to 3; upgrade the older one");
}

TEST(Handshake, VersionThatTheClientDidNotOfferIsRefused) {
  auto client = make_client(std::nullopt);
  (void)client.start();
  wire::Welcome welcome;
  welcome.set_protocol(9);
  const HandshakeStep step = client.on_frame(
      {.type = FrameType::Welcome, .stream = 0, .payload = welcome.SerializeAsString()});
  ASSERT_TRUE(step.failed.has_value());
  EXPECT_EQ(step.failed->kind(), ErrorKind::Unsupported);
}

TEST(Handshake, WelcomeWithoutAChallengeIsNotBelieved) {
  auto client = make_client("secret");
  (void)client.start();
  wire::Welcome welcome;
  welcome.set_protocol(1);
  EXPECT_TRUE(
      client
          .on_frame(
              {.type = FrameType::Welcome, .stream = 0, .payload = welcome.SerializeAsString()})
          .failed.has_value());
}

TEST(Handshake, FirstFrameMustBeAHello) {
  auto server = make_server(std::nullopt);
  const HandshakeStep step =
      server.on_frame({.type = FrameType::Request, .stream = 1, .payload = {}});
  ASSERT_TRUE(step.failed.has_value());
  EXPECT_EQ(step.send.front().type, FrameType::Refused);
}

TEST(Handshake, MalformedHelloIsRefused) {
  auto server = make_server("secret");
  EXPECT_EQ(server.on_frame({.type = FrameType::Hello, .stream = 0, .payload = "\xff\xff"})
                .failed->kind(),
            ErrorKind::Corrupt);
  auto shy = make_server("secret");
  wire::Hello hello;  // no nonce
  hello.set_protocol_min(1);
  hello.set_protocol_max(1);
  hello.set_node("n01");
  EXPECT_TRUE(
      shy.on_frame({.type = FrameType::Hello, .stream = 0, .payload = hello.SerializeAsString()})
          .failed.has_value());
}

TEST(Handshake, NodeNamesWithOtherCharactersAreRefused) {
  for (const char* name : {"", "n 1", "n\n1", "../n1"}) {
    auto server = make_server("secret");
    EXPECT_TRUE(
        server.on_frame(make_client("secret", name).start().send.front()).failed.has_value())
        << name;
  }
}

TEST(Handshake, EndsAtItsDeadlineOnBothSides) {
  auto server = make_server("secret");
  auto client = make_client("secret");
  EXPECT_FALSE(server.on_time(kDeadline - nanoseconds(1)).failed.has_value());
  EXPECT_EQ(server.on_time(kDeadline).failed->kind(), ErrorKind::Unavailable);
  EXPECT_EQ(client.on_time(kDeadline).failed->kind(), ErrorKind::Unavailable);
}

// every 2 s, 3 missed:  0 --- 2 ask --- 4 ask --- 6 ask --- 8 dead
TEST(Keepalive, SilentPeerIsAskedThreeTimesAndThenDead) {
  Keepalive keepalive(seconds(2), 3, kStart);
  EXPECT_EQ(keepalive.on_time(kStart + seconds(1)), Keepalive::Verdict::Fine);
  for (std::int64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(keepalive.next(), kStart + seconds(2 * i));
    EXPECT_EQ(keepalive.on_time(keepalive.next()), Keepalive::Verdict::Ask);
  }
  EXPECT_EQ(keepalive.on_time(kStart + seconds(8)), Keepalive::Verdict::Dead);
}

TEST(Keepalive, AnySignOfLifeStartsAnew) {
  Keepalive keepalive(seconds(2), 1, kStart);
  EXPECT_EQ(keepalive.on_time(kStart + seconds(2)), Keepalive::Verdict::Ask);
  keepalive.on_sign(kStart + seconds(3));
  EXPECT_EQ(keepalive.on_time(kStart + seconds(4)), Keepalive::Verdict::Fine);
  EXPECT_EQ(keepalive.on_time(kStart + seconds(5)), Keepalive::Verdict::Ask);
}

TEST(Keepalive, OwnStandstillCountsAsOneMiss) {
  Keepalive keepalive(seconds(2), 3, kStart);
  EXPECT_EQ(keepalive.on_time(kStart + hours(1)), Keepalive::Verdict::Ask);
  EXPECT_EQ(keepalive.on_time(kStart + hours(1) + seconds(1)), Keepalive::Verdict::Fine);
}

}  // namespace
}  // namespace gangway::io
