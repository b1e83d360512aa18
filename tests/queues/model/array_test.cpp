#include "queues/model/array.hpp"

#include <gtest/gtest.h>

#include <set>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {

std::string round_trip(std::string_view text) {
  const auto array = parse_array(text);
  return array ? render_indexes(array->indexes) : std::string(array.error().message());
}

TEST(Array, IsWrittenAsSlurmWritesIt) {
  EXPECT_EQ(round_trip("0-9"), "0-9");
  EXPECT_EQ(round_trip("1,3,5-7"), "1,3,5-7");
  EXPECT_EQ(round_trip("0-10:5"), "0-10:5");
  EXPECT_EQ(round_trip("0-9:2%4"), "0-8:2");
  EXPECT_EQ(parse_array("0-9:2%4")->max_running, 4U);
  EXPECT_EQ(round_trip("7"), "7");
}

TEST(Array, OverlappingRangesAreOneSet) {
  EXPECT_EQ(round_trip("5-9,0-6"), "0-9");
  EXPECT_EQ(round_trip("0-8:2,1-9:2"), "0-9");
  EXPECT_EQ(parse_array("3,3,3")->indexes.count(), 1U);
}

TEST(Array, WrongOnesSayWhatIsWrongAndWhatWouldBeRight) {
  EXPECT_EQ(round_trip("a-b"),
            "\"a-b\" is no index or range; write for example 0-9, 1,3,5 or "
            "0-100:10%4");
  EXPECT_EQ(round_trip("9-1"), "\"9-1\" ends before it begins");
  EXPECT_EQ(round_trip("1-9:0"), "\"1-9:0\": the step is no number above 0");
  EXPECT_EQ(round_trip("0-1000000"), "1000001 elements, at most 1000000 are possible");
  EXPECT_EQ(round_trip("0-9%x"),
            "\"%x\": behind % stands how many may run at once, for example %4");
}

TEST(Array, PositionsAndIndexesBelongTogether) {
  const IndexList list = parse_array("2-10:4,20-22")->indexes;
  ASSERT_EQ(list.count(), 6U);
  for (std::uint32_t p = 0; p < 6; ++p) EXPECT_EQ(list.position_of(list.index_at(p)), p);
  EXPECT_FALSE(list.position_of(3));
  EXPECT_EQ(list.position_from(11), 3U);
  IntervalSet some;
  some.add({1, 4});
  EXPECT_EQ(render_indexes(list, some), "6,10,20-21");
}

TEST(Array, ElementsNamedThatAreNotThereAreLeftOut) {
  const IndexList list = parse_array("0-100:10")->indexes;
  EXPECT_EQ(positions_of(list, *parse_index_list("15-45")).size(), 3U);
  EXPECT_EQ(positions_of(list, *parse_index_list("0-100:25")).size(), 3U);  // 0, 50, 100
  EXPECT_TRUE(positions_of(list, *parse_index_list("1-9")).empty());
}

TEST(Array, ElementsNamedAreThoseInBothLists) {
  Rng rng(5);
  const auto any_list = [&] {
    std::string text;
    for (std::int64_t i = rng.between(1, 6); i > 0; --i) {
      const std::int64_t first = rng.between(0, 80);
      text += cat(text.empty() ? "" : ",", first, '-', rng.between(first, first + 20), ':',
                  rng.between(1, 4));
    }
    return *parse_index_list(text);
  };
  for (int i = 0; i < 2000; ++i) {
    const IndexList own = any_list();
    const IndexList wanted = any_list();
    IntervalSet expected;
    for (std::uint32_t p = 0; p < own.count(); ++p) {
      if (wanted.position_of(own.index_at(p))) expected.add(p);
    }
    ASSERT_EQ(positions_of(own, wanted), expected)
        << render_indexes(own) << " and " << render_indexes(wanted);
  }
}

TEST(IntervalSet, IsTheSetItWouldBe) {
  Rng rng(7);
  IntervalSet set;
  std::set<std::uint32_t> plain;
  for (int i = 0; i < 3000; ++i) {
    const auto a = static_cast<std::uint32_t>(rng.between(0, 60));
    const auto b = static_cast<std::uint32_t>(rng.between(a, a + 6));
    const bool add = rng.chance(500);
    add ? set.add({a, b}) : set.remove({a, b});
    for (std::uint32_t n = a; n <= b; ++n) add ? (void)plain.insert(n) : (void)plain.erase(n);
    ASSERT_EQ(set.size(), plain.size());
    for (std::uint32_t n = 0; n < 70; ++n) {
      ASSERT_EQ(set.contains(n), plain.contains(n));
      const auto next = plain.lower_bound(n);
      ASSERT_EQ(set.first_from(n), next == plain.end() ? std::nullopt : std::optional(*next));
    }
    for (std::size_t k = 1; k < set.intervals().size(); ++k) {
      ASSERT_GT(set.intervals()[k].first, set.intervals()[k - 1].last + 1);
    }
  }
}

TEST(IntervalSet, WithAndWithoutAnotherOneIsTheSetItWouldBe) {
  Rng rng(11);
  const auto any = [&](IntervalSet& set, std::set<std::uint32_t>& plain) {
    for (std::int64_t i = rng.between(0, 12); i > 0; --i) {
      const auto a = static_cast<std::uint32_t>(rng.between(0, 60));
      const auto b = static_cast<std::uint32_t>(rng.between(a, a + 4));
      set.add({a, b});
      for (std::uint32_t n = a; n <= b; ++n) plain.insert(n);
    }
  };
  for (int i = 0; i < 3000; ++i) {
    IntervalSet set;
    IntervalSet other;
    std::set<std::uint32_t> plain;
    std::set<std::uint32_t> plain_other;
    any(set, plain);
    any(other, plain_other);
    const bool add = rng.chance(500);
    add ? set.add(other) : set.remove(other);
    for (const std::uint32_t n : plain_other) {
      add ? (void)plain.insert(n) : (void)plain.erase(n);
    }
    IntervalSet one_by_one;
    for (const std::uint32_t n : plain) one_by_one.add(n);
    ASSERT_EQ(set, one_by_one);
  }
}

// One by one, each interval would move all those behind it: hours.
TEST(IntervalSet, OfAMillionIntervalsIsJoinedAndPartedInOneWalk) {
  std::vector<IntervalSet> halves(2);
  for (std::uint32_t n = 0; n < 2'000'000; n += 2) halves[n / 2 % 2].add(n);
  IntervalSet set = halves[0];
  set.add(halves[1]);
  EXPECT_EQ(set.intervals().size(), 1'000'000U);
  set.remove(halves[0]);
  EXPECT_EQ(set, halves[1]);
}

}  // namespace
}  // namespace gangway
