#include "scheduler/policy/priority.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "scheduler/policy/pricing.hpp"

namespace gangway::scheduler {
namespace {

const PriorityRules kRules;  // the defaults

PriorityTerms nice(std::int64_t n) {
  PriorityTerms terms;
  terms.nice = n;
  return terms;
}

TEST(Priority, APointOfNiceIsWorthAThousandthOfAWeek) {
  // 1000 points for a week of waiting: one in 604.8 s.
  const Place later = place_of(key(1), at_s(0), nice(1), at_s(0), kRules);
  EXPECT_LT(place_of(key(2), at_s(604), nice(0), at_s(0), kRules), later);
  EXPECT_LT(later, place_of(key(2), at_s(606), nice(0), at_s(0), kRules));
}

TEST(Priority, TiesGoToTheSmallerId) {
  EXPECT_LT(place_of(key(1), at_s(7), {}, at_s(0), kRules),
            place_of(key(2), at_s(7), {}, at_s(0), kRules));
}

TEST(Priority, WhoHasAgedFullyGainsNoMore) {
  PriorityRules rules;
  rules.max_age = hours(1);
  const Time now = at_s(10 * 3600);
  EXPECT_DOUBLE_EQ(age_points(at_s(0), now, rules), 1000);
  EXPECT_DOUBLE_EQ(age_points(now - minutes(30), now, rules), 500);
  EXPECT_DOUBLE_EQ(age_points(now + minutes(30), now, rules), 0);
  // A head start of 600 points cannot be waited away by more than max_age.
  const Place old = place_of(key(1), at_s(0), {}, now, rules);
  PriorityTerms more;
  more.qos = 600;
  EXPECT_LT(old, place_of(key(2), now - minutes(20), more, now, rules));
  EXPECT_LT(place_of(key(2), now - minutes(25), more, now, rules),
            place_of(key(1), at_s(0), {}, now, rules));
}

TEST(Priority, TheOrderOfPlacesIsThatOfThePoints) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed);
    PriorityRules rules;
    rules.age = rng.between(0, 100'000);
    rules.max_age = minutes(rng.between(1, 100'000));
    const Time now{1'800'000'000'000'000'000};
    const auto some = [&](std::uint64_t id, PriorityTerms& terms, Time& eligible) {
      terms.fair_share = static_cast<double>(rng.between(0, 10'000));
      terms.nice = rng.between(-100, 100);
      eligible = now - seconds(rng.between(0, 2'000'000));
      return place_of(key(id), eligible, terms, now, rules);
    };
    PriorityTerms a;
    PriorityTerms b;
    Time a_eligible;
    Time b_eligible;
    const Place at_a = some(1, a, a_eligible);
    const Place at_b = some(2, b, b_eligible);
    a.age = age_points(a_eligible, now, rules);
    b.age = age_points(b_eligible, now, rules);
    if (std::abs(a.sum() - b.sum()) < 0.5) continue;
    EXPECT_EQ(at_a<at_b, a.sum()> b.sum()) << "seed " << seed;
  }
}

TEST(Priority, TotalsAreWholeAndPositive) {
  PriorityTerms terms;
  terms.age = 10.9;
  EXPECT_EQ(terms.total(), 10);
  terms.nice = 100;
  EXPECT_EQ(terms.total(), 1);
  terms.fair_share = 1e12;
  EXPECT_EQ(terms.total(), 4'294'967'295);
}

TEST(Priority, BearsTheLargestNumbers) {
  PriorityRules rules;
  rules.age = kMostPoints;
  rules.max_age = minutes(1);
  const Time now{1'800'000'000'000'000'000};
  EXPECT_LT(place_of(key(2), now, nice(std::numeric_limits<std::int32_t>::min()), now, rules),
            place_of(key(1), now, nice(std::numeric_limits<std::int32_t>::max()), now, rules));
  EXPECT_LT(place_of(key(2), now, {}, now, rules),
            place_of(key(1), now + seconds(1), {}, now, rules));
}

TEST(Priority, SizeIsTheMeanOfTheShareOfNodesAndOfCores) {
  ClusterSize cluster{.nodes = 8, .resources = {}};
  cluster.resources.cores = 128;
  EXPECT_DOUBLE_EQ(size_factor(job(1).nodes(1).tasks(4).get().components, cluster), 0.078125);
  EXPECT_DOUBLE_EQ(size_factor(job(1).nodes(8).tasks(128).get().components, cluster), 1);
  EXPECT_DOUBLE_EQ(size_factor(job(1).get().components, ClusterSize{}), 0);
}

TEST(Priority, ResourcesGivePointsByTheirPartOfTheCluster) {
  ClusterSize cluster{.nodes = 4, .resources = {}};
  cluster.resources.cores = 16;
  cluster.resources.memory = gibibytes(64);
  cluster.resources.set_named("gpu", 8);
  PriorityRules rules;
  rules.resources = {{"cores", 100}, {"memory", 1000}, {"gpu", 80}, {"fpga", 1000}};
  const Candidate candidate = job(1).nodes(2).tasks(4).memory(gibibytes(16)).named("gpu", 2);
  EXPECT_DOUBLE_EQ(resource_points(candidate.components, cluster, rules), 25 + 500 + 40);
}

// The seven jobs of a Slurm 22.05 with weights age 1000 (in a day), fair share 100000, size 1000,
// partition 1000: 4 of 128 cores on one of 8 nodes, waiting for 23 s.
TEST(Priority, IsWhatSprioOfSlurmPrints) {
  Pricing pricing;
  PriorityRules rules{.age = 1000,
                      .fair_share = 100'000,
                      .size = 1000,
                      .queue = 1000,
                      .qos = 0,
                      .resources = {},
                      .max_age = hours(24)};
  pricing.set_rules(rules);
  Queue queue = batch_queue();
  queue.priority = 1;
  pricing.set_queues({queue});
  for (int i = 1; i <= 8; ++i) pricing.set_node(node_name(i), capacity(16));
  pricing.settle();
  delta::FairSharesAre shares{.at = at_s(0), .factors = {}};
  for (const int rank : {3, 5, 4, 2, 1, 6, 7}) shares.factors.push_back(rank / 8.0);
  pricing.set_fair_shares(shares);
  const std::vector<std::int64_t> expected{38578, 63578, 51078, 26078, 13578, 76078, 88578};
  for (std::size_t user = 0; user < expected.size(); ++user) {
    Candidate candidate = job(46 + user).tasks(4).eligible(at_s(0));
    candidate.user = static_cast<UserNumber>(user);
    const PriorityTerms terms = pricing.terms_of(candidate, at_s(23));
    EXPECT_EQ(terms.total(), expected[user]);
    EXPECT_DOUBLE_EQ(terms.size, 78.125);
    EXPECT_NEAR(terms.age, 0.2662, 0.00005);
    EXPECT_DOUBLE_EQ(terms.queue, 1000);
  }
}

}  // namespace
}  // namespace gangway::scheduler
