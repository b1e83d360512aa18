// Who programs are inside an image: numbers that stand for others. Pure.
#include <gtest/gtest.h>

#include "containers/accounts.hpp"
#include "containers/subordinate_ids.hpp"

namespace gangway::containers {
namespace {

using Ranges = std::vector<IdRange>;

TEST(SubordinateIds, AreReadByNameOrNumberAndNeverGiveRoot) {
  const char* text = "ann:100000:65536\nbob:1:2\n1000:300000:10\nann:x:5\nann:0:5\nann:7:0\n";
  EXPECT_EQ(parse_subordinate_ids(text, "ann", 1000),
            (Ranges{{0, 100000, 65536}, {0, 300000, 10}}));
  EXPECT_TRUE(parse_subordinate_ids(text, "eve", 1).empty());
  EXPECT_TRUE(parse_subordinate_ids("ann:4294967295:2\n", "ann", 1).empty());
}

TEST(SubordinateIds, FillTheNumbersAroundTheUsersOwn) {
  // Root inside is the user; 1 and up are subordinate.
  EXPECT_EQ(fill_id_map({{0, 1000}}, {{0, 100000, 65536}}),
            (Ranges{{0, 1000, 1}, {1, 100000, 65535}}));
  // The image's user 33 is the user, 0 to 32 and the rest subordinate.
  EXPECT_EQ(fill_id_map({{33, 1000}}, {{0, 100000, 65536}}),
            (Ranges{{33, 1000, 1}, {0, 100000, 33}, {34, 100033, 65502}}));
  // A group keeps its number, inside and outside; several ranges follow each other.
  EXPECT_EQ(
      fill_id_map({{0, 1000}, {50, 50}}, {{0, 49, 3}, {0, 200, 60}}),
      (Ranges{{0, 1000, 1}, {50, 50, 1}, {1, 49, 1}, {2, 51, 1}, {3, 200, 47}, {51, 247, 13}}));
  // What cannot be twice is there once.
  EXPECT_EQ(fill_id_map({{0, 1000}, {0, 7}, {5, 1000}}, {}), (Ranges{{0, 1000, 1}}));
}

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\npostgres:x:70:71::/var/lib/pg:/bin/sh\nbad:x:4294967295:0::/"
    ":/\n";
constexpr const char* kGroup = "root:x:0:\npostgres:x:71:\nssl:x:72:a,postgres\nweb:x:73:\n";

TEST(ImageUser, IsFoundByNameAndHasTheGroupsOfTheImage) {
  const auto found = find_image_user(kPasswd, kGroup, "postgres");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->uid, 70U);
  EXPECT_EQ(found->gid, 71U);
  EXPECT_EQ(found->groups, std::vector<gid_t>{72});
  EXPECT_EQ(found->home, "/var/lib/pg");
}

TEST(ImageUser, NumbersAndGroupsAreTakenAsTheyAre) {
  EXPECT_EQ(find_image_user(kPasswd, kGroup, "")->uid, 0U);
  EXPECT_EQ(find_image_user(kPasswd, kGroup, "0:0")->home, "/root");
  const auto numbered = find_image_user(kPasswd, kGroup, "1234:5");
  EXPECT_EQ(numbered->uid, 1234U);
  EXPECT_EQ(numbered->gid, 5U);
  const auto mixed = find_image_user(kPasswd, kGroup, "postgres:web");
  EXPECT_EQ(mixed->gid, 73U);
  EXPECT_TRUE(mixed->groups.empty());
  EXPECT_EQ(find_image_user(kPasswd, kGroup, "70")->gid, 71U);
  EXPECT_TRUE(find_image_user(kPasswd, kGroup, "70")->groups.empty());
}

TEST(ImageUser, WhoeverTheImageDoesNotKnowIsAnError) {
  for (const char* user : {"eve", "-1", "4294967295", "bad", "postgres:nobody", "a\nb"}) {
    EXPECT_FALSE(find_image_user(kPasswd, kGroup, user)) << user;
  }
}

}  // namespace
}  // namespace gangway::containers
