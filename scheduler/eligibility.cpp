// What keeps a waiting job besides resources, and what follows from the end of a job.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

// The wall clock may be set while we wait for a time on it, so it is looked at this often at least.
constexpr Duration kLongestSleep = minutes(10);

// Requires: the job is Waiting and not noted as such yet.
void Controller::Impl::begin_waiting(JobKey key, const OldJobs& old) {
  const Job& job = state.get_job(key);
  waiting.try_emplace(key).first->second.begins_later = false;
  if (const auto deadline = job.spec->deadline) {
    put_on_agenda({now.boot + std::max(Duration{}, *deadline - now.wall), DueKind::Eligible, key});
  }
  note_dependencies(job, old);
  if (!waiting.contains(key)) return;  // they can never be met, and it has ended
  if (job.launch_failures > 0) {
    // Doubled each time; at most kMaxLaunchFailures times.
    const std::int64_t factor = std::int64_t{1}
                                << std::min<std::uint32_t>(job.launch_failures - 1, 16);
    waiting.at(key).back_off_until = now.boot + config.requeue_backoff * factor;
  } else if (job.retries_used > 0) {
    const std::int64_t factor = std::int64_t{1}
                                << std::min<std::uint32_t>(job.retries_used - 1, 12);
    const Duration pause = std::min(job.spec->retry_backoff * factor, kMaxRetryBackoff);
    if (pause.ns > 0) waiting.at(key).back_off_until = now.boot + pause;
  }
  reconsider(key);
}

void Controller::Impl::note_dependencies(const Job& job, const OldJobs& old) {
  std::vector<Condition> conditions;
  std::vector<std::size_t> impossible;  // of them, by number
  std::optional<Condition> never;       // the last of these
  Time earliest;
  // What it waited for has come before it ran. It may have been told since to wait for something
  // else, so all is looked at again; only what is not known any more must have been the former.
  const bool has_run = job.attempt > 0;
  const auto recall = [&](JobKey on) -> const Job* {
    if (const Job* const known = state.find_job(on)) return known;
    const auto found = old.find(on);
    return found == old.end() ? nullptr : &found->second;
  };
  const auto can_never_be = [&](const Condition& condition) {
    never = condition;
    impossible.push_back(conditions.size());  // it is added next
  };
  const auto add = [&](JobKey on, Until until, Duration delay) {
    Condition condition{.on = on, .until = until, .delay = delay};
    const Job* other = state.find_job(on);
    const Job* const array =
        other == nullptr && on.index != JobKey::kNoIndex ? recall({on.job}) : nullptr;
    if (array != nullptr && array->array) {  // the array's record knows of the element
      switch (element_state(until, *array, on.index)) {
        case ConditionState::Open:
          break;
        case ConditionState::Met:
          condition.met = true;
          break;
        case ConditionState::Never:
          can_never_be(condition);
          break;
      }
      return conditions.push_back(condition);
    }
    if (other == nullptr) {
      const auto found = old.find(on);
      // Finished and out of every memory: nobody knows how it ended.
      const bool is_forgotten = found == old.end();
      const bool is_met = has_run || until == Until::Started || until == Until::Ended;
      if (is_forgotten && !is_met) can_never_be(condition);
      if (is_forgotten) condition.met = is_met;
      if (!is_forgotten) other = &found->second;
    }
    if (other != nullptr) {
      switch (state_of(until, *other)) {
        case ConditionState::Open:
          condition.met = has_run && until == Until::Started && other->attempt > 0;
          break;
        case ConditionState::Met:
          condition.met = true;
          if (delay.ns > 0) {  // else at once, wherever the wall clock has jumped since
            earliest =
                std::max(earliest, other->started.value_or(other->ended.value_or(Time{})) + delay);
          }
          break;
        case ConditionState::Never:
          can_never_be(condition);
          break;
      }
    }
    conditions.push_back(condition);
  };

  // Of an array element by element, in its record; of an element that waits by itself, as any
  // other.
  const auto correspond = [&](JobId on) {
    if (job.is_element()) return add({on, job.key.index}, Until::Succeeded, {});
    const Job* const other = recall({on});
    Keeping::Corresponding one{.on = {on}, .ended = std::nullopt};
    if (other != nullptr && other->is_finished()) one.ended = *other;
    waiting.at(job.key).corresponding.push_back(std::move(one));
    corresponding_waiters[on].insert(job.key);
  };

  for (const Dependency& dependency : job.spec->dependencies) {
    if (dependency.kind == DependencyKind::AfterCorr) {
      correspond(dependency.on);
      continue;
    }
    if (dependency.kind != DependencyKind::Singleton) {
      add(dependency.key(), until_of(dependency.kind), dependency.delay);
      continue;
    }
    // Later ones wait for this one, so only those before it count.
    for (const JobKey key : state.jobs_of_user(job.owner.user)) {
      if (key.job >= job.key.job) break;
      const Job& other = state.get_job(key);
      if (other.owner.uid == job.owner.uid && other.spec->name == job.spec->name &&
          !other.is_finished()) {
        add(key, Until::Ended, {});
      }
    }
  }
  if (job.membership && !has_run) {
    const Workflow* const workflow = state.find_workflow(job.membership->workflow);
    CHECK(workflow != nullptr);
    const MemberIndex& index = members_by_name(*workflow);
    for (const Need& need : workflow->members[index.at(job.membership->member)].needs) {
      const JobId on = workflow->members[index.at(need.member)].job;
      if (need.outcome == NeedOutcome::Each) {
        correspond(on);
      } else {
        add({on}, until_of(need.outcome), {});
      }
    }
  }
  const bool any = job.spec->any_dependency && !job.membership;
  if (any && impossible.size() < conditions.size()) {
    // What cannot come is no alternative, as long as there is another one.
    for (auto at = impossible.rbegin(); at != impossible.rend(); ++at) {
      conditions.erase(conditions.begin() + static_cast<std::ptrdiff_t>(*at));
    }
    never.reset();
  }
  book.add(job.key, std::move(conditions), earliest, never.has_value(), any);
  if (never) on_never(job.key, *never);
}

// Jobs of a workflow come one after the other, so one index is remembered.
const Controller::Impl::MemberIndex& Controller::Impl::members_by_name(
    const Workflow& workflow) const {
  if (member_index.first != workflow.id) {
    member_index.first = workflow.id;
    member_index.second.clear();
    for (std::size_t i = 0; i < workflow.members.size(); ++i) {
      member_index.second.emplace(workflow.members[i].name, i);
    }
  }
  return member_index.second;
}

PendingReason Controller::Impl::reason_besides_resources(const Job& job, Keeping& keeping) {
  const auto look_again_at = [&](BootTime at) {
    if (keeping.look_again) agenda.erase({*keeping.look_again, DueKind::Eligible, job.key});
    keeping.look_again = at;
    put_on_agenda({at, DueKind::Eligible, job.key});
  };
  if (job.spec->deadline && now.wall < *job.spec->deadline) {
    // The wall clock may be set meanwhile; it is looked at again then.
    look_again_at(now.boot + std::min(*job.spec->deadline - now.wall, kLongestSleep));
  }
  if (job.hold.by_operator) return PendingReason::JobHeldAdmin;
  if (job.hold.by_user) return PendingReason::JobHeldUser;
  if (book.is_doomed(job.key)) return PendingReason::DependencyNeverSatisfied;
  if (!book.is_clear(job.key)) return PendingReason::Dependency;
  const Time begin = std::max(job.spec->not_before.value_or(Time{}), book.earliest(job.key));
  if (begin > now.wall) {
    look_again_at(now.boot + std::min(begin - now.wall, kLongestSleep));
    return PendingReason::BeginTime;
  }
  if (keeping.back_off_until && *keeping.back_off_until > now.boot) {
    look_again_at(*keeping.back_off_until);
    return job.launch_failures > 0 ? PendingReason::LaunchFailedRequeued
                                   : PendingReason::RetryBackoff;
  }
  if (job.is_element() && !keeping.in_plan && !has_room_for_element(state.get_job({job.key.job}))) {
    return PendingReason::JobArrayTaskLimit;
  }
  return PendingReason::None;
}

// Whether the job may be planned now. Reasons are kept in memory only: each can be found again from
// what is stored, and a write for every change of "Priority" to "Resources" would help nobody.
void Controller::Impl::reconsider(JobKey key) {
  const auto entry = waiting.find(key);
  if (entry == waiting.end()) return;
  Keeping& keeping = entry->second;
  if (keeping.begins_later) return;
  if (const Job& job = state.get_job(key); job.spec->deadline && *job.spec->deadline <= now.wall) {
    const Outcome late =
        make_outcome(OutcomeKind::Cancelled, 0, "its deadline came before it could start");
    return job.array ? drop_elements(key, job.array->waiting, late) : end_waiting(key, late);
  }
  if (const Job& job = state.get_job(key); job.array && job.array->waiting.empty()) {
    take_out_of_plan(key);
    keeping.reason = PendingReason::None;
    return;
  }
  PendingReason reason = reason_besides_resources(state.get_job(key), keeping);
  if (reason == PendingReason::None && !keeping.in_plan &&
      !take_category_turn(state.get_job(key))) {
    reason = PendingReason::ThrottledByCategory;
  }
  if (reason != PendingReason::None) {
    take_out_of_plan(key);
    keeping.reason = reason;
    return;
  }
  if (keeping.in_plan) return;
  keeping.in_plan = true;
  keeping.reason = PendingReason::None;  // until the pass has looked at it
  if (!state.get_job(key).eligible) {
    state.record(key, job_event::Eligible{}, now.wall, turn.batch);
  }
  if (state.get_job(key).array) arrays_in_plan.insert(key);
  stand_in_line(state.get_job(key));
  want_pass();
}

// Of an array its elements are planned, as many as could start; feed_arrays() has chosen them.
void Controller::Impl::tell_planner_waits(const Job& job) {
  Candidate candidate = candidate_of(job);
  if (!job.array) return planner.apply(delta::Waits{std::move(candidate)});
  const IndexList& indexes = job.spec->array->indexes;
  for (const Interval& interval : waiting.at(job.key).fed.intervals()) {
    for (std::uint64_t position = interval.first; position <= interval.last; ++position) {
      candidate.key.index = indexes.index_at(static_cast<std::uint32_t>(position));
      planner.apply(delta::Waits{candidate});
    }
  }
}

void Controller::Impl::take_out_of_plan(JobKey key) {
  Keeping& keeping = waiting.at(key);
  if (!keeping.in_plan) return;
  keeping.in_plan = false;
  leave_line(key);
  const Job& job = state.get_job(key);
  give_back_category_turn(job);
  if (job.array) {
    take_out_elements(job, IntervalSet(keeping.fed));
    arrays_in_plan.erase(key);
  } else {
    planner.apply(delta::WaitsNoMore{key});
  }
  want_pass();  // somebody may come to the front
}

Candidate Controller::Impl::candidate_of(const Job& job) {
  const JobSpec& spec = *job.spec;
  return {.key = job.key,
          .queue = spec.queue,
          .user = payer_number(job),
          .qos = qos_factor(spec),
          .nice = spec.nice,
          .eligible = waiting.at(job.key).turn.value_or(job.eligible.value_or(now.wall)),
          .limit = spec.time_limit,
          .components = spec.components,
          .dag = dag_position_of(job)};
}

void Controller::Impl::end_waiting(JobKey key, Outcome outcome) {
  if (const Job& job = state.get_job(key); job.array) {
    return drop_elements(key, IntervalSet(job.array->waiting), outcome);
  }
  take_out_of_plan(key);
  waiting.erase(key);
  book.remove(key);
  give_back_category_turn(state.get_job(key));
  state.record(key, job_event::CancelledWaiting{std::move(outcome)}, now.wall, turn.batch);
  on_job_finished(key);
}

void Controller::Impl::on_job_finished(JobKey key) {
  close_sessions_with(key);
  just_finished.push_back(key);
}

// A loop and not a recursion, because a chain of members may be as long as a workflow.
void Controller::Impl::follow_ends() {
  for (;;) {
    if (!just_dropped.empty()) {
      const auto [key, outcome] = std::move(just_dropped.front());
      just_dropped.pop_front();
      on_dependency_news(book.on_ended(key, outcome, now.wall));
      answer_waits_on(key);
      continue;
    }
    if (!just_unmet.empty()) {
      const Unmet unmet = std::move(just_unmet.front());
      just_unmet.pop_front();
      drop_unmet(unmet);
      continue;
    }
    if (just_finished.empty()) return;
    const JobKey key = just_finished.front();
    just_finished.pop_front();
    --unfinished_jobs;
    const Job& job = state.get_job(key);
    CHECK(job.is_finished());
    mail(job, MailAbout::End);
    on_dependency_news(book.on_ended(key, *job.outcome(), now.wall));
    answer_waits_on(key);
    if (job.is_element()) {
      finished.push_back(key);
      on_element_finished(job);
    } else if (job.membership) {
      give_back_category_turn(job);
      on_member_finished(job);
    } else {
      finished.push_back(key);
    }
  }
}

void Controller::Impl::on_dependency_news(const std::vector<DependencyBook::News>& news) {
  for (const auto& item : news) {
    if (!waiting.contains(item.waiter)) continue;
    if (item.never) {
      on_never(item.waiter, *item.never);
    } else if (book.is_clear(item.waiter)) {
      reconsider(item.waiter);
    }
  }
}

namespace {

std::string_view what_was_needed(Until until) {
  switch (until) {
    case Until::Started:
      return "to start";
    case Until::Ended:
      return "to end";
    case Until::Succeeded:
      return "to succeed";
    case Until::NotSucceeded:
    case Until::Failed:
      return "to fail";
  }
  return "to end";
}

}  // namespace

// A member of a workflow is ended at once, so that the workflow can end. Other jobs stay, as with
// Slurm, unless they asked otherwise.
void Controller::Impl::on_never(JobKey waiter, const Condition& never) {
  const Job& job = state.get_job(waiter);
  const Job* const on = state.find_job(never.on);
  const bool of_same_workflow = job.membership && on != nullptr && on->membership &&
                                on->membership->workflow == job.membership->workflow;
  if (!of_same_workflow && !job.spec->kill_on_invalid_dependency) {
    mail(job, MailAbout::InvalidDependency);
    reconsider(waiter);
    return;
  }
  const std::string name =
      of_same_workflow ? on->membership->member : cat("job ", to_string(never.on));
  std::string how = "is not known any more";
  if (on != nullptr && on->outcome() != nullptr) {
    how = is_skip(*on->outcome()) ? "was skipped" : std::string(to_string(on->outcome()->kind));
  }
  std::string detail =
      cat(of_same_workflow ? kSkippedPrefix : "its dependency cannot be met: ", "needs ", name, ' ',
          what_was_needed(never.until), ", ", name, ' ', how);
  end_waiting(waiter, make_outcome(OutcomeKind::Cancelled, 0, std::move(detail)));
}

// A workflow ends when its last member has. It is COMPLETED if every member completed or was
// skipped: what is skipped because of a failure has the failed member beside it, and what is
// skipped because nothing failed was meant to be.
void Controller::Impl::on_member_finished(const Job& job) {
  const WorkflowId id = job.membership->workflow;
  const auto open = open_members.find(id);
  if (open == open_members.end() || --open->second > 0) return;
  open_members.erase(open);
  paths.erase(id);
  categories.erase(categories.lower_bound({id, ""}),
                   categories.lower_bound({WorkflowId{id.value + 1}, ""}));
  const Workflow* const workflow = state.find_workflow(id);
  CHECK(workflow != nullptr);
  bool any_failed = false;
  bool any_cancelled = false;
  for (const WorkflowMember& member : workflow->members) {
    const Job* const other = state.find_job({member.job});
    if (other == nullptr || other->outcome() == nullptr) continue;
    const Outcome& outcome = *other->outcome();
    if (outcome.is_success() || is_skip(outcome)) continue;
    (outcome.kind == OutcomeKind::Cancelled ? any_cancelled : any_failed) = true;
  }
  const OutcomeKind outcome = any_failed      ? OutcomeKind::Failed
                              : any_cancelled ? OutcomeKind::Cancelled
                                              : OutcomeKind::Completed;
  state.record(id, workflow_event::Finished{outcome}, now.wall, turn.batch);
  for (const WorkflowMember& member : workflow->members) finished.push_back({member.job});
  finished_workflows.push_back(id);
}

// Those who ask right after the end are answered from memory; the store has the rest.
void Controller::Impl::forget_old() {
  while (finished.size() > kFinishedInMemory) {
    state.forget(finished.front());
    finished.pop_front();
  }
  while (finished_workflows.size() > kFinishedInMemory) {
    state.forget(finished_workflows.front());
    finished_workflows.pop_front();
  }
}

}  // namespace gangway::scheduler
