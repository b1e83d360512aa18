#include "executor/shepherd.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "queues/wire/convert.hpp"
#include "tests/executor/fakes.hpp"

namespace gangway::executor {
namespace {

using namespace testing;  // NOLINT: the fakes of this folder

constexpr io::PeerId kAgent{1};
constexpr io::PeerId kLink{2};
constexpr io::PeerId kOther{3};

StepOrder make_order(int nodes, std::uint32_t index, bool mpi) {
  StepOrder order;
  order.key = {JobId{42}};
  order.attempt = 1;
  order.node_index = index;
  order.leased = true;
  order.spec.name = "solve";
  order.spec.argv = {"solve"};
  order.spec.workdir = "/tmp";
  order.spec.components = {Component{}};
  order.spec.components[0].nodes = nodes;
  order.spec.components[0].tasks = nodes;
  if (mpi) {
    order.spec.launch = LaunchMode::Tasks;
    order.spec.mpi = MpiMode::Pmix;
  }
  for (int i = 0; i < nodes; ++i) {
    NodeShare share;
    share.node = NodeName("n" + std::to_string(i));
    share.resources.cores = 1;
    share.cores = {0};
    share.first_task = i;
    share.tasks = 1;
    order.allocation.shares.push_back(share);
  }
  return order;
}

struct World {
  explicit World(int nodes = 1, std::uint32_t index = 0, bool mpi = false)
      : shepherd({.loop = loop,
                  .transport = transport,
                  .ports = ports,
                  .runtime = runtime,
                  .records = records,
                  .make_pmix_link =
                      [this](PmixHandler& handler) {
                        return std::make_unique<FakePmixLink>(pmix, handler);
                      },
                  .leave = [this] { left = true; }},
                 make_order(nodes, index, mpi),
                 facts(index),
                 loop.now().boot + seconds(60),
                 4711) {
    shepherd.start();
  }
  static LaunchFacts facts(std::uint32_t index) {
    LaunchFacts f;
    f.node = NodeName("n" + std::to_string(index));
    f.user.uid = 1000;
    f.user.name = "alice";
    f.pmix_server = "jpmixd";
    return f;
  }
  World& agent_comes(io::PeerId peer = kAgent) {
    ports.agent->on_connected(peer, io::LocalUser{});
    return *this;
  }
  World& agent_says(const wire::ToShepherd& message) {
    ports.agent->on_frame(kAgent, frame(wire::FrameType::ToShepherd, message));
    loop.pass();
    return *this;
  }
  World& prepared() {
    runtime.prepared(containers::SandboxReady{});
    loop.pass();
    return *this;
  }
  World& launch() {
    wire::ToShepherd message;
    for (std::uint32_t i = 0; i < 3; ++i) {
      wire::GangPeer* peer = message.mutable_launch()->add_peers();
      peer->set_node("n" + std::to_string(i));
      peer->set_address("10.0.0." + std::to_string(i + 1));
      peer->set_port(7000 + i);
    }
    return agent_says(message);
  }
  World& pmix_ready(std::uint32_t rank) {
    wire::PmixReady ready;
    wire::RankEnv* env = ready.add_ranks();
    env->set_rank(rank);
    env->add_env("PMIX_RANK=" + std::to_string(rank));
    pmix.handler->on_pmix_ready(ready);
    return *this;
  }
  std::vector<wire::FromShepherd> heard() { return transport.take<wire::FromShepherd>(kAgent); }

  FakeLoop loop;
  FakeTransport transport;
  FakeShepherdPorts ports;
  FakeRuntime runtime;
  FakeRecords records;
  FakePmix pmix;
  bool left = false;
  Shepherd shepherd;
};

wire::FromPmix whole_fence(std::uint32_t rank, std::uint64_t id = 1) {
  wire::FromPmix message;
  message.mutable_fence()->set_id(id);
  message.mutable_fence()->set_whole(true);
  message.mutable_fence()->set_data("of rank " + std::to_string(rank));
  return message;
}

// ---- one node ----------------------------------------------------------------------------------

TEST(Shepherd, ABatchJobGoesFromOrderToRelease) {
  World w;
  w.agent_comes().prepared().launch();
  ASSERT_EQ(w.runtime.programs.size(), 1U);
  w.runtime.end(0, 3 << 8);
  w.runtime.cleaned({seconds(1), mebibytes(5), false});
  EXPECT_EQ(w.records.writes, 1);
  const auto heard = w.heard();
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_TRUE(heard[0].has_hello());
  EXPECT_EQ(heard[0].hello().pid(), 4711);
  EXPECT_TRUE(heard[1].has_prepared());
  ASSERT_TRUE(heard[2].has_finished());
  EXPECT_EQ(heard[2].finished().outcome().exit_code(), 3);
  EXPECT_EQ(heard[2].finished().usage().peak_memory_bytes(), mebibytes(5).value);
  EXPECT_FALSE(w.left);
  wire::ToShepherd release;
  release.mutable_release();
  w.agent_says(release);
  EXPECT_TRUE(w.left);
}
TEST(Shepherd, AnAgentThatComesBackHearsHowThingsStand) {
  World w;
  w.prepared();  // nobody listens yet
  w.agent_comes();
  auto heard = w.heard();
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].hello().state(), wire::HeldAttempt::PREPARED);
  EXPECT_TRUE(heard[1].has_prepared());
  w.launch();
  w.ports.agent->on_closed(kAgent, Error(ErrorKind::Unavailable, "gone"));
  w.runtime.end(0, 0);
  w.runtime.cleaned({});
  EXPECT_TRUE(w.heard().empty());
  w.agent_comes();
  heard = w.heard();
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].hello().state(), wire::HeldAttempt::FINISHED);
  EXPECT_TRUE(heard[1].has_finished());
  EXPECT_EQ(w.records.writes, 1);
}
TEST(Shepherd, AFailedPreparationNamesTheNode) {
  World w;
  w.agent_comes();
  w.runtime.prepared(Error(ErrorKind::NotFound, "no such image"));
  w.runtime.cleaned({});
  const auto heard = w.heard();
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[1].finished().outcome().detail(), "prepare on n0: no such image");
  EXPECT_TRUE(heard[1].finished().never_launched());
}
TEST(Shepherd, ALeaseWithoutContactEndsTheJob) {
  World w;
  w.agent_comes().prepared().launch();
  w.ports.agent->on_closed(kAgent, Error(ErrorKind::Unavailable, "gone"));
  w.loop.pass(seconds(59));
  EXPECT_TRUE(w.runtime.signals.empty());
  w.loop.pass(seconds(1));
  EXPECT_EQ(w.runtime.signals, std::vector<int>{SIGKILL});
}
TEST(Shepherd, ALeaseThatEndsWhileTheUsageIsWrittenEndsEverythingAtOnce) {
  FakeLoop loop;
  FakeTransport transport;
  FakeShepherdPorts ports;
  FakeRuntime runtime;
  FakeRecords records;
  StepOrder order = make_order(1, 0, false);
  order.spec.report_usage = true;
  LaunchFacts facts = World::facts(0);
  facts.step_tool = "jrun";
  Shepherd shepherd({.loop = loop,
                     .transport = transport,
                     .ports = ports,
                     .runtime = runtime,
                     .records = records,
                     .make_pmix_link = {},
                     .leave = [] {}},
                    order, facts, loop.now().boot + seconds(60), 4711);
  shepherd.start();
  ports.agent->on_connected(kAgent, io::LocalUser{});
  runtime.prepared(containers::SandboxReady{});
  loop.pass();
  wire::ToShepherd launch;
  launch.mutable_launch();
  ports.agent->on_frame(kAgent, frame(wire::FrameType::ToShepherd, launch));
  loop.pass(seconds(59));
  runtime.end(0, 0);
  loop.pass();
  ASSERT_EQ(runtime.programs.size(), 2U) << "the line on what was used is written";
  EXPECT_FALSE(runtime.cleaned);
  loop.pass(seconds(1));  // the lease ends
  ASSERT_TRUE(runtime.cleaned);
  runtime.cleaned({});
  loop.pass(minutes(1));  // what was waited for comes to nothing
  EXPECT_EQ(records.writes, 1);
}
TEST(Shepherd, ContactRenewsTheLease) {
  World w;
  w.agent_comes().prepared().launch();
  wire::ToShepherd lease;
  lease.mutable_lease_until()->set_boot_ns((w.loop.now().boot + seconds(600)).ns);
  w.agent_says(lease);
  w.loop.pass(seconds(599));
  EXPECT_TRUE(w.runtime.signals.empty());
  w.loop.pass(seconds(1));
  EXPECT_EQ(w.runtime.signals, std::vector<int>{SIGKILL});
}
TEST(Shepherd, AStopIsTermThenKill) {
  World w;
  w.agent_comes().prepared().launch();
  wire::ToShepherd stop;
  Outcome cancelled;
  cancelled.kind = OutcomeKind::Cancelled;
  wire::to_wire(cancelled, stop.mutable_stop()->mutable_outcome());
  w.agent_says(stop);
  EXPECT_EQ(w.runtime.signals[0], SIGTERM);
  w.loop.pass(seconds(30));
  EXPECT_EQ(w.runtime.signals.back(), SIGKILL);
  w.runtime.end(0, SIGKILL);
  w.runtime.cleaned({});
  EXPECT_EQ(wire::from_wire(w.heard().back().finished().outcome())->kind, OutcomeKind::Cancelled);
}
TEST(Shepherd, ASignalIsNoStop) {
  World w;
  w.agent_comes().prepared().launch();
  wire::ToShepherd signal;
  signal.mutable_stop()->set_signal(SIGUSR1);
  w.agent_says(signal);
  EXPECT_EQ(w.runtime.signals, std::vector<int>{SIGUSR1});
}
TEST(Shepherd, ARecordThatIsSoonReleasedIsNotSynced) {
  World w;
  w.agent_comes().prepared().launch();
  w.runtime.end(0, 0);
  w.runtime.cleaned({});
  wire::ToShepherd release;
  release.mutable_release();
  w.agent_says(release);
  w.loop.pass(minutes(1));
  EXPECT_EQ(w.records.writes, 1);
  EXPECT_EQ(w.records.syncs, 0);
}
TEST(Shepherd, ARecordThatIsKeptIsSynced) {
  World w;
  w.agent_comes().prepared().launch();
  w.runtime.end(0, 0);
  w.runtime.cleaned({});
  w.loop.pass(kSyncPatience);
  EXPECT_EQ(w.records.syncs, 1);
}
TEST(Shepherd, ARecordThatNobodyHearsOfIsSyncedAtOnce) {
  World w;
  w.agent_comes().prepared().launch();
  w.ports.agent->on_closed(kAgent, Error(ErrorKind::Unavailable, "gone"));
  w.runtime.end(0, 0);
  w.runtime.cleaned({});
  w.loop.pass();
  EXPECT_EQ(w.records.syncs, 1);
}
TEST(Shepherd, AFullDiskDoesNotHideTheEnd) {
  World w;
  w.records.error = Error(ErrorKind::Exhausted, "disk full");
  w.agent_comes().prepared().launch();
  w.runtime.end(0, 0);
  w.runtime.cleaned({});
  EXPECT_TRUE(w.heard().back().has_finished());
}
TEST(Shepherd, AFrameThatMakesNoSenseEndsTheConnection) {
  World w;
  w.agent_comes();
  wire::Frame bad;
  bad.type = wire::FrameType::ToShepherd;
  bad.payload = "\xff\xff\xff";
  w.ports.agent->on_frame(kAgent, bad);
  EXPECT_EQ(w.transport.closed, std::vector<io::PeerId>{kAgent});
}

// ---- MPI ---------------------------------------------------------------------------------------

TEST(Shepherd, RanksStartWithWhatTheirServerGives) {
  World w(1, 0, true);
  w.agent_comes().prepared().launch();
  ASSERT_EQ(w.runtime.programs.size(), 1U);
  EXPECT_TRUE(w.runtime.programs[0].host_files);
  ASSERT_FALSE(w.pmix.heard.empty());
  EXPECT_TRUE(w.pmix.heard[0].has_setup());
  w.pmix_ready(0);
  ASSERT_EQ(w.runtime.programs.size(), 2U);
  EXPECT_EQ(w.runtime.programs[1].env.back(), "PMIX_RANK=0");
  w.runtime.end(0, 0);
  EXPECT_TRUE(w.pmix.closed);
}
TEST(Shepherd, AServerThatCannotStartIsAFailedLaunch) {
  World w(1, 0, true);
  w.agent_comes().prepared().launch();
  w.runtime.ends.at(kPmixServerId)({kPmixServerId, false, 0, "jpmixd: no such file"});
  w.runtime.cleaned({});
  const auto finished = w.heard().back().finished();
  EXPECT_EQ(wire::from_wire(finished.outcome())->kind, OutcomeKind::LaunchFailed);
  EXPECT_TRUE(finished.never_launched());
}
TEST(Shepherd, AnAbortsCodeIsReported) {
  World w(1, 0, true);
  w.agent_comes().prepared().launch().pmix_ready(0);
  wire::PmixAbort abort;
  abort.set_status(42);
  w.pmix.handler->on_pmix_abort(abort);
  EXPECT_EQ(w.runtime.signals[0], SIGTERM);
  w.runtime.end(0, SIGTERM);
  w.runtime.cleaned({});
  EXPECT_EQ(w.heard().back().finished().outcome().exit_code(), 42);
}

// ---- the gang
// ------------------------------------------------------------------------------------ Node 1 of
// three: its parent in the fence tree is node 0.

struct Gang : World {
  Gang() : World(3, 1, true) { agent_comes().prepared().launch().pmix_ready(1); }
  std::vector<wire::Peer> said(io::PeerId link) { return transport.take<wire::Peer>(link); }
  void fence() { pmix.handler->on_pmix_exchange(whole_fence(1)); }
  void dialled_answers() {
    ports.dialled_handler->on_connected(kLink, io::ClusterMember{NodeName("n0")});
  }
};

TEST(ShepherdGang, ThePortIsToldWhenPrepared) {
  World w(3, 1, true);
  w.agent_comes().prepared();
  EXPECT_EQ(w.heard()[1].prepared().port(), 7001U);
}
TEST(ShepherdGang, AGangListensWithoutRanksToo) {
  World w(3, 0, false);
  w.agent_comes().prepared();
  EXPECT_NE(w.ports.gang, nullptr);
  EXPECT_EQ(w.heard()[1].prepared().port(), 7001U);
}
TEST(ShepherdGang, OneNodeAloneDoesNotListen) {
  World w(1, 0, false);
  w.agent_comes().prepared();
  EXPECT_EQ(w.ports.gang, nullptr);
  EXPECT_EQ(w.heard()[1].prepared().port(), 0U);
}
TEST(ShepherdGang, ANodeThatCannotListenIsNotPrepared) {
  // start() has listened already; so a world whose ports refuse from the beginning.
  FakeLoop loop;
  FakeTransport transport;
  FakeShepherdPorts ports;
  ports.listen_error = Error(ErrorKind::Exhausted, "no port");
  FakeRuntime runtime;
  FakeRecords records;
  FakePmix pmix;
  Shepherd shepherd(
      {loop, transport, ports, runtime, records,
       [&](PmixHandler& h) { return std::make_unique<FakePmixLink>(pmix, h); }, [] {}},
      make_order(3, 1, true), World::facts(1), loop.now().boot + seconds(60), 1);
  shepherd.start();
  EXPECT_FALSE(runtime.request.has_value());
  EXPECT_EQ(shepherd.machine().phase(), StepPhase::CleaningUp);
}
TEST(ShepherdGang, PeersAreDialledWhenThereIsSomethingToSay) {
  Gang g;
  EXPECT_TRUE(g.ports.dialled.empty());
  g.fence();
  ASSERT_EQ(g.ports.dialled.size(), 1U);
  EXPECT_EQ(g.ports.dialled[0].address, "10.0.0.1");
  EXPECT_EQ(g.ports.dialled[0].port, 7000);
  EXPECT_TRUE(g.said(kLink).empty());
  g.dialled_answers();
  const auto said = g.said(kLink);
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(said[0].hello().node_index(), 1U);
  EXPECT_EQ(said[1].fence_up().data(), "of rank 1");
}
TEST(ShepherdGang, AnOpenLinkServesBothWays) {
  Gang g;
  g.ports.gang->on_connected(kOther, io::ClusterMember{NodeName("n0")});
  wire::Peer hello;
  hello.mutable_hello()->set_node_index(0);
  g.ports.gang->on_frame(kOther, frame(wire::FrameType::Peer, hello));
  g.fence();
  EXPECT_TRUE(g.ports.dialled.empty());
  EXPECT_EQ(g.said(kOther).size(), 1U);
}
TEST(ShepherdGang, AStrangerIsTurnedAway) {
  Gang g;
  g.ports.gang->on_connected(kOther, io::ClusterMember{NodeName("n9")});
  EXPECT_EQ(g.transport.closed, std::vector<io::PeerId>{kOther});
}
TEST(ShepherdGang, ANodeSpeaksForItselfOnly) {
  Gang g;
  g.ports.gang->on_connected(kOther, io::ClusterMember{NodeName("n2")});
  wire::Peer hello;
  hello.mutable_hello()->set_node_index(0);
  g.ports.gang->on_frame(kOther, frame(wire::FrameType::Peer, hello));
  EXPECT_EQ(g.transport.closed, std::vector<io::PeerId>{kOther});
}
TEST(ShepherdGang, ALostPeerThatIsNeededIsALostNode) {
  Gang g;
  g.fence();
  g.dialled_answers();
  g.ports.dialled_handler->on_closed(kLink, Error(ErrorKind::Unavailable, "reset"));
  EXPECT_EQ(g.runtime.signals[0], SIGTERM);
  g.runtime.end(0, SIGTERM);
  g.runtime.cleaned({});
  const Outcome outcome = *wire::from_wire(g.heard().back().finished().outcome());
  EXPECT_EQ(outcome.kind, OutcomeKind::NodeFailed);
  EXPECT_NE(outcome.detail.find("n0"), std::string::npos);
}
TEST(ShepherdGang, APeerThatLeavesAfterItsWorkIsNoLoss) {
  Gang g;
  g.ports.gang->on_connected(kOther, io::ClusterMember{NodeName("n2")});
  wire::Peer hello;
  hello.mutable_hello()->set_node_index(2);
  g.ports.gang->on_frame(kOther, frame(wire::FrameType::Peer, hello));
  g.ports.gang->on_closed(kOther, Error(ErrorKind::Unavailable, "closed"));
  EXPECT_TRUE(g.runtime.signals.empty());
}
TEST(ShepherdGang, AConnectThatFailsIsTriedOnByThePorts) {
  Gang g;
  g.fence();
  g.ports.dialled_handler->on_closed(kLink, Error(ErrorKind::Unavailable, "refused"));
  EXPECT_TRUE(g.runtime.signals.empty());
  g.dialled_answers();
  EXPECT_EQ(g.said(kLink).size(), 2U);
}
TEST(ShepherdGang, WhatPeersSayBeforeOurLaunchIsKept) {
  World w(3, 0, true);
  w.agent_comes().prepared();
  w.ports.gang->on_connected(kOther, io::ClusterMember{NodeName("n1")});
  wire::Peer hello;
  hello.mutable_hello()->set_node_index(1);
  w.ports.gang->on_frame(kOther, frame(wire::FrameType::Peer, hello));
  wire::Peer ask;
  ask.mutable_modex_ask()->set_id(5);
  ask.mutable_modex_ask()->set_rank(0);
  w.ports.gang->on_frame(kOther, frame(wire::FrameType::Peer, ask));
  EXPECT_TRUE(w.pmix.heard.empty());
  w.launch();
  ASSERT_EQ(w.pmix.heard.size(), 2U);
  EXPECT_TRUE(w.pmix.heard[0].has_setup());
  EXPECT_TRUE(w.pmix.heard[1].has_modex_ask());
}

}  // namespace
}  // namespace gangway::executor
