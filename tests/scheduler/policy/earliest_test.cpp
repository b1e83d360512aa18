// The search for the earliest start, and what it remembers of nodes, against a try at every moment
// at which something ends.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/outlook.hpp"
#include "scheduler/policy/placement.hpp"

namespace gangway::scheduler {
namespace {

// A cluster whose jobs come and go; nobody asks whether that makes sense.
class Bustle {
 public:
  explicit Bustle(std::uint64_t seed) : rng_(seed) {
    Queue few = batch_queue();
    few.name = QueueName("few");
    for (int i = 1; i <= 3; ++i) few.nodes.push_back(node_name(i));
    profile_.set_queues({batch_queue(), few});
    const auto nodes = static_cast<int>(rng_.between(1, 40));
    for (int i = 1; i <= nodes; ++i) set_node(i);
    next_node_ = nodes + 1;
  }

  void step() {
    settle();
    const std::int64_t what = rng_.between(0, 99);
    if (what < 70) {
      take();
    } else if (what < 85) {
      end_one();
    } else if (what < 95) {
      now_ = now_ + seconds(rng_.between(1, 30));
    } else if (what < 97) {
      set_node(next_node_++);
    } else {
      set_node(static_cast<int>(rng_.between(1, next_node_ - 1)));
    }
  }

 private:
  void settle() {
    profile_.settle();
    profile_.advance(now_);
  }

  void set_node(int number) {
    Resources r = capacity(static_cast<int>(rng_.between(1, 16)), gibibytes(rng_.between(1, 16)));
    if (rng_.chance(300)) r.set_named("gpu", rng_.between(1, 4));
    std::vector<std::string> features;
    if (rng_.chance(500)) features.emplace_back("a");
    profile_.set_node(node_name(number), r, rng_.chance(900), features);
  }

  Request make_random_request() {
    CandidateBuilder b = job(1);
    b.nodes(static_cast<int>(rng_.chance(600) ? 1 : rng_.between(2, 6)));
    b.cores(static_cast<int>(rng_.between(1, 8)));
    b.memory(gibibytes(rng_.between(0, 8)));
    if (rng_.chance(200)) b.named("gpu", static_cast<int>(rng_.between(1, 2)));
    if (rng_.chance(150)) b.exclusive();
    if (rng_.chance(100)) b.constraint(rng_.chance(500) ? "a" : "[a|!a]");
    if (rng_.chance(100)) b.and_component().cores(static_cast<int>(rng_.between(1, 4)));
    std::optional<Duration> limit;
    if (rng_.chance(900)) limit = seconds(rng_.between(1, 100));
    const Candidate made = b;
    return make_request(QueueName(rng_.chance(900) ? "batch" : "few"), limit, made.components,
                        profile_.kinds());
  }

  // Searches, compares, and holds what was found; now and then instead of waiting for it.
  void take() {
    const Request request = make_random_request();
    const auto found = place_earliest(profile_, request, now_);
    const auto tried = try_every_moment(request);
    ASSERT_EQ(found.has_value(), tried.has_value());
    if (!found) return;
    ASSERT_EQ(found->at, tried->at);
    ASSERT_EQ(found->placement, tried->placement);
    const bool starts = found->at == now_;
    // Of choices it may have been any: only the nodes matter here.
    std::vector<NodeClaim> claims = claims_of(profile_, request, found->placement, starts);
    const Time end = end_of(found->at, request.limit);
    const JobKey holder = key(next_job_++);
    holders_.insert(holder);
    ends_.insert(planned_end(end));
    if (starts) {
      profile_.start(holder, planned_end(end), std::move(claims));
    } else {
      profile_.reserve(holder, found->at, end, std::move(claims));
    }
  }

  void end_one() {
    if (holders_.empty()) return;
    auto which = holders_.begin();
    std::advance(which, rng_.between(0, static_cast<std::int64_t>(holders_.size()) - 1));
    profile_.end(*which);
    holders_.erase(which);
  }

  [[nodiscard]] std::optional<EarliestPlacement> try_every_moment(const Request& request) const {
    std::set<Time> moments{now_, now_ + kOverrun};  // at which something may begin
    for (const Time end : ends_) {
      if (end > now_) moments.insert(end);
    }
    for (const Time at : moments) {
      if (auto placement = place_at(profile_, request, at)) return {{at, *std::move(placement)}};
    }
    return std::nullopt;
  }

  Rng rng_;
  Profile profile_;
  Time now_ = at_s(1000);
  int next_node_ = 1;
  std::uint64_t next_job_ = 1;
  std::set<JobKey> holders_;
  std::set<Time> ends_;
};

TEST(Earliest, IsTheFirstMomentAtWhichATrySucceeds) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    Bustle bustle(seed);
    for (int i = 0; i < 120 && !::testing::Test::HasFailure(); ++i) bustle.step();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Earliest, WhatAnotherSearchLearntIsNotTrueAnyMoreWhenSomethingEnds) {
  Profile profile;
  profile.set_queues({batch_queue()});
  profile.set_node(node_name(1), capacity(4), true);
  profile.settle();
  profile.advance(at_s(0));
  const Candidate wanted = job(1).cores(4).limit(seconds(10));
  const Request request =
      make_request(wanted.queue, wanted.limit, wanted.components, profile.kinds());
  const auto hold = [&](std::uint64_t id) {
    const auto found = place_earliest(profile, request, at_s(0));
    EXPECT_TRUE(found.has_value());
    const std::vector<NodeClaim> claims = claims_of(profile, request, found->placement, false);
    if (found->at == at_s(0)) {
      profile.start(key(id), at_s(10), claims);
    } else {
      profile.reserve(key(id), found->at, end_of(found->at, request.limit), claims);
    }
    return found->at;
  };
  EXPECT_EQ(hold(1), at_s(0));
  EXPECT_EQ(hold(2), at_s(10));
  EXPECT_EQ(hold(3), at_s(20));
  profile.end(key(2));
  EXPECT_EQ(hold(4), at_s(10));
  EXPECT_EQ(hold(5), at_s(30));
}

// A bound that was rounded up would hide a node that is free.
TEST(Earliest, AMomentIsNeverLaterThanItsTime) {
  Outlook outlook;
  outlook.begin_search(at_s(1'000));
  Rng rng(3);
  const auto check = [&](Time time) {
    const Outlook::Moment moment = outlook.moment_of(time);
    EXPECT_LE(outlook.time_of(moment), time);
    EXPECT_LE(moment, outlook.moment_of(time + nanoseconds(rng.between(0, 1'000'000'000))));
  };
  for (int i = 0; i < 1'000; ++i) check(at_s(rng.between(0, 100'000)));
  for (const Time time : {Timeline::kAlways, at_s(-1), at_s(1'000), at_s(10'000'000'000 / 2),
                          kUnlimitedEnd - seconds(2)}) {
    check(time);
  }
  EXPECT_EQ(outlook.moment_of(Time::infinity()), Outlook::kNever);
  EXPECT_LT(outlook.moment_of(kUnlimitedEnd), Outlook::kNever);
  EXPECT_EQ(outlook.time_of(Outlook::kNever), Time::infinity());
}

}  // namespace
}  // namespace gangway::scheduler
