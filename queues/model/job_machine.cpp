#include "queues/model/job_machine.hpp"

#include <algorithm>
#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {
namespace event = job_event;

// The attempt that an event is about, if it is about one.
std::optional<Attempt> attempt_of(const JobEvent& what) {
  using Answer = std::optional<Attempt>;
  return std::visit(overloaded{
                        [](const event::Ended& e) -> Answer { return e.attempt; },
                        [](const event::Cleaned& e) -> Answer { return e.attempt; },
                        [](const auto&) -> Answer { return std::nullopt; },
                    },
                    what);
}

// News of an attempt that is over already is nobody's mistake: it was late.
Result<void> check_attempt(const Job& job, const JobEvent& what) {
  const auto refuse = [&](ErrorKind kind, Attempt attempt) {
    return Error(kind,
                 cat("job ", to_string(job.key), ": ", event_name(what), " of attempt ", attempt,
                     ", its newest is ", job.attempt, " (", phase_name(job.phase), ")"));
  };
  if (const auto* allocated = std::get_if<event::Allocated>(&what)) {
    if (allocated->attempt <= job.attempt) return refuse(ErrorKind::Conflict, allocated->attempt);
    if (allocated->attempt != job.attempt + 1) {
      return refuse(ErrorKind::Internal, allocated->attempt);
    }
    return {};
  }
  const auto attempt = attempt_of(what);
  if (!attempt) return {};
  const bool newest_is_over = job.is_waiting() || job.is_finished();
  if (*attempt < job.attempt || (*attempt == job.attempt && newest_is_over)) {
    return refuse(ErrorKind::Conflict, *attempt);
  }
  if (*attempt > job.attempt) return refuse(ErrorKind::Internal, *attempt);
  return {};
}

PendingReason reason_of(Hold hold) {
  if (hold.by_operator) return PendingReason::JobHeldAdmin;
  return hold.by_user ? PendingReason::JobHeldUser : PendingReason::None;
}

void set_hold(Job& job, bool by_operator, bool on) {
  (by_operator ? job.hold.by_operator : job.hold.by_user) = on;
}

// A failed start counts towards kMaxLaunchFailures; only an attempt that ran ends the row. A node
// lost while a gang prepares says nothing about the job, one way or the other.
void count_launch_failure(Job& job, const Outcome& outcome, bool launched) {
  if (outcome.kind == OutcomeKind::LaunchFailed) {
    ++job.launch_failures;
  } else if (launched) {
    job.launch_failures = 0;
  }
}

// Each lambda is an arrow of the picture in the header; false: there is no such arrow. A lambda
// makes the next phase whole before it assigns it, because its argument lives in the old one.
class Step {
 public:
  Step(Job& job, Time at) : job_(job), at_(at) {}

  bool operator()(phase::Waiting&, const event::Eligible&) {
    job_.eligible = at_;
    return true;
  }
  bool operator()(phase::Waiting& from, const event::ReasonChanged& e) {
    from.reason = e.reason;
    return true;
  }
  bool operator()(phase::Waiting& from, const event::Held& e) {
    set_hold(job_, e.by_operator, true);
    job_.eligible.reset();
    from.reason = reason_of(job_.hold);
    return true;
  }
  bool operator()(phase::Waiting& from, const event::Released& e) {
    set_hold(job_, e.by_operator, false);
    from.reason = reason_of(job_.hold);
    return true;
  }
  bool operator()(phase::Waiting&, const event::Allocated& e) {
    job_.attempt = e.attempt;
    job_.started.reset();
    job_.paused = {};
    return enter(phase::Starting{e.allocation});
  }
  bool operator()(phase::Waiting&, const event::CancelledWaiting& e) {
    job_.ended = at_;
    return enter(phase::Finished{e.outcome, {}});
  }
  bool operator()(phase::Waiting&, const event::Altered& e) {
    job_.spec_digest = e.spec_digest;
    return true;
  }
  bool operator()(phase::Waiting&, const event::Dropped& e) {
    if (!job_.array || job_.array->waiting.intersect(e.positions) != e.positions) return false;
    job_.array->waiting.remove(e.positions);
    job_.array->dropped.add(e.positions);
    job_.array->dropped_as = e.outcome;
    return true;
  }
  bool operator()(phase::Waiting&, const event::ArrayEnded&) {
    if (!job_.array || !job_.array->waiting.empty()) return false;
    job_.ended = at_;
    return enter(phase::Finished{outcome_of_array(*job_.array), {}});
  }
  bool operator()(phase::Starting& from, const event::Launched&) {
    job_.started = at_;
    return enter(phase::Running{std::move(from.allocation), {.accumulated = {}, .since = at_}});
  }
  bool operator()(phase::Starting& from, const event::Ended& e) {
    return complete(std::move(from.allocation), e, false);
  }
  bool operator()(phase::Running& from, const event::Suspended& e) {
    // A clock that was set back takes nothing away from what has run.
    const RunClock paused{.accumulated = std::max(from.clock.accumulated, from.clock.elapsed(at_)),
                          .since = std::nullopt};
    return enter(phase::Suspended{std::move(from.allocation), paused, e.by_operator});
  }
  bool operator()(phase::Running& from, const event::Ended& e) {
    note_paused(from.clock);
    return complete(std::move(from.allocation), e, true);
  }
  bool operator()(phase::Suspended& from, const event::Suspended& e) {
    if (from.by_operator == e.by_operator) return false;
    from.by_operator = e.by_operator;
    return true;
  }
  bool operator()(phase::Suspended& from, const event::Resumed&) {
    const RunClock going{.accumulated = from.clock.accumulated, .since = at_};
    return enter(phase::Running{std::move(from.allocation), going});
  }
  bool operator()(phase::Suspended& from, const event::Ended& e) {
    note_paused(from.clock);
    return complete(std::move(from.allocation), e, true);
  }
  bool operator()(phase::Completing& from, const event::Cleaned& e) {
    job_.usage = e.usage;
    if (!from.requeue) {
      return enter(phase::Finished{std::move(from.outcome), std::move(from.allocation)});
    }
    PendingReason reason = reason_of(job_.hold);
    if (reason == PendingReason::None && job_.retries_used > 0) {
      reason = PendingReason::RetryBackoff;
    }
    if (reason == PendingReason::None && from.outcome.kind == OutcomeKind::LaunchFailed) {
      reason = PendingReason::LaunchFailedRequeued;
    }
    job_.eligible.reset();
    job_.started.reset();
    job_.ended.reset();
    job_.paused = {};
    return enter(phase::Waiting{reason});
  }
  // Cancelled while it was on its way back to Waiting.
  bool operator()(phase::Completing& from, const event::Ended& e) {
    if (!from.requeue || e.requeue) return false;
    from.outcome = e.outcome;
    from.requeue = false;
    job_.ended = at_;
    return true;
  }
  // Noted for the case that it is requeued; a finished job never is.
  template <typename From>
  requires(!std::same_as<From, phase::Finished>) bool operator()(From&, const event::Held& e) {
    set_hold(job_, e.by_operator, true);
    return true;
  }
  template <typename From>
  requires(!std::same_as<From, phase::Finished>) bool operator()(From&, const event::Released& e) {
    set_hold(job_, e.by_operator, false);
    return true;
  }
  bool operator()(const auto&, const auto&) { return false; }

 private:
  bool enter(Phase next) {
    job_.phase = std::move(next);
    return true;
  }
  void note_paused(const RunClock& clock) {
    // A clock that is set back meanwhile must not make a pause of it.
    const Duration since_start = at_ - job_.started.value_or(at_);
    job_.paused = std::max(Duration{}, since_start - clock.elapsed(at_));
  }
  bool complete(Allocation allocation, const event::Ended& e, bool launched) {
    count_launch_failure(job_, e.outcome, launched);
    if (e.retry) ++job_.retries_used;
    job_.ended = at_;
    return enter(phase::Completing{std::move(allocation), e.outcome, e.requeue});
  }

  Job& job_;
  Time at_;
};
}  // namespace

Result<Job> apply(const Job& job, const JobEvent& what, Time at) {
  GANGWAY_TRY(check_attempt(job, what));
  Job next = job;
  ++next.version;
  if (!std::visit(Step(next, at), next.phase, what)) {
    return Error(ErrorKind::Internal, cat("job ", to_string(job.key), ": ", event_name(what),
                                          " cannot happen while ", phase_name(job.phase)));
  }
  return next;
}

Job make_job(JobKey key,
             const job_event::Submitted& event,
             std::shared_ptr<const JobSpec> spec,
             Time at) {
  CHECK(spec != nullptr);
  Job job;
  job.key = key;
  job.owner = event.owner;
  job.spec_digest = event.spec_digest;
  job.spec = std::move(spec);
  job.membership = event.membership;
  job.hold.by_user = event.held;
  job.phase = phase::Waiting{reason_of(job.hold)};
  job.submitted = at;
  job.version = 1;
  if (event.elements > 0) {
    job.array.emplace();
    job.array->waiting = IntervalSet::below(event.elements);
  }
  return job;
}

Result<Job> split_element(Job& array, JobKey key, std::uint32_t position) {
  if (!array.array || !array.is_waiting() || !array.array->waiting.contains(position)) {
    return Error(ErrorKind::Internal, cat("job ", to_string(key), ": its array does not hold it"));
  }
  array.array->waiting.remove(position);
  Job element;
  element.key = key;
  element.owner = array.owner;
  element.spec_digest = array.spec_digest;
  element.spec = array.spec;
  element.membership = array.membership;
  element.hold = array.hold;
  element.phase = phase::Waiting{reason_of(array.hold)};
  element.submitted = array.submitted;
  element.eligible = array.eligible;
  element.position = position;
  element.version = 1;
  return element;
}

void tally(Job& array, const Job& element) {
  CHECK(array.array && element.is_finished() && element.outcome() != nullptr);
  ArrayState& state = *array.array;
  const Outcome& outcome = *element.outcome();
  if (outcome.is_success()) return state.succeeded.add(element.position);
  const auto is_worse = [&] {
    if (state.unsuccessful.empty()) return true;
    const bool is_cancelled = outcome.kind == OutcomeKind::Cancelled;
    const bool was_cancelled = state.worst.kind == OutcomeKind::Cancelled;
    if (is_cancelled != was_cancelled) return was_cancelled;
    return element.position < state.worst_at;
  };
  if (is_worse()) {
    state.worst = outcome;
    state.worst_at = element.position;
  }
  state.unsuccessful.add(element.position);
}

Outcome outcome_of_array(const ArrayState& array) {
  const bool any_failed = !array.unsuccessful.empty() && array.worst.kind != OutcomeKind::Cancelled;
  if (any_failed) return array.worst;
  if (!array.dropped.empty()) return array.dropped_as;
  return array.unsuccessful.empty() ? Outcome{} : array.worst;
}

}  // namespace gangway
