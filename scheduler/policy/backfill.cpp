#include "scheduler/policy/backfill.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/policy/failures.hpp"
#include "scheduler/policy/shadow.hpp"

namespace gangway::scheduler {

namespace {

// So many reservations are asked to move aside for one job; with more, the job has to fit as they
// stand, or the work would grow with their square.
constexpr std::size_t kMostMoved = 16;

class Walk {
 public:
  Walk(Profile& profile,
       Line& line,
       TimeSlices* slices,
       Time now,
       const BackfillRules& rules,
       const std::vector<Reserved>& kept)
      : profile_(profile), line_(line), slices_(slices), now_(now), rules_(rules) {
    for (const Reserved& promise : kept) {
      hold(promise, std::max(promise.start, now));
      kept_.insert(promise.key);
    }
  }

  ~Walk() {  // starts are not assumed before the caller says so
    for (const Start& start : result_.starts) undo_start(start.key);
    for (const Reserved& reserved : result_.reserved) profile_.end(reserved.key);
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  BackfillResult run(const std::vector<Reserved>& kept) {
    bool by_length = false;
    while (const auto job = line_.next()) {
      if (result_.looked_at == rules_.budget) {
        result_.complete = false;
        break;
      }
      ++result_.looked_at;
      const bool promised = take_promise(job->key);
      if (!profile_.find_queue(job->request->queue)) {
        line_.pass_over_equals(PendingReason::QueueDown, std::nullopt);
        continue;
      }
      if (try_start(*job)) continue;
      const BackfillPolicy& policy = rules_.policy;
      if (promised || may_reserve()) {
        if (!try_reserve(*job)) {
          // Behind a job without a limit there is no time to promise.
          line_.pass_over_equals(why_never(*job->request), std::nullopt);
          continue;
        }
        if (policy.reservation_depth == 0) break;
      } else {
        line_.pass_over_equals(PendingReason::Priority, could_run_);
      }
      if (policy.shortest_first && !by_length && !may_reserve()) {
        by_length = true;
        line_.shortest_first(policy.starvation_bound
                                 ? std::optional<Time>(now_ - *policy.starvation_bound)
                                 : std::nullopt);
      }
    }
    for (const Reserved& promise : kept) {
      if (kept_.contains(promise.key)) result_.reserved.push_back(promise);
    }
    return result_;
  }

 private:
  // Whether a job that is looked at again has a promise; its place in the profile is open
  // meanwhile.
  bool take_promise(JobKey key) {
    const auto found = kept_.find(key);
    if (found == kept_.end()) return false;
    kept_.erase(found);
    profile_.end(key);
    failures_.clear();
    return true;
  }

  [[nodiscard]] bool may_reserve() const {
    const std::size_t depth = rules_.policy.reservation_depth;
    // A pass that is cut short has to come further each time.
    const auto most = static_cast<std::size_t>(std::max(1, rules_.budget / 2));
    return result_.reserved.size() + kept_.size() < std::min(std::max<std::size_t>(depth, 1), most);
  }

  bool try_start(const InLine& job) {
    const bool is_simple =
        job.request->choices.empty() && job.request->parts.size() == 1 && !rules_.tries_all;
    could_run_.reset();
    if (is_simple && is_known_to_fail(job)) return false;
    const PlacedNow placed = place_now(profile_, *job.request, now_);
    if (placed.placement) {
      start(job, *placed.placement, planned_end(end_of(now_, job.request->limit)));
      return true;
    }
    if (is_simple) {
      note_failure(job, placed.nodes);
      if (is_for_want_of_nodes(job, placed.nodes)) return false;
    }
    return try_start_beside_reservations(job, placed) ||
           (is_sliced(job) && try_start_in_a_row(job));
  }

  // From what others, of one part like this, have failed by.
  [[nodiscard]] bool is_known_to_fail(const InLine& job) {
    if (is_sliced(job)) return false;
    const RequestPart& part = job.request->parts.front();
    const auto wanted = static_cast<std::size_t>(part.nodes);
    const Time end = end_of(now_, job.request->limit);
    const auto queue = *profile_.find_queue(job.request->queue);
    const auto most = failures_.most_nodes(queue, part.per_node, part.exclusive, end);
    if (!most || *most >= wanted) return false;
    if (is_for_want_of_nodes(job, *most)) return true;
    if (part.is_even() || !may_move_reservations() || !casts_a_shadow()) return false;
    // Not all of its nodes are for as much as the fullest.
    const auto some = failures_.most_nodes(queue, part.least_per_node(), part.exclusive, end);
    if (!some || *some + shadow().spare() >= wanted) return false;
    could_run_ = some;
    return true;
  }
  // Where `nodes`, too few, could run it: whether nothing can be moved out of its way. It would
  // take the nodes that are missing from the reserved job.
  [[nodiscard]] bool is_for_want_of_nodes(const InLine& job, std::size_t nodes) {
    if (is_sliced(job)) return false;
    const RequestPart& part = job.request->parts.front();
    if (may_move_reservations()) {
      if (!casts_a_shadow() || !part.is_even()) return false;
      if (nodes + shadow().spare() >= static_cast<std::size_t>(part.nodes)) return false;
    }
    could_run_ = nodes;
    return true;
  }
  void note_failure(const InLine& job, std::size_t nodes) {
    Time end = end_of(now_, job.request->limit);
    // Without reservations ever more becomes free, and with one, from its start on.
    if (result_.reserved.empty() && kept_.empty()) {
      end = now_;
    } else if (is_only_reservation()) {
      const Time start = result_.reserved.front().start;
      end = end <= start ? now_ : start + nanoseconds(1);
    }
    failures_.note(*profile_.find_queue(job.request->queue), job.request->parts.front(), end,
                   nodes);
  }

  [[nodiscard]] bool is_only_reservation() const {
    return result_.reserved.size() == 1 && kept_.empty();
  }
  [[nodiscard]] bool casts_a_shadow() const {
    return is_only_reservation() && Shadow::is_known_of(*result_.reserved.front().request);
  }
  // With a single node there is nowhere else to move to.
  [[nodiscard]] bool may_move_reservations() const {
    return !result_.reserved.empty() && result_.reserved.size() <= kMostMoved &&
           profile_.node_count() > 1;
  }
  Shadow& shadow() {
    if (!shadow_) shadow_.emplace(profile_, result_.reserved.front());
    return *shadow_;
  }

  bool try_start_beside_reservations(const InLine& job, const PlacedNow& placed) {
    if (!placed.only_reservations_forbid || !may_move_reservations()) return false;
    return casts_a_shadow() ? try_start_in_the_shadow(job) : try_start_in_the_way(job);
  }

  [[nodiscard]] bool is_sliced(const InLine& job) const {
    return slices_ != nullptr && slices_->is_sliced(job.request->queue);
  }

  // On cores of gangs of its queue, in turns with them.
  bool try_start_in_a_row(const InLine& job) {
    auto placed = slices_->place(profile_, *job.request, now_);
    if (!placed) return false;
    result_.starts.push_back(
        {job.key, make_allocation(profile_, *job.request, placed->placement, placed->claims)});
    run(job, planned_end(end_of(now_, job.request->limit)), placed->claims);
    shadow_.reset();  // what others hold has moved, too
    return true;
  }

  void something_is_free() {
    failures_.clear();
    line_.on_freed();
  }
  // Until the end of the walk.
  void run(const InLine& job, Time end, const std::vector<NodeClaim>& claims) {
    if (is_sliced(job)) {
      slices_->start(profile_, job.key, job.request->queue, end, claims);
      something_is_free();  // what others hold may have become less
    } else {
      profile_.start(job.key, end, claims);
    }
  }
  void undo_start(JobKey key) {
    const bool sliced = slices_ != nullptr && slices_->holds(key);
    sliced ? slices_->end(profile_, key) : profile_.end(key);
  }

  void start(const InLine& job, const Placement& placement, Time end) {
    start(job, placement, end, claims_of(profile_, *job.request, placement, true));
  }
  void start(const InLine& job,
             const Placement& placement,
             Time end,
             const std::vector<NodeClaim>& claims) {
    result_.starts.push_back({job.key, make_allocation(profile_, *job.request, placement, claims)});
    run(job, end, claims);
    if (!shadow_) return;
    shadow_->on_started(claims);
    line_.on_spare(shadow_->spare());
  }

  bool try_reserve(const InLine& job) {
    auto earliest = place_earliest(profile_, *job.request, now_);
    if (!earliest) return false;
    reserve({job.key, job.request, earliest->at, std::move(earliest->placement)});
    return true;
  }

  [[nodiscard]] PendingReason why_never(const Request& request) const {
    if (would_fit_empty(profile_, request, false)) return PendingReason::Priority;
    // Nodes may have lost features, or never had them, and were there when it was submitted.
    return would_fit_empty(profile_, request, true) ? PendingReason::NodesUnavailable
                                                    : PendingReason::BadConstraints;
  }

  void hold(const Reserved& reserved, Time start) {
    profile_.reserve(reserved.key, start, end_of(start, reserved.request->limit),
                     claims_of(profile_, *reserved.request, reserved.placement, false));
  }
  void reserve(Reserved reserved) {
    shadow_.reset();
    hold(reserved, reserved.start);
    result_.reserved.push_back(std::move(reserved));
    if (rules_.tries_all || rules_.policy.reservation_depth != 1 || !is_only_reservation()) return;
    const Reserved& only = result_.reserved.front();
    if (may_move_reservations() && !casts_a_shadow()) return;
    line_.on_reserved(only);
    line_.on_spare(may_move_reservations() ? shadow().spare() : 0);
  }

  // The job takes what is free now, and the reserved job goes on to other nodes, if it has to and
  // there are enough.
  bool try_start_in_the_shadow(const InLine& job) {
    Reserved& reserved = result_.reserved.front();
    const auto placement = place_now_in_the_way(profile_, *job.request, shadow().nodes());
    if (!placement) return false;
    const std::vector<NodeClaim> claims = claims_of(profile_, *job.request, *placement, true);
    // Without a limit it stays beyond kUnlimitedEnd: it comes after those that wait for others
    // without a limit.
    const Time end = end_of(now_, job.request->limit);
    const std::vector<NodeIndex> lost = shadow_->lost_to(claims, end);
    if (!shadow_->can_lose(lost)) return false;
    start(job, *placement, planned_end(end), claims);
    if (!lost.empty()) something_is_free();
    const Placement more{shadow_->on_lost(lost)};
    if (!more.front().empty()) {
      profile_.move_reservation(reserved.key, lost,
                                claims_of(profile_, *reserved.request, more, false));
      reserved.placement = shadow_->placement();
    }
    return true;
  }

  // The job takes what is free now, and the reserved jobs look for other nodes at the same times.
  bool try_start_in_the_way(const InLine& job) {
    const std::vector<Reserved> before = result_.reserved;
    NodeSet avoid(profile_.node_count(), false);
    for (const Reserved& reserved : before) {
      for (const NodeIndex node : reserved.nodes()) avoid[node] = true;
      profile_.end(reserved.key);
    }
    result_.reserved.clear();

    bool all_found = false;
    if (const auto placement = place_now_avoiding(profile_, *job.request, now_, avoid)) {
      // Without a limit it stays beyond kUnlimitedEnd: it comes after those that wait for others
      // without a limit.
      const Time end = end_of(now_, job.request->limit);
      start(job, *placement, end);
      all_found = reserve_again(before);
      std::vector<NodeClaim> claims = profile_.claims_of(job.key);
      undo_start(job.key);
      if (all_found) {
        run(job, planned_end(end), claims);
      } else {
        result_.starts.pop_back();
      }
    }
    if (all_found) {
      something_is_free();
      return true;
    }
    for (const Reserved& reserved : result_.reserved) profile_.end(reserved.key);
    for (const Reserved& reserved : before) hold(reserved, reserved.start);
    result_.reserved = before;
    return false;
  }

  bool reserve_again(const std::vector<Reserved>& before) {
    for (const Reserved& reserved : before) {
      auto placement = place_at(profile_, *reserved.request, reserved.start);
      if (!placement) return false;
      reserve({reserved.key, reserved.request, reserved.start, *std::move(placement)});
    }
    return true;
  }

  Profile& profile_;
  Line& line_;
  TimeSlices* slices_;
  Time now_;
  BackfillRules rules_;
  std::set<JobKey> kept_;         // and not looked at yet
  std::optional<Shadow> shadow_;  // of the only reservation, once somebody stands in its way
  Failures failures_;
  std::optional<std::size_t> could_run_;  // the job looked at last, if it failed by that
  BackfillResult result_;
};

}  // namespace

std::vector<NodeIndex> Reserved::nodes() const {
  std::vector<NodeIndex> out;
  for (const auto& nodes : placement) out.insert(out.end(), nodes.begin(), nodes.end());
  return out;
}

BackfillResult backfill(Profile& profile,
                        Line& line,
                        Time now,
                        const BackfillRules& rules,
                        const std::vector<Reserved>& kept,
                        TimeSlices* slices) {
  profile.settle();
  profile.advance(now);
  return Walk(profile, line, slices, now, rules, kept).run(kept);
}

Promise promise_of(const Reserved& reserved, const Profile& profile) {
  Promise promise{.key = reserved.key, .start = reserved.start, .nodes = {}};
  for (const NodeIndex node : reserved.nodes()) promise.nodes.push_back(profile.name_of(node));
  return promise;
}

std::optional<Promise> promise_of(const BackfillResult& result, const Profile& profile) {
  if (result.reserved.empty() || result.reserved.front().start >= kUnlimitedEnd)
    return std::nullopt;
  return promise_of(result.reserved.front(), profile);
}

std::optional<Time> wake_of(const BackfillResult& result, const BackfillPolicy& policy) {
  if (!policy.keeps_promises) return std::nullopt;
  std::optional<Time> first;
  for (const Reserved& reserved : result.reserved) {
    if (reserved.start < first.value_or(kUnlimitedEnd)) first = reserved.start;
  }
  return first;
}

}  // namespace gangway::scheduler
