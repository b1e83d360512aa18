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

// Two waiting jobs at a time are looked at again here.
World world_of_slices() {
  World world;
  world.config.jobs_of_slice = 2;
  world.start().node("n1", 8);
  return world;
}

TEST(ManyWaitingJobs, AreAllKnownBeforeTheFirstOneStartsAfterARestart) {
  World world = world_of_slices();
  for (int i = 0; i < 5; ++i) world.submit(job().cores(8));
  world.restart().node("n1", 8);
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.reason(2), PendingReason::Resources);
  EXPECT_EQ(world.reason(5), PendingReason::Priority);
}

TEST(ManyWaitingJobs, AreListedBeforeTheyHaveBeenLookedAt) {
  World world = world_of_slices();
  for (int i = 0; i < 5; ++i) world.submit(job().cores(8));
  world.boot();
  EXPECT_EQ(world.reason(5), PendingReason::None);
  EXPECT_EQ(world.phase(5), "Waiting");
  world.settle();
  EXPECT_NE(world.reason(5), PendingReason::None);
}

TEST(ManyWaitingJobs, OneThatIsCancelledBeforeItsTurnIsOver) {
  World world = world_of_slices();
  for (int i = 0; i < 5; ++i) world.submit(job().cores(8));
  world.submit(job().after(DependencyKind::AfterOk, 4));
  world.boot();
  EXPECT_EQ(world.cancel(4), "");
  EXPECT_EQ(world.end(4), OutcomeKind::Cancelled);
  EXPECT_EQ(world.reason(6), PendingReason::DependencyNeverSatisfied);
  world.node("n1", 8);
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.reason(2), PendingReason::Resources);
}

TEST(ManyWaitingJobs, WaitForWhatTheyDependOnAfterwardsAsBefore) {
  World world = world_of_slices();
  world.submit(job());
  for (int i = 0; i < 4; ++i) world.submit(job().cores(8).after(DependencyKind::AfterOk, 1));
  world.run(1);
  world.restart().node("n1", 8, {{1, 1, wire::HeldAttempt::RUNNING}});
  EXPECT_EQ(world.reason(5), PendingReason::Dependency);
  world.finished("n1", 1);
  EXPECT_EQ(world.phase(2), "Starting");
  EXPECT_EQ(world.reason(5), PendingReason::Priority);
}

}  // namespace
}  // namespace gangway::scheduler
