// The matrix of gangs that take turns, and what the planner makes of it.
//
// Pictures: a column is a core, a row a time slice.
#include "scheduler/policy/time_slices.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/slice_matrix.hpp"

namespace gangway::scheduler {
namespace {

using Cells = SliceMatrix::Cells;
using Keys = std::vector<JobKey>;

// All these cores of node 0.
Cells cores(std::vector<std::int32_t> numbers) { return {{0, std::move(numbers)}}; }
bool all_are_willing(JobKey) { return true; }

TEST(TimeSlices, ALimitIsStretchedNoFurtherThanTimesGo) {
  Queue queue;
  queue.name = QueueName("turns");
  queue.time_slicing = TimeSlicing{.gangs = 16};
  TimeSlices slices;
  slices.set_queues({queue});
  EXPECT_EQ(slices.stretched(queue.name, hours(1)), hours(16));
  EXPECT_EQ(slices.stretched(queue.name, kMaxDuration), kMaxDuration);
}

//        0 1 2 3
// row 0  1 1 2 2
// row 1  3 3 3 3
TEST(SliceMatrix, AGangComesIntoTheFirstRowInWhichItsCoresAreFree) {
  SliceMatrix matrix;
  matrix.put(key(1), cores({0, 1}));
  matrix.put(key(3), cores({0, 1, 2, 3}));
  matrix.put(key(2), cores({2, 3}));
  ASSERT_EQ(matrix.rows().size(), 2U);
  EXPECT_EQ(matrix.rows()[0], (Keys{key(1), key(2)}));
  EXPECT_EQ(matrix.rows()[1], (Keys{key(3)}));
  EXPECT_TRUE(matrix.overlap(key(2), key(3)));
  EXPECT_FALSE(matrix.overlap(key(1), key(2)));
}

//        0 1 2 3            0 1 2 3
// row 0  1 1 . .   1 ends   2 2 3 .
// row 1  2 2 3 .     -->
TEST(SliceMatrix, RowsAreUnifiedWhenAGangEnds) {
  SliceMatrix matrix;
  matrix.put(key(1), cores({0, 1}));
  matrix.put(key(2), cores({0, 1}));
  matrix.put(key(3), cores({2}));
  matrix.take(key(1));
  ASSERT_EQ(matrix.rows().size(), 1U);
  EXPECT_EQ(std::set<JobKey>(matrix.rows()[0].begin(), matrix.rows()[0].end()),
            (std::set<JobKey>{key(2), key(3)}));
  matrix.take(key(99));  // unknown
  EXPECT_EQ(matrix.rows().size(), 1U);
}

//        0 1 2
// row 0  1 1 .
// row 1  2 . .     core 1 is free in the slice of row 1, core 2 in that of both
// row 2  4 3 .
TEST(SliceMatrix, WhoseCoresNobodyNeedsInAnotherSliceRunsInThatOneToo) {
  SliceMatrix matrix;
  matrix.put(key(1), cores({0, 1}));
  matrix.put(key(2), cores({0}));
  matrix.put(key(4), cores({0}));
  matrix.put(key(3), cores({1}));
  EXPECT_EQ(matrix.slice(0, all_are_willing), (Keys{key(1)}));
  EXPECT_EQ(matrix.slice(1, all_are_willing), (Keys{key(2), key(3)}));
  EXPECT_EQ(matrix.slice(2, all_are_willing), (Keys{key(3), key(4)}));
}

TEST(SliceMatrix, OnlyTheWillingRunAndRowsWithoutAnyAreLeftOut) {
  SliceMatrix matrix;
  for (const std::uint64_t id : {1, 2, 3}) matrix.put(key(id), cores({0}));
  const auto not_two = [](JobKey gang) { return gang != key(2); };
  EXPECT_EQ(matrix.next_row(0, not_two), 2U);
  EXPECT_EQ(matrix.next_row(2, not_two), 0U);
  EXPECT_EQ(matrix.slice(1, not_two), (Keys{key(3)}));
  EXPECT_EQ(matrix.next_row(0, [](JobKey gang) { return gang == key(1); }), 0U);
  EXPECT_EQ(matrix.next_row(0, [](JobKey) { return false; }), std::nullopt);
}

TEST(SliceMatrix, AGangKeepsItsRowWhenSomeOfItsNodesAreFreeAgain) {
  SliceMatrix matrix;
  matrix.put(key(1), {{0, {0}}, {1, {0}}});
  matrix.put(key(2), {{0, {0}}, {1, {0}}});
  matrix.put(key(1), {{1, {0}}});
  EXPECT_EQ(matrix.row_of(key(1)), 0U);
  EXPECT_EQ(matrix.row_of(key(2)), 1U);
}

TEST(SliceMatrix, RandomHistoriesKeepEveryGangWholeInOneRowAndGiveNoCoreTwiceInASlice) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(seed);
    SliceMatrix matrix;
    SliceMatrix again;
    std::map<JobKey, Cells> there;
    for (int step = 0; step < 60; ++step) {
      const JobKey gang = key(static_cast<std::uint64_t>(rng.between(1, 12)));
      if (there.contains(gang) && rng.chance(600)) {
        there.erase(gang);
        matrix.take(gang);
        again.take(gang);
      } else {
        Cells cells;
        for (NodeIndex node = 0; node < 3; ++node) {
          std::vector<std::int32_t> numbers;
          for (std::int32_t core = 0; core < 4; ++core) {
            if (rng.chance(350)) numbers.push_back(core);
          }
          if (!numbers.empty()) cells.push_back({node, numbers});
        }
        there[gang] = cells;
        matrix.put(gang, cells);
        again.put(gang, cells);
      }
      EXPECT_EQ(matrix.rows(), again.rows());
      const auto willing = [&](JobKey k) { return k.job.value % 5 != 0; };
      std::map<JobKey, int> rows_of;
      std::set<JobKey> has_run;
      for (std::size_t row = 0; row < matrix.rows().size(); ++row) {
        EXPECT_FALSE(matrix.rows()[row].empty());
        std::set<std::pair<NodeIndex, std::int32_t>> used;
        for (const JobKey k : matrix.rows()[row]) {
          ++rows_of[k];
          EXPECT_EQ(matrix.row_of(k), row);
          for (const auto& cell : there.at(k)) {
            for (const auto core : cell.cores) EXPECT_TRUE(used.emplace(cell.node, core).second);
          }
        }
        // No row above has room for it: that is what unification is for.
        for (const JobKey k : matrix.rows()[row]) {
          for (std::size_t above = 0; above < row; ++above) {
            const bool in_the_way = std::ranges::any_of(there.at(k), [&](const auto& cell) {
              return std::ranges::any_of(cell.cores, [&](std::int32_t core) {
                return matrix.is_used(above, cell.node, core);
              });
            });
            EXPECT_TRUE(in_the_way) << "seed " << seed << " step " << step;
          }
        }
        std::set<std::pair<NodeIndex, std::int32_t>> running;
        for (const JobKey k : matrix.slice(row, willing)) {
          EXPECT_TRUE(willing(k));
          has_run.insert(k);
          for (const auto& cell : there.at(k)) {
            for (const auto core : cell.cores) {
              EXPECT_TRUE(running.emplace(cell.node, core).second);
            }
          }
        }
      }
      EXPECT_EQ(rows_of.size(), there.size());
      for (const auto& [k, cells] : there) {
        EXPECT_EQ(rows_of[k], 1);
        EXPECT_EQ(has_run.contains(k), willing(k));  // everybody gets a slice
      }
      if (testing::Test::HasFailure()) return;
    }
  }
}

// ---- the planner -------------------------------------------------------------------------------

Queue sliced_queue(int gangs) {
  Queue queue;
  queue.name = QueueName("sliced");
  queue.time_slicing = TimeSlicing{gangs, seconds(30)};
  return queue;
}

Candidate sliced(CandidateBuilder builder) {
  Candidate candidate = builder;
  candidate.queue = QueueName("sliced");
  return candidate;
}

// Two nodes of four cores and 8 GiB, a queue "batch" and a time-sliced one.
class SlicedPlan : public testing::Test {
 protected:
  explicit SlicedPlan(int gangs = 2) {
    planner.apply(delta::RulesAre{PriorityRules{}});
    planner.apply(delta::QueuesAre{{batch_queue(), sliced_queue(gangs)}});
    Resources r = capacity(4, gibibytes(8));
    r.set_named("gpu", 2);
    for (int i = 1; i <= 2; ++i) planner.apply(delta::NodeIs{node_name(i), r});
  }
  std::vector<JobKey> pass(std::int64_t second) {
    std::vector<JobKey> started;
    const PlanDelta plan = planner.pass(at_s(second), 1000);
    for (const Start& start : plan.starts) {
      const Candidate& job = waiting.at(start.key);
      const Time end =
          job.limit ? at_s(second) + *planner.stretched(job.queue, job.limit) : Time::infinity();
      planner.apply(delta::Started{start.key, start.allocation, end, job.queue});
      allocations[start.key] = start.allocation;
      started.push_back(start.key);
    }
    return started;
  }
  void wait(const Candidate& job) {
    waiting[job.key] = job;
    planner.apply(delta::Waits{job});
  }
  Planner planner;
  std::map<JobKey, Candidate> waiting;
  std::map<JobKey, Allocation> allocations;
};

TEST_F(SlicedPlan, TwoGangsOfTheWholeClusterStartAtOnceAndTheThirdWaits) {
  for (const std::uint64_t id : {1, 2, 3}) {
    wait(sliced(job(id).nodes(2).cores(4).memory(gibibytes(2)).limit(minutes(1))));
  }
  EXPECT_EQ(pass(0), (Keys{key(1), key(2)}));
  const SliceMatrix& matrix = *planner.slices_of(QueueName("sliced"));
  EXPECT_EQ(matrix.rows(), (std::vector<Keys>{{key(1)}, {key(2)}}));
  EXPECT_EQ(pass(1), Keys{});
  planner.apply(delta::Ended{key(1)});
  EXPECT_EQ(pass(30), Keys{key(3)});
  EXPECT_EQ(allocations[key(3)], allocations[key(2)]);  // on the same cores
}

TEST_F(SlicedPlan, MemoryOfGangsThatStandStillIsNotGivenAgain) {
  wait(sliced(job(1).nodes(2).cores(4).memory(gibibytes(5)).limit(minutes(1))));
  wait(sliced(job(2).nodes(2).cores(4).memory(gibibytes(4)).limit(minutes(1))));
  wait(sliced(job(3).nodes(2).cores(4).memory(gibibytes(3)).limit(minutes(1))));
  EXPECT_EQ(pass(0), (Keys{key(1), key(3)}));
}

TEST_F(SlicedPlan, NamedResourcesAreNotShared) {
  for (const std::uint64_t id : {1, 2}) {
    wait(sliced(job(id).nodes(2).cores(4).memory(gibibytes(1)).named("gpu", 2).limit(minutes(1))));
  }
  EXPECT_EQ(pass(0), Keys{key(1)});
}

TEST_F(SlicedPlan, JobsOfOtherQueuesGetNothingOfWhatTheGangsHoldUntilTheLastIsGone) {
  wait(sliced(job(1).nodes(2).cores(4).memory(gibibytes(1)).limit(minutes(1))));
  wait(sliced(job(2).nodes(2).cores(3).memory(gibibytes(1)).limit(minutes(1))));
  EXPECT_EQ(pass(0), (Keys{key(1), key(2)}));
  wait(job(3).nodes(1).cores(2).limit(minutes(1)));
  wait(job(4).nodes(1).cores(1).limit(seconds(5)));
  EXPECT_EQ(pass(1), Keys{});
  planner.apply(delta::Ended{key(1)});
  EXPECT_EQ(pass(2), Keys{key(4)});  // of each node one core is free, three are the second's
  planner.apply(delta::Ended{key(4)});
  planner.apply(delta::Ended{key(2)});
  EXPECT_EQ(pass(3), Keys{key(3)});
}

// The head of the line is promised the nodes at 120 s, when the first gang has had its limit with
// two rows; a second gang that would hold them longer may not come in beside it.
TEST_F(SlicedPlan, AGangComesIntoARowOnlyIfItDelaysNoPromise) {
  wait(sliced(job(1).nodes(2).cores(4).memory(gibibytes(1)).limit(minutes(1))));
  EXPECT_EQ(pass(0), Keys{key(1)});
  wait(job(2).nodes(2).cores(4).memory(gibibytes(1)).limit(minutes(1)));
  wait(sliced(job(3).nodes(2).cores(4).memory(gibibytes(1)).limit(minutes(1))));
  wait(sliced(job(4).nodes(2).cores(4).memory(gibibytes(1)).limit(seconds(50))));
  EXPECT_EQ(pass(1), Keys{key(4)});  // until 101 s
  EXPECT_EQ(planner.kept_promises().size(), 0U);
}

TEST_F(SlicedPlan, AJobThatFitsBesideTheOthersSharesWithNobody) {
  wait(sliced(job(1).nodes(1).cores(2).limit(minutes(1))));
  wait(sliced(job(2).nodes(1).cores(2).limit(minutes(1))));
  EXPECT_EQ(pass(0), (Keys{key(1), key(2)}));
  const SliceMatrix& matrix = *planner.slices_of(QueueName("sliced"));
  EXPECT_EQ(matrix.rows().size(), 1U);
  EXPECT_FALSE(matrix.overlap(key(1), key(2)));
}

// Random gangs and jobs come and go; what the planner keeps gives the same as from scratch, and no
// resource is given twice.
TEST(SlicedPlans, RandomPlansEqualTheReferenceAndGiveNothingTwice) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    const int gangs = static_cast<int>(rng.between(2, 3));
    Snapshot snapshot;

    snapshot.queues = {batch_queue(), sliced_queue(gangs)};
    for (int i = 1; i <= 3; ++i) {
      Resources r = capacity(static_cast<int>(rng.between(2, 4)), gibibytes(8));
      if (rng.chance(300)) r.set_named("gpu", 1);
      snapshot.nodes.push_back({node_name(i), r});
    }
    Planner planner;
    planner.apply(delta::RulesAre{snapshot.rules});
    planner.apply(delta::QueuesAre{snapshot.queues});
    for (const auto& node : snapshot.nodes) planner.apply(node);
    std::map<JobKey, std::pair<delta::Started, Time>> running;
    std::map<JobKey, Candidate> waiting;
    std::uint64_t next_id = 1;
    for (std::int64_t second = 0; second < 200; second += rng.between(1, 6)) {
      for (auto entry = running.begin(); entry != running.end();) {
        if (at_s(second) < entry->second.second) {
          ++entry;
          continue;
        }
        planner.apply(delta::Ended{entry->first});
        entry = running.erase(entry);
      }
      for (auto count = rng.between(0, 2); count > 0; --count) {
        CandidateBuilder builder = job(next_id++).eligible(at_s(second));
        builder.nodes(static_cast<int>(rng.between(1, 3)));
        builder.cores(static_cast<int>(rng.between(1, 4)));
        builder.memory(gibibytes(rng.between(1, 5)));
        if (rng.chance(100)) builder.named("gpu", 1);
        builder.limit(seconds(rng.between(2, 40)));
        Candidate candidate = builder;
        if (rng.chance(700)) candidate.queue = QueueName("sliced");
        const Queue& queue = snapshot.queues[candidate.queue == QueueName("sliced") ? 1 : 0];
        if (!can_ever_run(candidate.components, queue, snapshot.nodes)) continue;
        waiting[candidate.key] = candidate;
        planner.apply(delta::Waits{candidate});
      }
      const PlanDelta plan = planner.pass(at_s(second), 1000);
      // In the order in which they started, because rows are filled in that order.
      snapshot.running.clear();
      std::vector<delta::Started> in_order;
      for (const auto& [k, entry] : running) in_order.push_back(entry.first);
      snapshot.running = in_order;
      snapshot.waiting.clear();
      for (const auto& [k, candidate] : waiting) snapshot.waiting.push_back(candidate);
      const bool one_row_each = [&] {
        const SliceMatrix& matrix = *planner.slices_of(QueueName("sliced"));
        return matrix.rows().size() <= 1;
      }();
      if (one_row_each) {  // rows depend on history; with one there is none
        const PlanDelta reference = schedule(snapshot, at_s(second));
        ASSERT_EQ(plan.starts.size(), reference.starts.size()) << "seed " << seed;
        for (std::size_t i = 0; i < plan.starts.size(); ++i) {
          EXPECT_EQ(plan.starts[i].key, reference.starts[i].key);
          EXPECT_EQ(plan.starts[i].allocation, reference.starts[i].allocation) << "seed " << seed;
        }
      }
      for (const Start& start : plan.starts) {
        const Candidate candidate = waiting.at(start.key);
        waiting.erase(start.key);
        const Duration stretched = *planner.stretched(candidate.queue, candidate.limit);
        const delta::Started started{start.key, start.allocation, at_s(second) + stretched,
                                     candidate.queue};
        planner.apply(started);
        running[start.key] = {started, at_s(second) + Duration{rng.between(1, stretched.ns)}};
      }
      // Memory is everybody's own; a core has at most `gangs` gangs, or one job of another queue.
      std::map<NodeName, std::int64_t> memory;
      std::map<std::pair<NodeName, std::int32_t>, std::vector<QueueName>> on_core;
      for (const auto& [k, entry] : running) {
        for (const NodeShare& share : entry.first.allocation.shares) {
          memory[share.node] += share.resources.memory.value;
          EXPECT_EQ(share.cores.size(), static_cast<std::size_t>(share.resources.cores));
          for (const auto core : share.cores) {
            on_core[{share.node, core}].push_back(entry.first.queue);
          }
        }
      }
      for (const auto& [node, amount] : memory) EXPECT_LE(amount, gibibytes(8).value);
      for (const auto& [core, queues] : on_core) {
        const bool is_shared = queues.front() == QueueName("sliced");
        EXPECT_LE(queues.size(), is_shared ? static_cast<std::size_t>(gangs) : 1U);
        for (const auto& queue : queues) EXPECT_EQ(queue, queues.front());
      }
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << "seed " << seed << " at " << second << " s";
        return;
      }
    }
  }
}

}  // namespace
}  // namespace gangway::scheduler
