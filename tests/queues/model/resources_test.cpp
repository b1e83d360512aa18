#include "queues/model/resources.hpp"

#include <gtest/gtest.h>

#include "queues/base/rng.hpp"

namespace gangway {
namespace {

Resources random_resources(Rng& rng) {
  Resources r{.cores = rng.between(0, 9), .memory = {rng.between(0, 9)}};
  for (const auto* name : {"gpu", "fpga", "license", "nvme"}) {
    r.set_named(name, rng.between(0, 3));
  }
  return r;
}

bool is_canonical(const Resources& r) {
  for (std::size_t i = 0; i < r.named.size(); ++i) {
    if (r.named[i].second == 0) return false;
    if (i > 0 && r.named[i - 1].first >= r.named[i].first) return false;
  }
  return true;
}

TEST(Resources, ArithmeticKeepsItsLaws) {
  Rng rng(2);
  for (int i = 0; i < 2'000; ++i) {
    const Resources a = random_resources(rng);
    const Resources b = random_resources(rng);
    ASSERT_TRUE(is_canonical(a) && is_canonical(a + b) && is_canonical(a - b));
    EXPECT_EQ(a + b, b + a);
    EXPECT_EQ((a + b) - b, a);
    EXPECT_EQ(a - a, Resources{});
    EXPECT_EQ(a * 3, a + a + a);
    EXPECT_EQ(a * 0, Resources{});
    EXPECT_TRUE(fits_in(a, a + b));
  }
}

TEST(Resources, FitAsOftenAsTheyCanBeTakenAway) {
  Rng rng(3);
  for (int i = 0; i < 2'000; ++i) {
    const Resources want = random_resources(rng);
    if (want.is_zero()) continue;
    const Resources have = random_resources(rng);
    const std::int64_t times = times_fitting(want, have, 5);
    ASSERT_LE(times, 5);
    EXPECT_TRUE(fits_in(want * times, have));
    EXPECT_TRUE(times == 5 || !fits_in(want * (times + 1), have));
  }
}

TEST(Resources, OfAnOverCommittedNodeFitNothing) {
  const Resources have{.cores = -2, .memory = gibibytes(1)};
  EXPECT_EQ(times_fitting({.cores = 1}, have, 5), 0);
  EXPECT_FALSE(fits_in({.cores = 1}, have));
}

TEST(Resources, ArePrintedForPeople) {
  Resources r{.cores = 4, .memory = gibibytes(2)};
  r.set_named("gpu", 1);
  EXPECT_EQ(to_string(r), "4 cores, 2G, gpu:1");
  EXPECT_EQ(to_string(Resources{.cores = 1}), "1 core");
  EXPECT_EQ(to_string(Resources{}), "0 cores");
}

}  // namespace
}  // namespace gangway
