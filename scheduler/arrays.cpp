// Elements of arrays: in and out of their array's record, and which of them the planner is told of.
//
// The planner sees of an array only the elements that could start now, and as many behind them as
// are promised a start: a million that wait are some candidates with one class. Those are chosen
// before each pass (feed_arrays), in the order of their indexes.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

// The least that any element takes.
std::int64_t cores_of(const JobSpec& spec) {
  std::int64_t cores = 0;
  for (const Component& c : spec.components) cores += c.total_cores();
  return std::max<std::int64_t>(cores, 1);
}

}  // namespace

// ---- what the record says ----------------------------------------------------------------------

const Job* Controller::Impl::find_array_with(JobKey element) const {
  if (element.index == JobKey::kNoIndex) return nullptr;
  const Job* const array = state.find_job({element.job});
  if (array == nullptr || !array->array) return nullptr;
  const auto position = array->spec->array->indexes.position_of(element.index);
  return position && array->array->waiting.contains(*position) ? array : nullptr;
}

std::optional<Outcome> Controller::Impl::outcome_in_array(const Job& array, std::uint32_t index) {
  if (!array.array || !array.spec->array) return std::nullopt;
  const auto position = array.spec->array->indexes.position_of(index);
  if (!position) return std::nullopt;
  const ArrayState& state = *array.array;
  if (state.succeeded.contains(*position)) return Outcome{};
  if (state.dropped.contains(*position)) return state.dropped_as;
  if (!state.unsuccessful.contains(*position)) return std::nullopt;
  if (state.worst_at == *position) return state.worst;
  return make_outcome(OutcomeKind::Failed, 1, "");  // its row has the rest
}

ConditionState Controller::Impl::element_state(Until until, const Job& array, std::uint32_t index) {
  const std::optional<Outcome> outcome = outcome_in_array(array, index);
  if (!outcome) return ConditionState::Open;
  Job ended;
  ended.phase = phase::Finished{*outcome, {}};
  return state_of(until, ended);
}

std::vector<JobKey> Controller::Impl::rows_of_array(JobId array) const {
  std::vector<JobKey> keys;
  const auto& jobs = state.jobs();
  for (auto at = jobs.lower_bound({array, 0}); at != jobs.end() && at->first.job == array; ++at) {
    if (at->second.is_element()) keys.push_back(at->first);
  }
  return keys;
}

void Controller::Impl::fill_array_view(const Job& array, wire::ArrayView* out) const {
  constexpr std::size_t kMaxListBytes = 64 << 10;
  const ArrayState& now_is = *array.array;
  const ArraySpec& spec = *array.spec->array;
  out->set_waiting(render_indexes(spec.indexes, now_is.waiting, kMaxListBytes));
  out->set_waiting_count(now_is.waiting.size());
  out->set_total(spec.indexes.count());
  out->set_succeeded(now_is.succeeded.size());
  out->set_unsuccessful(now_is.unsuccessful.size());
  out->set_dropped(render_indexes(spec.indexes, now_is.dropped, kMaxListBytes));
  out->set_dropped_count(now_is.dropped.size());
  out->set_max_running(spec.max_running);
}

// ---- out of the record -------------------------------------------------------------------------

const Job& Controller::Impl::split(JobKey key) {
  const Job& element = state.record_split(key, now.wall, turn.batch);
  ++unfinished_jobs;
  Keeping& keeping = waiting.at({key.job});
  if (keeping.fed.contains(element.position)) keeping.fed.remove(element.position);
  if (!state.get_job({key.job}).array->waiting.empty()) return element;
  // Nobody is left in the record that could stand in line.
  arrays_in_plan.erase({key.job});
  leave_line({key.job});
  keeping.in_plan = false;
  keeping.reason = PendingReason::None;
  return element;
}

// With what its array waits for, as far as it has not come.
void Controller::Impl::set_apart(JobKey key) {
  const JobKey whole{key.job};
  take_out_elements(state.get_job(whole), [&] {
    IntervalSet one;
    one.add(*state.get_job(whole).spec->array->indexes.position_of(key.index));
    return one;
  }());
  split(key);
  std::vector<Condition> conditions;
  if (const auto* const of_array = book.find(whole)) conditions = *of_array;
  bool doomed = book.is_doomed(whole);
  if (book.is_any(whole) && !doomed) {  // nobody will say again what can never come
    std::erase_if(conditions, [&](const Condition& condition) {
      if (condition.met || find_array_with(condition.on) != nullptr) return false;
      const Job* const on = state.find_job(condition.on);
      return on == nullptr || state_of(condition.until, *on) == ConditionState::Never;
    });
  }
  for (const Keeping::Corresponding& one : waiting.at(whole).corresponding) {
    Condition condition{.on = {one.on.job, key.index}, .until = Until::Succeeded, .delay = {}};
    const Job* const on = one.ended ? &*one.ended : state.find_job(one.on);
    CHECK(on != nullptr);
    if (!on->spec->array->indexes.position_of(key.index)) continue;
    const ConditionState is = element_state(Until::Succeeded, *on, key.index);
    condition.met = is == ConditionState::Met;
    doomed = doomed || is == ConditionState::Never;
    conditions.push_back(condition);
  }
  book.add(key, std::move(conditions), book.earliest(whole), doomed, book.is_any(whole));
  waiting.try_emplace(key);
  reconsider(key);
}

void Controller::Impl::take_out_elements(const Job& array, const IntervalSet& positions) {
  Keeping& keeping = waiting.at(array.key);
  const IntervalSet told = keeping.fed.intersect(positions);
  for (const Interval& interval : told.intervals()) {
    for (std::uint64_t position = interval.first; position <= interval.last; ++position) {
      const std::uint32_t index =
          array.spec->array->indexes.index_at(static_cast<std::uint32_t>(position));
      planner.apply(delta::WaitsNoMore{{array.key.job, index}});
    }
  }
  keeping.fed.remove(positions);
}

// They end without ever having been jobs of their own.
void Controller::Impl::drop_elements(JobKey key,
                                     const IntervalSet& positions,
                                     const Outcome& outcome) {
  const IndexList indexes = state.get_job(key).spec->array->indexes;
  const IntervalSet dropped = state.get_job(key).array->waiting.intersect(positions);
  if (dropped.empty()) return end_array_if_over(key);
  take_out_elements(state.get_job(key), dropped);
  const Job& array = state.record(key, job_event::Dropped{dropped, outcome}, now.wall, turn.batch);
  if (array.array->waiting.empty()) take_out_of_plan(key);
  // Whoever waits for one of them by its name.
  std::set<JobKey> waited_for;
  for (const JobKey one : book.waited_for(key.job)) waited_for.insert(one);
  for (const auto& [one, tickets] : waits_on) {
    if (one.job == key.job) waited_for.insert(one);
  }
  for (const JobKey one : waited_for) {
    const auto position = indexes.position_of(one.index);
    if (position && dropped.contains(*position)) just_dropped.emplace_back(one, outcome);
  }
  on_corresponding(state.get_job(key), dropped, false);
  end_array_if_over(key);
  want_pass();
}

// ---- the plan ----------------------------------------------------------------------------------

bool Controller::Impl::has_room_for_element(const Job& array) const {
  const std::uint32_t most = array.spec->array->max_running;
  if (most == 0) return true;
  const auto running = running_elements.find(array.key.job);
  return running == running_elements.end() || running->second < most;
}

// As many as could start now, and those behind them that are promised a start.
std::uint64_t Controller::Impl::elements_to_feed(const Job& array) const {
  constexpr std::size_t kMostPromised = 64;
  const std::int64_t free = std::max<std::int64_t>(0, usable_cores - cores_given);
  std::uint64_t most = static_cast<std::uint64_t>(free / cores_of(*array.spec)) +
                       std::clamp<std::size_t>(config.backfill.reservation_depth, 1, kMostPromised);
  if (const std::uint32_t limit = array.spec->array->max_running; limit > 0) {
    const auto running = running_elements.find(array.key.job);
    const std::uint32_t now_run = running == running_elements.end() ? 0 : running->second;
    most = std::min<std::uint64_t>(most, limit > now_run ? limit - now_run : 0);
  }
  return most;
}

std::optional<std::uint32_t> Controller::Impl::next_ready(const Job& array,
                                                          const Keeping& keeping,
                                                          std::uint32_t from) const {
  const IndexList& indexes = array.spec->array->indexes;
  for (;;) {
    const auto position = array.array->waiting.first_from(from);
    if (!position) return std::nullopt;
    if (keeping.fed.contains(*position)) {
      from = static_cast<std::uint32_t>(keeping.fed.first_gap_from(*position));
      continue;
    }
    bool is_ready = true;
    for (const Keeping::Corresponding& one : keeping.corresponding) {
      const Job* const on = one.ended ? &*one.ended : state.find_job(one.on);
      CHECK(on != nullptr && on->array);
      const IndexList& others = on->spec->array->indexes;
      const auto other = others.position_of(indexes.index_at(*position));
      // Of a workflow that was resumed, those that have succeeded before are not in it any more.
      if (!other || on->array->succeeded.contains(*other)) continue;
      is_ready = false;
      const auto next = on->array->succeeded.first_from(*other);
      if (!next) return std::nullopt;
      from = std::max(*position + 1, indexes.position_from(others.index_at(*next)));
      break;
    }
    if (is_ready) return position;
  }
}

void Controller::Impl::feed_arrays() {
  for (const JobKey key : arrays_in_plan) {
    const Job& array = state.get_job(key);
    Keeping& keeping = waiting.at(key);
    const std::uint64_t most = elements_to_feed(array);
    if (keeping.fed.size() > most) {  // more have started than it may have at once
      IntervalSet too_many;
      for (auto i = keeping.fed.intervals().rbegin(); i != keeping.fed.intervals().rend(); ++i) {
        const std::uint64_t left = keeping.fed.size() - too_many.size() - most;
        if (left == 0) break;
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, i->count()));
        too_many.add({i->last - count + 1, i->last});
      }
      if (array.spec->array->max_running > 0) take_out_elements(array, too_many);
    }
    Candidate candidate = candidate_of(array);
    std::uint32_t from = 0;
    while (keeping.fed.size() < most) {
      const auto position = next_ready(array, keeping, from);
      if (!position) break;
      keeping.fed.add(*position);
      candidate.key.index = array.spec->array->indexes.index_at(*position);
      planner.apply(delta::Waits{candidate});
      from = *position + 1;
    }
    if (!keeping.fed.empty()) {
      const bool odd = keeping.reason == PendingReason::JobArrayTaskLimit ||
                       keeping.reason == PendingReason::Dependency;
      if (odd) keeping.reason = PendingReason::None;
      continue;
    }
    if (most == 0) {
      keeping.reason = PendingReason::JobArrayTaskLimit;
      continue;
    }
    const bool none_can_come =
        std::all_of(keeping.corresponding.begin(), keeping.corresponding.end(),
                    [](const Keeping::Corresponding& c) { return c.ended.has_value(); });
    keeping.reason =
        none_can_come ? PendingReason::DependencyNeverSatisfied : PendingReason::Dependency;
  }
}

JobKey Controller::Impl::planned_key(const Job& job) const {
  if (!job.array) return job.key;
  const auto keeping = waiting.find(job.key);
  if (keeping == waiting.end() || keeping->second.fed.empty()) return job.key;
  const auto first = keeping->second.fed.first_from(0);
  return {job.key.job, job.spec->array->indexes.index_at(*first)};
}

// ---- what becomes of elements ------------------------------------------------------------------

void Controller::Impl::on_element_started(const Job& element) {
  ++running_elements[element.key.job];
}

void Controller::Impl::on_element_stopped(const Job& element) {
  const auto running = running_elements.find(element.key.job);
  if (running == running_elements.end()) return;
  if (--running->second == 0) {
    running_elements.erase(running);
    give_back_category_turn(element);
  }
  want_pass();
  if (state.get_job({element.key.job}).spec->array->max_running == 0) return;
  // One of those that wait by themselves may go now.
  for (const JobKey key : rows_of_array(element.key.job)) {
    const auto keeping = waiting.find(key);
    if (keeping == waiting.end()) continue;
    if (keeping->second.reason == PendingReason::JobArrayTaskLimit) reconsider(key);
  }
}

void Controller::Impl::on_element_finished(const Job& element) {
  const JobKey whole{element.key.job};
  const bool ran = !std::get<phase::Finished>(element.phase).ran_on.shares.empty();
  if (ran) on_element_stopped(element);
  IntervalSet position;
  position.add(element.position);
  on_corresponding(state.get_job(whole), position, element.outcome()->is_success());
  end_array_if_over(whole);
}

void Controller::Impl::end_array_if_over(JobKey key) {
  const Job& array = state.get_job(key);
  if (array.is_finished() || array.array->ended() < array.spec->array->indexes.count()) return;
  take_out_of_plan(key);
  for (const Keeping::Corresponding& one : waiting.at(key).corresponding) {
    const auto waiters = corresponding_waiters.find(one.on.job);
    if (waiters == corresponding_waiters.end()) continue;
    waiters->second.erase(key);
    if (waiters->second.empty()) corresponding_waiters.erase(waiters);
  }
  waiting.erase(key);
  book.remove(key);
  const Job& ended = state.record(key, job_event::ArrayEnded{}, now.wall, turn.batch);
  const auto waiters = corresponding_waiters.find(key.job);
  if (waiters != corresponding_waiters.end()) {
    for (const JobKey waiter : waiters->second) {
      for (Keeping::Corresponding& one : waiting.at(waiter).corresponding) {
        if (one.on == key) one.ended = ended;
      }
    }
    corresponding_waiters.erase(waiters);
    want_pass();
  }
  on_job_finished(key);
}

// Put off to follow_ends(), because arrays that wait for each other may be a long chain. Who waits
// is asked now: an array that has ended is waited for no more.
void Controller::Impl::on_corresponding(const Job& array,
                                        const IntervalSet& positions,
                                        bool succeeded) {
  const auto waiters = corresponding_waiters.find(array.key.job);
  if (waiters == corresponding_waiters.end()) return;
  want_pass();
  if (succeeded) return;
  for (const JobKey waiter : waiters->second) {
    just_unmet.push_back({waiter, array.key, positions});
  }
}

void Controller::Impl::drop_unmet(const Unmet& unmet) {
  if (!waiting.contains(unmet.waiter)) return;  // has ended
  const Job& waiter = state.get_job(unmet.waiter);
  const Job& array = state.get_job(unmet.on);
  const bool of_same_workflow = waiter.membership && array.membership &&
                                waiter.membership->workflow == array.membership->workflow;
  if (!of_same_workflow && !waiter.spec->kill_on_invalid_dependency) return;
  const IndexList& indexes = array.spec->array->indexes;
  const IndexList& own_indexes = waiter.spec->array->indexes;
  IntervalSet own;
  if (indexes == own_indexes) {
    own = unmet.positions;
  } else {
    for (const Interval& interval : unmet.positions.intervals()) {
      for (std::uint64_t p = interval.first; p <= interval.last; ++p) {
        const auto at = own_indexes.position_of(indexes.index_at(static_cast<std::uint32_t>(p)));
        if (at) own.add(*at);
      }
    }
  }
  if (own.empty()) return;
  const bool is_one = unmet.positions.size() == 1;
  const std::uint32_t first = indexes.index_at(unmet.positions.intervals().front().first);
  const std::string which =
      is_one ? to_string(JobKey{array.key.job, first})
             : cat(to_string(array.key), "_[", render_indexes(indexes, unmet.positions, 60), ']');
  drop_elements(
      unmet.waiter, own,
      make_outcome(OutcomeKind::Cancelled, 0,
                   cat(of_same_workflow ? kSkippedPrefix : "its dependency cannot be met: ",
                       "needs ", which, " to succeed")));
}

Result<void> Controller::Impl::check_corresponding(const JobSpec& spec, const Job& on) const {
  if (!spec.array || !on.spec->array) {
    return Error(ErrorKind::Invalid, cat("--dependency=aftercorr: job ", to_string(on.key),
                                         " is no array; write "
                                         "afterok"));
  }
  const IndexList& indexes = spec.array->indexes;
  const IntervalSet both = positions_of(indexes, on.spec->array->indexes);
  if (both.size() == indexes.count()) return {};
  IntervalSet alone = IntervalSet::below(indexes.count());
  alone.remove(both);
  return Error(ErrorKind::Invalid, cat("--dependency=aftercorr: array ", to_string(on.key),
                                       " has no elements ", render_indexes(indexes, alone, 60)));
}

}  // namespace gangway::scheduler
