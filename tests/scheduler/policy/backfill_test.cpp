#include "scheduler/policy/backfill.hpp"

#include <gtest/gtest.h>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

using Ids = std::vector<std::uint64_t>;
using Names = std::vector<std::string>;

// Four nodes of one core; job 1 holds three of them until 100 s; job 2 wants all four.
//
//   n001 |1111111111|2222
//   n002 |1111111111|2222
//   n003 |1111111111|2222
//   n004 |          |2222
//   0 s            100 s
LittleCluster waiting_for_all() {
  LittleCluster cluster;
  cluster.nodes(4, 1).waits(job(1).nodes(3).limit(seconds(100)));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).nodes(4).limit(seconds(50)));
  return cluster;
}

TEST(Backfill, TheFirstThatDoesNotFitIsPromisedTheFirstMomentItFits) {
  LittleCluster cluster = waiting_for_all();
  const PlanDelta plan = cluster.pass(at_s(10));
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(reason_of(plan, 2), PendingReason::Resources);
  ASSERT_TRUE(plan.promise);
  EXPECT_EQ(plan.promise->key, key(2));
  EXPECT_EQ(plan.promise->start, at_s(100));
  EXPECT_EQ(plan.promise->nodes.size(), 4u);
}

TEST(Backfill, AShortJobMayBorrowWhatTheFirstWaitsFor) {
  LittleCluster cluster = waiting_for_all();
  cluster.waits(job(3).limit(seconds(90)));
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{3});
}

TEST(Backfill, ALongJobMayNot) {
  LittleCluster cluster = waiting_for_all();
  cluster.waits(job(3).limit(seconds(91))).waits(job(4));
  const PlanDelta plan = cluster.pass(at_s(10));
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(reason_of(plan, 3), PendingReason::Priority);
  EXPECT_EQ(reason_of(plan, 4), PendingReason::Priority);
}

// Job 2 wants three of four: one of them is spare, whichever it is.
TEST(Backfill, ALongJobMayTakeWhatIsSpare) {
  LittleCluster cluster;
  cluster.nodes(4, 1).waits(job(1).nodes(2).limit(seconds(100)));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).nodes(3).limit(seconds(50)));
  cluster.waits(job(3)).waits(job(4));
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{3});
}

// n001 (4 cores) is busy until 100 s, n002 and n003 (2 cores) are free. Job 2 wants three nodes of
// one core: it would take the free ones too, but there is room beside it.
TEST(Backfill, ALongJobMayStandBesideAReservation) {
  LittleCluster cluster;
  cluster.node(1, capacity(4)).node(2, capacity(2)).node(3, capacity(2));
  cluster.waits(job(1).cores(4).limit(seconds(100)));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).nodes(3).limit(seconds(50)));
  cluster.waits(job(3).cores(2)).waits(job(4).cores(1)).waits(job(5).cores(1)).waits(job(6));
  EXPECT_EQ(started(cluster.pass(at_s(10))), (Ids{4, 5}));
}

// The reservation would be on n001 or n002; a long job on the one moves it to the other.
TEST(Backfill, AReservationMovesToOtherNodesButNotToALaterTime) {
  LittleCluster cluster;
  cluster.nodes(3, 2).waits(job(1).cores(2).limit(seconds(100)).only({1}));
  cluster.waits(job(2).cores(1).limit(seconds(100)).only({2}));
  cluster.waits(job(3).cores(1).limit(seconds(100)).only({3}));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(4).cores(2).limit(seconds(10)));
  cluster.waits(job(5).cores(1)).waits(job(6).cores(1)).waits(job(7).cores(1));
  const PlanDelta plan = cluster.pass(at_s(10));
  EXPECT_EQ(started(plan), (Ids{5, 6}));
  ASSERT_TRUE(plan.promise);
  EXPECT_EQ(plan.promise->start, at_s(100));
}

TEST(Backfill, NobodyWithoutALimitPassesAJobThatWaitsForOneWithoutALimit) {
  LittleCluster cluster;
  cluster.nodes(2, 1).waits(job(1));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).nodes(2)).waits(job(3)).waits(job(4).limit(hours(1000)));
  const PlanDelta plan = cluster.pass(at_s(1));
  EXPECT_EQ(started(plan), Ids{4});
  EXPECT_EQ(reason_of(plan, 2), PendingReason::Resources);
  EXPECT_FALSE(plan.promise);  // nobody knows when
}

TEST(Backfill, AJobThatCannotRunNowBecauseNodesAreDownKeepsNothingReserved) {
  LittleCluster cluster;
  cluster.nodes(2, 1).node(3, capacity(1), false);
  cluster.waits(job(1).nodes(3)).waits(job(2).nodes(2));
  const PlanDelta plan = cluster.pass(at_s(0));
  EXPECT_EQ(started(plan), Ids{2});
  EXPECT_EQ(reason_of(plan, 1), PendingReason::NodesUnavailable);
}

TEST(Backfill, AJobPastItsLimitIsExpectedToGoAtAnyMoment) {
  LittleCluster cluster = waiting_for_all();
  (void)cluster.pass(at_s(10));
  const PlanDelta plan = cluster.pass(at_s(500));
  ASSERT_TRUE(plan.promise);
  EXPECT_EQ(plan.promise->start, at_s(500) + kOverrun);
}

// Depth 2 gives the second job a reservation too; a job that EASY would let pass must not then.
//
//   nodes 1..4: job 1 holds 3 until 100 s; job 2 wants 4 for 50 s, job 3 wants 1 for 200 s,
//   job 4 wants 1 for 90 s.
TEST(Backfill, DepthGivesMoreJobsAReservation) {
  Snapshot snapshot;
  snapshot.queues = {batch_queue()};
  for (int i = 1; i <= 4; ++i) snapshot.nodes.push_back({node_name(i), capacity(1), true});
  Allocation held;
  for (int i = 1; i <= 3; ++i) {
    held.shares.push_back({.component = 0,
                           .node = node_name(i),
                           .resources = capacity(1, Bytes{}),
                           .cores = {0},
                           .first_task = i - 1,
                           .tasks = 1});
  }
  snapshot.running = {{key(1), held, at_s(100)}};
  snapshot.waiting = {job(2).nodes(4).limit(seconds(50)), job(3).limit(seconds(200)),
                      job(4).limit(seconds(90))};
  const PlanDelta easy = schedule(snapshot, at_s(10));
  EXPECT_EQ(started(easy), Ids{4});
  const PlanDelta deeper = schedule(snapshot, at_s(10), {.reservation_depth = 2, .budget = 100});
  EXPECT_EQ(started(deeper), Ids{4});
  EXPECT_EQ(deeper.promise->start, at_s(100));
}

}  // namespace
}  // namespace gangway::scheduler
