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
  const PlanDelta deeper =
      schedule(snapshot, at_s(10), {.policy = {.reservation_depth = 2}, .budget = 100});
  EXPECT_EQ(started(deeper), Ids{4});
  EXPECT_EQ(deeper.promise->start, at_s(100));
}

// The same four nodes under other policies: job 1 holds three until 100 s; then come
//   2: all four for 50 s,  3: one for 90 s,  4: one for 40 s.
LittleCluster waiting_under(const char* policy, std::optional<Duration> bound = std::nullopt) {
  BackfillPolicy parsed = *parse_backfill_policy(policy);
  parsed.starvation_bound = bound;
  LittleCluster cluster({batch_queue()}, parsed);
  cluster.nodes(4, 1).waits(job(1).nodes(3).limit(seconds(100)));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).nodes(4).limit(seconds(50)).eligible(at_s(1)));
  cluster.waits(job(3).limit(seconds(80)).eligible(at_s(2)));
  cluster.waits(job(4).limit(seconds(40)).eligible(at_s(3)));
  return cluster;
}

TEST(Backfill, NobodyPassesAnybodyUnderFcfs) {
  LittleCluster cluster = waiting_under("fcfs");
  const PlanDelta plan = cluster.pass(at_s(10));
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(reason_of(plan, 2), PendingReason::Resources);
  EXPECT_EQ(reason_of(plan, 4), PendingReason::Priority);
  ASSERT_TRUE(plan.promise);
  EXPECT_EQ(plan.promise->start, at_s(100));
}

TEST(Backfill, TheShortestIsTriedFirstIfThePolicySaysSo) {
  LittleCluster easy = waiting_under("easy");
  EXPECT_EQ(started(easy.pass(at_s(10))), Ids{3});
  LittleCluster shortest = waiting_under("easy-sjbf");
  EXPECT_EQ(started(shortest.pass(at_s(10))), Ids{4});
}

TEST(Backfill, AJobThatHasWaitedToTheBoundIsPassedByShorterOnesNoMore) {
  LittleCluster not_yet = waiting_under("easy-sjbf", seconds(9));
  EXPECT_EQ(started(not_yet.pass(at_s(10))), Ids{4});
  LittleCluster starving = waiting_under("easy-sjbf", seconds(8));
  EXPECT_EQ(started(starving.pass(at_s(10))), Ids{3});
}

// Job 1 (3 nodes) should run to 100 s and ends at 20 s.
//
//           now   20         60        100
//   2 nodes:  |    |2222222222222222222 |      2 had been promised 100 s
//   3 nodes:  |    ...                         3 had been promised 150 s, 4 started at once
TEST(Backfill, KeptPromisesOnlyMoveToEarlierTimes) {
  LittleCluster cluster = waiting_under("conservative");
  cluster.waits(job(5).nodes(4).limit(seconds(10)).eligible(at_s(4)));
  const PlanDelta plan = cluster.pass(at_s(10));
  EXPECT_EQ(started(plan), Ids{3});
  const auto promise_to = [&](std::uint64_t id) {
    for (const Promise& promise : cluster.planner.kept_promises()) {
      if (promise.key == key(id)) return promise.start;
    }
    return Time::infinity();
  };
  EXPECT_EQ(promise_to(2), at_s(100));
  EXPECT_EQ(promise_to(4), at_s(150));
  EXPECT_EQ(promise_to(5), at_s(190));
  EXPECT_EQ(plan.wake, at_s(100));
  EXPECT_EQ(cluster.planner.explain(key(5), at_s(10))->expected_start, at_s(190));
  cluster.ends(1);
  // There is room for job 4 before job 3 ends; the others have to wait for that.
  EXPECT_EQ(started(cluster.pass(at_s(20))), Ids{4});
  EXPECT_EQ(promise_to(2), at_s(90));
  EXPECT_EQ(promise_to(5), at_s(140));
  cluster.ends(3);
  (void)cluster.pass(at_s(30));
  EXPECT_EQ(promise_to(2), at_s(60));
}

TEST(Backfill, PoliciesAreNamed) {
  for (const char* name :
       {"fcfs", "easy", "easy:8", "easy-sjbf", "conservative", "conservative-replan"}) {
    const auto policy = parse_backfill_policy(name);
    ASSERT_TRUE(policy) << name;
    EXPECT_EQ(to_string(*policy), name);
  }
  for (const char* name : {"", "Easy", "easy:", "easy:0", "easy:-1", "easy:8x", "sjf"}) {
    EXPECT_FALSE(parse_backfill_policy(name)) << name;
  }
}

}  // namespace
}  // namespace gangway::scheduler
