#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

// n1 and n2 with four cores each, and job 1 on both.
World two_nodes(SpecBuilder spec = job().nodes(2).mpi()) {
  World world;
  world.start().nodes(2);
  world.submit(spec);
  return world;
}

TEST(GangProtocol, AllNodesArePreparedBeforeAnyIsLaunched) {
  World world = two_nodes();
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.told("n1"), (Told{"registered", "prepare 1.1"}));
  world.prepared("n1", 1);
  EXPECT_EQ(world.told("n1"), Told{});
  EXPECT_EQ(world.phase(1), "Starting");
  world.prepared("n2", 1);
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_EQ(world.told("n1"), Told{"launch 1.1"});
  EXPECT_EQ(world.told("n2"), (Told{"registered", "prepare 1.1", "launch 1.1"}));
}

TEST(GangProtocol, PrepareCarriesTheWholeAllocationAndTheSecret) {
  World world = two_nodes();
  const wire::Prepare& prepare = world.last_sent("n2", wire::ToNode::kPrepare).prepare();
  EXPECT_EQ(prepare.allocation().shares_size(), 2);
  EXPECT_EQ(prepare.node_index(), 1u);
  EXPECT_EQ(prepare.secret(), "secret of 1.1");
  EXPECT_TRUE(prepare.leased());
  EXPECT_EQ(prepare.owner().user(), "alice");
}

TEST(GangProtocol, LaunchTellsWhereEveryShepherdListens) {
  World world = two_nodes();
  world.run(1);
  const wire::Launch& launch = world.last_sent("n1", wire::ToNode::kLaunch).launch();
  ASSERT_EQ(launch.peers_size(), 2);
  EXPECT_EQ(launch.peers(1).node(), "n2");
  EXPECT_EQ(launch.peers(1).address(), "n2.example");
  EXPECT_EQ(launch.peers(1).port(), 4000u);
}

TEST(GangProtocol, OneRefusalReleasesAll) {
  World world = two_nodes();
  world.prepared("n1", 1);
  (void)world.told("n1");
  world.refused("n2", 1, ErrorKind::NotFound);
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.told("n1"), Told{"stop 1.1 LAUNCH_FAILED"});
  world.finished("n1", 1, outcome(OutcomeKind::LaunchFailed));
  EXPECT_EQ(world.told("n1"), Told{"release 1.1"});
  EXPECT_EQ(world.end(1), OutcomeKind::LaunchFailed);
  EXPECT_EQ(world.detail(1), "n2: no");
}

TEST(GangProtocol, AFailureThatMayGoAwayIsTriedAgainLaterAndNotForEver) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  for (Attempt attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_EQ(world.phase(1), "Starting");
    world.finished("n1", 1, outcome(OutcomeKind::LaunchFailed, 75), attempt);
    ASSERT_EQ(world.phase(1), "Waiting");
    EXPECT_EQ(world.reason(1), PendingReason::LaunchFailedRequeued);
    world.live(seconds(5) * (1 << (attempt - 1)) - milliseconds(1));
    EXPECT_EQ(world.phase(1), "Waiting");
    world.live(milliseconds(1));
  }
  world.finished("n1", 1, outcome(OutcomeKind::LaunchFailed, 75), 4);
  EXPECT_EQ(world.phase(1), "Finished");
  EXPECT_EQ(world.end(1), OutcomeKind::LaunchFailed);
}

TEST(GangProtocol, AFailureThatCannotGetBetterEndsTheJobAtOnce) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.finished("n1", 1, outcome(OutcomeKind::LaunchFailed, 0));
  EXPECT_EQ(world.phase(1), "Finished");
}

TEST(GangProtocol, PreparingHasItsTime) {
  World world = two_nodes();
  world.prepared("n1", 1);
  world.live(minutes(30));
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.detail(1), "n2 was not prepared in time");
  world.finished("n1", 1, outcome(OutcomeKind::LaunchFailed));
  world.finished("n2", 1, outcome(OutcomeKind::LaunchFailed));
  EXPECT_EQ(world.phase(1), "Waiting");
}

TEST(GangProtocol, ANodeLostBetweenPrepareAndLaunchReleasesTheGang) {
  World world = two_nodes();
  world.prepared("n1", 1);
  world.disconnect("n2");
  world.live(minutes(10) + seconds(2));
  EXPECT_EQ(world.controller->state().find_node(NodeName("n2"))->contact, Contact::Lost);
  EXPECT_EQ(world.phase(1), "Completing");
  world.finished("n1", 1, outcome(OutcomeKind::NodeFailed));
  EXPECT_EQ(world.phase(1), "Waiting");
  EXPECT_EQ(world.reason(1), PendingReason::NodesUnavailable);
}

TEST(GangProtocol, AFailedRankStopsTheOtherNodes) {
  World world = two_nodes();
  world.run(1);
  (void)world.told("n1");
  world.finished("n2", 1, failed(3));
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.told("n1"), Told{"stop 1.1 FAILED"});
  world.finished("n1", 1, failed(143));
  EXPECT_EQ(world.phase(1), "Finished");
  EXPECT_EQ(world.get(1).outcome()->exit_code, 3);
}

TEST(GangProtocol, ANodeIsKeptUntilTheEndIsRecorded) {
  World world = two_nodes();
  world.run(1);
  (void)world.told("n1");
  world.finished("n1", 1, completed());
  EXPECT_EQ(world.told("n1"), Told{}) << "nothing durable tells of its end yet";
  world.finished("n2", 1, completed());
  EXPECT_EQ(world.told("n1"), Told{"release 1.1"});
  EXPECT_EQ(world.end(1), OutcomeKind::Completed);
}

TEST(GangProtocol, OfIndependentTasksTheWorstExitCodeCounts) {
  World world = two_nodes(job().nodes(2).every_task());
  world.run(1);
  world.finished("n1", 1, failed(7));
  EXPECT_EQ(world.phase(1), "Running") << "the tasks on n2 go on";
  world.finished("n2", 1, failed(2));
  EXPECT_EQ(world.get(1).outcome()->exit_code, 7);
}

TEST(GangProtocol, TheFirstNodeDecidesOnABatchScript) {
  World world = two_nodes(job().nodes(2));
  world.run(1);
  (void)world.told("n2");
  world.finished("n1", 1, completed());
  EXPECT_EQ(world.told("n2"), Told{"stop 1.1 COMPLETED"});
  EXPECT_EQ(world.phase(1), "Completing");
  world.finished("n2", 1, completed());
  EXPECT_EQ(world.end(1), OutcomeKind::Completed);
}

TEST(GangProtocol, NodesThatHaveCleanedUpAreFreeBeforeTheLastOne) {
  World world = two_nodes(job().nodes(2).cores(4));
  world.run(1);
  world.finished("n1", 1, completed());
  const auto next = world.submit(job().cores(4));
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.phase(next), "Starting");
  EXPECT_EQ(world.controller->nodes_held_by(World::key(1)), std::vector{NodeName("n2")});
}

TEST(GangProtocol, RepeatedAndLateMessagesChangeNothing) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.prepared("n1", 1);
  world.prepared("n1", 1);
  world.finished("n1", 1, completed());
  const auto version = world.get(1).version;
  (void)world.told("n1");
  world.finished("n1", 1, failed(1));
  EXPECT_EQ(world.told("n1"), Told{"release 1.1"});
  world.prepared("n1", 1);
  EXPECT_EQ(world.told("n1"), Told{"kill 1.1 CANCELLED"});
  world.finished("n1", 77, completed());
  EXPECT_EQ(world.told("n1"), Told{"release 77.1"});
  EXPECT_EQ(world.get(1).version, version);
}

TEST(GangProtocol, ALostNodeRequeuesAJobOnlyAfterItsLease) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.disconnect("n1");
  world.advance(minutes(10) + seconds(2) - milliseconds(1));
  EXPECT_EQ(world.phase(1), "Running");
  world.advance(milliseconds(1));
  EXPECT_EQ(world.phase(1), "Waiting");
  world.node("n2");
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.get(1).attempt, 2u);
}

TEST(GangProtocol, AJobThatMustNotRunTwiceIsNeverEndedBySilence) {
  World world;
  world.start().nodes(1);
  world.submit(job().no_requeue());
  EXPECT_FALSE(world.last_sent("n1", wire::ToNode::kPrepare).prepare().leased());
  world.run(1);
  world.disconnect("n1");
  world.advance(hours(5));
  EXPECT_EQ(world.phase(1), "Running");
  wire::Request request;
  request.mutable_node_command()->set_verb(wire::NodeCommand::CONFIRM_DOWN);
  request.mutable_node_command()->set_name("n1");
  EXPECT_FALSE(world.ask(kOlga, request).has_error());
  EXPECT_EQ(world.phase(1), "Finished");
  EXPECT_EQ(world.end(1), OutcomeKind::NodeFailed);
}

TEST(GangProtocol, ANewBootEndsOldAttemptsAtOnce) {
  World world;
  world.start().nodes(1);
  world.submit(job().no_requeue());
  world.submit(job());
  world.run(1);
  world.run(2);
  world.disconnect("n1");
  world.node("n1", 4, {}, "boot-2");
  EXPECT_EQ(world.end(1), OutcomeKind::NodeFailed);
  EXPECT_EQ(world.phase(2), "Starting");
  EXPECT_EQ(world.get(2).attempt, 2u);
}

TEST(GangProtocol, ANodeThatComesBackWithAnOldAttemptIsToldToStopIt) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.disconnect("n1");
  world.advance(minutes(11));
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.told("n1"), (Told{"registered", "kill 1.1 CANCELLED", "prepare 1.2"}));
  world.heartbeat("n1");
  EXPECT_EQ(world.told("n1"), (Told{"ack", "kill 1.1 CANCELLED"})) << "until it is gone";
  world.finished("n1", 1, completed(), 1);
  world.heartbeat("n1");
  EXPECT_EQ(world.told("n1"), (Told{"release 1.1", "ack"}));
}

TEST(GangProtocol, TheEndOfALimitIsTheJobs) {
  World world;
  world.start().nodes(1);
  world.submit(job().limit(seconds(60)));
  world.run(1);
  world.finished("n1", 1, outcome(OutcomeKind::TimedOut));
  EXPECT_EQ(world.end(1), OutcomeKind::TimedOut);
}

}  // namespace
}  // namespace gangway::scheduler
