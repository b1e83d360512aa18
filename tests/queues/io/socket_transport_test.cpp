// The real transport on the real loop, over loopback and unix sockets. Every test waits for events
// and is ended by a guard timer only if they do not come.
#include "queues/io/socket_transport.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/frame_socket.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::io {
namespace {

using wire::Frame;
using wire::FrameType;

const std::string kKey = "a key of the cluster";

// What happened to one side, and what to do next about it.
struct Recorder final : PeerHandler {
  std::vector<PeerId> connected;
  std::vector<PeerIdentity> identities;
  std::vector<Frame> frames;
  std::vector<Error> closed;
  std::function<void(PeerId)> then_connected;
  std::function<void(PeerId, const Frame&)> then_frame;
  std::function<void(PeerId)> then_closed;

  void on_connected(PeerId peer, const PeerIdentity& identity) override {
    connected.push_back(peer);
    identities.push_back(identity);
    if (then_connected) then_connected(peer);
  }
  void on_frame(PeerId peer, Frame frame) override {
    frames.push_back(frame);
    if (then_frame) then_frame(peer, frame);
  }
  void on_closed(PeerId peer, const Error& why) override {
    closed.push_back(why);
    if (then_closed) then_closed(peer);
  }
};

class SocketTransportTest : public ::testing::Test {
 protected:
  SocketTransportTest() {
    char name[] = "/tmp/gangway_transport_XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    directory_ = name;
    quick_.ping_every = milliseconds(20);
    quick_.handshake_deadline = milliseconds(100);
  }
  ~SocketTransportTest() override { std::filesystem::remove_all(directory_); }

  // Runs the loop until a callback stops it.
  void run() {
    bool in_time = true;
    const TimerId guard = loop_.arm(loop_.now().boot + seconds(30), [&] {
      in_time = false;
      loop_.stop();
    });
    loop_.run();
    loop_.cancel(guard);
    ASSERT_TRUE(in_time) << "the awaited event did not come";
  }
  void stop() { loop_.stop(); }

  Listening listen_tcp(SocketTransport& transport, TransportLimits limits = {}) {
    auto listening =
        transport.listen("127.0.0.1:0", {.handler = &server_, .key = kKey, .limits = limits});
    CHECK(listening.has_value());
    return *listening;
  }
  std::string listen_unix(SocketTransport& transport, TransportLimits limits = {}) {
    const std::string path = directory_ + "/s.sock";
    CHECK(transport.listen(path, {.handler = &server_, .limits = limits}).has_value());
    return path;
  }
  ConnectOptions tcp_options() {
    return {.handler = &client_,
            .node = NodeName("n01"),
            .key = kKey,
            .peer = NodeName("head"),
            .first_backoff = milliseconds(1)};
  }

  AsioLoop loop_;
  std::string directory_;
  TransportLimits quick_;
  Recorder server_;
  Recorder client_;
  Greeting head_{.program = "jschedd", .cluster = "testbed"};
  Greeting node_{.program = "jexecd"};
};

Frame request(const std::string& payload, std::uint32_t stream = 1) {
  return {.type = FrameType::Request, .stream = stream, .payload = payload};
}

// A raw client, to say what the transport would not.
Fd raw_unix(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  return fd;
}
Fd raw_tcp(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  return fd;
}
std::string hello_bytes(std::uint32_t version = 1) {
  wire::Hello hello;
  hello.set_protocol_min(version);
  hello.set_protocol_max(version);
  hello.set_program("test");
  return wire::encode(
      {.type = FrameType::Hello, .stream = 0, .payload = hello.SerializeAsString()});
}
void write_all(const Fd& fd, const std::string& bytes) {
  CHECK(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
        static_cast<ssize_t>(bytes.size()));
}
// All frames until the other side closes.
std::vector<Frame> read_to_end(const Fd& fd) {
  wire::FrameReader reader;
  char bytes[4096];
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), bytes, sizeof bytes, 0)) > 0) {
    reader.feed({bytes, static_cast<std::size_t>(got)});
  }
  std::vector<Frame> frames;
  for (;;) {
    auto frame = reader.next();
    CHECK(frame.has_value());
    if (!frame->has_value()) return frames;
    frames.push_back(**frame);
  }
}

TEST_F(SocketTransportTest, FramesGoBothWaysBetweenClusterMembers) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  const Listening listening = listen_tcp(head);
  EXPECT_EQ(listening.endpoint, cat("127.0.0.1:", listening.port));
  client_.then_connected = [&](PeerId peer) {
    EXPECT_TRUE(node.send(peer, {.type = FrameType::FromNode, .stream = 0, .payload = "up"}));
  };
  server_.then_frame = [&](PeerId peer, const Frame&) {
    EXPECT_TRUE(head.send(peer, {.type = FrameType::ToNode, .stream = 0, .payload = "down"}));
  };
  client_.then_frame = [&](PeerId, const Frame&) { stop(); };
  ASSERT_TRUE(node.connect(listening.endpoint, tcp_options()));
  run();
  EXPECT_EQ(server_.identities, std::vector<PeerIdentity>{ClusterMember{NodeName("n01")}});
  EXPECT_EQ(client_.identities, std::vector<PeerIdentity>{ClusterMember{NodeName("head")}});
  EXPECT_EQ(server_.frames.front().payload, "up");
  EXPECT_EQ(client_.frames.front().payload, "down");
}

TEST_F(SocketTransportTest, LocalUserIsKnownByTheKernelsWord) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport user(loop_, node_, 2);
  const std::string path = listen_unix(head);
  server_.then_connected = [&](PeerId) { stop(); };
  ASSERT_TRUE(user.connect(path, {.handler = &client_}));
  run();
  const auto& identity = std::get<LocalUser>(server_.identities.front());
  EXPECT_EQ(identity.uid, ::geteuid());
  EXPECT_EQ(identity.gid, ::getegid());
  EXPECT_EQ(identity.pid, ::getpid());
}

TEST_F(SocketTransportTest, RequestMayFollowTheHelloAtOnce) {
  SocketTransport head(loop_, head_, 1);
  const std::string path = listen_unix(head);
  const Fd raw = raw_unix(path);
  write_all(raw, hello_bytes() + wire::encode(request("first")) + wire::encode(request("second")));
  server_.then_frame = [&](PeerId peer, const Frame& frame) {
    if (frame.payload != "second") return;
    EXPECT_TRUE(head.send(peer, {.type = FrameType::Response, .stream = 1, .payload = "yes"}));
    head.close(peer);
  };
  server_.then_closed = [&](PeerId) { stop(); };
  // The client's end stays open until it has been read: the server lingers for it.
  loop_.watch_readable(raw.get(), [&, reader = wire::FrameReader()]() mutable {
    char bytes[4096];
    const ssize_t got = ::recv(raw.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
      reader.feed({bytes, static_cast<std::size_t>(got)});
      for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
        client_.frames.push_back(**frame);
      }
    } else {
      ::shutdown(raw.get(), SHUT_WR);
    }
  });
  run();
  ASSERT_EQ(client_.frames.size(), 2u);
  EXPECT_EQ(client_.frames[0].type, FrameType::Welcome);
  EXPECT_EQ(client_.frames[1].payload, "yes");
  ASSERT_EQ(server_.frames.size(), 2u);
  EXPECT_EQ(server_.frames[0].payload, "first");
}

TEST_F(SocketTransportTest, FrameMayComeByteByByte) {
  SocketTransport head(loop_, head_, 1);
  const std::string path = listen_unix(head);
  const Fd raw = raw_unix(path);
  const std::string bytes = hello_bytes() + wire::encode(request("in pieces"));
  std::size_t next = 0;
  std::function<void()> write_next = [&] {
    write_all(raw, bytes.substr(next++, 1));
    if (next < bytes.size()) loop_.post([&] { loop_.post(write_next); });
  };
  loop_.post(write_next);
  server_.then_frame = [&](PeerId, const Frame&) { stop(); };
  run();
  EXPECT_EQ(server_.frames.front(), request("in pieces"));
}

TEST_F(SocketTransportTest, LargestFrameArrivesWhole) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  const std::string large(wire::kMaxPayloadBytes, 'x');
  client_.then_connected = [&](PeerId peer) {
    EXPECT_TRUE(node.send(peer, {.type = FrameType::FromNode, .stream = 0, .payload = large}));
    EXPECT_EQ(node.send(peer, {.type = FrameType::FromNode, .stream = 0, .payload = large + "x"})
                  .error()
                  .kind(),
              ErrorKind::Invalid);
  };
  server_.then_frame = [&](PeerId, const Frame&) { stop(); };
  ASSERT_TRUE(node.connect(listen_tcp(head).endpoint, tcp_options()));
  run();
  EXPECT_EQ(server_.frames.front().payload, large);
}

TEST_F(SocketTransportTest, WrongKeyIsRefusedAndBothSidesSurvive) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  ConnectOptions options = tcp_options();
  options.key = "another";
  options.reconnect = false;
  client_.then_closed = [&](PeerId) { stop(); };
  ASSERT_TRUE(node.connect(listen_tcp(head).endpoint, options));
  run();
  EXPECT_EQ(client_.closed.front().kind(), ErrorKind::Denied);
  EXPECT_TRUE(client_.connected.empty());
  EXPECT_TRUE(server_.connected.empty());
  EXPECT_TRUE(server_.closed.empty());
}

TEST_F(SocketTransportTest, UnknownProtocolVersionIsRefusedInWords) {
  SocketTransport head(loop_, head_, 1);
  const Fd raw = raw_unix(listen_unix(head));
  write_all(raw, hello_bytes(99));
  ::shutdown(raw.get(), SHUT_WR);
  std::vector<Frame> frames;
  loop_.watch_readable(raw.get(), [&] {
    frames = read_to_end(raw);
    stop();
  });
  run();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].type, FrameType::Refused);
  EXPECT_EQ(read_refusal(frames[0]).kind(), ErrorKind::Unsupported);
}

TEST_F(SocketTransportTest, StrangerWhoSaysNothingIsClosedAtTheDeadline) {
  SocketTransport head(loop_, head_, 1);
  const Fd raw = raw_tcp(listen_tcp(head, quick_).port);
  loop_.watch_readable(raw.get(), [&] { stop(); });
  run();
  char byte = 0;
  EXPECT_GT(::recv(raw.get(), &byte, 1, MSG_DONTWAIT), 0);  // the refusal
  EXPECT_TRUE(server_.connected.empty());
}

TEST_F(SocketTransportTest, StrangerMayNotSendMuchBeforeTheHandshake) {
  SocketTransport head(loop_, head_, 1);
  const Fd raw = raw_tcp(listen_tcp(head).port);
  write_all(raw, wire::encode({.type = FrameType::Hello,
                               .stream = 0,
                               .payload = std::string(kMaxHandshakePayload + 1, 'x')}));
  ::shutdown(raw.get(), SHUT_WR);
  loop_.watch_readable(raw.get(), [&] { stop(); });
  run();
  EXPECT_EQ(read_refusal(read_to_end(raw).at(0)).kind(), ErrorKind::Corrupt);
}

TEST_F(SocketTransportTest, GarbageEndsTheConnection) {
  SocketTransport head(loop_, head_, 1);
  const Fd raw = raw_unix(listen_unix(head));
  write_all(raw, hello_bytes() + std::string(64, '\xff'));
  server_.then_closed = [&](PeerId) { stop(); };
  ::shutdown(raw.get(), SHUT_WR);
  run();
  EXPECT_EQ(server_.closed.front().kind(), ErrorKind::Corrupt);
}

// The kernel keeps the connection of a stopped process open: only pings find it out.
TEST_F(SocketTransportTest, PeerThatAnswersNoPingIsClosed) {
  SocketTransport head(loop_, head_, 1);
  const std::string path = directory_ + "/s.sock";
  ASSERT_TRUE(head.listen(path, {.handler = &server_, .limits = quick_, .ping_on_unix = true}));
  const Fd raw = raw_unix(path);
  write_all(raw, hello_bytes());
  server_.then_closed = [&](PeerId) { stop(); };
  run();
  EXPECT_EQ(server_.closed.front().message(), "silent: 3 pings without an answer");
  const std::vector<Frame> frames = read_to_end(raw);
  ASSERT_EQ(frames.size(), 4u);  // Welcome and three Pings
  EXPECT_EQ(frames[3].type, FrameType::Ping);
}

TEST_F(SocketTransportTest, IdlePeersThatAnswerPingsStayConnected) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  TransportLimits limits = quick_;
  limits.ping_every = milliseconds(5);
  ConnectOptions options = tcp_options();
  options.limits = limits;
  ASSERT_TRUE(node.connect(listen_tcp(head, limits).endpoint, options));
  server_.then_connected = [&](PeerId) {
    loop_.arm(loop_.now().boot + milliseconds(60), [&] { stop(); });  // many intervals
  };
  run();
  EXPECT_TRUE(server_.closed.empty());
  EXPECT_TRUE(client_.closed.empty());
  EXPECT_TRUE(server_.frames.empty());  // pings are not the handler's matter
}

TEST_F(SocketTransportTest, PeerThatDoesNotReadIsClosedWhenItsQueueIsFull) {
  SocketTransport head(loop_, head_, 1);
  TransportLimits limits;
  limits.max_queue_bytes = 1 << 20;
  const Fd raw = raw_unix(listen_unix(head, limits));
  write_all(raw, hello_bytes());
  server_.then_connected = [&](PeerId peer) {
    const Frame frame{
        .type = FrameType::Response, .stream = 1, .payload = std::string(100'000, 'x')};
    int sent = 0;
    while (head.send(peer, frame)) ++sent;
    EXPECT_EQ(sent, 10);
    EXPECT_EQ(head.send(peer, frame).error().kind(), ErrorKind::NotFound);
    EXPECT_TRUE(server_.closed.empty());  // told in a later turn
  };
  server_.then_closed = [&](PeerId) { stop(); };
  run();
  EXPECT_EQ(server_.closed.front().kind(), ErrorKind::Exhausted);
}

TEST_F(SocketTransportTest, CloseSendsWhatIsQueuedFirst) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  ConnectOptions options = tcp_options();
  options.reconnect = false;
  client_.then_connected = [&](PeerId peer) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(node.send(
          peer, {.type = FrameType::FromNode, .stream = 0, .payload = std::string(50'000, 'x')}));
    }
    node.close(peer);
  };
  server_.then_closed = [&](PeerId) { stop(); };
  ASSERT_TRUE(node.connect(listen_tcp(head).endpoint, options));
  run();
  EXPECT_EQ(server_.frames.size(), 100u);
}

TEST_F(SocketTransportTest, ReconnectsWithANewPeerIdAfterEveryLoss) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  server_.then_connected = [&](PeerId peer) {
    if (server_.connected.size() < 3) head.close(peer);
  };
  client_.then_connected = [&](PeerId) {
    if (client_.connected.size() == 3) stop();
  };
  ASSERT_TRUE(node.connect(listen_tcp(head).endpoint, tcp_options()));
  run();
  EXPECT_EQ(client_.connected.size(), client_.closed.size() + 1);
  EXPECT_LT(client_.connected[0], client_.connected[1]);
}

TEST_F(SocketTransportTest, KeepsTryingUntilSomebodyListens) {
  SocketTransport node(loop_, node_, 2);
  std::unique_ptr<SocketTransport> head;
  const std::string path = directory_ + "/later.sock";
  client_.then_closed = [&](PeerId) {
    if (client_.closed.size() != 3) return;
    head = std::make_unique<SocketTransport>(loop_, head_, 1);
    ASSERT_TRUE(head->listen(path, {.handler = &server_}));
  };
  client_.then_connected = [&](PeerId) { stop(); };
  ASSERT_TRUE(node.connect(path, {.handler = &client_, .first_backoff = milliseconds(1)}));
  run();
  EXPECT_EQ(client_.closed.size(), 3u);
  EXPECT_EQ(client_.closed.front().kind(), ErrorKind::NotFound);
}

TEST_F(SocketTransportTest, WithoutReconnectOneFailureIsTheEnd) {
  SocketTransport node(loop_, node_, 2);
  client_.then_closed = [&](PeerId) {
    loop_.arm(loop_.now().boot + milliseconds(20), [&] { stop(); });
  };
  ASSERT_TRUE(
      node.connect(directory_ + "/none.sock",
                   {.handler = &client_, .reconnect = false, .first_backoff = milliseconds(1)}));
  run();
  EXPECT_EQ(client_.closed.size(), 1u);
}

TEST_F(SocketTransportTest, DisconnectClosesAndDoesNotComeBack) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  ConnectorId connector;
  client_.then_connected = [&](PeerId) { node.disconnect(connector); };
  client_.then_closed = [&](PeerId) {
    loop_.arm(loop_.now().boot + milliseconds(20), [&] { stop(); });
  };
  connector = *node.connect(listen_tcp(head).endpoint, tcp_options());
  run();
  EXPECT_EQ(client_.connected.size(), 1u);
  EXPECT_EQ(client_.closed.size(), 1u);
}

TEST_F(SocketTransportTest, ConnectionsAboveTheBoundAreRefusedInWords) {
  SocketTransport head(loop_, head_, 1);
  TransportLimits limits;
  limits.max_connections = 1;
  const std::string path = listen_unix(head, limits);
  const Fd first = raw_unix(path);
  write_all(first, hello_bytes());
  Fd second;
  server_.then_connected = [&](PeerId) {
    second = raw_unix(path);
    ::shutdown(second.get(), SHUT_WR);
    loop_.watch_readable(second.get(), [&] { stop(); });
  };
  run();
  EXPECT_EQ(read_refusal(read_to_end(second).at(0)).kind(), ErrorKind::Exhausted);
  EXPECT_EQ(server_.connected.size(), 1u);
}

TEST_F(SocketTransportTest, AMessageThatIsBegunAndNotFinishedHasADeadline) {
  SocketTransport head(loop_, head_, 1);
  TransportLimits limits;
  limits.partial_deadline = milliseconds(20);
  const std::string path = listen_unix(head, limits);
  const Fd idle = raw_unix(path);
  write_all(idle, hello_bytes());
  const Fd raw = raw_unix(path);
  const std::string whole = wire::encode(request(std::string(1000, 'x')));
  write_all(raw, hello_bytes() + whole + whole.substr(0, 500));
  server_.then_closed = [&](PeerId) { stop(); };
  run();
  EXPECT_EQ(server_.frames.size(), 1u);
  const std::vector<Frame> said = read_to_end(raw);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(read_refusal(said[1]).kind(), ErrorKind::Unavailable);
  EXPECT_EQ(server_.connected.size(), 2u);
  EXPECT_EQ(server_.closed.size(), 1u) << "who says nothing may go on saying nothing";
}

TEST_F(SocketTransportTest, WhoLeavesLargeMessagesHalfSentIsRefusedAndOthersAreHeard) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else for a moment";
  SocketTransport head(loop_, head_, 1);
  TransportLimits limits;
  limits.max_partial_bytes_per_user = 100'000;
  const std::string path = listen_unix(head, limits);
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  const std::string whole = wire::encode(request(std::string(80'000, 'x')));
  ASSERT_EQ(::seteuid(12345), 0);
  const Fd first = raw_unix(path);
  const Fd second = raw_unix(path);
  ASSERT_EQ(::seteuid(0), 0);
  write_all(first, hello_bytes() + whole.substr(0, 60'000));
  write_all(second, hello_bytes() + whole.substr(0, 60'000));
  server_.then_closed = [&](PeerId) { stop(); };
  run();
  EXPECT_EQ(server_.closed.size(), 1u);
  const Fd of_another = raw_unix(path);
  write_all(of_another, hello_bytes() + whole);
  server_.then_frame = [&](PeerId, const Frame&) { stop(); };
  run();
  EXPECT_EQ(server_.frames.back().payload.size(), 80'000u);
  // What was given up counts no more: the one that was begun first can be finished.
  write_all(first, whole.substr(60'000));
  run();
  EXPECT_EQ(server_.frames.size(), 2u);
}

TEST_F(SocketTransportTest, LocalPeerThatDoesNotReadItsAnswersIsNotReadFurther) {
  SocketTransport head(loop_, head_, 1);
  const std::string path = listen_unix(head);
  const Fd raw = raw_unix(path);
  std::string bytes = hello_bytes();
  for (int i = 0; i < 400; ++i) bytes += wire::encode(request("ask"));
  ASSERT_LT(bytes.size(), FrameSocket::kReadSlice);
  write_all(raw, bytes);
  server_.then_frame = [&](PeerId peer, const Frame&) {
    if (server_.frames.size() > 400) return;
    EXPECT_TRUE(head.send(
        peer, {.type = FrameType::Response, .stream = 1, .payload = std::string(20'000, 'x')}));
    if (server_.frames.size() == 400) {
      write_all(raw, wire::encode(request("one more")));
      loop_.arm(loop_.now().boot + milliseconds(20), [&] { stop(); });
    }
  };
  run();
  EXPECT_EQ(server_.frames.size(), 400u);
  // It reads now: its request is seen.
  server_.then_frame = [&](PeerId, const Frame&) { stop(); };
  loop_.watch_readable(raw.get(), [&] {
    static char sink[1 << 16];
    (void)::recv(raw.get(), sink, sizeof sink, MSG_DONTWAIT);
  });
  run();
  EXPECT_EQ(server_.frames.back().payload, "one more");
}

TEST_F(SocketTransportTest, ListenersHaveHandlersAndKeysOfTheirOwn) {
  SocketTransport head(loop_, head_, 1);
  SocketTransport node(loop_, node_, 2);
  Recorder other;
  const auto second = head.listen("127.0.0.1:0", {.handler = &other, .key = "of the attempt"});
  ASSERT_TRUE(second.has_value());
  listen_tcp(head);
  ConnectOptions options = tcp_options();
  options.key = "of the attempt";
  client_.then_connected = [&](PeerId) { stop(); };
  ASSERT_TRUE(node.connect(second->endpoint, options));
  run();
  EXPECT_EQ(other.connected.size(), 1u);
  EXPECT_TRUE(server_.connected.empty());
}

TEST_F(SocketTransportTest, KeyBelongsToTcpAndToTcpAlone) {
  SocketTransport head(loop_, head_, 1);
  EXPECT_EQ(head.listen("127.0.0.1:0", {.handler = &server_}).error().kind(), ErrorKind::Invalid);
  EXPECT_EQ(head.listen(directory_ + "/s", {.handler = &server_, .key = kKey}).error().kind(),
            ErrorKind::Invalid);
  EXPECT_EQ(head.listen("127.0.0.1:0", {.handler = &server_, .key = ""}).error().kind(),
            ErrorKind::Invalid);
}

TEST_F(SocketTransportTest, SocketFileGoesWithItsListener) {
  const std::string path = directory_ + "/s.sock";
  {
    SocketTransport head(loop_, head_, 1);
    listen_unix(head);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SocketTransportTest, PostsOfATransportThatIsGoneDoNothing) {
  SocketTransport node(loop_, node_, 2);
  {
    SocketTransport gone(loop_, head_, 1);
    ASSERT_TRUE(gone.connect(directory_ + "/none.sock", {.handler = &server_}));
  }
  loop_.post([&] { stop(); });
  run();
  EXPECT_TRUE(server_.closed.empty());
}

}  // namespace
}  // namespace gangway::io
