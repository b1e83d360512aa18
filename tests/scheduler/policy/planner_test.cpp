#include "scheduler/policy/planner.hpp"

#include <gtest/gtest.h>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

using Ids = std::vector<std::uint64_t>;

TEST(Planner, StartsInTheOrderOfPriority) {
  LittleCluster cluster;
  cluster.nodes(1, 2).waits(job(1).nice(5).eligible(at_s(0)));
  cluster.waits(job(2).eligible(at_s(0))).waits(job(3).nice(-5).eligible(at_s(0)));
  EXPECT_EQ(started(cluster.pass(at_s(0))), (Ids{3, 2}));
}

TEST(Planner, QueuesOfMorePriorityComeFirst) {
  Queue urgent = batch_queue();
  urgent.name = QueueName("urgent");
  urgent.priority = 1000;
  LittleCluster cluster({batch_queue(), urgent});
  cluster.nodes(1, 1).waits(job(1)).waits(job(2).queue("urgent"));
  EXPECT_EQ(started(cluster.pass(at_s(3))), Ids{2});
}

TEST(Planner, AStartIsNotAssumed) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1));
  EXPECT_EQ(started(cluster.planner.pass(at_s(0), 100)), Ids{1});
  EXPECT_EQ(started(cluster.planner.pass(at_s(1), 100)), Ids{1});
}

TEST(Planner, AfterAnEndOnlyTheFirstAndThoseThatMayStartAreLookedAt) {
  LittleCluster cluster;
  cluster.nodes(1, 1).nodes(1, 8);
  cluster.waits(job(1).cores(8).limit(seconds(100))).waits(job(2).limit(seconds(50)));
  cluster.waits(job(3).cores(8).limit(seconds(10)));
  for (std::uint64_t id = 4; id <= 20; ++id) {
    cluster.waits(job(id).cores(2).limit(seconds(static_cast<std::int64_t>(id))));
  }
  EXPECT_EQ(started(cluster.pass(at_s(0))), (Ids{1, 2}));
  cluster.ends(2);
  EXPECT_LE(cluster.pass(at_s(5)).looked_at, 2);
  cluster.ends(1);
  EXPECT_EQ(started(cluster.pass(at_s(6))), Ids{3});
}

TEST(Planner, WhoHasAPromiseStartsAlthoughOneOfItsClassThatWasRequeuedFailsForIt) {
  LittleCluster cluster({batch_queue()}, *parse_backfill_policy("conservative"));
  cluster.nodes(1, 1);
  cluster.waits(job(1).limit(seconds(100)).eligible(at_s(0)));
  cluster.waits(job(2).limit(seconds(100)).eligible(at_s(1)));
  cluster.waits(job(3).limit(seconds(50)).eligible(at_s(2)));
  EXPECT_EQ(started(cluster.pass(at_s(2))), Ids{1});
  cluster.ends(1);
  cluster.waits(job(1).limit(seconds(100)).eligible(at_s(0)));
  EXPECT_EQ(started(cluster.pass(at_s(5))), Ids{2});
}

TEST(Planner, ReasonsAreToldOnce) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1)).waits(job(2)).waits(job(3));
  const PlanDelta first = cluster.pass(at_s(0));
  EXPECT_EQ(reason_of(first, 2), PendingReason::Resources);
  EXPECT_EQ(reason_of(first, 3), PendingReason::Priority);
  EXPECT_TRUE(cluster.pass(at_s(1)).reasons.empty());
  cluster.planner.apply(delta::WaitsNoMore{key(2)});
  const PlanDelta next = cluster.pass(at_s(2));
  ASSERT_EQ(next.reasons.size(), 1u);
  EXPECT_EQ(reason_of(next, 3), PendingReason::Resources);
}

TEST(Planner, AJobOfAQueueThatIsGoneSaysSo) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1).queue("old"));
  EXPECT_EQ(reason_of(cluster.pass(at_s(0)), 1), PendingReason::QueueDown);
}

TEST(Planner, EqualJobsCostOneLookOnceOneHasFailed) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1));
  (void)cluster.pass(at_s(0));
  for (std::uint64_t id = 2; id < 2000; ++id) cluster.waits(job(id));
  EXPECT_LE(cluster.pass(at_s(1)).looked_at, 3);
}

TEST(Planner, APassThatItsBudgetEndedGoesOnWhereItStopped) {
  LittleCluster cluster;
  cluster.nodes(1, 4).waits(job(1).cores(3));
  (void)cluster.pass(at_s(0));
  // Twenty kinds of jobs that do not fit, then one that does.
  for (std::uint64_t id = 2; id < 22; ++id) {
    cluster.waits(job(id).cores(2).limit(seconds(static_cast<std::int64_t>(id))));
  }
  cluster.waits(job(30).limit(seconds(1)));
  std::vector<std::uint64_t> all;
  int passes = 0;
  for (bool complete = false; !complete; ++passes) {
    ASSERT_LT(passes, 20);
    const PlanDelta plan = cluster.pass(at_s(1), 5);
    complete = plan.complete;
    for (const auto id : started(plan)) all.push_back(id);
  }
  EXPECT_EQ(all, Ids{30});
  EXPECT_GT(passes, 2);
}

TEST(Planner, ExplainPlaysThePlanForward) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1).limit(seconds(100)));
  cluster.waits(job(2).limit(seconds(50))).waits(job(3).limit(seconds(10)));
  (void)cluster.pass(at_s(0));
  const auto second = cluster.planner.explain(key(2), at_s(1));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->rank, 1);
  EXPECT_EQ(second->expected_start, at_s(100));
  const auto third = cluster.planner.explain(key(3), at_s(1));
  ASSERT_TRUE(third);
  EXPECT_EQ(third->ahead, 1);
  EXPECT_EQ(third->expected_start, at_s(150));
  EXPECT_FALSE(cluster.planner.explain(key(1), at_s(1)));
}

TEST(Planner, ExplainHasNoGuessBehindAJobWithoutALimit) {
  LittleCluster cluster;
  cluster.nodes(1, 1).waits(job(1)).waits(job(2));
  (void)cluster.pass(at_s(0));
  const auto why = cluster.planner.explain(key(2), at_s(1));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->reason, PendingReason::Resources);
  EXPECT_FALSE(why->expected_start);
}

}  // namespace
}  // namespace gangway::scheduler
