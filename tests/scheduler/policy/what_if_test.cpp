// What people are told would start sooner does: explanations are verified by submitting what they
// name to the same planner, in virtual time, with everybody running to their limits.
#include "scheduler/policy/what_if.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::scheduler {
namespace {

std::vector<std::string> changes_of(const Explanation& why) {
  std::vector<std::string> out;
  for (const BetterStart& better : why.better) {
    out.push_back(cat(better.change, " at ", better.start.ns / seconds(1).ns));
  }
  return out;
}

// Two nodes are free; the others return at 100 s and at 200 s.
LittleCluster half_full() {
  LittleCluster cluster;
  cluster.nodes(4, 4);
  cluster.waits(job(1).only({1}).cores(4).limit(seconds(100)));
  cluster.waits(job(2).only({2}).cores(4).limit(seconds(200)));
  EXPECT_EQ(started(cluster.pass(at_s(0))).size(), 2u);
  return cluster;
}

TEST(Explain, SaysWhenWhereAndWhoseEndItRestsOn) {
  LittleCluster cluster = half_full();
  cluster.waits(job(3).nodes(3).cores(4).limit(seconds(60)));
  EXPECT_TRUE(cluster.pass(at_s(10)).starts.empty());
  const auto why = cluster.planner.explain(key(3), at_s(10));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->expected_start, at_s(100));
  EXPECT_EQ(why->nodes, (std::vector{node_name(1), node_name(3), node_name(4)}));
  EXPECT_EQ(why->rests_on, "when job 1 reaches its time limit");
}

TEST(Explain, FewerNodesStartSooner) {
  LittleCluster cluster = half_full();
  cluster.waits(job(3).nodes(4).cores(4).limit(seconds(60)));
  (void)cluster.pass(at_s(10));
  const auto why = cluster.planner.explain(key(3), at_s(10));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->expected_start, at_s(200));
  // The smallest change that helps at all, not the one that helps most.
  EXPECT_EQ(changes_of(*why), (std::vector<std::string>{"with 3 nodes instead of 4 at 100"}));
}

TEST(Explain, AShorterJobFitsBeforeThePromiseToAnother) {
  LittleCluster cluster = half_full();
  cluster.waits(job(3).nodes(3).cores(4).limit(seconds(60)));
  cluster.waits(job(4).nodes(2).cores(4).limit(seconds(120)));
  (void)cluster.pass(at_s(10));
  const auto why = cluster.planner.explain(key(4), at_s(10));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->expected_start, at_s(160));
  // A single node less is still one of those that are promised.
  EXPECT_EQ(changes_of(*why), (std::vector<std::string>{
                                  "with a time limit of 1:30 instead of 2:00 at 10",
                              }));
}

TEST(Explain, AConstraintMayBeWhatKeepsIt) {
  LittleCluster cluster;
  cluster.node(1, capacity(4), true, {"ib"}).node(2, capacity(4));
  cluster.waits(job(1).cores(4).constraint("ib").limit(seconds(100)));
  (void)cluster.pass(at_s(0));
  cluster.waits(job(2).cores(4).constraint("ib").limit(seconds(100)));
  (void)cluster.pass(at_s(1));
  const auto why = cluster.planner.explain(key(2), at_s(1));
  ASSERT_TRUE(why);
  EXPECT_EQ(changes_of(*why), (std::vector<std::string>{"without --constraint=ib at 1"}));
}

TEST(Explain, ForAJobThatIsNotSubmittedYet) {
  LittleCluster cluster = half_full();
  const Explanation why =
      cluster.planner.explain_as_if(job(9).nodes(3).cores(4).limit(seconds(60)), at_s(10));
  EXPECT_EQ(why.rank, 1);
  EXPECT_EQ(why.expected_start, at_s(100));
  EXPECT_EQ(changes_of(why), (std::vector<std::string>{"with 2 nodes instead of 3 at 10"}));
  // It leaves no trace.
  EXPECT_FALSE(cluster.planner.explain(key(9), at_s(10)));
  const Explanation at_once = cluster.planner.explain_as_if(job(9), at_s(10));
  EXPECT_EQ(at_once.expected_start, at_s(10));
  EXPECT_EQ(at_once.rests_on, "");
  EXPECT_TRUE(at_once.better.empty());
}

TEST(WhatIf, SmallChangesComeFirst) {
  Candidate asked = job(1).nodes(8).cores(2).memory(gibibytes(4)).limit(hours(1));
  double size = 0;
  std::set<std::string> texts;
  for (const Variant& variant : make_variants(asked, {batch_queue()}, {seconds(600)})) {
    EXPECT_GE(variant.size, size);
    size = variant.size;
    EXPECT_TRUE(texts.insert(variant.text).second) << variant.text;
    EXPECT_FALSE(variant.job == asked) << variant.text;
    EXPECT_EQ(variant.job.key, asked.key);
  }
  EXPECT_TRUE(texts.contains("with 7 nodes instead of 8"));
  EXPECT_TRUE(texts.contains("with 1 core for each task instead of 2"));
  EXPECT_TRUE(texts.contains("with 3G of memory on each node instead of 4G"));
  EXPECT_TRUE(texts.contains("with a time limit of 10:00 instead of 01:00:00"));
}

// ---- the property ----

struct World {
  BackfillPolicy policy;
  std::vector<Queue> queues;
  std::vector<delta::NodeIs> nodes;
  std::vector<Candidate> jobs;  // all are there at second 0, and the first passes have been made
  Time now;
};

World make_world(std::uint64_t seed, const BackfillPolicy& policy) {
  Rng rng(seed);
  World world{.policy = policy, .queues = {batch_queue(), batch_queue()}};
  world.queues[1].name = QueueName("other");
  world.queues[1].is_default = false;
  world.queues[1].priority = 5;
  const auto count = static_cast<int>(rng.between(2, 6));
  for (int i = 1; i <= count; ++i) {
    Resources r = capacity(static_cast<int>(rng.between(2, 6)), gibibytes(rng.between(2, 6)));
    if (rng.chance(300)) r.set_named("gpu", 2);
    std::vector<std::string> features;
    if (rng.chance(500)) features.emplace_back("ib");
    world.nodes.push_back({node_name(i), r, true, features});
    if (rng.chance(600)) world.queues[1].nodes.push_back(node_name(i));
  }
  if (world.queues[1].nodes.empty()) world.queues.pop_back();
  for (std::uint64_t id = 1; id <= 25; ++id) {
    CandidateBuilder b = job(id).eligible(at_s(static_cast<std::int64_t>(id) / 4));
    b.nodes(static_cast<int>(rng.between(1, std::min(count, 4))));
    b.cores(static_cast<int>(rng.between(1, 4)));
    b.memory(gibibytes(rng.between(0, 2)));
    if (rng.chance(150)) b.named("gpu", static_cast<int>(rng.between(1, 2)));
    if (rng.chance(150)) b.constraint(rng.chance(500) ? "ib" : "!ib");
    if (rng.chance(100)) b.exclusive();
    if (rng.chance(100)) b.without({1});
    if (rng.chance(150)) b.and_component().cores(static_cast<int>(rng.between(1, 3)));
    b.limit(seconds(rng.between(10, 300)));
    if (world.queues.size() > 1 && rng.chance(200)) b.queue("other");
    const Queue& queue = b.get().queue == QueueName("batch") ? world.queues[0] : world.queues[1];
    if (!can_ever_run(b.get().components, queue, world.nodes)) continue;
    world.jobs.push_back(b);
  }
  world.now = at_s(rng.between(7, 200));
  return world;
}

// A planner and a driver, in which everybody runs to their limits.
class Machine {
 public:
  explicit Machine(const World& world) : planner_(world.policy) {
    planner_.apply(delta::QueuesAre{world.queues});
    for (const auto& node : world.nodes) planner_.apply(node);
    for (const Candidate& job : world.jobs) add(job);
    run_until(world.now);
  }
  void add(const Candidate& job) {
    planner_.apply(delta::Waits{job});
    jobs_.insert_or_assign(job.key, job);
  }
  void pass() {
    const PlanDelta plan = planner_.pass(now_, 10'000);
    wake_ = plan.wake;
    for (const Start& start : plan.starts) {
      const Time end = now_ + *jobs_.at(start.key).limit;
      planner_.apply(delta::Started{start.key, start.allocation, end});
      ends_.emplace(end, start.key);
      started_[start.key] = now_;
    }
  }
  // All that happens up to `until`, that moment included.
  void run_until(Time until) {
    pass();
    while (step(until)) {
    }
    now_ = until;
  }
  std::optional<Time> start_of(JobKey key) {
    pass();
    while (!started_.contains(key) && step(Time::infinity())) {
    }
    const auto found = started_.find(key);
    if (found == started_.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::vector<JobKey> waiting() const {
    std::vector<JobKey> out;
    for (const auto& [key, job] : jobs_) {
      if (!started_.contains(key)) out.push_back(key);
    }
    return out;
  }
  [[nodiscard]] const Planner& planner() const { return planner_; }

 private:
  bool step(Time until) {
    Time next = ends_.empty() ? Time::infinity() : ends_.begin()->first;
    if (wake_ && *wake_ > now_) next = std::min(next, *wake_);
    if (next > until || next == Time::infinity()) return false;
    now_ = next;
    while (!ends_.empty() && ends_.begin()->first == now_) {
      planner_.apply(delta::Ended{ends_.begin()->second});
      ends_.erase(ends_.begin());
    }
    pass();
    return true;
  }

  Planner planner_;
  Time now_ = at_s(7);
  std::optional<Time> wake_;
  std::map<JobKey, Candidate> jobs_;
  std::set<std::pair<Time, JobKey>> ends_;
  std::map<JobKey, Time> started_;
};

class ExplainProperty : public ::testing::TestWithParam<const char*> {};

TEST_P(ExplainProperty, JobsStartWhenTheyWereToldToWithWhatTheyWereToldToAskFor) {
  const BackfillPolicy policy = *parse_backfill_policy(GetParam());
  int promises = 0;
  int counterfactuals = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const World world = make_world(seed, policy);
    const Machine now(world);
    for (const JobKey key : now.waiting()) {
      SCOPED_TRACE(cat("job ", to_string(key)));
      const auto why = now.planner().explain(key, world.now);
      ASSERT_TRUE(why);
      ASSERT_TRUE(why->expected_start);
      EXPECT_EQ(Machine(world).start_of(key), why->expected_start);
      ++promises;
      for (const BetterStart& better : why->better) {
        EXPECT_LT(better.start, *why->expected_start) << better.change;
        Machine again(world);
        again.add(better.job);
        EXPECT_EQ(again.start_of(key), better.start) << better.change;
        ++counterfactuals;
      }
      if (HasFailure()) return;
    }
    // One that is not submitted yet.
    Candidate late = job(99).nodes(2).cores(2).limit(seconds(50)).eligible(world.now);
    if (!can_ever_run(late.components, world.queues[0], world.nodes)) continue;
    const Explanation why = now.planner().explain_as_if(late, world.now);
    Machine with_it(world);
    with_it.add(late);
    EXPECT_EQ(with_it.start_of(key(99)), why.expected_start);
    for (const BetterStart& better : why.better) {
      Machine again(world);
      again.add(better.job);
      EXPECT_EQ(again.start_of(key(99)), better.start) << better.change;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(promises, 100);
  EXPECT_GT(counterfactuals, 50);
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         ExplainProperty,
                         ::testing::Values("fcfs",
                                           "easy",
                                           "easy:3",
                                           "easy-sjbf",
                                           "conservative",
                                           "conservative-replan"));

}  // namespace
}  // namespace gangway::scheduler
