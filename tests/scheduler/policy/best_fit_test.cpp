#include "scheduler/policy/best_fit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

Amounts amounts(std::int64_t cores, std::int64_t memory, std::int64_t gpus = 0) {
  Amounts out;
  out.of = {cores, memory, gpus};
  return out;
}

struct Known {
  Amounts free;
  bool is_idle = false;
};
using Naive = std::map<BestFit::Position, Known>;

std::vector<NodeIndex> found(const BestFit& nodes, const Amounts& wanted, bool only_idle) {
  std::vector<NodeIndex> out;
  nodes.visit(wanted, only_idle, [&](NodeIndex node) {
    out.push_back(node);
    return true;
  });
  return out;
}

std::vector<NodeIndex> expected(const Naive& nodes, const Amounts& wanted, bool only_idle) {
  std::vector<NodeIndex> out;
  for (const auto& [position, known] : nodes) {
    if (Wanted(wanted).fits_in(known.free) && (known.is_idle || !only_idle)) {
      out.push_back(position.node);
    }
  }
  return out;
}

TEST(BestFit, TakesFewFreeCoresBeforeManyAndNodesWithNamedResourcesLast) {
  BestFit nodes;
  nodes.insert({true, 2, 0, 0}, amounts(2, 8, 1), true);
  nodes.insert({false, 8, 1, 1}, amounts(8, 8), true);
  nodes.insert({false, 4, 2, 2}, amounts(4, 8), false);
  EXPECT_EQ(found(nodes, amounts(2, 0), false), (std::vector<NodeIndex>{2, 1, 0}));
  EXPECT_EQ(found(nodes, amounts(2, 0), true), (std::vector<NodeIndex>{1, 0}));
  EXPECT_EQ(found(nodes, amounts(1, 0, 1), false), (std::vector<NodeIndex>{0}));
}

TEST(BestFit, AVisitEndsWhenItsVisitorHasEnough) {
  BestFit nodes;
  for (NodeIndex node = 0; node < 200; ++node) {
    nodes.insert({false, 4, node, node}, amounts(4, 4), true);
  }
  int visited = 0;
  nodes.visit(amounts(1, 1), false, [&](NodeIndex) { return ++visited < 70; });
  EXPECT_EQ(visited, 70);
}

TEST(BestFit, FindsWhatAWalkAlongAllNodesFinds) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Rng rng(seed);
    BestFit nodes;
    Naive naive;
    for (int step = 0; step < 3000; ++step) {
      const auto number = static_cast<NodeIndex>(rng.between(0, 399));
      const auto known = std::ranges::find_if(
          naive, [&](const auto& entry) { return entry.first.node == number; });
      if (known != naive.end()) {
        nodes.erase(known->first);
        naive.erase(known);
      }
      if (rng.chance(800)) {
        const Amounts free = amounts(rng.between(-1, 8), rng.between(0, 8), rng.between(0, 1));
        const BestFit::Position position{free.has_named(), free.cores(), number, number};
        const bool is_idle = rng.chance(200);
        nodes.insert(position, free, is_idle);
        naive[position] = {free, is_idle};
      }
      if (step % 10 != 0) continue;
      const Amounts wanted = amounts(rng.between(0, 8), rng.between(0, 8), rng.between(0, 1));
      const bool only_idle = rng.chance(300);
      ASSERT_EQ(found(nodes, wanted, only_idle), expected(naive, wanted, only_idle));
    }
  }
}

}  // namespace
}  // namespace gangway::scheduler
