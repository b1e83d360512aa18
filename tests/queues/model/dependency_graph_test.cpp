#include "queues/model/dependency_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {

using testing::ElementsAre;

std::vector<std::string> numbered_names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(cat("j", i));
  return names;
}

Result<GraphOrder> order(std::size_t count, const std::vector<GraphEdge>& edges) {
  return order_graph(numbered_names(count), std::vector<std::int64_t>(count, 1), edges);
}

std::string cycle_of(std::size_t count, const std::vector<GraphEdge>& edges) {
  return order(count, edges).error().message();
}

TEST(DependencyGraph, NothingHasAnEmptyOrder) {
  EXPECT_TRUE(order(0, {}).value().topological.empty());
}

TEST(DependencyGraph, TiesGoByNumber) {
  EXPECT_THAT(order(5, {}).value().topological, ElementsAre(0, 1, 2, 3, 4));
  // 4 and 2 are free at once; 0 waits for 4.
  EXPECT_THAT(order(5, {{4, 0}, {2, 1}, {0, 3}}).value().topological, ElementsAre(2, 1, 4, 0, 3));
}

TEST(DependencyGraph, RepeatedEdgeIsOneEdge) {
  EXPECT_THAT(order(2, {{1, 0}, {1, 0}}).value().topological, ElementsAre(1, 0));
}

TEST(DependencyGraph, CriticalPathIsTheLongestSumToASink) {
  //   a(1) --> b(5) --> d(1)
  //     '----> c(2) ----'
  const auto result =
      order_graph({"a", "b", "c", "d"}, {1, 5, 2, 1}, {{0, 1}, {0, 2}, {1, 3}, {2, 3}});
  EXPECT_THAT(result.value().length_to_end, ElementsAre(7, 6, 3, 1));
}

TEST(DependencyGraph, JobThatWaitsForItselfIsNamed) {
  EXPECT_EQ(cycle_of(3, {{0, 1}, {2, 2}}), "these wait for each other: j2 -> j2");
}

TEST(DependencyGraph, CycleOfTwoIsNamed) {
  EXPECT_EQ(cycle_of(4, {{0, 3}, {3, 1}, {1, 3}, {3, 2}}),
            "these wait for each other: j1 -> j3 -> j1");
}

TEST(DependencyGraph, CycleOfThreeIsNamedInOrder) {
  EXPECT_EQ(cycle_of(3, {{0, 2}, {2, 1}, {1, 0}}),
            "these wait for each other: j0 -> j2 -> j1 -> j0");
}

TEST(DependencyGraph, CycleOf201IsNamedWholeWithoutTheWayToIt) {
  // 0 .. 299 in a chain, and 250 leads back to 50.
  std::vector<GraphEdge> edges;
  for (std::uint32_t i = 0; i + 1 < 300; ++i) edges.push_back({i, i + 1});
  edges.push_back({250, 50});
  std::string expected = "these wait for each other: ";
  for (int i = 50; i <= 250; ++i) expected += cat("j", i, " -> ");
  EXPECT_EQ(cycle_of(300, edges), expected + "j50");
}

TEST(DependencyGraph, EndlessCycleIsReportedInABoundedLine) {
  constexpr std::uint32_t kCount = 100'000;
  std::vector<GraphEdge> edges;
  for (std::uint32_t i = 0; i < kCount; ++i) edges.push_back({i, (i + 1) % kCount});
  const std::string message = cycle_of(kCount, edges);
  EXPECT_LT(message.size(), 10'000U);
  EXPECT_TRUE(message.ends_with("j999 -> (99000 more) -> j0"));
}

TEST(DependencyGraph, OrderOfARandomDagPutsEveryJobBehindThoseItWaitsFor) {
  Rng rng(5);
  constexpr std::uint32_t kCount = 100'000;
  std::vector<std::uint32_t> rank(kCount);  // a hidden order that makes it acyclic
  for (std::uint32_t i = 0; i < kCount; ++i) rank[i] = i;
  for (std::uint32_t i = kCount - 1; i > 0; --i) {
    std::swap(rank[i], rank[static_cast<std::size_t>(rng.between(0, i))]);
  }
  std::vector<GraphEdge> edges;
  for (std::uint32_t i = 1; i < kCount; ++i) {
    for (int e = 0; e < 3; ++e) {
      const auto before = static_cast<std::uint32_t>(rng.between(0, i - 1));
      edges.push_back({rank[before], rank[i]});
    }
  }
  const auto result = order(kCount, edges);
  ASSERT_TRUE(result);
  std::vector<std::uint32_t> place(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) place[result->topological[i]] = i;
  for (const auto& edge : edges) {
    ASSERT_LT(place[edge.from], place[edge.to]);
    ASSERT_GT(result->length_to_end[edge.from], result->length_to_end[edge.to]);
  }
}

TEST(DependencyGraph, ChainOfAHundredThousandDoesNotOverflowTheStack) {
  constexpr std::uint32_t kCount = 100'000;
  std::vector<GraphEdge> edges;
  for (std::uint32_t i = 0; i + 1 < kCount; ++i) edges.push_back({i + 1, i});
  EXPECT_EQ(order(kCount, edges).value().length_to_end[kCount - 1], kCount);
  edges.push_back({0, kCount - 1});
  EXPECT_FALSE(order(kCount, edges));
}

}  // namespace
}  // namespace gangway
