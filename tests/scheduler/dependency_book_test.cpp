#include "scheduler/dependency_book.hpp"

#include <gtest/gtest.h>

namespace gangway::scheduler {
namespace {

JobKey key(std::uint64_t id) { return {JobId{id}}; }
Outcome ended(OutcomeKind kind, std::string detail = "") {
  return {.kind = kind, .exit_code = 0, .signal = 0, .detail = std::move(detail)};
}

TEST(DependencyBook, AJobIsClearWhenItsLastConditionIsMet) {
  DependencyBook book;
  book.add(key(3), {{key(1), Until::Succeeded}, {key(2), Until::Ended}});
  EXPECT_FALSE(book.is_clear(key(3)));
  EXPECT_EQ(book.on_ended(key(1), ended(OutcomeKind::Completed), {}).size(), 1u);
  EXPECT_FALSE(book.is_clear(key(3)));
  (void)book.on_ended(key(2), ended(OutcomeKind::Failed), {});
  EXPECT_TRUE(book.is_clear(key(3)));
}

TEST(DependencyBook, AnEndOfTheWrongKindDooms) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Succeeded}});
  const auto news = book.on_ended(key(1), ended(OutcomeKind::TimedOut), {});
  ASSERT_EQ(news.size(), 1u);
  ASSERT_TRUE(news[0].never);
  EXPECT_EQ(news[0].never->on, key(1));
  EXPECT_TRUE(book.is_doomed(key(2)));
}

TEST(DependencyBook, TwoConditionsOnOneJobAreBothDecided) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Started}, {key(1), Until::Succeeded}});
  EXPECT_EQ(book.on_started(key(1), Time{5}).size(), 1u);
  EXPECT_FALSE(book.is_clear(key(2)));
  (void)book.on_ended(key(1), ended(OutcomeKind::Completed), Time{9});
  EXPECT_TRUE(book.is_clear(key(2)));
}

TEST(DependencyBook, ADelayCountsFromTheStart) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Started, seconds(10)}});
  (void)book.on_started(key(1), Time{seconds(100).ns});
  EXPECT_EQ(book.earliest(key(2)), Time{seconds(110).ns});
}

TEST(DependencyBook, ASecondStartTellsNothingNew) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Started}});
  EXPECT_EQ(book.on_started(key(1), {}).size(), 1u);
  EXPECT_TRUE(book.on_started(key(1), {}).empty());
}

TEST(DependencyBook, SkippedIsNotFailed) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Failed}});
  book.add(key(3), {{key(1), Until::NotSucceeded}});
  const auto news = book.on_ended(
      key(1), ended(OutcomeKind::Cancelled, std::string(kSkippedPrefix) + "for a reason"), {});
  ASSERT_EQ(news.size(), 2u);
  EXPECT_TRUE(news[0].never);
  EXPECT_FALSE(news[1].never);
}

TEST(DependencyBook, ThoseThatWaitNoMoreAreLeftOut) {
  DependencyBook book;
  book.add(key(2), {{key(1), Until::Ended}});
  book.remove(key(2));
  EXPECT_TRUE(book.on_ended(key(1), ended(OutcomeKind::Completed), {}).empty());
  EXPECT_TRUE(book.is_clear(key(2)));
}

}  // namespace
}  // namespace gangway::scheduler
