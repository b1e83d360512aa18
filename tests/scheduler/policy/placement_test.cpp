#include "scheduler/policy/placement.hpp"

#include <gtest/gtest.h>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

using Names = std::vector<std::string>;
using Cores = std::vector<std::int32_t>;

Allocation only_start(LittleCluster& cluster, Time now = at_s(0)) {
  const PlanDelta plan = cluster.pass(now);
  EXPECT_EQ(plan.starts.size(), 1u);
  return plan.starts.empty() ? Allocation{} : plan.starts[0].allocation;
}

// n001 |####....|  n002 |######..|: a job of two cores goes where it leaves no hole.
TEST(Placement, BestFitFillsTheFullestNodeFirst) {
  LittleCluster cluster;
  cluster.nodes(2, 8).waits(job(1).cores(4).only({1})).waits(job(2).cores(6).only({2}));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(3).cores(2));
  const Allocation allocation = only_start(cluster);
  EXPECT_EQ(nodes_of(allocation), Names{"n002"});
  EXPECT_EQ(allocation.shares[0].cores, (Cores{6, 7}));
}

TEST(Placement, RanksAreBlocksInTheOrderOfNodeNames) {
  LittleCluster cluster;
  cluster.nodes(3, 4).waits(job(1).nodes(3).tasks(8));
  const Allocation allocation = only_start(cluster);
  ASSERT_EQ(nodes_of(allocation), (Names{"n001", "n002", "n003"}));
  EXPECT_EQ(allocation.shares[0].tasks, 3);
  EXPECT_EQ(allocation.shares[1].first_task, 3);
  EXPECT_EQ(allocation.shares[2].first_task, 6);
  EXPECT_EQ(allocation.shares[2].tasks, 2);
  EXPECT_EQ(allocation.shares[2].resources.cores, 2);
  EXPECT_EQ(allocation.shares[2].cores, (Cores{0, 1}));
}

TEST(Placement, ExclusiveTakesWholeIdleNodes) {
  LittleCluster cluster;
  cluster.nodes(2, 4).waits(job(1).only({1})).waits(job(2).exclusive());
  const PlanDelta plan = cluster.pass(at_s(0));
  ASSERT_EQ(started(plan), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(nodes_of(plan.starts[1].allocation), Names{"n002"});
  EXPECT_EQ(plan.starts[1].allocation.shares[0].resources, capacity(4));
  cluster.waits(job(3).only({2}));
  EXPECT_TRUE(cluster.pass(at_s(1)).starts.empty());
}

TEST(Placement, MemoryCountsAsWellAsCores) {
  LittleCluster cluster;
  cluster.nodes(1, 8).waits(job(1).memory(gibibytes(10))).waits(job(2).memory(gibibytes(10)));
  EXPECT_EQ(started(cluster.pass(at_s(0))), std::vector<std::uint64_t>{1});
}

TEST(Placement, NamedResourcesCountAndOrdinaryJobsStayAwayFromThem) {
  LittleCluster cluster;
  Resources with_gpu = capacity(2);
  with_gpu.set_named("gpu", 1);
  cluster.node(1, with_gpu).node(2, capacity(8));
  cluster.waits(job(1)).waits(job(2).named("gpu", 1)).waits(job(3).named("gpu", 1));
  const PlanDelta plan = cluster.pass(at_s(0));
  ASSERT_EQ(started(plan), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(nodes_of(plan.starts[0].allocation), Names{"n002"});
  EXPECT_EQ(nodes_of(plan.starts[1].allocation), Names{"n001"});
  EXPECT_EQ(plan.starts[1].allocation.shares[0].resources.amount_of("gpu"), 1);
}

TEST(Placement, NodeListsAreKept) {
  LittleCluster cluster;
  cluster.nodes(3, 1).waits(job(1).only({3})).waits(job(2).without({1, 3}));
  const PlanDelta plan = cluster.pass(at_s(0));
  ASSERT_EQ(plan.starts.size(), 2u);
  EXPECT_EQ(nodes_of(plan.starts[0].allocation), Names{"n003"});
  EXPECT_EQ(nodes_of(plan.starts[1].allocation), Names{"n002"});
}

TEST(Placement, AQueueHasItsNodes) {
  Queue small = batch_queue();
  small.name = QueueName("small");
  small.nodes = {node_name(2)};
  LittleCluster cluster({batch_queue(), small});
  cluster.nodes(2, 1).waits(job(1).queue("small")).waits(job(2).queue("small"));
  const PlanDelta plan = cluster.pass(at_s(0));
  ASSERT_EQ(started(plan), std::vector<std::uint64_t>{1});
  EXPECT_EQ(nodes_of(plan.starts[0].allocation), Names{"n002"});
}

TEST(Placement, ComponentsOfAGangGetDifferentNodes) {
  LittleCluster cluster;
  Resources with_gpu = capacity(4);
  with_gpu.set_named("gpu", 2);
  cluster.node(1, with_gpu).node(2, capacity(4)).node(3, capacity(4));
  cluster.waits(job(1).nodes(2).tasks(4).and_component().named("gpu", 2));
  const Allocation allocation = only_start(cluster);
  EXPECT_EQ(nodes_of(allocation), (Names{"n002", "n003", "n001"}));
  EXPECT_EQ(allocation.shares[2].component, 1u);
  EXPECT_EQ(allocation.shares[2].first_task, 4);
}

TEST(Placement, UnusableNodesGetNothing) {
  LittleCluster cluster;
  cluster.node(1, capacity(4), false).node(2, capacity(4));
  cluster.waits(job(1).nodes(2));
  const PlanDelta plan = cluster.pass(at_s(0));
  EXPECT_TRUE(plan.starts.empty());
  EXPECT_EQ(reason_of(plan, 1), PendingReason::NodesUnavailable);
}

TEST(Placement, ANodeThatShrankUnderItsJobsTakesNoMore) {
  LittleCluster cluster;
  cluster.nodes(1, 4).waits(job(1).cores(2));
  (void)cluster.pass(at_s(0));
  cluster.node(1, capacity(2)).waits(job(2));
  EXPECT_TRUE(cluster.pass(at_s(1)).starts.empty());
  cluster.ends(1);
  EXPECT_EQ(started(cluster.pass(at_s(2))), std::vector<std::uint64_t>{2});
}

TEST(CanEverRun, NamesWhatIsAskedAndTheMostThereIs) {
  const std::vector<delta::NodeIs> nodes = {
      {node_name(1), capacity(4)}, {node_name(2), capacity(4)}, {node_name(3), capacity(2)}};
  const auto asks = [&](const CandidateBuilder& b) {
    return can_ever_run(b.get().components, batch_queue(), nodes);
  };
  EXPECT_TRUE(asks(job(1).nodes(3)));
  EXPECT_TRUE(asks(job(1).nodes(2).cores(4)));
  const auto too_many = asks(job(1).nodes(5));
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind(), ErrorKind::Invalid);
  EXPECT_EQ(too_many.error().message(), "5 nodes asked, queue batch has 3");
  const auto too_large = asks(job(1).nodes(3).cores(4));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().message(),
            "3 nodes with 4 cores each asked, queue batch has 2 such nodes");
  const auto impossible = asks(job(1).cores(9));
  ASSERT_FALSE(impossible);
  EXPECT_EQ(
      impossible.error().message(),
      "1 node with 9 cores asked, queue batch has no such node; a node has at most 4 cores, " +
          render_bytes(capacity(4).memory));
  EXPECT_FALSE(asks(job(1).only({9})));
  EXPECT_FALSE(asks(job(1).nodes(2).cores(4).and_component().cores(4)));
}

// ---- features ----

TEST(Features, AJobGetsOnlyNodesThatHaveThem) {
  LittleCluster cluster;
  cluster.node(1, capacity(4))
      .node(2, capacity(4), true, {"ib"})
      .node(3, capacity(4), true, {"gpu", "ib"});
  cluster.waits(job(1).nodes(2).constraint("ib"));
  EXPECT_EQ(nodes_of(cluster.pass(at_s(0)).starts.at(0).allocation), (Names{"n002", "n003"}));
  cluster.waits(job(2).cores(4).constraint("!ib"));
  EXPECT_EQ(nodes_of(cluster.pass(at_s(1)).starts.at(0).allocation), (Names{"n001"}));
}

TEST(Features, AllNodesAreAlikeWhereThatIsAsked) {
  LittleCluster cluster;
  cluster.node(1, capacity(4), true, {"a"}).node(2, capacity(4), true, {"b"});
  cluster.node(3, capacity(4), true, {"b"}).node(4, capacity(4), true, {"a"});
  cluster.waits(job(1).cores(4).only({1}).limit(seconds(10)));
  ASSERT_EQ(cluster.pass(at_s(0)).starts.size(), 1u);
  cluster.waits(job(2).nodes(2).cores(4).constraint("[a|b]").limit(seconds(60)));
  EXPECT_EQ(nodes_of(cluster.pass(at_s(1)).starts.at(0).allocation), (Names{"n002", "n003"}));
  // What is free first for all of one kind is promised.
  cluster.waits(job(3).nodes(2).cores(4).constraint("[b|a]").limit(seconds(60)));
  const PlanDelta plan = cluster.pass(at_s(2));
  ASSERT_TRUE(plan.promise);
  EXPECT_EQ(plan.promise->start, at_s(10));
  EXPECT_EQ(plan.promise->nodes, (std::vector{node_name(1), node_name(4)}));
}

TEST(Features, CountsAskForSoManyNodesOfAKind) {
  LittleCluster cluster;
  cluster.node(1, capacity(4)).node(2, capacity(4)).node(3, capacity(4), true, {"big"});
  cluster.waits(job(1).nodes(3).tasks(7).constraint("big*1"));
  const Allocation allocation = cluster.pass(at_s(0)).starts.at(0).allocation;
  // Those that are counted come first; tasks are dealt out over all of them.
  EXPECT_EQ(nodes_of(allocation), (Names{"n003", "n001", "n002"}));
  std::vector<std::int32_t> tasks;
  std::vector<std::int32_t> first_tasks;
  for (const NodeShare& share : allocation.shares) {
    tasks.push_back(share.tasks);
    first_tasks.push_back(share.first_task);
    EXPECT_EQ(share.component, 0u);
    EXPECT_EQ(share.resources.cores, share.tasks);
  }
  EXPECT_EQ(tasks, (std::vector<std::int32_t>{3, 2, 2}));
  EXPECT_EQ(first_tasks, (std::vector<std::int32_t>{0, 3, 5}));
}

TEST(Features, NodesThatHaveLostThemAreNotWaitedFor) {
  LittleCluster cluster;
  cluster.node(1, capacity(4), false, {"ib"}).node(2, capacity(4));
  cluster.waits(job(1).constraint("ib"));
  EXPECT_EQ(reason_of(cluster.pass(at_s(0)), 1), PendingReason::NodesUnavailable);
  cluster.node(1, capacity(4), true, {"eth"});
  EXPECT_EQ(reason_of(cluster.pass(at_s(1)), 1), PendingReason::BadConstraints);
  const auto why = cluster.planner.explain(key(1), at_s(1));
  ASSERT_TRUE(why);
  EXPECT_NE(why->waits_for.find("features ib"), std::string::npos) << why->waits_for;
  cluster.node(2, capacity(4), true, {"ib"});
  EXPECT_EQ(started(cluster.pass(at_s(2))), std::vector<std::uint64_t>{1});
}

TEST(CanEverRun, NamesTheFeaturesThatAreMissingAndThoseThereAre) {
  const std::vector<delta::NodeIs> nodes = {{node_name(1), capacity(4), true, {"ib", "skylake"}},
                                            {node_name(2), capacity(4), true, {"epyc", "ib"}}};
  const auto asks = [&](const CandidateBuilder& b) {
    const auto answer = can_ever_run(b.get().components, batch_queue(), nodes);
    return answer ? std::string() : answer.error().message();
  };
  EXPECT_EQ(asks(job(1).nodes(2).constraint("ib&(skylake|epyc)")), "");
  EXPECT_EQ(asks(job(1).nodes(2).constraint("skylake*1&epyc*1")), "");
  EXPECT_EQ(asks(job(1).constraint("gpu")),
            "no node of queue batch has the features gpu; there are: epyc, ib, skylake");
  EXPECT_EQ(asks(job(1).nodes(2).constraint("epyc")),
            "2 nodes with 1 core and features epyc each asked, queue batch has 1 such node");
  EXPECT_EQ(asks(job(1).nodes(2).constraint("[skylake|epyc]")),
            "2 nodes with 1 core and features skylake each asked, queue batch has 1 such node");
  EXPECT_EQ(asks(job(1).nodes(2).constraint("skylake*2")),
            "2 nodes with 1 core and features skylake each asked, queue batch has 1 such node");
}

}  // namespace
}  // namespace gangway::scheduler
