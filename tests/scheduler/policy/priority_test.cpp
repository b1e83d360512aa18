#include "scheduler/policy/priority.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "policy_builders.hpp"

namespace gangway::scheduler {
namespace {

TEST(Priority, AMinuteOfWaitingIsWorthAPointOfNice) {
  const Place nice = place_of(key(1), at_s(0), 0, 1);
  EXPECT_LT(place_of(key(2), at_s(59), 0, 0), nice);
  EXPECT_LT(nice, place_of(key(2), at_s(61), 0, 0));
}

TEST(Priority, QueuesGivePoints) {
  EXPECT_LT(place_of(key(2), at_s(500), 100, 0), place_of(key(1), at_s(0), 0, 0));
}

TEST(Priority, TiesGoToTheSmallerId) {
  EXPECT_LT(place_of(key(1), at_s(7), 0, 0), place_of(key(2), at_s(7), 0, 0));
}

TEST(Priority, RisesWithTime) {
  const Place place = place_of(key(1), at_s(0), 10, 3);
  EXPECT_EQ(priority_at(place, at_s(0)), 1007);
  EXPECT_EQ(priority_at(place, at_s(120)), 1009);
}

TEST(Priority, BearsTheLargestNumbers) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  const Time now{1'800'000'000'000'000'000};
  EXPECT_LT(place_of(key(2), now, kMost, kLeast), place_of(key(1), now, kLeast, kMost));
}

}  // namespace
}  // namespace gangway::scheduler
