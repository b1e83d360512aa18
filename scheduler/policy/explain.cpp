#include <algorithm>
#include <utility>

#include "queues/base/text.hpp"
#include "scheduler/policy/planner_impl.hpp"

namespace gangway::scheduler {

namespace {

// The plan is played forward with at most so many jobs ahead, and so many passes.
constexpr int kMaxAheadPlayed = 2000;
constexpr int kMaxPassesPlayed = 2000;

}  // namespace

std::optional<Explanation> Planner::Impl::explain(JobKey key, Time now) const {
  const auto found = waiting.find(key);
  if (found == waiting.end()) return std::nullopt;
  const Waiting& job = found->second;
  Explanation out;
  out.reason = job.told;
  out.priority = pricing.terms_of(job.job, now);
  std::vector<const Waiting*> ahead;
  for (const auto& [other_key, other] : waiting) {
    if (other.place < job.place) ahead.push_back(&other);
  }
  out.ahead = static_cast<int>(ahead.size());
  out.rank = out.ahead + 1;
  if (const auto promise = promised.find(job.place);
      promise != promised.end() && promise->second.reserved.start < kUnlimitedEnd) {
    out.expected_start = std::max(promise->second.reserved.start, now);
  } else if (out.ahead <= kMaxAheadPlayed) {
    out.expected_start = play_forward(job, ahead, now);
  }
  out.waits_for = waits_for(job, out);
  return out;
}

// Jobs behind it are left out: backfilling does not let them delay the first in line.
std::optional<Time> Planner::Impl::play_forward(const Waiting& job,
                                                const std::vector<const Waiting*>& ahead,
                                                Time now) const {
  Impl played;
  played.policy = policy;
  played.profile = profile;
  played.pricing = pricing;
  for (const Waiting* other : ahead) played.on(delta::Waits{other->job});
  played.on(delta::Waits{job.job});
  for (int passes = 0; passes < kMaxPassesPlayed; ++passes) {
    const PlanDelta plan = played.pass(now, kMaxAheadPlayed + 1);
    for (const Start& start : plan.starts) {
      if (start.key == job.job.key) return now;
      const Waiting& started = played.waiting.at(start.key);
      const Time end = end_of(now, started.job.limit);
      played.on(delta::Started{start.key, start.allocation, end});
    }
    const auto ends = played.profile.ends_after(now);
    if (ends.empty() || ends.front().at >= kUnlimitedEnd) return std::nullopt;
    now = ends.front().at;
    for (const auto& end : ends) {
      if (end.at != now) break;
      played.on(delta::Ended{end.key});
    }
  }
  return std::nullopt;
}

std::string Planner::Impl::waits_for(const Waiting& job, const Explanation& why) const {
  const Request& request = job.in->second.request;
  const std::string wanted = describe(request, profile.kinds());
  switch (why.reason) {
    case PendingReason::NodesUnavailable:
      return cat("it needs ", wanted,
                 "; too many of the nodes that could serve it are down, "
                 "lost or drained");
    case PendingReason::QueueDown:
      return cat("its queue ", request.queue.value, " is not configured any more");
    case PendingReason::Resources:
      return cat("it is next and needs ", wanted, "; not so much is free at once yet");
    case PendingReason::Priority:
      return cat("it needs ", wanted, "; ", why.ahead, why.ahead == 1 ? " job is" : " jobs are",
                 " before it, and it would not fit beside them now");
    default:
      return cat("it needs ", wanted);
  }
}

}  // namespace gangway::scheduler
