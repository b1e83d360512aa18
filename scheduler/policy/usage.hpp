// Usage: what jobs have taken of the cluster, in weighted resources times seconds, halved with
// every half-life.
//
// A job is charged for what it was allocated, used or not, from its launch to its end; pauses are
// free. While it runs nothing is written: what it has taken so far is added when somebody asks.
// When a time of running ends, its amount, decayed to that moment, is charged once and is from then
// on the caller's to keep. So a restart, which finds the running jobs again, charges nothing twice.
//
// Source: the decayed usage of Slurm's priority/multifactor, which adds slices of time as they
// pass; here the slices are infinitely thin (an integral), so that it does not matter when anybody
// looks.
//
// Floating point: equal histories give equal numbers on equal machines. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/account.hpp"
#include "queues/model/allocation.hpp"

namespace gangway::scheduler {

// What a second of one unit of each resource costs. At least 0.
struct UsageWeights {
  double core = 1;
  double memory_gib = 0;
  std::vector<std::pair<std::string, double>> named;  // "gpu"
  friend bool operator==(const UsageWeights&, const UsageWeights&) = default;
};

struct UsageRules {
  Duration half_life = hours(168);  // 0: nothing is ever forgotten
  UsageWeights weights;
  friend bool operator==(const UsageRules&, const UsageRules&) = default;
};

// What the allocation costs in a second.
[[nodiscard]] double rate_of(const Allocation& allocation, const UsageWeights& weights);

// What is left of an amount after `passed`: nothing is lost where the clock went backwards.
[[nodiscard]] double decayed(double amount, Duration passed, Duration half_life);

// What running for `ran` at `rate` has come to at its end, its early part already decayed.
[[nodiscard]] double accrued(double rate, Duration ran, Duration half_life);

// Users by the number that who keeps their associations gives them: small, and never given twice.
using UserNumber = std::uint32_t;

class UsageBook {
 public:
  explicit UsageBook(Duration half_life) : half_life_(half_life) {}

  // What a user has used by what has ended.
  void set_settled(UserNumber user, DecayedUsage usage);

  // The job runs from `since` on. Requires: it does not run by this book.
  void begin(JobKey job, UserNumber user, double rate, Time since);
  // It does not run any more.
  struct Charge {
    UserNumber user = 0;
    double amount = 0;   // of this time of running
    DecayedUsage usage;  // settled, after it
  };
  // Settles it. Requires: begin() was called for it.
  [[nodiscard]] Charge end(JobKey job, Time at);
  [[nodiscard]] bool runs(JobKey job) const { return running_.contains(job); }
  // Whom it is charged to; nullopt if it does not run.
  [[nodiscard]] std::optional<UserNumber> user_of(JobKey job) const;

  // By number: what each has used up to `now`, running jobs included.
  [[nodiscard]] std::vector<double> usages_at(Time now) const;

 private:
  struct Running {
    UserNumber user = 0;
    double rate = 0;
    Time since;
  };

  Duration half_life_;
  std::vector<DecayedUsage> settled_;  // by number
  std::map<JobKey, Running> running_;  // in order: sums of floating point depend on it
};

}  // namespace gangway::scheduler
