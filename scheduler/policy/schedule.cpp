#include "scheduler/policy/schedule.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "scheduler/policy/pricing.hpp"
#include "scheduler/policy/time_slices.hpp"

namespace gangway::scheduler {

namespace {

Profile profile_of(const Snapshot& snapshot, TimeSlices& slices) {
  Profile profile;
  slices.set_queues(snapshot.queues);
  profile.set_queues(snapshot.queues);
  for (const auto& node : snapshot.nodes) {
    profile.set_node(node.name, node.capacity, node.usable, node.features);
  }
  for (const auto& job : snapshot.running) {
    std::vector<NodeClaim> claims = claims_of(profile, job.allocation);
    const Time end = planned_end(job.expected_end);
    if (slices.is_sliced(job.queue)) {
      slices.start(profile, job.key, job.queue, end, std::move(claims));
    } else {
      profile.start(job.key, end, std::move(claims));
    }
  }
  return profile;
}

Pricing pricing_of(const Snapshot& snapshot) {
  Pricing pricing;
  pricing.set_rules(snapshot.rules);
  pricing.set_queues(snapshot.queues);
  pricing.set_fair_shares(snapshot.fair_shares);
  for (const auto& node : snapshot.nodes) pricing.set_node(node.name, node.capacity);
  pricing.settle();
  return pricing;
}

// The waiting jobs sorted by their places, each with a request of its own.
class SortedLine final : public Line {
 public:
  SortedLine(const Snapshot& snapshot, const TimeSlices& slices, Kinds& kinds) {
    const Pricing pricing = pricing_of(snapshot);
    for (const Candidate& job : snapshot.waiting) {
      const std::optional<Duration> limit = slices.stretched(job.queue, job.limit);
      jobs_.push_back({pricing.place_of(job), make_request(job.queue, limit, job.components, kinds),
                       request_key(job.queue, limit, job.components)});
    }
    std::sort(jobs_.begin(), jobs_.end(),
              [](const Waiting& a, const Waiting& b) { return a.place < b.place; });
  }

  std::optional<InLine> next() override {
    while (next_ < jobs_.size() && is_left_out(jobs_[next_])) ++next_;
    if (next_ == jobs_.size()) return std::nullopt;
    const Waiting& job = jobs_[next_++];
    return InLine{job.place.key, &job.request};
  }
  void pass_over_equals(PendingReason reason, std::optional<std::size_t>) override {
    if (!jobs_[next_ - 1].promised) passed_over_.emplace(jobs_[next_ - 1].request_key, reason);
  }
  void shortest_first(std::optional<Time> first_if_before) override {
    const auto length = [&](const Waiting& job) {
      if (first_if_before && job.place.eligible <= *first_if_before) return Duration{-1};
      return job.request.limit.value_or(Duration{kUnlimitedEnd.ns});
    };
    std::stable_sort(jobs_.begin() + static_cast<std::ptrdiff_t>(next_), jobs_.end(),
                     [&](const Waiting& a, const Waiting& b) { return length(a) < length(b); });
  }

  void on_reserved(const Reserved&) override {}
  void on_spare(std::size_t) override {}
  void on_freed() override {}

  // The promises of the last pass, in the order of the line.
  [[nodiscard]] std::vector<Reserved> keep(const std::vector<Promise>& promises,
                                           bool freed,
                                           Time now,
                                           Profile& profile) {
    std::vector<Reserved> kept;
    for (Waiting& job : jobs_) {
      for (const Promise& promise : promises) {
        if (promise.key != job.place.key) continue;
        job.promised = true;
        job.rests = !freed && promise.start > now;
        Reserved reserved{promise.key, &job.request, promise.start, {}};
        auto node = promise.nodes.begin();
        for (const RequestPart& part : job.request.parts) {
          auto& nodes = reserved.placement.emplace_back();
          for (std::int32_t i = 0; i < part.nodes; ++i) nodes.push_back(profile.index_of(*node++));
        }
        kept.push_back(std::move(reserved));
      }
    }
    return kept;
  }

  [[nodiscard]] std::vector<Reason> reasons(const BackfillResult& result) const {
    std::map<JobKey, bool> started;
    for (const Start& start : result.starts) started[start.key] = true;
    std::vector<Reason> out;
    for (const Waiting& job : jobs_) {
      const JobKey key = job.place.key;
      if (started.contains(key)) continue;
      const auto why = passed_over_.find(job.request_key);
      const bool is_first = !result.reserved.empty() && result.reserved.front().key == key;
      out.push_back({key, is_first                    ? PendingReason::Resources
                          : why != passed_over_.end() ? why->second
                                                      : PendingReason::Priority});
    }
    return out;
  }

 private:
  struct Waiting {
    Place place;
    Request request;
    std::string request_key;
    bool promised = false;
    bool rests = false;  // its promise stands and cannot move
  };
  [[nodiscard]] bool is_left_out(const Waiting& job) const {
    return job.promised ? job.rests : passed_over_.contains(job.request_key);
  }

  std::vector<Waiting> jobs_;
  std::size_t next_ = 0;
  std::map<std::string, PendingReason> passed_over_;
};

}  // namespace

PlanDelta schedule(const Snapshot& snapshot, Time now, const BackfillRules& rules) {
  TimeSlices slices;
  Profile profile = profile_of(snapshot, slices);
  SortedLine line(snapshot, slices, profile.kinds());
  const std::vector<Reserved> kept = line.keep(snapshot.promises, snapshot.freed, now, profile);
  BackfillRules all = rules;
  all.tries_all = true;
  const BackfillResult result = backfill(profile, line, now, all, kept, &slices);
  return {.starts = result.starts,
          .reasons = line.reasons(result),
          .promise = promise_of(result, profile),
          .wake = wake_of(result, rules.policy),
          .complete = result.complete,
          .looked_at = result.looked_at};
}

}  // namespace gangway::scheduler
