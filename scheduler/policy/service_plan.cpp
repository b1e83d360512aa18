#include "scheduler/policy/service_plan.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/model/service_machine.hpp"

namespace gangway::scheduler {
namespace {

constexpr Duration kFirstPause = seconds(10);
constexpr Duration kLongestPause = seconds(300);
constexpr Duration kHealthy = minutes(10);
constexpr Duration kPlacePatience = seconds(5);  // until an old one makes room for a new one

using Kind = ServiceStep::Kind;

class Planner {
 public:
  Planner(const ServiceSpec& spec,
          const std::vector<Replica>& replicas,
          const ServiceProgress& progress,
          Time now)
      : spec_(spec), now_(now) {
    plan_.progress = progress;
    replicas_ = replicas;
  }

  ServicePlan plan() {
    take_ends();
    note_progress();
    give_up_if_stuck();
    finish_drains();
    drain_what_is_too_much();
    start_what_is_missing();
    const bool nothing_else =
        std::ranges::all_of(replicas_, [&](const Replica& r) { return is_available(r); });
    // Those that ran to their end are as they were wanted.
    plan_.is_settled =
        nothing_else && count_available() == spec_.replicas - plan_.progress.completed;
    return std::move(plan_);
  }

 private:
  [[nodiscard]] bool is_new(const Replica& r) const {
    return r.revision == plan_.progress.revision;
  }
  // One that is to be there when all is done.
  [[nodiscard]] bool is_lasting(const Replica& r) const { return is_new(r) && !r.must_move; }
  // Counts against the upper bound: it has an allocation, or waits for one.
  static bool is_there(const Replica& r) { return r.phase != ReplicaPhase::Ended; }
  static bool is_going(const Replica& r) {
    return r.phase == ReplicaPhase::Draining || r.phase == ReplicaPhase::Drained ||
           r.phase == ReplicaPhase::Stopping;
  }
  // Gets requests, and if new has done so for long enough.
  bool is_available(const Replica& r) {
    if (r.phase != ReplicaPhase::Ready || !r.alive) return false;
    if (!is_new(r) || plan_.progress.whole == plan_.progress.revision) return true;
    const Time counts_at = r.since + spec_.update.min_ready;
    if (counts_at <= now_) return true;
    look_again(counts_at);
    return false;
  }
  std::int32_t count_available() {
    return static_cast<std::int32_t>(
        std::ranges::count_if(replicas_, [&](const Replica& r) { return is_available(r); }));
  }
  void look_again(Time at) {
    if (at > now_ && (!plan_.look_again || at < *plan_.look_again)) plan_.look_again = at;
  }
  void step(Kind kind, std::int64_t replica, std::int64_t revision = 0) {
    plan_.steps.push_back({kind, replica, revision});
  }

  // Ended replicas are forgotten; those that ended by themselves make the next one wait.
  void take_ends() {
    ServiceProgress& progress = plan_.progress;
    for (const Replica& r : replicas_) {
      if (r.phase != ReplicaPhase::Ended) continue;
      step(Kind::Forget, r.number);
      if (r.wished) continue;
      if (is_new(r) && (spec_.restart == RestartPolicy::No ||
                        (spec_.restart == RestartPolicy::OnFailure && !r.failed))) {
        ++progress.completed;
        if (!r.failed) continue;
      }
      // Before the pause is over nothing that replaces an ended one can have begun: this one ran
      // beside it.
      if (progress.failures > 0 &&
          r.since < progress.failed_at + restart_pause(progress.failures)) {
        continue;
      }
      const bool starts_again = progress.failures == 0 || r.since - progress.failed_at > kHealthy;
      progress.failures = starts_again ? 1 : progress.failures + 1;
      progress.failed_at = std::max(progress.failed_at, r.since);
    }
    std::erase_if(replicas_, [](const Replica& r) { return !is_there(r); });
  }

  void note_progress() {
    ServiceProgress& progress = plan_.progress;
    std::int32_t available = 0;
    for (const Replica& r : replicas_) available += is_new(r) && is_available(r) ? 1 : 0;
    if (available > progress.best) {
      progress.best = available;
      progress.progressed_at = now_;
    }
    if (available >= spec_.replicas && progress.whole != progress.revision) {
      progress.whole = progress.revision;
    }
  }

  void give_up_if_stuck() {
    ServiceProgress& progress = plan_.progress;
    const bool updating = progress.whole != progress.revision;
    if (!updating || progress.whole == 0) return;
    const Time deadline = progress.progressed_at + spec_.update.progress_deadline;
    if (now_ < deadline) {
      look_again(deadline);
      return;
    }
    progress.given_up = progress.revision;
    step(Kind::GiveUp, 0, progress.whole);
    progress = want_revision(progress, progress.whole, now_);
  }

  void finish_drains() {
    for (Replica& r : replicas_) {
      if (r.phase != ReplicaPhase::Drained) continue;
      step(Kind::Stop, r.number);
      r.phase = ReplicaPhase::Stopping;
    }
  }

  // Gets no requests, so nobody has to be told; a replica in the queue is simply taken back.
  void let_go(Replica& r) {
    if (r.phase == ReplicaPhase::Waiting) {
      step(Kind::Cancel, r.number);
      r.phase = ReplicaPhase::Stopping;
    } else {
      step(Kind::Drain, r.number);
      r.phase = ReplicaPhase::Draining;
    }
  }

  // Rounding must not make an update impossible: Kubernetes' rule; nor must it where there is no
  // place for one more, which Kubernetes need not know: a node has a fixed port once.
  [[nodiscard]] std::int32_t may_miss() {
    const ReplicaShare& share = spec_.update.max_unavailable;
    const std::int32_t bound = share.of(spec_.replicas, false);
    if (bound > 0) return bound;
    if (spec_.update.max_surge.of(spec_.replicas, true) == 0) return 1;
    return share.value > 0 && finds_no_place() ? 1 : 0;
  }
  // One that is to replace another waits in the queue.
  [[nodiscard]] bool finds_no_place() {
    for (const Replica& r : replicas_) {
      if (!is_lasting(r) || r.phase != ReplicaPhase::Waiting) continue;
      if (r.since + kPlacePatience <= now_) return true;
      look_again(r.since + kPlacePatience);
    }
    return false;
  }

  void drain_what_is_too_much() {
    const std::int32_t wanted = spec_.replicas;
    for (Replica& r : replicas_) {
      // It does not answer any more: started anew, whatever the bounds.
      if (!r.alive && !is_going(r) && r.phase != ReplicaPhase::Waiting) let_go(r);
    }
    std::vector<Replica*> old;
    std::vector<Replica*> current;
    for (Replica& r : replicas_) {
      if (is_going(r)) continue;
      (is_lasting(r) ? current : old).push_back(&r);
    }
    // Too many of the newest: those that are least far go first, then the youngest.
    std::ranges::sort(current, [&](const Replica* a, const Replica* b) {
      const bool a_available = is_available(*a);
      const bool b_available = is_available(*b);
      if (a_available != b_available) return b_available;
      if (a->phase != b->phase) return a->phase < b->phase;
      return a->number > b->number;
    });
    std::int32_t surplus = static_cast<std::int32_t>(current.size()) - wanted;
    for (Replica* r : current) {
      if (surplus-- <= 0) break;
      let_go(*r);
    }
    if (old.empty()) return;
    if (spec_.update.recreate) {
      for (Replica* r : old) let_go(*r);
      return;
    }
    // Nobody misses an old one that is not available.
    for (Replica* r : old) {
      if (!is_available(*r)) let_go(*r);
    }
    const std::int32_t least = wanted - may_miss();
    std::int32_t spare = count_available() - least;
    for (Replica* r : old) {
      if (spare <= 0) break;
      if (!is_available(*r)) continue;
      let_go(*r);
      --spare;
    }
  }

  void start_what_is_missing() {
    ServiceProgress& progress = plan_.progress;
    const std::int32_t wanted = spec_.replicas - progress.completed;
    std::int32_t current = 0;
    std::int32_t there = 0;
    bool old_is_there = false;
    bool replaces = false;
    for (const Replica& r : replicas_) {
      ++there;
      old_is_there |= !is_new(r) || is_going(r);  // two of it never run at once
      replaces |= !is_lasting(r);
      current += is_lasting(r) && !is_going(r) ? 1 : 0;
    }
    if (spec_.update.recreate && old_is_there) return;
    const std::int32_t most = spec_.replicas + spec_.update.max_surge.of(spec_.replicas, true);
    const std::int32_t missing = std::min(wanted - current, most - there);
    if (missing <= 0) return;
    if (progress.failures > 0) {
      const Time start_at = progress.failed_at + restart_pause(progress.failures);
      if (now_ < start_at) {
        look_again(start_at);
        return;
      }
    }
    for (std::int32_t i = 0; i < missing; ++i) {
      const std::int64_t number = progress.next_number++;
      step(Kind::Start, number, progress.revision);
      replicas_.push_back({.number = number,
                           .revision = progress.revision,
                           .phase = ReplicaPhase::Waiting,
                           .since = now_});
    }
    if (replaces) look_again(now_ + kPlacePatience);
  }

  const ServiceSpec& spec_;
  Time now_;
  std::vector<Replica> replicas_;
  ServicePlan plan_;
};

}  // namespace

Duration restart_pause(std::int32_t failures) {
  CHECK(failures > 0);
  Duration pause = kFirstPause;
  for (std::int32_t i = 1; i < failures && pause < kLongestPause; ++i) pause = pause * 2;
  return std::min(pause, kLongestPause);
}

ServicePlan plan_service(const ServiceSpec& spec,
                         const std::vector<Replica>& replicas,
                         const ServiceProgress& progress,
                         Time now) {
  CHECK(std::ranges::is_sorted(replicas, {}, &Replica::number));
  return Planner(spec, replicas, progress, now).plan();
}

}  // namespace gangway::scheduler
