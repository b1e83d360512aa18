#include "scheduler/policy/class_line.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::scheduler {
namespace {

Place place(std::int64_t lateness, std::uint64_t id) {
  return {.lateness = lateness, .eligible = at_s(1), .family = JobId{id}, .key = key(id)};
}

std::vector<JobKey> in_order(const ClassLine& line) {
  std::vector<JobKey> out;
  line.for_each([&](const Place& at) { out.push_back(at.key); });
  return out;
}

TEST(ClassLine, StandsInTheOrderOfPlaces) {
  ClassLine line;
  line.insert(place(5, 1), {});
  line.insert(place(3, 2), {});
  line.insert(place(4, 3), {});
  EXPECT_EQ(in_order(line), (std::vector{key(2), key(3), key(1)}));
  EXPECT_EQ(line.front().key, key(2));
  EXPECT_EQ(line.find_after(place(3, 2))->key, key(3));
  EXPECT_EQ(line.find_after(place(5, 1)), nullptr);
  EXPECT_EQ(line.count_before(place(5, 1)), 2u);
}

TEST(ClassLine, NewPricesMakeANewOrder) {
  ClassLine line;
  line.insert(place(1, 1), {.user = 1});
  line.insert(place(2, 2), {.user = 2});
  line.insert(place(3, 3), {.user = 1});
  line.price_again(
      [](const Place& at, const Payer& payer) { return payer.user == 2 ? 0 : at.lateness + 10; });
  EXPECT_EQ(in_order(line), (std::vector{key(2), key(1), key(3)}));
  line.erase(place(11, 1));
  EXPECT_EQ(in_order(line), (std::vector{key(2), key(3)}));
}

TEST(ClassLine, IsWhatASetWouldBeHoweverLong) {
  Rng rng(7);
  ClassLine line;
  std::set<Place> set;
  for (int round = 0; round < 20'000; ++round) {
    if (rng.chance(set.size() < 2'000 ? 700 : 300)) {
      const Place one =
          place(rng.between(0, 50), static_cast<std::uint64_t>(rng.between(1, 9'999)));
      if (set.insert(one).second) line.insert(one, {});
    } else if (!set.empty()) {
      const auto one =
          std::next(set.begin(), rng.between(0, static_cast<std::int64_t>(set.size()) - 1));
      line.erase(*one);
      set.erase(one);
    }
    ASSERT_EQ(line.empty(), set.empty());
    if (round % 500 != 0 || set.empty()) continue;
    std::set<Place> priced;
    const auto price = [](const Place& at) { return (at.lateness * 7 + 3) % 51; };
    line.price_again([&](const Place& at, const Payer&) { return price(at); });
    for (Place one : set) {
      one.lateness = price(one);
      priced.insert(one);
    }
    set = std::move(priced);
    std::size_t before = 0;
    const Place* at = &line.front();
    for (const Place& one : set) {
      ASSERT_NE(at, nullptr);
      ASSERT_EQ(*at, one);
      ASSERT_EQ(line.count_before(one), before++);
      at = line.find_after(one);
    }
    ASSERT_EQ(at, nullptr);
  }
}

}  // namespace
}  // namespace gangway::scheduler
