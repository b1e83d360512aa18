#include "scheduler/policy/timeline.hpp"

#include <gtest/gtest.h>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

Amounts cores(std::int64_t n) {
  Amounts a;
  a.of[0] = n;
  return a;
}

// 4 cores; 3 are held until 10 s, 2 are reserved from 20 s to 30 s.
//
//   free 1 | 4 | 2 | 4
//        10  20  30
Timeline some() {
  Timeline t;
  t.give(Timeline::kAlways, Time::infinity(), cores(4));
  t.take(Timeline::kAlways, at_s(10), cores(3));
  t.take(at_s(20), at_s(30), cores(2));
  return t;
}

TEST(Timeline, SaysWhatIsFreeAtAnyMoment) {
  const Timeline t = some();
  EXPECT_EQ(t.now().cores(), 1);
  EXPECT_EQ(t.at(at_s(9)).cores(), 1);
  EXPECT_EQ(t.at(at_s(10)).cores(), 4);
  EXPECT_EQ(t.at(at_s(29)).cores(), 2);
  EXPECT_EQ(t.at(at_s(30)).cores(), 4);
  EXPECT_EQ(t.size(), 4u);
}

TEST(Timeline, ASpanIsClosedAtItsStartAndOpenAtItsEnd) {
  const Timeline t = some();
  EXPECT_TRUE(t.fits(cores(4), at_s(10), at_s(20)));
  EXPECT_FALSE(t.fits(cores(4), at_s(9), at_s(20)));
  EXPECT_FALSE(t.fits(cores(4), at_s(10), at_s(21)));
  EXPECT_TRUE(t.fits(cores(2), at_s(10), Time::infinity()));
}

TEST(Timeline, AWindowHasRoomForTheWholeLimit) {
  const Timeline t = some();
  const auto short_job = t.next_window(cores(3), at_s(0), seconds(6));
  ASSERT_TRUE(short_job);
  EXPECT_EQ(short_job->first, at_s(10));
  EXPECT_EQ(short_job->last, at_s(14) + nanoseconds(1));
  const auto long_job = t.next_window(cores(3), at_s(0), seconds(11));
  ASSERT_TRUE(long_job);
  EXPECT_EQ(long_job->first, at_s(30));
  EXPECT_EQ(t.next_window(cores(2), at_s(0), std::nullopt)->first, at_s(10));
  EXPECT_FALSE(t.next_window(cores(5), at_s(0), seconds(1)));
}

TEST(Timeline, WhatIsGivenBackLeavesNoTrace) {
  Timeline t = some();
  t.give(at_s(20), at_s(30), cores(2));
  t.give(Timeline::kAlways, at_s(10), cores(3));
  EXPECT_EQ(t.size(), 1u);
  EXPECT_EQ(t.now().cores(), 4);
}

TEST(Timeline, OfAKindThatComesLaterThereWasNothingBefore) {
  constexpr std::size_t kLater = 7;
  Timeline t = some();
  for (std::int64_t s = 40; s < 80; s += 2) t.take(at_s(s), at_s(s + 1), cores(1));
  Amounts later;
  later.of[kLater] = 2;
  EXPECT_FALSE(t.next_window(later, at_s(0), std::nullopt));
  EXPECT_FALSE(t.fits(later, at_s(0), at_s(1)));
  t.give(at_s(25), at_s(55), later);
  EXPECT_FALSE(t.fits(later, at_s(24), at_s(30)));
  EXPECT_TRUE(t.fits(later, at_s(25), at_s(55)));
  EXPECT_EQ(t.at(at_s(40)).of[kLater], 2);
  EXPECT_EQ(t.at(at_s(40)).cores(), 3);
  EXPECT_EQ(t.at(at_s(55)).of[kLater], 0);
  later.of[0] = 4;
  EXPECT_EQ(t.next_window(later, at_s(0), seconds(5))->first, at_s(30));
}

// Against a table of seconds.
TEST(Timeline, AgreesWithATableOfSeconds) {
  Rng rng(7);
  for (int round = 0; round < 50; ++round) {
    Timeline t;
    std::vector<std::int64_t> table(100, 0);
    for (int i = 0; i < 30; ++i) {
      const std::int64_t from = rng.between(0, 98);
      const std::int64_t to = rng.between(from, 99);
      const std::int64_t n = rng.between(-3, 3);
      t.give(from == 0 ? Timeline::kAlways : at_s(from), at_s(to), cores(n));
      for (std::int64_t s = from; s < to; ++s) table[static_cast<std::size_t>(s)] += n;
      for (std::int64_t s = 0; s < 100; ++s) {
        ASSERT_EQ(t.at(at_s(s)).cores(), table[static_cast<std::size_t>(s)]);
      }
    }
    const std::int64_t wanted = rng.between(1, 4);
    const std::int64_t length = rng.between(1, 9);
    std::optional<std::int64_t> first;
    for (std::int64_t s = 0; s + length <= 99 && !first; ++s) {
      bool fits = true;
      for (std::int64_t at = s; at < s + length; ++at) {
        fits = fits && table[static_cast<std::size_t>(at)] >= wanted;
      }
      if (fits) first = s;
    }
    const auto window = t.next_window(cores(wanted), at_s(0), seconds(length));
    ASSERT_EQ(window.has_value(), first.has_value());
    if (window) {
      EXPECT_EQ(window->first, at_s(*first));
    }
  }
}

}  // namespace
}  // namespace gangway::scheduler
