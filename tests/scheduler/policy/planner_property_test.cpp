// Random workloads in virtual time over unequal nodes and several resources, replayed through the
// planner; what must always hold is checked after every pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <string>

#include "policy_builders.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::scheduler {
namespace {

struct Arrival {
  Time at;
  Candidate job;
  Duration run;
};

struct Workload {
  std::vector<delta::NodeIs> nodes;
  std::vector<Arrival> arrivals;
};

struct Size {
  std::uint64_t jobs = 60;
  std::int64_t gap_s = 20;  // between two of them, at most
};

Workload make_workload(std::uint64_t seed, const Size& size = {}) {
  Rng rng(seed);
  Workload out;
  const auto node_count = static_cast<int>(rng.between(2, 8));
  const bool equal_nodes = rng.chance(300);
  for (int i = 1; i <= node_count; ++i) {
    Resources r = capacity(equal_nodes ? 4 : static_cast<int>(rng.between(1, 8)),
                           gibibytes(rng.between(2, 8)));
    if (rng.chance(300)) r.set_named("gpu", rng.between(1, 2));
    std::vector<std::string> features;
    for (const char* name : {"a", "b"}) {
      if (rng.chance(500)) features.emplace_back(name);
    }
    out.nodes.push_back({node_name(i), r, true, features});
  }
  std::int64_t now = 0;
  for (std::uint64_t id = 1; id <= size.jobs; ++id) {
    now += rng.between(0, size.gap_s);
    CandidateBuilder b = job(id).eligible(at_s(now));
    b.nodes(static_cast<int>(rng.between(1, std::min(node_count, 4))));
    if (rng.chance(300)) b.tasks(static_cast<int>(rng.between(4, 8)));
    b.cores(static_cast<int>(rng.between(1, 2)));
    if (rng.chance(300)) b.memory(gibibytes(rng.between(1, 3)));
    if (rng.chance(150)) b.named("gpu", 1);
    if (rng.chance(100)) b.exclusive();
    if (rng.chance(100)) b.without({static_cast<int>(rng.between(1, node_count))});
    if (rng.chance(200)) {
      constexpr const char* kConstraints[] = {"a", "!a", "a|b", "a&b", "[a|b]", "a*1", "b&a*1"};
      b.constraint(kConstraints[rng.between(0, 6)]);
    }
    if (rng.chance(150)) b.and_component().cores(static_cast<int>(rng.between(1, 3)));
    const Duration limit = seconds(rng.between(1, 100));
    Duration run = seconds(rng.between(1, std::max<std::int64_t>(1, limit.ns / 1'000'000'000)));
    if (rng.chance(900)) {
      b.limit(limit);
    }
    if (!can_ever_run(b.get().components, batch_queue(), out.nodes)) continue;
    out.arrivals.push_back({at_s(now), b, run});
  }
  return out;
}

// Plays the workload through a planner; with `shuffle` the deltas of one moment come in another
// order. Returns one line for each start.
class Replay {
 public:
  // With `users`, fair shares change all the time, and so does who is promised the next start.
  Replay(const Workload& workload,
         std::uint64_t shuffle,
         const BackfillPolicy& policy = {},
         int users = 0)
      : workload_(workload), rng_(shuffle), users_(users), policy_(policy), planner_(policy) {}

  // Now and then a start is not done, the end of a job is moved, or a pass is asked for when
  // nothing has happened.
  Replay& carelessly() {
    careless_ = true;
    return *this;
  }

  std::string run() {
    std::vector<Delta> deltas{delta::QueuesAre{{batch_queue()}}, delta::RulesAre{rules()}};
    for (const auto& node : workload_.nodes) deltas.push_back(node);
    apply(std::move(deltas));
    std::size_t next = 0;
    Time now{};
    while (next < workload_.arrivals.size() || !running_.empty() ||
           (careless_ && !waiting_.empty() && wake_)) {
      now = Time::infinity();
      if (next < workload_.arrivals.size()) now = workload_.arrivals[next].at;
      for (const auto& [key, job] : running_) now = std::min(now, job.ends);
      if (wake_) now = std::min(now, *wake_);
      if (careless_ && now > last_ + seconds(1) && rng_.chance(300)) {
        now = last_ + seconds(rng_.between(1, (now - last_).ns / seconds(1).ns - 1));
      }
      last_ = now;
      std::vector<Delta> changes;
      if (careless_ && rng_.chance(200)) move_an_end(now, changes);
      for (auto job = running_.begin(); job != running_.end();) {
        if (job->second.ends == now) {
          std::erase_if(changes, [&](const Delta& d) {
            const auto* moved = std::get_if<delta::Started>(&d);
            return moved != nullptr && moved->key == job->first;
          });
          changes.push_back(delta::Ended{job->first});
          freed_ = true;
          job = running_.erase(job);
        } else {
          ++job;
        }
      }
      for (; next < workload_.arrivals.size() && workload_.arrivals[next].at == now; ++next) {
        const Arrival& arrival = workload_.arrivals[next];
        Arrival& known = waiting_[arrival.job.key] = arrival;
        if (users_ > 0) known.job.user = static_cast<UserNumber>(arrival.job.key.job.value) % 5;
        if (users_ > 0) join_workflow(known.job);
        changes.push_back(delta::Waits{known.job});
      }
      if (users_ > 0 && rng_.chance(300)) exchange_turns(changes);
      if (users_ > 0 && rng_.chance(300)) {
        fair_shares_ = {now, {}};
        for (int i = 0; i < users_; ++i) {
          fair_shares_.factors.push_back(static_cast<double>(rng_.between(0, 4)) / 4);
        }
        changes.push_back(fair_shares_);
      }
      apply(std::move(changes));
      if (::testing::Test::HasFatalFailure()) return trace_;
      pass(now);
      check_capacity();
    }
    EXPECT_TRUE(waiting_.empty()) << "jobs never started";
    return trace_;
  }

 private:
  struct Running {
    Candidate job;
    Allocation allocation;
    Time expected;
    Time ends;
  };

  // Of ten jobs those that the same user pays for are a workflow.
  static void join_workflow(Candidate& job) {
    const std::uint64_t id = job.key.job.value;
    job.dag = DagPosition{JobId{(id - 1) / 10 * 10 + 1}, static_cast<std::int64_t>(id * 7 % 5)};
  }
  // Two waiting jobs of a workflow go on with each other's turns.
  void exchange_turns(std::vector<Delta>& changes) {
    std::map<std::pair<JobId, UserNumber>, Arrival*> others;
    for (auto& [key, arrival] : waiting_) {
      Arrival*& other = others[{arrival.job.dag->first, arrival.job.user}];
      if (other != nullptr && arrival.job.eligible != other->job.eligible) {
        std::swap(other->job.eligible, arrival.job.eligible);
        // One delta for each job and moment, as their order does not matter.
        std::erase_if(changes, [&](const Delta& d) {
          const auto* waits = std::get_if<delta::Waits>(&d);
          return waits != nullptr && (waits->job.key == key || waits->job.key == other->job.key);
        });
        changes.push_back(delta::Waits{other->job});
        changes.push_back(delta::Waits{arrival.job});
        return;
      }
      other = &arrival;
    }
  }

  void apply(std::vector<Delta> deltas) {
    for (std::size_t i = deltas.size(); i > 1; --i) {
      std::swap(
          deltas[i - 1],
          deltas[static_cast<std::size_t>(rng_.between(0, static_cast<std::int64_t>(i) - 1))]);
    }
    for (const Delta& d : deltas) planner_.apply(d);
  }

  void pass(Time now) {
    promises_before_ = planner_.kept_promises();
    const PlanDelta plan = planner_.pass(now, 10'000);
    EXPECT_TRUE(plan.complete);
    check_against_the_reference(plan, now);
    wake_ = plan.wake;
    std::vector<Delta> changes;
    for (const Start& start : plan.starts) {
      if (careless_ && rng_.chance(100)) {
        const Time again = now + seconds(1);
        wake_ = std::min(wake_.value_or(again), again);
        continue;
      }
      const Arrival arrival = waiting_.at(start.key);
      waiting_.erase(start.key);
      check_promise(start.key, now);
      const Time expected = arrival.job.limit ? now + *arrival.job.limit : Time::infinity();
      running_[start.key] = {arrival.job, start.allocation, expected, now + arrival.run};
      changes.push_back(delta::Started{start.key, start.allocation, expected});
      trace_ += cat(now.ns / 1'000'000'000, ' ', to_string(start.key));
      for (const NodeShare& share : start.allocation.shares) {
        trace_ += cat(' ', share.node.value);
        for (const auto core : share.cores) trace_ += cat(',', core);
      }
      trace_ += '\n';
    }
    apply(std::move(changes));
    // A policy that makes promises anew keeps only that to the first in line, as long as it is.
    if (careless_) return;
    if (plan.promise && users_ == 0) note(*plan.promise);
    for (const Promise& promise : planner_.kept_promises()) note(promise);
    trace_ += cat("looked at ", plan.looked_at, '\n');
  }

  void move_an_end(Time now, std::vector<Delta>& changes) {
    if (running_.empty()) return;
    auto job = running_.begin();
    std::advance(job, rng_.between(0, static_cast<std::int64_t>(running_.size()) - 1));
    if (job->second.expected == Time::infinity()) return;
    job->second.expected = now + seconds(rng_.between(1, 60));
    changes.push_back(delta::Started{job->first, job->second.allocation, job->second.expected});
    freed_ = true;
  }

  void note(const Promise& promise) {
    const auto [known, is_new] = promises_.try_emplace(promise.key, promise.start);
    if (is_new) return;
    EXPECT_LE(promise.start, known->second)
        << "the promise to job " << to_string(promise.key) << " moved back";
    known->second = promise.start;
  }

  // Jobs are of one priority, so the first in line stays first until it starts.
  void check_promise(JobKey key, Time now) {
    const auto promised = promises_.find(key);
    if (promised != promises_.end()) {
      EXPECT_LE(now, promised->second) << "job " << to_string(key) << " started late";
    }
  }

  [[nodiscard]] PriorityRules rules() const {
    PriorityRules out;
    if (users_ == 0) return out;
    out.max_age = minutes(2);  // some age fully
    out.size = 500;
    out.resources = {{"memory", 300}};
    return out;
  }

  void check_against_the_reference(const PlanDelta& plan, Time now) {
    // What waits for a job that should have ended moves on.
    for (const auto& [key, job] : running_) freed_ |= job.expected <= now;
    Snapshot snapshot{.rules = rules(),
                      .fair_shares = fair_shares_,
                      .queues = {batch_queue()},
                      .nodes = workload_.nodes,
                      .running = {},
                      .waiting = {},
                      .promises = promises_before_,
                      .freed = freed_};
    for (const auto& [key, job] : running_) {
      snapshot.running.push_back({key, job.allocation, job.expected});
    }
    for (const auto& [key, arrival] : waiting_) snapshot.waiting.push_back(arrival.job);
    const PlanDelta reference = schedule(snapshot, now, {.policy = policy_});
    EXPECT_EQ(plan.wake, reference.wake);
    freed_ = false;
    ASSERT_EQ(plan.starts.size(), reference.starts.size());
    for (std::size_t i = 0; i < plan.starts.size(); ++i) {
      EXPECT_EQ(plan.starts[i].key, reference.starts[i].key);
      EXPECT_EQ(plan.starts[i].allocation, reference.starts[i].allocation);
    }
    ASSERT_EQ(plan.promise.has_value(), reference.promise.has_value());
    if (plan.promise) {
      EXPECT_EQ(plan.promise->key, reference.promise->key);
      EXPECT_EQ(plan.promise->start, reference.promise->start);
      EXPECT_EQ(plan.promise->nodes, reference.promise->nodes);
    }
    for (const Reason& reason : plan.reasons) told_[reason.key] = reason.reason;
    for (const Reason& reason : reference.reasons) {
      EXPECT_EQ(told_[reason.key], reason.reason) << "job " << to_string(reason.key);
    }
  }

  void check_capacity() {
    std::map<NodeName, Resources> used;
    std::map<NodeName, std::set<std::int32_t>> cores;
    for (const auto& [key, job] : running_) {
      std::set<NodeName> of_job;
      std::int32_t next_task = 0;
      for (const NodeShare& share : job.allocation.shares) {
        EXPECT_TRUE(of_job.insert(share.node).second) << "a node twice in one job";
        EXPECT_EQ(share.cores.size(), static_cast<std::size_t>(share.resources.cores));
        EXPECT_EQ(share.first_task, next_task);
        next_task += share.tasks;
        used[share.node] = used[share.node] + share.resources;
        for (const auto core : share.cores) {
          EXPECT_TRUE(cores[share.node].insert(core).second)
              << "core " << core << " of " << share.node.value << " given twice";
        }
      }
    }
    for (const auto& [key, job] : running_) check_features(key, job.allocation);
    for (const auto& node : workload_.nodes) {
      EXPECT_TRUE(gangway::fits_in(used[node.name], node.capacity)) << node.name.value;
      for (const auto core : cores[node.name]) {
        EXPECT_LT(core, node.capacity.cores);
      }
    }
  }

  // By the words of the constraint, not by the planner's bits.
  void check_features(JobKey key, const Allocation& allocation) {
    const auto arrival = std::ranges::find_if(workload_.arrivals,
                                              [&](const Arrival& a) { return a.job.key == key; });
    for (std::size_t c = 0; c < arrival->job.components.size(); ++c) {
      const std::string& text = arrival->job.components[c].constraint;
      if (text.empty()) continue;
      const Constraint constraint = *parse_constraint(text);
      std::vector<const std::vector<std::string>*> nodes;
      for (const NodeShare& share : allocation.shares) {
        if (share.component != c) continue;
        for (const auto& node : workload_.nodes) {
          if (node.name == share.node) nodes.push_back(&node.features);
        }
      }
      EXPECT_TRUE(std::ranges::any_of(constraint.choices, [&](const FeatureChoice& choice) {
        return std::ranges::all_of(nodes, [&](const auto* f) { return is_satisfied(choice, *f); });
      })) << text;
      for (const Constraint::Counted& counted : constraint.counted) {
        EXPECT_GE(std::ranges::count_if(
                      nodes, [&](const auto* f) { return is_satisfied(counted.choice, *f); }),
                  counted.nodes)
            << text;
      }
    }
  }

  const Workload& workload_;
  Rng rng_;
  int users_;
  delta::FairSharesAre fair_shares_;
  BackfillPolicy policy_;
  Planner planner_;
  bool careless_ = false;
  Time last_{};
  std::optional<Time> wake_;
  bool freed_ = true;
  std::vector<Promise> promises_before_;
  std::map<JobKey, Arrival> waiting_;
  std::map<JobKey, Running> running_;
  std::map<JobKey, Time> promises_;
  std::map<JobKey, PendingReason> told_;
  std::string trace_;
};

class PlannerProperty : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] static BackfillPolicy policy() {
    const std::string name = GetParam();
    if (name == "bounded") {
      BackfillPolicy policy = *parse_backfill_policy("easy-sjbf");
      policy.starvation_bound = seconds(60);
      return policy;
    }
    return *parse_backfill_policy(name);
  }
};

TEST_P(PlannerProperty, RandomWorkloadsKeepEveryPromiseAndGiveNothingTwice) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Workload workload = make_workload(seed);
    (void)Replay(workload, 1, policy()).run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_P(PlannerProperty, WithFairSharesThatChangeItIsTheReferenceToo) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Workload workload = make_workload(seed);
    (void)Replay(workload, seed, policy(), 4).run();
    if (::testing::Test::HasFailure()) return;
  }
}

// With a line so long that most promises are not looked for anew.
TEST_P(PlannerProperty, WithALongLineItIsTheReferenceToo) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Workload workload = make_workload(seed, {.jobs = 150, .gap_s = 4});
    (void)Replay(workload, seed, policy()).run();
    if (::testing::Test::HasFailure()) return;
  }
}

// Of several reservations time alone can move those behind the first, which the planner looks at
// when something happens: these are for at most one.
class OneReservation : public PlannerProperty {};

TEST_P(OneReservation, WithACallerWhoDoesAsHeLikesItIsTheReferenceToo) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Workload workload = make_workload(seed, {.jobs = 100, .gap_s = 6});
    (void)Replay(workload, seed, policy()).carelessly().run();
    if (::testing::Test::HasFailure()) return;
    (void)Replay(workload, seed, policy(), 4).carelessly().run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_P(PlannerProperty, TheOrderOfDeltasDoesNotMatter) {
  for (std::uint64_t seed = 100; seed <= 110; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Workload workload = make_workload(seed);
    const std::string once = Replay(workload, 1, policy()).run();
    EXPECT_EQ(once, Replay(workload, 2, policy()).run());
    EXPECT_EQ(once, Replay(workload, 3, policy()).run());
    if (::testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         OneReservation,
                         ::testing::Values("fcfs", "easy", "easy-sjbf", "bounded"));
INSTANTIATE_TEST_SUITE_P(
    Policies,
    PlannerProperty,
    ::testing::Values(
        "fcfs", "easy", "easy:4", "easy-sjbf", "bounded", "conservative", "conservative-replan"));

}  // namespace
}  // namespace gangway::scheduler
