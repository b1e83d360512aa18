#include "scheduler/policy/usage.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"

namespace gangway::scheduler {
namespace {

constexpr Duration kHour = hours(1);

Allocation holding(std::int64_t cores, Bytes memory = {}, std::int64_t gpus = 0) {
  NodeShare share;
  share.resources.cores = cores;
  share.resources.memory = memory;
  if (gpus > 0) share.resources.set_named("gpu", gpus);
  return {{share, share}};
}

TEST(Usage, CoresAreChargedUnlessWeightsSayOtherwise) {
  EXPECT_DOUBLE_EQ(rate_of(holding(3, gibibytes(8), 1), {}), 6);
}

TEST(Usage, EveryWeightedResourceIsCharged) {
  const UsageWeights weights{.core = 1, .memory_gib = 0.25, .named = {{"gpu", 10}}};
  EXPECT_DOUBLE_EQ(rate_of(holding(3, gibibytes(8), 1), weights), 2 * (3 + 2 + 10));
}

TEST(Usage, HalvesWithEachHalfLife) {
  EXPECT_DOUBLE_EQ(decayed(100, kHour, kHour), 50);
  EXPECT_DOUBLE_EQ(decayed(100, kHour * 2, kHour), 25);
  EXPECT_DOUBLE_EQ(decayed(100, Duration{}, kHour), 100);
}

TEST(Usage, IsNeverForgottenWithoutAHalfLife) {
  EXPECT_DOUBLE_EQ(decayed(100, hours(1'000'000), {}), 100);
  EXPECT_DOUBLE_EQ(accrued(4, seconds(10), {}), 40);
}

TEST(Usage, AClockThatGoesBackwardsGivesNothingAndTakesNothing) {
  EXPECT_DOUBLE_EQ(decayed(100, Duration{-kHour.ns}, kHour), 100);
  EXPECT_DOUBLE_EQ(accrued(4, Duration{-kHour.ns}, kHour), 0);
}

TEST(Usage, AShortRunCostsItsRateTimesItsTime) {
  EXPECT_NEAR(accrued(4, milliseconds(1), hours(168)), 0.004, 1e-11);
}

TEST(Usage, AnEndlessRunComesToARestAtHalfLifeOverLn2) {
  EXPECT_NEAR(accrued(1, kHour * 100, kHour), 3600 / 0.6931471805599453, 1e-6);
}

TEST(Usage, ARunInPiecesIsTheSameAsWhole) {
  const double whole = accrued(2, kHour, kHour);
  const double halves =
      decayed(accrued(2, minutes(20), kHour), minutes(40), kHour) + accrued(2, minutes(40), kHour);
  EXPECT_NEAR(whole, halves, 1e-9);
}

TEST(UsageBook, ChargesRunningJobsAsTheyGo) {
  UsageBook book({});
  book.begin(key(1), 0, 4, at_s(100));
  EXPECT_EQ(book.usages_at(at_s(110)), std::vector<double>{40});
  EXPECT_EQ(book.usages_at(at_s(120)), std::vector<double>{80});
  EXPECT_TRUE(book.runs(key(1)));
}

TEST(UsageBook, ChargesOnceWhenTheRunEnds) {
  UsageBook book({});
  book.begin(key(1), 0, 4, at_s(100));
  const UsageBook::Charge charge = book.end(key(1), at_s(110));
  EXPECT_DOUBLE_EQ(charge.amount, 40);
  EXPECT_EQ(charge.usage, (DecayedUsage{40, at_s(110)}));
  EXPECT_FALSE(book.runs(key(1)));
  EXPECT_EQ(book.usages_at(at_s(500)), std::vector<double>{40});
}

TEST(UsageBook, GoesOnFromWhatWasSettledBefore) {
  UsageBook book(kHour);
  book.set_settled(2, {.amount = 100, .as_of = at_s(0)});
  EXPECT_EQ(book.usages_at(at_s(3600)), (std::vector<double>{0, 0, 50}));
}

// Whoever looks, and however often the book is made again from what is settled and what runs: it
// makes no difference.
TEST(UsageBookProperty, RestartsAndLooksChangeNothing) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    UsageBook whole(kHour);
    auto restarted = std::make_unique<UsageBook>(kHour);
    std::map<JobKey, std::pair<UserNumber, Time>> running;
    std::map<UserNumber, DecayedUsage> settled;
    std::map<UserNumber, double> integral;  // without decay, to check the decayed one from above
    Time now{};
    for (std::uint64_t id = 1; id <= 60; ++id) {
      now = now + seconds(rng.between(0, 600));
      if (rng.chance(500) || running.empty()) {
        const auto user = static_cast<UserNumber>(rng.between(0, 3));
        for (UsageBook* const book : {&whole, restarted.get()}) book->begin(key(id), user, 2, now);
        running[key(id)] = {user, now};
      } else {
        const auto job = running.begin();
        const auto charge = whole.end(job->first, now);
        EXPECT_EQ(charge.usage, restarted->end(job->first, now).usage);
        settled[charge.user] = charge.usage;
        integral[charge.user] += 2 * to_seconds(now - job->second.second);
        running.erase(job);
      }
      if (rng.chance(200)) {
        restarted = std::make_unique<UsageBook>(kHour);
        for (const auto& [user, usage] : settled) restarted->set_settled(user, usage);
        for (const auto& [job, what] : running) restarted->begin(job, what.first, 2, what.second);
      }
      auto a = whole.usages_at(now);
      auto b = restarted->usages_at(now);
      a.resize(4);
      b.resize(4);
      EXPECT_EQ(a, b);
    }
    for (const auto& [user, usage] : settled) {
      EXPECT_GT(usage.amount, -1e-9);
      EXPECT_LE(usage.amount, integral[user] + 1e-6);
    }
  }
}

}  // namespace
}  // namespace gangway::scheduler
