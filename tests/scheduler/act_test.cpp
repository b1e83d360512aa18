#include <gtest/gtest.h>

#include "controller_world.hpp"

namespace gangway::scheduler {
namespace {

World one_node() {
  World world;
  world.start().node("n1");
  return world;
}

TEST(Cancel, AWaitingJobEndsAtOnce) {
  World world = one_node();
  world.submit(job().held());
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(world.phase(1), "Finished");
  EXPECT_EQ(world.detail(1), "cancelled by alice");
}

TEST(Cancel, AStartingJobIsReleasedEverywhere) {
  World world = one_node();
  world.submit(job());
  (void)world.told("n1");
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.told("n1"), Told{"stop 1.1 CANCELLED"});
  world.prepared("n1", 1);
  EXPECT_EQ(world.told("n1"), Told{"stop 1.1 CANCELLED"}) << "the two have crossed";
  world.finished("n1", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.end(1), OutcomeKind::Cancelled);
}

TEST(Cancel, ARunningJobIsStoppedAndItsEndIsTheCancellation) {
  World world = one_node();
  world.submit(job());
  world.run(1);
  EXPECT_EQ(world.cancel(1), "");
  EXPECT_EQ(world.phase(1), "Completing");
  world.finished("n1", 1, completed());
  EXPECT_EQ(world.end(1), OutcomeKind::Cancelled);
}

TEST(Cancel, AnEndedJobIsAConflict) {
  World world = one_node();
  world.submit(job());
  world.run_to_end(1);
  EXPECT_EQ(world.cancel(1), "job 1 has ended already");
  EXPECT_EQ(world.cancel(77), "there is no job 77");
}

TEST(Cancel, AStartingJobOnANodeThatIsAwayEndsWithoutIt) {
  World world = one_node();
  world.submit(job());
  world.disconnect("n1");
  world.cancel(1);
  EXPECT_EQ(world.phase(1), "Finished");
  world.node("n1", 4, {{1, 1, wire::HeldAttempt::PREPARED}});
  EXPECT_EQ(world.told("n1"), (Told{"registered", "kill 1.1 CANCELLED"}));
}

TEST(Cancel, AJobOnItsWayBackToWaitingIsNotRunAgain) {
  World world;
  world.start().nodes(2);
  world.submit(job().nodes(2).mpi());
  world.run(1);
  world.finished("n1", 1, outcome(OutcomeKind::NodeFailed));
  EXPECT_EQ(world.phase(1), "Completing");
  EXPECT_EQ(world.cancel(1), "");
  world.restart().node("n1");
  world.node("n2", 4, {{1, 1, wire::HeldAttempt::FINISHED}});
  world.finished("n2", 1, outcome(OutcomeKind::NodeFailed));
  EXPECT_EQ(world.end(1), OutcomeKind::Cancelled);
  EXPECT_EQ(world.phase(1), "Finished");
}

// Looking each key up among all of them would take minutes.
TEST(Act, ARequestNamesAHundredThousandJobsAndNoMore) {
  World world;
  world.start();
  wire::Request request;
  request.mutable_act()->set_verb(wire::Act::CANCEL);
  for (std::uint64_t id = 1; id <= 100'000; ++id) {
    wire::to_wire(World::key(id), request.mutable_act()->add_keys());
  }
  EXPECT_EQ(world.ask(kAlice, request).acted().results_size(), 100'000);
  wire::Elements* const some = request.mutable_act()->add_elements();
  some->set_job(1);
  wire::to_wire(*parse_index_list("1-3"), some->mutable_indexes());
  EXPECT_EQ(world.ask(kAlice, request).error().message(),
            "a request names at most 100000 jobs, and 10000 lists of elements");
}

TEST(Act, OthersJobsAreNotYours) {
  World world = one_node();
  world.submit(job());
  EXPECT_EQ(world.cancel(1, kBob), "job 1 is alice's");
  EXPECT_EQ(world.cancel(1, kOlga), "");
}

TEST(Hold, KeepsAJobUntilReleased) {
  World world;
  world.start();
  world.node("n1", 1);
  world.submit(job());
  world.submit(job());
  (void)world.act(wire::Act::HOLD, 2);
  EXPECT_EQ(world.reason(2), PendingReason::JobHeldUser);
  world.run_to_end(1);
  EXPECT_EQ(world.phase(2), "Waiting");
  (void)world.act(wire::Act::RELEASE, 2);
  EXPECT_EQ(world.phase(2), "Starting");
}

TEST(Hold, AnOperatorsHoldIsTheOperatorsToRelease) {
  World world = one_node();
  world.submit(job().held());
  (void)world.act(wire::Act::HOLD, 1, kOlga);
  EXPECT_EQ(world.reason(1), PendingReason::JobHeldAdmin);
  EXPECT_EQ(world.act(wire::Act::RELEASE, 1).acted().results(0).error().message(),
            "job 1 is held by an operator");
  (void)world.act(wire::Act::RELEASE, 1, kOlga);
  EXPECT_EQ(world.phase(1), "Starting");
}

TEST(Requeue, RunsAgainUnderTheSameId) {
  World world = one_node();
  world.submit(job());
  world.run(1);
  (void)world.act(wire::Act::REQUEUE, 1);
  EXPECT_EQ(world.phase(1), "Completing");
  world.finished("n1", 1, outcome(OutcomeKind::Cancelled));
  EXPECT_EQ(world.phase(1), "Starting");
  EXPECT_EQ(world.get(1).attempt, 2u);
}

TEST(Requeue, IsRefusedToAJobThatMustNotRunTwice) {
  World world = one_node();
  world.submit(job().no_requeue());
  world.run(1);
  EXPECT_EQ(world.act(wire::Act::REQUEUE, 1).acted().results(0).error().message(),
            "job 1 was submitted with --no-requeue");
}

TEST(Signal, IsPassedToEveryNodeAndStopsNothing) {
  World world = one_node();
  world.submit(job());
  world.run(1);
  (void)world.told("n1");
  wire::Request request;
  request.mutable_act()->set_verb(wire::Act::SIGNAL);
  request.mutable_act()->set_signal(10);
  wire::to_wire(World::key(1), request.mutable_act()->add_keys());
  EXPECT_FALSE(world.ask(kAlice, request).acted().results(0).has_error());
  EXPECT_EQ(world.told("n1"), Told{"stop 1.1 signal 10"});
  EXPECT_EQ(world.phase(1), "Running");
}

}  // namespace
}  // namespace gangway::scheduler
