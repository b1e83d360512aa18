#include "queues/base/process.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "queues/base/find_program.hpp"

namespace gangway {
namespace {

TEST(Process, StatIsReadBehindANameWithBlanksAndParentheses) {
  const auto stat = parse_stat(
      "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 10 11 12\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 17);
  EXPECT_EQ(stat->start_time, 987654U);
}

TEST(Process, AnIncompleteStatIsNone) {
  EXPECT_FALSE(parse_stat(""));
  EXPECT_FALSE(parse_stat("1 (init) S 0 1"));
}

TEST(Process, IsKnownByItsStart) {
  const auto ours = find_start_time(::getpid());
  ASSERT_TRUE(ours.has_value());
  EXPECT_EQ(find_start_time(::getpid()), ours);
  EXPECT_FALSE(find_start_time(0x3fffffff).has_value());
  EXPECT_TRUE(read_boot_id());
}

TEST(Process, OneThatIsOverCannotBeOpened) {
  EXPECT_TRUE(open_process(::getpid()));
  EXPECT_EQ(open_process(0x3fffffff).error().kind(), ErrorKind::NotFound);
}

TEST(FindProgram, AMissingOneNamesThePlaces) {
  const auto missing = find_program("no-such-program-of-ours");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), ErrorKind::NotFound);
  EXPECT_NE(missing.error().message().find("libexec/gangway"), std::string::npos);
}

TEST(FindProgram, OneBesideTheRunningProgramIsFound) { EXPECT_TRUE(find_program("base_test")); }

}  // namespace
}  // namespace gangway
