#include "scheduler/policy/usage.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

double rate_of(const Allocation& allocation, const UsageWeights& weights) {
  double rate = 0;
  for (const NodeShare& share : allocation.shares) {
    constexpr double kGib = 1 << 30;
    rate += weights.core * static_cast<double>(share.resources.cores);
    rate += weights.memory_gib * (static_cast<double>(share.resources.memory.value) / kGib);
    for (const auto& [name, weight] : weights.named) {
      rate += weight * static_cast<double>(share.resources.amount_of(name));
    }
  }
  return rate;
}

double decayed(double amount, Duration passed, Duration half_life) {
  if (half_life.ns <= 0 || passed.ns <= 0) return amount;
  return amount * std::exp2(-static_cast<double>(passed.ns) / static_cast<double>(half_life.ns));
}

double accrued(double rate, Duration ran, Duration half_life) {
  if (ran.ns <= 0) return 0;
  if (half_life.ns <= 0) return rate * to_seconds(ran);
  // The integral of rate * 2^(-t/h) over t from 0 to `ran`; expm1, because 1 - 2^-x of a short run
  // would keep few digits.
  const double halvings = static_cast<double>(ran.ns) / static_cast<double>(half_life.ns);
  const double seconds_per_e = to_seconds(half_life) / std::numbers::ln2;
  return rate * seconds_per_e * -std::expm1(-halvings * std::numbers::ln2);
}

void UsageBook::set_settled(UserNumber user, DecayedUsage usage) {
  if (user >= settled_.size()) settled_.resize(user + std::size_t{1});
  settled_[user] = usage;
}

void UsageBook::begin(JobKey job, UserNumber user, double rate, Time since) {
  if (user >= settled_.size()) settled_.resize(user + std::size_t{1});
  CHECK(running_.try_emplace(job, Running{user, rate, since}).second);
}

UsageBook::Charge UsageBook::end(JobKey job, Time at) {
  const auto found = running_.find(job);
  CHECK(found != running_.end());
  const Running ran = found->second;
  running_.erase(found);
  DecayedUsage& settled = settled_[ran.user];
  const double amount = accrued(ran.rate, at - ran.since, half_life_);
  settled = {.amount = decayed(settled.amount, at - settled.as_of, half_life_) + amount,
             .as_of = at};
  return {.user = ran.user, .amount = amount, .usage = settled};
}

std::optional<UserNumber> UsageBook::user_of(JobKey job) const {
  const auto found = running_.find(job);
  return found == running_.end() ? std::nullopt : std::optional(found->second.user);
}

std::vector<double> UsageBook::usages_at(Time now) const {
  std::vector<double> out(settled_.size());
  for (std::size_t i = 0; i < settled_.size(); ++i) {
    out[i] = decayed(settled_[i].amount, now - settled_[i].as_of, half_life_);
  }
  for (const auto& [key, job] : running_) {
    out[job.user] += accrued(job.rate, now - job.since, half_life_);
  }
  return out;
}

}  // namespace gangway::scheduler
