#include "scheduler/policy/core_set.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace gangway::scheduler
