#include "scheduler/policy/core_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

using Cores = std::vector<std::int32_t>;

TEST(CoreSet, TakesTheShortestRunThatIsLongEnough) {
  CoreSet cores(10);  // free: 0 1 2 . 4 5 . 7 8 9
  cores.take({3, 6});
  EXPECT_EQ(cores.choose(2), (Cores{4, 5}));
  EXPECT_EQ(cores.choose(3), (Cores{0, 1, 2}));
}

TEST(CoreSet, TakesTheLowestWhereNoRunIsLongEnough) {
  CoreSet cores(6);  // free: 0 . 2 . 4 5
  cores.take({1, 3});
  EXPECT_EQ(cores.choose(4), (Cores{0, 2, 4, 5}));
}

TEST(CoreSet, ForgetsCoresThatANodeNoLongerHas) {
  CoreSet cores(2);
  cores.take({7});
  cores.give({7});
  EXPECT_EQ(cores.choose(2), (Cores{0, 1}));
}

TEST(CoreSet, AgreesWithATableOfCores) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t count = rng.between(1, 200);
    CoreSet set(count);
    std::vector<bool> table(static_cast<std::size_t>(count), true);
    for (std::int32_t core = 0; core < count; ++core) {
      if (rng.chance(400)) continue;
      EXPECT_TRUE(set.take({core}));
      EXPECT_FALSE(set.take({core}));
      table[static_cast<std::size_t>(core)] = false;
    }
    const auto free = std::count(table.begin(), table.end(), true);
    const auto chosen = set.choose(rng.between(0, free));
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    for (const std::int32_t core : chosen) EXPECT_TRUE(table[static_cast<std::size_t>(core)]);
    // The shortest run that is long enough.
    std::size_t shortest = 0;
    for (std::size_t i = 0; i < table.size();) {
      std::size_t end = i;
      while (end < table.size() && table[end]) ++end;
      if (end - i >= chosen.size() && end > i && (shortest == 0 || end - i < shortest)) {
        shortest = end - i;
      }
      i = end + 1;
    }
    if (shortest > 0 && !chosen.empty()) {
      EXPECT_EQ(static_cast<std::size_t>(chosen.back() - chosen.front()) + 1, chosen.size());
    }
    set.give(chosen);
    EXPECT_EQ(set.choose(free).size(), static_cast<std::size_t>(free));
  }
}

}  // namespace
}  // namespace gangway::scheduler
