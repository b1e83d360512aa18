#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

TEST(Restart, WaitingJobsWaitAndStart) {
  World world;
  world.start().node("n1", 1);
  world.submit(job());
  world.submit(job());
  world.run(1);
  world.restart().node("n1", 1, {{1, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.phase(1), "Running");
  EXPECT_EQ(world.reason(2), PendingReason::Resources);
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(Restart, AStartingJobIsPreparedAgainAndGoesOn) {
  World world;
  world.start().nodes(2);
  world.submit(job().nodes(2).mpi());
  world.prepared("n1", 1);
  world.restart();
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::PREPARED}});
  EXPECT_EQ(world.told("n1"), (Told{"registered", "prepare 1.1"})) << "to hear its address again";
  world.node("n2");
  EXPECT_EQ(world.told("n2"), (Told{"registered", "prepare 1.1"}));
  world.prepared("n1", 1);
  world.prepared("n2", 1);
  EXPECT_EQ(world.phase(1), "Running");
}

TEST(Restart, TheSecretOfAnAttemptStaysTheSame) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  const std::string secret = world.last_sent("n1", wire::ToNode::kPrepare).prepare().secret();
  world.restart().nodes(1);
  EXPECT_EQ(world.last_sent("n1", wire::ToNode::kPrepare).prepare().secret(), secret);
}

TEST(Restart, ALostLaunchIsSentAgain) {
  World world;
  world.start().nodes(2);
  world.submit(job().nodes(2).mpi());
  world.run(1);
  world.restart();
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  world.node("n2", 4, {{1, 1, wire::HeldAttempt::PREPARED}});
  // The addresses of the gang went with the scheduler; Prepare asks for them.
  EXPECT_EQ(world.told("n1"), (Told{"registered", "prepare 1.1"}));
  world.prepared("n1", 1);
  world.prepared("n2", 1);
  EXPECT_EQ(world.told("n2"), (Told{"registered", "prepare 1.1", "launch 1.1"}));
  EXPECT_EQ(world.phase(1), "Running");
}

TEST(Restart, WhatANodeNoLongerHoldsHasFailedThere) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.submit(job().no_requeue());
  world.run(1);
  world.run(2);
  world.restart().nodes(1);
  EXPECT_EQ(world.get(1).attempt, 2u);
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.end(2), OutcomeKind::NodeFailed);
}

TEST(Restart, NobodyIsLostBeforeAFullLease) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.advance(minutes(9));
  world.heartbeat("n1");
  world.restart();
  world.advance(minutes(10) + seconds(1));
  EXPECT_EQ(world.phase(1), "Running");
  world.advance(seconds(1));
  EXPECT_EQ(world.phase(1), "Waiting");
}

TEST(Restart, AnAttemptOfALongerLeaseIsNotGivenUpBefore) {
  World world;
  world.config.lease = minutes(30);
  world.start().nodes(2);
  world.submit(job());
  world.run(1);
  world.config.lease_before = world.config.lease;
  world.config.lease = minutes(1);
  world.restart().node("n2");
  world.live(minutes(29));
  EXPECT_EQ(world.phase(1), "Running");
  world.live(minutes(2));
  EXPECT_EQ(world.phase(1), "Starting") << "on the other node";
}

TEST(Restart, AJobThatCleansUpOnALostNodeEnds) {
  World world;
  world.start().nodes(2);
  world.submit(job().nodes(2).mpi());
  world.run(1);
  world.disconnect("n2");
  world.live(world.config.lease + world.config.lease_drift + minutes(1));
  ASSERT_EQ(world.phase(1), "Completing") << "n1 still cleans up";
  world.restart().node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(1), "Waiting") << "for a second node";
}

TEST(Restart, ACancelledJobIsStoppedStill) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.cancel(1);
  world.restart().node("n1", 4, {{1, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.told("n1"), (Told{"registered", "stop 1.1 CANCELLED"}));
  world.finished("n1", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.told("n1"), Told{"release 1.1"});
  EXPECT_EQ(world.phase(1), "Finished");
}

TEST(Restart, APartThatFinishedMeanwhileReportsAgainAndIsReleased) {
  World world;
  world.start().nodes(1);
  world.submit(job());
  world.run(1);
  world.restart().node("n1", 4, {{1, 1, wire::HeldAttempt::FINISHED}});
  EXPECT_EQ(world.phase(1), "Running");
  world.finished("n1", 1, failed(4));
  EXPECT_EQ(world.get(1).outcome()->exit_code, 4);
  EXPECT_EQ(world.told("n1"), (Told{"registered", "release 1.1"}));
}

TEST(Restart, HoldsAndDrainsStay) {
  World world;
  world.start().nodes(1);
  world.submit(job().held());
  wire::Request request;
  request.mutable_node_command()->set_verb(wire::NodeCommand::DRAIN);
  request.mutable_node_command()->set_name("n1");
  EXPECT_FALSE(world.ask(kOlga, request).has_error());
  world.restart().nodes(1);
  EXPECT_EQ(world.reason(1), PendingReason::JobHeldUser);
  EXPECT_TRUE(world.controller->state().find_node(NodeName("n1"))->drain);
}

TEST(Restart, OrdersCarryTheNewEpoch) {
  World world;
  world.start().nodes(1);
  world.restart().nodes(1);
  EXPECT_EQ(world.last_sent("n1", wire::ToNode::kRegistered).epoch(), 2u);
}

}  // namespace
}  // namespace gangway::scheduler
