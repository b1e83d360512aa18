// Pauses: a gang's programs stand still on all its nodes, or go on on all, as PROTOCOL.md 6.5 has
// it.
//
// The fact is recorded first; then every node is ordered, again with each heartbeat and each
// registration until it has said that it is so. Run time stops with the record: what the nodes take
// to come to rest is nobody's. Of two orders the one with the higher number counts on the node, so
// that a late one changes nothing.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

void Controller::Impl::suspend(JobKey key, bool by_operator) {
  const Job& job = state.record(key, job_event::Suspended{by_operator}, now.wall, turn.batch);
  order_pause(job, true);
}

void Controller::Impl::resume(JobKey key) {
  const Job& job = state.record(key, job_event::Resumed{}, now.wall, turn.batch);
  order_pause(job, false);
}

void Controller::Impl::order_pause(const Job& job, bool on) {
  Gang& gang = gangs.at(job.key);
  gang.pause_number = job.version;
  gang.pause_on = on;
  for (std::size_t i = 0; i < gang.parts.size(); ++i) {
    gang.parts[i].pause_told = false;
    send_pause(job.key, gang, i);
  }
}

// What a gang was ordered before our restart is ordered again, if it can matter.
void Controller::Impl::recall_pause(const Job& job, Gang& gang) {
  const auto* running = std::get_if<phase::Running>(&job.phase);
  const bool was_paused = running != nullptr &&
                          (find_slicer(job) != nullptr || running->clock.accumulated != Duration{});
  gang.pause_on = std::holds_alternative<phase::Suspended>(job.phase);
  if (gang.pause_on || was_paused) gang.pause_number = job.version;
}

void Controller::Impl::send_pause(JobKey key, const Gang& gang, std::size_t index) {
  const Part& part = gang.parts[index];
  if (gang.pause_number == 0 || part.pause_told || part.state == PartState::Over) return;
  wire::ToNode message;
  wire::Pause* const pause = message.mutable_pause();
  wire::to_wire(key, pause->mutable_key());
  pause->set_attempt(gang.attempt);
  pause->set_number(gang.pause_number);
  pause->set_on(gang.pause_on);
  send_node(part.node, std::move(message));
}

// To a node that has registered: it may have been told before the connection was lost, or not.
void Controller::Impl::order_pause_again(JobKey key, Gang& gang, std::size_t index) {
  if (state.get_job(key).outcome() != nullptr) return;
  gang.parts[index].pause_told = false;
  send_pause(key, gang, index);
}

void Controller::Impl::on_paused(const NodeName& node, const wire::Paused& message) {
  const JobKey key = wire::from_wire(message.key());
  const auto found = find_part(node, key, message.attempt());
  if (!found) return stop_orphan(node, key, message.attempt());
  const Gang& gang = *found->gang;
  if (message.number() != gang.pause_number || message.on() != gang.pause_on) return;  // late
  found->part().pause_told = true;
  touch_slices(*found->job);
}

// No program of it runs, and none will before it is told to.
bool Controller::Impl::is_quiet(JobKey key) const {
  const Job& job = state.get_job(key);
  if (std::holds_alternative<phase::Starting>(job.phase)) return true;
  if (std::holds_alternative<phase::Running>(job.phase)) return false;
  const bool suspended = std::holds_alternative<phase::Suspended>(job.phase);
  const auto& parts = gangs.at(key).parts;
  return std::ranges::all_of(parts, [&](const Part& part) {
    return part.state == PartState::Over || (suspended && part.pause_told);
  });
}

// ---- operators ---------------------------------------------------------------------------------

Result<void> Controller::Impl::suspend_by_hand(const Job& job) {
  const JobKey key = job.key;
  const auto* suspended = std::get_if<phase::Suspended>(&job.phase);
  if (suspended != nullptr && suspended->by_operator) return {};
  if (suspended != nullptr) {  // its slice is over anyway
    state.record(key, job_event::Suspended{true}, now.wall, turn.batch);
  } else if (std::holds_alternative<phase::Running>(job.phase)) {
    suspend(key, true);
  } else {
    return Error(ErrorKind::Conflict, cat("job ", to_string(key), " does not run"));
  }
  tell_planner_started(state.get_job(key));
  want_pass();
  return {};
}

Result<void> Controller::Impl::resume_by_hand(const Job& job) {
  const JobKey key = job.key;
  const auto* suspended = std::get_if<phase::Suspended>(&job.phase);
  if (suspended == nullptr || !suspended->by_operator) {
    return Error(ErrorKind::Conflict,
                 cat("job ", to_string(key), " is not suspended by an operator"));
  }
  if (find_slicer(job) != nullptr) {  // it waits for its next slice
    state.record(key, job_event::Suspended{false}, now.wall, turn.batch);
  } else {
    resume(key);
  }
  tell_planner_started(state.get_job(key));
  want_pass();
  return {};
}

}  // namespace gangway::scheduler
