#include "scheduler/policy/gang.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

using Nodes = std::vector<NodeIndex>;

TEST(Gang, OnePartGetsItsBestOptions) {
  const auto gang = assign_gang({{2, {5, 3, 4}}});
  ASSERT_TRUE(gang);
  EXPECT_EQ((*gang)[0], (Nodes{5, 3}));
}

TEST(Gang, IsAllOrNothing) {
  EXPECT_FALSE(assign_gang({{1, {0, 1}}, {1, {}}}));
  EXPECT_FALSE(assign_gang({{2, {0, 1, 2}}, {2, {0, 1, 2}}}));
}

// part 0 (1 node) could take 0 or 1, part 1 only 0.
TEST(Gang, ThoseWithLessChoiceComeFirst) {
  const auto gang = assign_gang({{1, {0, 1}}, {1, {0}}});
  ASSERT_TRUE(gang);
  EXPECT_EQ((*gang)[0], Nodes{1});
  EXPECT_EQ((*gang)[1], Nodes{0});
}

// Greedy gives 0 to part 0 and 1 to part 1; part 2 then needs both to move on.
TEST(Gang, PartsMakeRoomForOneAnother) {
  const auto gang = assign_gang({{1, {0, 1}}, {1, {1, 2}}, {1, {0, 1}}});
  ASSERT_TRUE(gang);
  EXPECT_EQ((*gang)[1], Nodes{2});
}

// Against trying everything, for many small gangs.
TEST(Gang, IsFoundWheneverThereIsOne) {
  Rng rng(7);
  for (int round = 0; round < 2000; ++round) {
    const auto node_count = static_cast<NodeIndex>(rng.between(1, 6));
    std::vector<GangPart> parts(static_cast<std::size_t>(rng.between(2, 3)));
    for (GangPart& part : parts) {
      part.nodes = static_cast<std::int32_t>(rng.between(1, 3));
      for (NodeIndex node = 0; node < node_count; ++node) {
        if (rng.chance(500)) part.options.push_back(node);
      }
    }
    // Each node goes to one part or to none: (parts + 1)^nodes ways.
    bool possible = false;
    std::size_t ways = 1;
    for (NodeIndex node = 0; node < node_count; ++node) ways *= parts.size() + 1;
    for (std::size_t way = 0; way < ways && !possible; ++way) {
      std::vector<std::int32_t> got(parts.size(), 0);
      std::size_t rest = way;
      for (NodeIndex node = 0; node < node_count; ++node, rest /= parts.size() + 1) {
        const std::size_t part = rest % (parts.size() + 1);
        if (part < parts.size() && std::ranges::count(parts[part].options, node) > 0) ++got[part];
      }
      possible = true;
      for (std::size_t i = 0; i < parts.size(); ++i) possible &= got[i] >= parts[i].nodes;
    }
    const auto gang = assign_gang(parts);
    ASSERT_EQ(gang.has_value(), possible) << "round " << round;
    if (!gang) continue;
    std::set<NodeIndex> used;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      ASSERT_EQ((*gang)[i].size(), static_cast<std::size_t>(parts[i].nodes));
      for (const NodeIndex node : (*gang)[i]) {
        ASSERT_TRUE(used.insert(node).second) << "node given twice in round " << round;
        ASSERT_EQ(std::ranges::count(parts[i].options, node), 1);
      }
    }
  }
}

}  // namespace
}  // namespace gangway::scheduler
