// Attempts, as PROTOCOL.md 6.3 has it: all nodes prepare, then all launch; one refusal, failure or
// timeout releases them all. An end that decides is recorded at once; the job is free of its nodes
// when each has said that it has cleaned up.
//
// A node is released (told to forget) only when its end is durable. For a job that still runs that
// would be before anything is recorded of the node's part, so such a node is released with the
// job's end; until then it reports again.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/devices.hpp"
#include "queues/model/job_machine.hpp"
#include "queues/model/service_ports.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

bool is_starting(const Job& job) { return std::holds_alternative<phase::Starting>(job.phase); }
bool is_completing(const Job& job) { return std::holds_alternative<phase::Completing>(job.phase); }
bool is_running(const Job& job) {
  return std::holds_alternative<phase::Running>(job.phase) ||
         std::holds_alternative<phase::Suspended>(job.phase);
}

template <typename Message>
void set_key(const Job& job, Message* message) {
  wire::to_wire(job.key, message->mutable_key());
  message->set_attempt(job.attempt);
}

}  // namespace

// ---- the way up --------------------------------------------------------------------------------

Controller::Impl::Gang& Controller::Impl::make_gang(const Job& job) {
  Gang gang;
  gang.attempt = job.attempt;
  // What must not run twice is not ended by silence.
  gang.leased = job.spec->requeue;
  for (const NodeShare& share : job.allocation()->shares) {
    gang.parts.push_back({.node = share.node});
    if (is_running(job)) gang.parts.back().state = PartState::Launched;
    cores_given += share.resources.cores;
    links[share.node].gangs.insert(job.key);
    nodes_changed.insert(share.node);
  }
  return gangs.insert_or_assign(job.key, std::move(gang)).first->second;
}

std::optional<Controller::Impl::PartOf> Controller::Impl::find_part(const NodeName& node,
                                                                    JobKey key,
                                                                    Attempt attempt) {
  const auto gang = gangs.find(key);
  if (gang == gangs.end() || gang->second.attempt != attempt) return std::nullopt;
  const auto& parts = gang->second.parts;
  const auto part =
      std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.node == node; });
  if (part == parts.end()) return std::nullopt;
  return PartOf{&state.get_job(key), &gang->second, static_cast<std::size_t>(part - parts.begin())};
}

Time Controller::Impl::expected_end(const Job& job) const {
  // Programs that are told to stop are killed after their grace.
  if (is_completing(job)) {
    return job.ended.value_or(now.wall) + job.spec->kill_grace.value_or(config.kill_grace) +
           seconds(10);
  }
  const Time by_deadline = job.spec->deadline.value_or(Time::infinity());
  if (!job.spec->time_limit) return by_deadline;
  Duration left = *job.spec->time_limit;
  if (const auto* running = std::get_if<phase::Running>(&job.phase)) {
    left = left - running->clock.elapsed(now.wall);
  } else if (const auto* suspended = std::get_if<phase::Suspended>(&job.phase)) {
    if (suspended->by_operator) return by_deadline;
    left = left - suspended->clock.accumulated;
  }
  return std::min(by_deadline, now.wall + *planner.stretched(job.spec->queue, left));
}

// Numbers for the devices in each of its shares. false: another job of the same pass got what was
// left of a type by asking for the kind alone.
bool Controller::Impl::give_devices_to(Allocation& allocation) const {
  for (NodeShare& share : allocation.shares) {
    if (share.resources.named.empty()) continue;
    const Node* const node = state.find_node(share.node);
    CHECK(node != nullptr);
    std::vector<const NodeShare*> taken;
    if (const auto link = links.find(share.node); link != links.end()) {
      for (const JobKey key : link->second.gangs) {
        const Job* const other = state.find_job(key);
        if (other == nullptr || other->allocation() == nullptr) continue;
        if (const NodeShare* theirs = other->allocation()->find(share.node))
          taken.push_back(theirs);
      }
    }
    if (!give_devices(share, capacity_of(*node), taken)) return false;
    if (!give_port(share, config.service_ports, taken)) return false;
  }
  return true;
}

bool Controller::Impl::start_job(Start start) {
  const bool is_element = start.key.index != JobKey::kNoIndex;
  const bool in_record = is_element && state.find_job(start.key) == nullptr;
  // Several elements may have been planned in one pass, beyond what may run at once.
  if (is_element && !has_room_for_element(state.get_job({start.key.job}))) {
    want_pass();
    if (in_record) return true;  // feed_arrays() takes it out
    take_out_of_plan(start.key);
    reconsider(start.key);
    return true;
  }
  if (!give_devices_to(start.allocation)) return false;
  if (in_record) split(start.key);
  if (const auto entry = waiting.find(start.key); entry != waiting.end()) {
    waiting.erase(entry);
    leave_line(start.key);
  }
  book.remove(start.key);
  const Attempt attempt = state.get_job(start.key).attempt + 1;
  const Job& job = state.record(start.key, job_event::Allocated{attempt, start.allocation},
                                now.wall, turn.batch);
  tell_planner_started(job);
  if (job.is_element()) on_element_started(job);
  Gang& gang = make_gang(job);
  for (std::size_t i = 0; i < gang.parts.size(); ++i) send_prepare(job, gang, i);
  await_preparation(job.key, gang);
  return true;
}

void Controller::Impl::await_preparation(JobKey key, Gang& gang) {
  if (gang.due) return;
  gang.due = Due{now.boot + config.prepare_timeout, DueKind::Prepare, key, gang.attempt};
  put_on_agenda(*gang.due);
}

void Controller::Impl::await_no_more(Gang& gang) {
  if (gang.due) agenda.erase(*gang.due);
  gang.due.reset();
}

void Controller::Impl::send_prepare(const Job& job, Gang& gang, std::size_t index) {
  wire::ToNode message;
  wire::Prepare* const prepare = message.mutable_prepare();
  set_key(job, prepare);
  wire::to_wire(job.owner, prepare->mutable_owner());
  wire::to_wire(*job.spec, prepare->mutable_spec());
  if (job.spec->deadline) {
    const Duration left = std::max(seconds(1), *job.spec->deadline - now.wall);
    const Duration limit = job.spec->time_limit.value_or(left);
    prepare->mutable_spec()->set_time_limit_ns(std::min(limit, left).ns);
  }
  wire::to_wire(*job.allocation(), prepare->mutable_allocation());
  prepare->set_node_index(static_cast<std::uint32_t>(index));
  prepare->set_leased(gang.leased);
  prepare->set_secret(make_secret(job.key, job.attempt));
  if (job.membership) wire::to_wire(*job.membership, prepare->mutable_membership());
  prepare->set_submitted_at_ns(job.submitted.ns);
  fill_replica_order(job, prepare);
  send_node(gang.parts[index].node, std::move(message));
}

void Controller::Impl::on_prepared(const NodeName& node, const wire::Prepared& message) {
  const JobKey key = wire::from_wire(message.key());
  const auto found = find_part(node, key, message.attempt());
  if (!found) return stop_orphan(node, key, message.attempt());
  const auto& [job, gang, index] = *found;
  Part& part = found->part();
  part.address = message.address();
  part.port = message.port();
  if (part.address.empty()) part.address = state.find_node(node)->address;
  if (is_completing(*job)) {
    if (part.state != PartState::Over) send_stop(*job, *gang, index);
  } else if (part.state == PartState::Asked) {
    part.state = PartState::Prepared;
    if (++gang->prepared == gang->parts.size() && is_starting(*job)) {
      if (find_slicer(*job) == nullptr) return launch(key);
      await_no_more(*gang);  // of the nodes: it waits for its time slice
      touch_slices(*job);
    }
  } else if (is_running(*job) && part.state == PartState::Launched) {
    // It has not heard the order, or it was asked for its address by launch_late(). Launching twice
    // changes nothing.
    part.wants_launch = true;
    launch_late(*job, *gang);
  }
}

void Controller::Impl::launch(JobKey key) {
  const Job& job = state.record(key, job_event::Launched{}, now.wall, turn.batch);
  Gang& gang = gangs.at(key);
  await_no_more(gang);
  for (std::size_t i = 0; i < gang.parts.size(); ++i) {
    gang.parts[i].state = PartState::Launched;
    send_launch(job, gang, i);
  }
  tell_planner_started(job);
  mail(job, MailAbout::Begin);
  on_dependency_news(book.on_started(key, now.wall));
  open_sessions_with(key);
  if (!job.is_element()) return;
  // The array has started with the last of its elements.
  if (!state.get_job({key.job}).array->waiting.empty()) return;
  for (const JobKey row : rows_of_array(key.job)) {
    const Job& other = state.get_job(row);
    if (other.is_waiting() || is_starting(other)) return;
  }
  on_dependency_news(book.on_started({key.job}, now.wall));
}

void Controller::Impl::send_launch(const Job& job, Gang& gang, std::size_t index) {
  wire::ToNode message;
  wire::Launch* const order = message.mutable_launch();
  set_key(job, order);
  for (const Part& part : gang.parts) {
    wire::GangPeer* const peer = order->add_peers();
    peer->set_node(part.node.value);
    peer->set_address(part.address);
    peer->set_port(part.port);
  }
  gang.parts[index].wants_launch = false;
  send_node(gang.parts[index].node, std::move(message));
}

// A node holds the attempt ready although the job runs by our record: the order was lost with the
// scheduler or the connection. If the addresses of the gang were lost as well, Prepare is sent to
// the others again: it changes nothing there and is answered with the address.
void Controller::Impl::launch_late(const Job& job, Gang& gang) {
  const bool all_known = std::none_of(gang.parts.begin(), gang.parts.end(), [](const Part& part) {
    return part.state != PartState::Over && part.address.empty();
  });
  const bool asked = gang.due.has_value();
  for (std::size_t i = 0; i < gang.parts.size(); ++i) {
    const Part& part = gang.parts[i];
    if (all_known && part.wants_launch) send_launch(job, gang, i);
    if (!asked && part.address.empty() && part.state != PartState::Over) send_prepare(job, gang, i);
  }
  all_known ? await_no_more(gang) : await_preparation(job.key, gang);
}

void Controller::Impl::on_prepare_due(JobKey key, Attempt attempt) {
  const auto found = gangs.find(key);
  if (found == gangs.end() || found->second.attempt != attempt) return;
  found->second.due.reset();
  const Job& job = state.get_job(key);
  const auto late = [&](const Part& part) {
    return is_starting(job) ? part.state == PartState::Asked : is_running(job) && part.wants_launch;
  };
  const auto& parts = found->second.parts;
  const auto part = std::find_if(parts.begin(), parts.end(), late);
  if (part == parts.end()) return;
  Outcome outcome =
      is_starting(job)
          ? make_outcome(OutcomeKind::LaunchFailed, kTryAgainCode,
                         cat(part->node.value, " was not prepared in time"))
          : make_outcome(OutcomeKind::NodeFailed, 0,
                         cat(part->node.value, " could not be told to launch in time"));
  const bool again = is_to_be_requeued(job, outcome);
  end_attempt(key, std::move(outcome), again);
}

// ---- the way down ------------------------------------------------------------------------------

void Controller::Impl::on_step_finished(const NodeName& node, const wire::StepFinished& message) {
  const JobKey key = wire::from_wire(message.key());
  links[node].orphans.erase({key, message.attempt()});
  const auto found = find_part(node, key, message.attempt());
  if (!found) return send_release(node, key, message.attempt());
  if (found->part().state == PartState::Over) {
    // Repeated. While the job runs nothing is recorded of this part, and the node has to keep it.
    if (is_completing(*found->job)) send_release(node, key, message.attempt());
    return;
  }
  Result<Outcome> outcome = wire::from_wire(message.outcome());
  if (outcome) outcome->waivers.assign(message.waivers().begin(), message.waivers().end());
  found->part().used = wire::from_wire(message.usage());
  if (found->index == 0) {
    for (const wire::StepUsage& step : message.steps()) {
      if (found->gang->steps.size() < kMaxRememberedSteps) {
        found->gang->steps.push_back(wire::from_wire(step));
      }
    }
  }
  part_over(key, found->index,
            outcome ? *outcome
                    : make_outcome(OutcomeKind::NodeFailed, 0,
                                   cat(node.value, " reported an unknown end")));
}

// The order has changed nothing on the node.
void Controller::Impl::on_refused(const NodeName& node, const wire::OrderRefused& message) {
  const JobKey key = wire::from_wire(message.key());
  links[node].orphans.erase({key, message.attempt()});
  const auto found = find_part(node, key, message.attempt());
  if (!found || found->part().state == PartState::Over) return;
  const Error error = wire::from_wire(message.error());
  if (is_starting(*found->job)) {
    const bool may_go_away =
        error.kind() == ErrorKind::Unavailable || error.kind() == ErrorKind::Exhausted ||
        error.kind() == ErrorKind::Conflict || error.kind() == ErrorKind::Internal;
    part_over(key, found->index,
              make_outcome(OutcomeKind::LaunchFailed, may_go_away ? kTryAgainCode : 0,
                           cat(node.value, ": ", error.message())));
  } else if (error.kind() == ErrorKind::NotFound) {
    part_over(key, found->index,
              make_outcome(OutcomeKind::NodeFailed, 0,
                           cat(node.value, " does not hold the job any more")));
  }
}

void Controller::Impl::part_over(JobKey key, std::size_t index, Outcome outcome) {
  Gang& gang = gangs.at(key);
  Part& part = gang.parts[index];
  CHECK(part.state != PartState::Over);
  if (part.state == PartState::Prepared) --gang.prepared;
  part.state = PartState::Over;
  part.wants_launch = false;
  part.outcome = std::move(outcome);
  ++gang.over;
  cores_given -= state.get_job(key).allocation()->shares[index].resources.cores;
  links[part.node].gangs.erase(key);
  nodes_changed.insert(part.node);
  gangs_with_changed_claims.insert(key);

  const Job& job = state.get_job(key);
  touch_slices(job);
  if (is_completing(job)) {
    send_release(part.node, key, gang.attempt);
    settle_if_cleaned(key);
    want_pass();
    return;
  }
  std::optional<Outcome> deciding =
      is_starting(job) ? part.outcome : deciding_outcome(job, gang, index);
  if (!deciding) return;
  if (is_starting(job) && deciding->kind != OutcomeKind::NodeFailed &&
      deciding->kind != OutcomeKind::LaunchFailed) {
    // Nobody was told to launch, or to stop.
    deciding = make_outcome(OutcomeKind::LaunchFailed, kTryAgainCode,
                            cat(part.node.value, " ended the job before it was launched"));
  }
  const bool retry = is_running(job) && is_to_be_retried(job, *deciding);
  const bool again = retry || is_to_be_requeued(job, *deciding);
  end_attempt(key, *std::move(deciding), again, false, retry);
}

// What its user asked for; the others are tried again for reasons of ours.
bool Controller::Impl::is_to_be_retried(const Job& job, const Outcome& outcome) const {
  const bool has_failed =
      outcome.kind == OutcomeKind::Failed || outcome.kind == OutcomeKind::Signaled ||
      outcome.kind == OutcomeKind::TimedOut || outcome.kind == OutcomeKind::OutOfMemory;
  return has_failed && job.retries_used < static_cast<std::uint32_t>(job.spec->retries);
}

// The end of the job, if the newest part's end decides it.
std::optional<Outcome> Controller::Impl::deciding_outcome(const Job& job,
                                                          const Gang& gang,
                                                          std::size_t newest) const {
  const Outcome& outcome = *gang.parts[newest].outcome;
  const bool ran_to_an_end =
      outcome.kind == OutcomeKind::Completed || outcome.kind == OutcomeKind::Failed ||
      outcome.kind == OutcomeKind::Signaled || outcome.kind == OutcomeKind::OutOfMemory;
  if (!ran_to_an_end) return outcome;  // lost, timed out, not launched: the whole is spoilt
  if (job.spec->launch == LaunchMode::Batch) {
    if (newest == 0 || !outcome.is_success()) return outcome;
    return std::nullopt;  // the others only hold their sandboxes ready
  }
  // Ranks that wait for a dead one wait for ever; other tasks have nothing to do with each other.
  if (job.spec->mpi != MpiMode::None && !outcome.is_success()) return outcome;
  if (gang.over < gang.parts.size()) return std::nullopt;
  const Outcome* worst = nullptr;
  for (const Part& part : gang.parts) {
    if (worst == nullptr || part.outcome->shell_code() > worst->shell_code()) {
      worst = &*part.outcome;
    }
  }
  return *worst;
}

bool Controller::Impl::is_to_be_requeued(const Job& job, const Outcome& outcome) const {
  const bool nothing_has_run = is_starting(job);
  if (outcome.kind == OutcomeKind::NodeFailed) return nothing_has_run || job.spec->requeue;
  if (outcome.kind == OutcomeKind::LaunchFailed) {
    return outcome.exit_code == kTryAgainCode && job.launch_failures < kMaxLaunchFailures &&
           (nothing_has_run || job.spec->requeue);
  }
  return false;
}

void Controller::Impl::end_attempt(
    JobKey key, Outcome outcome, bool again, bool at_once, bool retry) {
  const bool nothing_has_run = is_starting(state.get_job(key));
  Gang& gang = gangs.at(key);
  const Job& job = state.record(
      key, job_event::Ended{gang.attempt, std::move(outcome), again, retry}, now.wall, turn.batch);
  await_no_more(gang);
  touch_slices(job);
  gang.stop_at_once = at_once;
  gangs_with_changed_claims.insert(key);
  want_pass();
  for (std::size_t i = 0; i < gang.parts.size(); ++i) {
    Part& part = gang.parts[i];
    if (part.state == PartState::Over) {
      send_release(part.node, key, gang.attempt);
    } else if (nothing_has_run && !links[part.node].registered) {
      // It can hold no more than an empty sandbox. When the node comes back it is told to drop it.
      part_over(key, i, *job.outcome());
      if (!gangs.contains(key)) return;  // that was the last one
    } else {
      send_stop(job, gang, i);
    }
  }
  settle_if_cleaned(key);
}

void Controller::Impl::send_stop(const Job& job, const Gang& gang, std::size_t index) {
  wire::ToNode message;
  wire::Stop* const stop = message.mutable_stop();
  set_key(job, stop);
  wire::to_wire(*job.outcome(), stop->mutable_outcome());
  stop->set_at_once(gang.stop_at_once);
  send_node(gang.parts[index].node, std::move(message));
}

void Controller::Impl::send_release(const NodeName& node, JobKey key, Attempt attempt) {
  wire::ToNode message;
  wire::to_wire(key, message.mutable_release()->mutable_key());
  message.mutable_release()->set_attempt(attempt);
  send_node(node, std::move(message));
}

// The node holds an attempt that is over for us.
void Controller::Impl::stop_orphan(const NodeName& node, JobKey key, Attempt attempt) {
  links[node].orphans.insert({key, attempt});
  wire::ToNode message;
  wire::Stop* const stop = message.mutable_stop();
  wire::to_wire(key, stop->mutable_key());
  stop->set_attempt(attempt);
  wire::to_wire(make_outcome(OutcomeKind::Cancelled, 0, "this attempt is over"),
                stop->mutable_outcome());
  stop->set_at_once(true);
  send_node(node, std::move(message));
}

void Controller::Impl::settle_if_cleaned(JobKey key) {
  const auto gang = gangs.find(key);
  if (gang == gangs.end() || gang->second.over < gang->second.parts.size()) return;
  const Attempt attempt = gang->second.attempt;
  await_no_more(gang->second);
  JobUsage used{.nodes = {}, .steps = std::move(gang->second.steps)};
  for (const Part& part : gang->second.parts) {
    if (part.used) used.nodes.push_back({part.node, *part.used});
  }
  gangs.erase(gang);
  gangs_with_changed_claims.erase(key);
  tell_planner_ended(key);
  want_pass();
  const Outcome* const outcome = state.get_job(key).outcome();
  std::string why = outcome != nullptr ? outcome->detail : std::string();
  const Job& job =
      state.record(key, job_event::Cleaned{attempt, std::move(used)}, now.wall, turn.batch);
  if (job.is_waiting()) {
    mail(job, MailAbout::Requeue);
    if (job.is_element()) on_element_stopped(job);
    give_back_category_turn(job);
    begin_waiting(key, {});
    if (const auto keeping = waiting.find(key); keeping != waiting.end()) {
      keeping->second.last_failure = std::move(why);
    }
  } else {
    on_job_finished(key);
  }
}

// Nodes that have cleaned up are free before the last one of the job has; told once before a pass,
// not once for each node.
void Controller::Impl::tell_planner_of_claims() {
  for (const JobKey key : std::exchange(gangs_with_changed_claims, {})) {
    const auto gang = gangs.find(key);
    const Job& job = state.get_job(key);
    if (gang == gangs.end() || !is_completing(job)) continue;
    Allocation held;
    for (std::size_t i = 0; i < gang->second.parts.size(); ++i) {
      if (gang->second.parts[i].state != PartState::Over) {
        held.shares.push_back(job.allocation()->shares[i]);
      }
    }
    tell_planner_started(job, held);
  }
}

}  // namespace gangway::scheduler
