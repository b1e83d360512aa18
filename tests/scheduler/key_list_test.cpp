#include "scheduler/key_list.hpp"

#include <gtest/gtest.h>

#include <set>

namespace gangway::scheduler {
namespace {

JobKey key(std::uint64_t id) { return {JobId{id}}; }

TEST(KeyList, IsInOrderHoweverJobsCome) {
  KeyList list;
  for (const std::uint64_t id : {5, 7, 6, 1}) list.add(key(id));
  EXPECT_EQ(list.keys(), (std::vector{key(1), key(5), key(6), key(7)}));
}

TEST(KeyList, ThoseThatAreGoneAreTakenOutWhenTheyAreHalf) {
  KeyList list;
  std::set<JobKey> there;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    list.add(key(id));
    there.insert(key(id));
  }
  for (std::uint64_t id = 1; id <= 100; ++id) {
    there.erase(key(id));
    list.remove_one([&](JobKey one) { return there.contains(one); });
    EXPECT_LE(list.keys().size(), 2 * there.size() + 1);
    EXPECT_EQ(list.empty(), there.empty());
  }
}

TEST(KeyList, OneThatWasGoneAndIsBackIsThereOnce) {
  KeyList list;
  for (std::uint64_t id = 1; id <= 4; ++id) list.add(key(id));
  list.remove_one([](JobKey one) { return one != key(2); });
  list.add(key(2));
  EXPECT_EQ(list.keys().size(), 4u);
}

}  // namespace
}  // namespace gangway::scheduler
