#include "scheduler/policy/backfill.hpp"

#include <set>
#include <utility>

namespace gangway::scheduler {

namespace {

class Walk {
 public:
  Walk(Profile& profile, Time now, const BackfillRules& rules)
      : profile_(profile), now_(now), rules_(rules) {}

  ~Walk() {  // starts are not assumed before the caller says so
    for (const Start& start : result_.starts) profile_.end(start.key);
    for (const Reserved& reserved : result_.reserved) profile_.end(reserved.key);
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  BackfillResult run(Line& line) {
    while (const auto job = line.next()) {
      if (result_.looked_at == rules_.budget) {
        result_.complete = false;
        break;
      }
      ++result_.looked_at;
      if (!profile_.find_queue(job->request->queue)) {
        line.pass_over_equals(PendingReason::QueueDown);
        continue;
      }
      if (try_start(*job)) continue;
      if (result_.reserved.size() < rules_.reservation_depth) {
        if (!try_reserve(*job)) line.pass_over_equals(PendingReason::NodesUnavailable);
      } else {
        line.pass_over_equals(PendingReason::Priority);
      }
    }
    return result_;
  }

 private:
  bool try_start(const InLine& job) {
    if (const auto placement = place_now(profile_, *job.request, now_)) {
      start(job, *placement, planned_end(end_of(now_, job.request->limit)));
      return true;
    }
    return !result_.reserved.empty() && try_start_in_the_way(job);
  }

  void start(const InLine& job, const Placement& placement, Time end) {
    std::vector<NodeClaim> claims = claims_of(profile_, *job.request, placement, true);
    Allocation allocation = make_allocation(profile_, *job.request, placement, claims);
    profile_.start(job.key, end, std::move(claims));
    result_.starts.push_back({job.key, std::move(allocation)});
  }

  bool try_reserve(const InLine& job) {
    const auto earliest = place_earliest(profile_, *job.request, now_);
    if (!earliest) return false;
    reserve({job.key, job.request, earliest->at, {}}, earliest->placement);
    return true;
  }

  void reserve(Reserved reserved, const Placement& placement) {
    std::vector<NodeClaim> claims = claims_of(profile_, *reserved.request, placement, false);
    reserved.nodes.clear();
    for (const NodeClaim& claim : claims) reserved.nodes.push_back(claim.node);
    profile_.reserve(reserved.key, reserved.start, end_of(reserved.start, reserved.request->limit),
                     std::move(claims));
    result_.reserved.push_back(std::move(reserved));
  }

  // The job takes what is free now, and the reserved jobs look for other nodes at the same times.
  bool try_start_in_the_way(const InLine& job) {
    const std::vector<Reserved> before = result_.reserved;
    std::set<NodeIndex> avoid;
    for (const Reserved& reserved : before)
      avoid.insert(reserved.nodes.begin(), reserved.nodes.end());
    std::vector<std::vector<NodeClaim>> claims_before;
    for (const Reserved& reserved : before) {
      claims_before.push_back(profile_.claims_of(reserved.key));
      profile_.end(reserved.key);
    }
    result_.reserved.clear();

    bool all_found = false;
    if (const auto placement = place_now(profile_, *job.request, now_, avoid)) {
      // Without a limit it stays beyond kUnlimitedEnd: it comes after those that wait for others
      // without a limit.
      const Time end = end_of(now_, job.request->limit);
      start(job, *placement, end);
      all_found = reserve_again(before);
      std::vector<NodeClaim> claims = profile_.claims_of(job.key);
      profile_.end(job.key);
      if (all_found) {
        profile_.start(job.key, planned_end(end), std::move(claims));
      } else {
        result_.starts.pop_back();
      }
    }
    if (all_found) return true;
    for (const Reserved& reserved : result_.reserved) profile_.end(reserved.key);
    for (std::size_t i = 0; i < before.size(); ++i) {
      profile_.reserve(before[i].key, before[i].start,
                       end_of(before[i].start, before[i].request->limit),
                       std::move(claims_before[i]));
    }
    result_.reserved = before;
    return false;
  }

  bool reserve_again(const std::vector<Reserved>& before) {
    for (const Reserved& reserved : before) {
      const auto placement = place_at(profile_, *reserved.request, reserved.start, now_);
      if (!placement) return false;
      reserve(reserved, *placement);
    }
    return true;
  }

  Profile& profile_;
  Time now_;
  BackfillRules rules_;
  BackfillResult result_;
};

}  // namespace

BackfillResult backfill(Profile& profile, Line& line, Time now, const BackfillRules& rules) {
  profile.settle();
  return Walk(profile, now, rules).run(line);
}

std::optional<Promise> promise_of(const BackfillResult& result, const Profile& profile) {
  if (result.reserved.empty() || result.reserved.front().start >= kUnlimitedEnd)
    return std::nullopt;
  const Reserved& first = result.reserved.front();
  Promise promise{.key = first.key, .start = first.start, .nodes = {}};
  for (const NodeIndex node : first.nodes) promise.nodes.push_back(profile.name_of(node));
  return promise;
}

}  // namespace gangway::scheduler
