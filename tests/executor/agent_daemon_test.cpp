#include "executor/agent_daemon.hpp"

#include <gtest/gtest.h>

#include "queues/wire/convert.hpp"
#include "tests/executor/fakes.hpp"

namespace gangway::executor {
namespace {

using namespace testing;  // NOLINT: the fakes of this folder

constexpr io::PeerId kScheduler{1};
constexpr io::PeerId kShepherd{2};
constexpr AttemptKey kFirst{{JobId{42}}, 1};

struct World {
  explicit World(std::vector<RecoveredAttempt> recovered = {})
      : daemon({loop, transport, ports, host, [this](const Error&) { fatal = true; }},
               config(),
               std::move(recovered),
               0,
               500) {
    daemon.start();
  }
  static AgentConfig config() {
    AgentConfig c;
    c.node = NodeName("n0");
    return c;
  }
  World& registered() {
    ports.scheduler->on_connected(kScheduler, io::ClusterMember{NodeName("scheduler")});
    wire::ToNode message;
    message.mutable_registered()->set_lease_ns(seconds(60).ns);
    message.mutable_registered()->set_heartbeat_every_ns(seconds(5).ns);
    return order(message);
  }
  World& order(wire::ToNode message) {
    message.set_epoch(7);
    ports.scheduler->on_frame(kScheduler, frame(wire::FrameType::ToNode, message));
    loop.pass();
    return *this;
  }
  World& prepare() {
    wire::ToNode message;
    wire::to_wire(kFirst.key, message.mutable_prepare()->mutable_key());
    message.mutable_prepare()->set_attempt(1);
    message.mutable_prepare()->mutable_owner()->set_uid(1000);
    message.mutable_prepare()->mutable_allocation()->add_shares()->set_node("n0");
    return order(message);
  }
  World& hello(io::PeerId peer = kShepherd, std::uint32_t uid = 500) {
    daemon.shepherds().on_connected(peer, io::LocalUser{uid, 0, 1});
    wire::FromShepherd message;
    wire::to_wire(kFirst.key, message.mutable_hello()->mutable_key());
    message.mutable_hello()->set_attempt(1);
    daemon.shepherds().on_frame(peer, frame(wire::FrameType::FromShepherd, message));
    return *this;
  }
  World& say_finished(io::PeerId peer = kShepherd) {
    wire::FromShepherd message;
    message.mutable_finished()->mutable_outcome()->set_exit_code(3);
    daemon.shepherds().on_frame(peer, frame(wire::FrameType::FromShepherd, message));
    return *this;
  }
  std::vector<wire::FromNode> told() { return transport.take<wire::FromNode>(kScheduler); }

  FakeLoop loop;
  FakeTransport transport;
  FakeAgentPorts ports;
  FakeHost host;
  bool fatal = false;
  AgentDaemon daemon;
};

RecoveredAttempt alive() {
  RecoveredAttempt r;
  r.key = kFirst;
  r.shepherd_alive = true;
  return r;
}

TEST(AgentDaemon, ItRegistersHeartbeatsAndSpawns) {
  World w;
  w.registered().prepare();
  EXPECT_EQ(w.host.spawned, std::vector<AttemptKey>{kFirst});
  EXPECT_EQ(w.host.epoch, 7U);
  const auto told = w.told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].has_register_());
  EXPECT_TRUE(told[1].has_heartbeat());
  w.loop.pass(seconds(5));
  EXPECT_TRUE(w.told().back().has_heartbeat());
}
TEST(AgentDaemon, ReportsGoUpAndOrdersDown) {
  World w;
  w.registered().prepare().hello();
  w.told();
  w.say_finished();
  ASSERT_EQ(w.told().size(), 1U);
  wire::ToNode release;
  wire::to_wire(kFirst.key, release.mutable_release()->mutable_key());
  release.mutable_release()->set_attempt(1);
  w.order(release);
  const auto heard = w.transport.take<wire::ToShepherd>(kShepherd);
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_TRUE(heard[0].has_release());
  EXPECT_EQ(w.host.forgotten, std::vector<AttemptKey>{kFirst});
}
TEST(AgentDaemon, StrangersAreTurnedAway) {
  World w;
  w.registered().prepare().hello(kShepherd, 1000);
  EXPECT_EQ(w.transport.closed, std::vector<io::PeerId>{kShepherd});
  w.told();
  w.say_finished();
  EXPECT_TRUE(w.told().empty());
}
TEST(AgentDaemon, AShepherdSaysHelloFirst) {
  World w;
  w.registered().prepare();
  w.daemon.shepherds().on_connected(kShepherd, io::LocalUser{500, 0, 1});
  w.say_finished();
  EXPECT_EQ(w.transport.closed, std::vector<io::PeerId>{kShepherd});
}
TEST(AgentDaemon, ItWaitsForRecoveredShepherdsBeforeItRegisters) {
  World w({alive()});
  EXPECT_EQ(w.ports.scheduler, nullptr);
  w.hello();
  EXPECT_NE(w.ports.scheduler, nullptr);
}
TEST(AgentDaemon, ItDoesNotWaitForEver) {
  World w({alive()});
  w.loop.pass(kHelloPatience);
  EXPECT_NE(w.ports.scheduler, nullptr);
}
TEST(AgentDaemon, ARecoveredShepherdThatEndsIsNotWaitedFor) {
  World w({alive()});
  w.host.on_gone(kFirst, "it ended", std::nullopt);
  EXPECT_NE(w.ports.scheduler, nullptr);
}
TEST(AgentDaemon, AnEpochThatCannotBeStoredIsTheEnd) {
  World w;
  w.host.epoch_error = Error(ErrorKind::Exhausted, "disk full");
  w.registered();
  EXPECT_TRUE(w.fatal);
  w.prepare();
  EXPECT_TRUE(w.host.spawned.empty());
}
TEST(AgentDaemon, AnOlderConnectionsEndIsNotTheShepherds) {
  World w;
  w.registered().prepare().hello(kShepherd).hello(io::PeerId{9});
  w.daemon.shepherds().on_closed(kShepherd, Error(ErrorKind::Unavailable, "closed"));
  wire::ToNode stop;
  wire::to_wire(kFirst.key, stop.mutable_stop()->mutable_key());
  stop.mutable_stop()->set_attempt(1);
  w.order(stop);
  EXPECT_EQ(w.transport.take<wire::ToShepherd>(io::PeerId{9}).size(), 1U);
}

}  // namespace
}  // namespace gangway::executor
