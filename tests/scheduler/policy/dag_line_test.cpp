// Turns of a workflow's jobs: exchanged by the length of paths, and never multiplied.
#include "scheduler/policy/dag_line.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

using Turns = std::vector<DagLine::Turn>;

const DagGroup kGroup{1, 0, QueueName("batch")};

TEST(DagLine, TheOneWithTheLongerPathTakesTheEarlierTurn) {
  DagLine line;
  EXPECT_EQ(line.enter(kGroup, key(1), 10, at_s(0)), (Turns{{key(1), at_s(0)}}));
  EXPECT_EQ(line.enter(kGroup, key(2), 99, at_s(60)),
            (Turns{{key(1), at_s(60)}, {key(2), at_s(0)}}));
}

TEST(DagLine, AShorterPathWaitsForItsOwnTurn) {
  DagLine line;
  line.enter(kGroup, key(1), 10, at_s(0));
  EXPECT_EQ(line.enter(kGroup, key(2), 5, at_s(60)), (Turns{{key(2), at_s(60)}}));
}

TEST(DagLine, EqualPathsGoByTheirNumbers) {
  DagLine line;
  line.enter(kGroup, key(2), 10, at_s(0));
  EXPECT_EQ(line.enter(kGroup, key(1), 10, at_s(60)),
            (Turns{{key(1), at_s(0)}, {key(2), at_s(60)}}));
}

TEST(DagLine, OneThatComesBackWithAnEarlyTurnGivesItToTheLongestPath) {
  DagLine line;
  line.enter(kGroup, key(1), 50, at_s(60));
  line.enter(kGroup, key(2), 40, at_s(90));
  EXPECT_EQ(line.enter(kGroup, key(3), 30, at_s(0)),
            (Turns{{key(1), at_s(0)}, {key(2), at_s(60)}, {key(3), at_s(90)}}));
}

TEST(DagLine, WhoStartsUsesUpTheTurnItHas) {
  DagLine line;
  line.enter(kGroup, key(1), 10, at_s(0));
  line.enter(kGroup, key(2), 99, at_s(60));
  EXPECT_EQ(line.leave(key(2)), at_s(0));
  // The next long path finds the turn of 60 s, not that of 0 s again.
  EXPECT_EQ(line.enter(kGroup, key(3), 99, at_s(80)),
            (Turns{{key(1), at_s(80)}, {key(3), at_s(60)}}));
}

TEST(DagLine, OtherWorkflowsUsersAndQueuesExchangeNothing) {
  DagLine line;
  line.enter(kGroup, key(1), 10, at_s(0));
  line.enter({2, 0, QueueName("batch")}, key(2), 99, at_s(60));
  line.enter({1, 1, QueueName("batch")}, key(3), 99, at_s(60));
  EXPECT_EQ(line.enter({1, 0, QueueName("short")}, key(4), 99, at_s(60)),
            (Turns{{key(4), at_s(60)}}));
  EXPECT_EQ(line.leave(key(1)), at_s(0));
}

// After every step the turns are as many as, and the same as, those brought in less those taken
// away, and sorted they go to the jobs sorted by their paths.
TEST(DagLine, RandomStepsKeepTurnsAndOrder) {
  Rng rng(7);
  DagLine line;
  struct Known {
    std::int64_t path;
    Time turn;
  };
  std::map<JobKey, Known> known;
  std::multiset<Time> turns;
  std::int64_t now = 0;
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    now += rng.between(0, 2);
    if (!known.empty() && rng.chance(450)) {
      const auto who =
          std::next(known.begin(), rng.between(0, static_cast<std::int64_t>(known.size()) - 1));
      const Time taken = line.leave(who->first);
      EXPECT_EQ(taken, who->second.turn);
      turns.erase(turns.find(taken));
      known.erase(who);
    } else {
      const Time turn = at_s(rng.chance(200) ? rng.between(0, now) : now);
      const std::int64_t path = rng.between(0, 30);
      known[key(step)] = {path, turn};
      turns.insert(turn);
      for (const auto& moved : line.enter(kGroup, key(step), path, turn)) {
        known.at(moved.key).turn = moved.at;
      }
    }
    std::vector<std::pair<std::int64_t, JobKey>> by_path;
    std::multiset<Time> held;
    for (const auto& [job, state] : known) {
      by_path.emplace_back(-state.path, job);
      held.insert(state.turn);
    }
    ASSERT_EQ(held, turns);
    std::sort(by_path.begin(), by_path.end());
    for (std::size_t i = 1; i < by_path.size(); ++i) {
      ASSERT_LE(known.at(by_path[i - 1].second).turn, known.at(by_path[i].second).turn);
    }
  }
}

// ---- in the planner ----

Candidate member(std::uint64_t id,
                 std::uint64_t first,
                 std::int64_t path,
                 const CandidateBuilder& b) {
  Candidate out = b;
  out.key = key(id);
  out.dag = DagPosition{JobId{first}, path};
  return out;
}

TEST(DagOrder, OfMembersThatWaitSinceTheSameTimeTheLongestPathIsFirst) {
  LittleCluster cluster;
  cluster.nodes(1, 1);
  cluster.waits(member(1, 1, 10, job(1).eligible(at_s(0))))
      .waits(member(2, 1, 30, job(2).eligible(at_s(0))))
      .waits(member(3, 1, 20, job(3).eligible(at_s(0))));
  EXPECT_EQ(started(cluster.pass(at_s(0))), std::vector<std::uint64_t>{2});
}

TEST(DagOrder, ALongPathPassesNobodyElse) {
  LittleCluster cluster;
  cluster.nodes(1, 1);
  cluster.waits(job(1).eligible(at_s(0)))
      .waits(member(2, 2, 500, job(2).eligible(at_s(0))))
      .waits(member(3, 2, 900, job(3).eligible(at_s(0))))
      .waits(job(4).eligible(at_s(0)));
  EXPECT_EQ(cluster.planner.explain(key(1), at_s(0))->rank, 1);
  EXPECT_EQ(cluster.planner.explain(key(3), at_s(0))->rank, 2);
  EXPECT_EQ(cluster.planner.explain(key(2), at_s(0))->rank, 3);
  EXPECT_EQ(cluster.planner.explain(key(4), at_s(0))->rank, 4);
}

TEST(DagOrder, AnotherTurnLeavesAPromiseAsItIs) {
  LittleCluster cluster({batch_queue()}, *parse_backfill_policy("conservative"));
  cluster.nodes(1, 1);
  cluster.waits(job(1).limit(seconds(100)));
  (void)cluster.pass(at_s(10));
  cluster.waits(member(2, 2, 10, job(2).limit(seconds(50)).eligible(at_s(10))));
  cluster.waits(job(3).limit(seconds(50)).eligible(at_s(11)));
  (void)cluster.pass(at_s(11));
  const auto before = cluster.planner.kept_promises();
  ASSERT_EQ(before.size(), 2U);
  cluster.planner.apply(
      delta::Waits{member(2, 2, 10, job(2).limit(seconds(50)).eligible(at_s(20)))});
  (void)cluster.pass(at_s(20));
  std::map<JobKey, Time> after;
  for (const Promise& promise : cluster.planner.kept_promises()) after[promise.key] = promise.start;
  EXPECT_EQ(after, (std::map<JobKey, Time>{{key(2), at_s(110)}, {key(3), at_s(160)}}));
  EXPECT_EQ(cluster.planner.explain(key(2), at_s(20))->rank, 2);
}

}  // namespace
}  // namespace gangway::scheduler
