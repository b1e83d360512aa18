#include "scheduler/dependency_book.hpp"

#include <algorithm>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

Until until_of(DependencyKind kind) {
  switch (kind) {
    case DependencyKind::After:
      return Until::Started;
    case DependencyKind::AfterAny:
    case DependencyKind::Singleton:
      return Until::Ended;
    case DependencyKind::AfterOk:
    case DependencyKind::AfterCorr:
      return Until::Succeeded;
    case DependencyKind::AfterNotOk:
      return Until::NotSucceeded;
  }
  return Until::Succeeded;
}

Until until_of(NeedOutcome outcome) {
  switch (outcome) {
    case NeedOutcome::Success:
    case NeedOutcome::Each:
      return Until::Succeeded;
    case NeedOutcome::Failure:
      return Until::Failed;
    case NeedOutcome::Any:
      return Until::Ended;
  }
  return Until::Succeeded;
}

bool is_skip(const Outcome& outcome) {
  return outcome.kind == OutcomeKind::Cancelled && outcome.detail.starts_with(kSkippedPrefix);
}

namespace {

bool is_met_by_end(Until until, const Outcome& outcome) {
  switch (until) {
    case Until::Started:
    case Until::Ended:
      return true;
    case Until::Succeeded:
      return outcome.is_success();
    case Until::NotSucceeded:
      return !outcome.is_success();
    case Until::Failed:
      return !outcome.is_success() && !is_skip(outcome);
  }
  return false;
}

}  // namespace

ConditionState state_of(Until until, const Job& on) {
  if (on.is_finished()) {
    return is_met_by_end(until, *on.outcome()) ? ConditionState::Met : ConditionState::Never;
  }
  // An array has started when none of its elements waits any more in its record.
  const bool has_started = on.array ? on.array->waiting.empty() : on.started.has_value();
  return until == Until::Started && has_started ? ConditionState::Met : ConditionState::Open;
}

void DependencyBook::add(
    JobKey waiter, std::vector<Condition> conditions, Time earliest, bool doomed, bool any) {
  if (conditions.empty()) return;
  Waiter entry;
  entry.earliest = earliest;
  entry.doomed = doomed;
  entry.any = any;
  entry.possible = static_cast<std::uint32_t>(conditions.size());
  for (const Condition& condition : conditions) {
    if (condition.met) continue;
    ++entry.open;
    successors_[condition.on].push_back(waiter);
  }
  if (any && entry.open < conditions.size()) entry.open = 0;
  entry.conditions = std::move(conditions);
  CHECK(waiters_.emplace(waiter, std::move(entry)).second);
}

void DependencyBook::remove(JobKey waiter) { waiters_.erase(waiter); }

template <typename Decide>
std::vector<DependencyBook::News> DependencyBook::tell(JobKey on,
                                                       bool is_over,
                                                       Decide decide,
                                                       Time at) {
  const auto list = successors_.find(on);
  if (list == successors_.end()) return {};
  std::vector<JobKey> successors = list->second;
  std::sort(successors.begin(), successors.end());
  successors.erase(std::unique(successors.begin(), successors.end()), successors.end());
  std::vector<JobKey> still_open;
  std::vector<News> news;
  for (const JobKey key : successors) {
    const auto found = waiters_.find(key);
    if (found == waiters_.end()) continue;
    Waiter& waiter = found->second;
    for (Condition& condition : waiter.conditions) {
      if (condition.on != on || condition.met) continue;
      switch (decide(condition)) {
        case ConditionState::Open:
          still_open.push_back(key);
          break;
        case ConditionState::Met:
          if (waiter.any && waiter.open == 0) break;  // another one was enough
          condition.met = true;
          waiter.open = waiter.any ? 0 : waiter.open - 1;
          // Without a delay it may begin at once, wherever the wall clock jumps.
          if (condition.delay.ns > 0) {
            waiter.earliest = std::max(waiter.earliest, at + condition.delay);
          }
          news.push_back({key, std::nullopt});
          break;
        case ConditionState::Never:
          if (waiter.any && (waiter.open == 0 || --waiter.possible > 0)) break;
          waiter.doomed = true;
          news.push_back({key, condition});
          break;
      }
    }
  }
  if (is_over || still_open.empty()) {
    successors_.erase(list);
  } else {
    list->second = std::move(still_open);
  }
  return news;
}

std::vector<DependencyBook::News> DependencyBook::on_started(JobKey on, Time at) {
  return tell(
      on, false,
      [](const Condition& c) {
        return c.until == Until::Started ? ConditionState::Met : ConditionState::Open;
      },
      at);
}

std::vector<DependencyBook::News> DependencyBook::on_ended(JobKey on,
                                                           const Outcome& outcome,
                                                           Time at) {
  return tell(
      on, true,
      [&](const Condition& c) {
        return is_met_by_end(c.until, outcome) ? ConditionState::Met : ConditionState::Never;
      },
      at);
}

bool DependencyBook::is_clear(JobKey waiter) const {
  const auto found = waiters_.find(waiter);
  return found == waiters_.end() || found->second.open == 0;
}

bool DependencyBook::is_doomed(JobKey waiter) const {
  const auto found = waiters_.find(waiter);
  return found != waiters_.end() && found->second.doomed;
}

Time DependencyBook::earliest(JobKey waiter) const {
  const auto found = waiters_.find(waiter);
  return found == waiters_.end() ? Time{} : found->second.earliest;
}

std::vector<JobKey> DependencyBook::waited_for(JobId id) const {
  std::vector<JobKey> keys;
  for (const auto& [key, waiters] : successors_) {
    if (key.job == id) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

bool DependencyBook::is_any(JobKey waiter) const {
  const auto found = waiters_.find(waiter);
  return found != waiters_.end() && found->second.any;
}

const std::vector<Condition>* DependencyBook::find(JobKey waiter) const {
  const auto found = waiters_.find(waiter);
  return found == waiters_.end() ? nullptr : &found->second.conditions;
}

}  // namespace gangway::scheduler
