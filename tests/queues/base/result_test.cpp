#include "queues/base/result.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "queues/base/rng.hpp"

namespace gangway {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error(ErrorKind::Invalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  GANGWAY_ASSIGN(const int once, half(n));
  return half(once);
}
Result<void> check_even(int n) {
  GANGWAY_TRY_CONTEXT(half(n), "check");
  return {};
}

TEST(Result, AssignReturnsTheFirstError) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().message(), "odd");
  EXPECT_EQ(quarter(3).value_or(-1), -1);
}

TEST(Result, ContextStandsInFrontOfTheMessage) {
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(3).error(), Error(ErrorKind::Invalid, "check: odd"));
}

TEST(Result, KindOfAnErrnoSaysWhatCanBeDone) {
  EXPECT_EQ(errno_error("open x", EACCES).kind(), ErrorKind::Denied);
  EXPECT_EQ(errno_error("open x", ENOENT).kind(), ErrorKind::NotFound);
  EXPECT_EQ(errno_error("open x", ENOSPC).kind(), ErrorKind::Exhausted);
  EXPECT_TRUE(errno_error("open x", ENOENT).message().starts_with("open x: "));
}

TEST(ResultDeathTest, ValueOfAnErrorIsABug) {
  EXPECT_DEATH(static_cast<void>(half(1).value()), "CHECK failed: has_value\\(\\)");
}

TEST(Rng, EqualSeedsGiveEqualRunsOnEveryMachine) {
  Rng rng(42);
  EXPECT_EQ(rng.next(), 13679457532755275413ULL);
  for (int i = 0; i < 1000; ++i) {
    const auto n = rng.between(-3, 3);
    EXPECT_TRUE(n >= -3 && n <= 3);
  }
}

}  // namespace
}  // namespace gangway
