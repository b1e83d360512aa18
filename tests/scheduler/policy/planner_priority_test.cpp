// How priorities order the line of the planner.
#include <gtest/gtest.h>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

using Ids = std::vector<std::uint64_t>;

Candidate of_user(UserNumber user, CandidateBuilder builder) {
  Candidate out = builder;
  out.user = user;
  return out;
}

TEST(PlannerPriority, TheUserWithTheBetterFairShareIsFirst) {
  LittleCluster cluster;
  cluster.nodes(1, 1);
  cluster.planner.apply(delta::FairSharesAre{at_s(0), {0.5, 1.0}});
  cluster.waits(of_user(0, job(1))).waits(of_user(1, job(2)));
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{2});
}

TEST(PlannerPriority, NewFairSharesPutTheLineInANewOrder) {
  LittleCluster cluster;
  cluster.nodes(1, 1);
  cluster.planner.apply(delta::FairSharesAre{at_s(0), {0.5, 1.0}});
  cluster.waits(of_user(0, job(1))).waits(of_user(1, job(2))).waits(of_user(1, job(3)));
  cluster.planner.apply(delta::FairSharesAre{at_s(5), {1.0, 0.5}});
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{1});
  EXPECT_EQ(cluster.planner.explain(key(2), at_s(10))->rank, 1);
  EXPECT_EQ(cluster.planner.explain(key(3), at_s(10))->rank, 2);
}

TEST(PlannerPriority, ABetterQueueIsFirst) {
  Queue urgent;
  urgent.name = QueueName("urgent");
  urgent.priority = 10;
  LittleCluster cluster({batch_queue(), urgent});
  cluster.nodes(1, 1).waits(job(1)).waits(job(2).queue("urgent"));
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{2});
}

TEST(PlannerPriority, LargeJobsAreFirstWhereSizeCounts) {
  LittleCluster cluster;
  PriorityRules rules;
  rules.size = 1000;
  cluster.planner.apply(delta::RulesAre{rules});
  cluster.waits(job(1)).waits(job(2).nodes(2)).nodes(2, 1);
  EXPECT_EQ(started(cluster.pass(at_s(10))), Ids{2});
}

TEST(PlannerPriority, EachTermCanBeAskedFor) {
  LittleCluster cluster;
  PriorityRules rules;
  rules.size = 100;
  cluster.planner.apply(delta::RulesAre{rules});
  cluster.planner.apply(delta::FairSharesAre{at_s(0), {0.25}});
  cluster.nodes(1, 1).waits(job(1).nice(7).nodes(2).eligible(at_s(0)));
  (void)cluster.pass(at_s(6048));
  const PriorityTerms terms = cluster.planner.explain(key(1), at_s(6048))->priority;
  EXPECT_DOUBLE_EQ(terms.age, 10);
  EXPECT_DOUBLE_EQ(terms.fair_share, 2500);
  EXPECT_DOUBLE_EQ(terms.size, 100);
  EXPECT_EQ(terms.nice, 7);
  EXPECT_EQ(terms.total(), 2603);
  EXPECT_EQ(cluster.planner.priority_of(key(1)), terms);
  EXPECT_EQ(cluster.planner.priority_of(key(2)), std::nullopt);
}

}  // namespace
}  // namespace gangway::scheduler
