#include "scheduler/controller.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

Outcome make_outcome(OutcomeKind kind, std::int32_t exit_code, std::string detail) {
  return {.kind = kind, .exit_code = exit_code, .signal = 0, .detail = std::move(detail)};
}

Controller::Impl::Impl(ControllerConfig c,
                       Epoch e,
                       store::LiveState loaded,
                       const UserDirectory& u,
                       SecretSource secrets,
                       Now at)
    : config(std::move(c)),
      epoch(e),
      users(u),
      make_secret(std::move(secrets)),
      planner(config.backfill),
      watch(std::min(config.suspect_after, config.lease),
            config.lease + config.lease_drift,
            at.boot + config.lease_before + config.lease_drift),
      now(at),
      usage(config.usage.half_life) {
  CHECK(!config.queues.empty());
  remembered.reserve(std::min(loaded.submissions.size(), kMaxRememberedKeys));
  for (const store::SubmissionRecord& record : loaded.submissions) remember(record);
  loaded.submissions.clear();
  state = ClusterState(std::move(loaded));
}

// ---- turns -------------------------------------------------------------------------------------

Turn Controller::Impl::finish() {
  follow_ends();
  settle_slices();
  follow_ends();
  settle_services();
  charge_runs();
  state.write_rows(turn.batch);
  forget_old();
  tell_followers();
  if (const BootTime at = std::max(now.boot, next_pass);
      pass_wanted && (!pass_armed || *pass_armed > at)) {
    pass_armed = at;
    turn.effects.emplace_back(effect::ArmTimer{kPassToken, at});
  }
  pass_wanted = false;
  if (!agenda.empty() && agenda_armed != agenda.begin()->at) {
    agenda_armed = agenda.begin()->at;
    turn.effects.emplace_back(effect::ArmTimer{kAgendaToken, *agenda_armed});
  }
  return std::exchange(turn, Turn{});
}

void Controller::Impl::on_timer(std::uint64_t token) {
  switch (token) {
    case kPassToken:
      pass_armed.reset();
      run_pass();
      break;
    case kWatchToken:
      run_watch();
      break;
    case kAgendaToken:
      work_off_agenda();
      break;
    case kSliceToken:
      on_slice();
      break;
    default:
      break;
  }
}

void Controller::Impl::arm_watch() {
  if (watch_put_off) return;  // it is armed for the end of the listening
  watch_armed = watch.next_due();
  if (watch_armed) turn.effects.emplace_back(effect::ArmTimer{kWatchToken, *watch_armed});
}

void Controller::Impl::run_watch() {
  // A timer that comes much too late says that we were stopped, or the machine was. Then the nodes'
  // messages lie unread: they are heard first, before anybody is called silent. To be late in that
  // is always safe.
  constexpr Duration kLate = milliseconds(500);
  constexpr Duration kToListen = seconds(1);
  if (watch_armed && *watch_armed + kLate < now.boot && !watch_put_off) {
    watch_put_off = true;
    watch_armed = now.boot + kToListen;
    turn.effects.emplace_back(effect::ArmTimer{kWatchToken, *watch_armed});
    return;
  }
  watch_put_off = false;
  for (const auto& change : watch.due(now.boot)) {
    if (change.contact == Contact::Lost) {
      on_lost(change.node);
    } else {
      set_contact(change.node, change.contact);
    }
  }
  arm_watch();
}

void Controller::Impl::put_on_agenda(Due due) { agenda.insert(due); }

void Controller::Impl::work_off_agenda() {
  agenda_armed.reset();
  while (!agenda.empty() && agenda.begin()->at <= now.boot) {
    const Due due = *agenda.begin();
    agenda.erase(agenda.begin());
    switch (due.kind) {
      case DueKind::Prepare:
        on_prepare_due(due.job, static_cast<Attempt>(due.number));
        break;
      case DueKind::Eligible:
        if (waiting.contains(due.job)) reconsider(due.job);
        break;
      case DueKind::Promise:
        promise_due.reset();
        want_pass();
        break;
      case DueKind::Wait:
        on_wait_due(due.number);
        break;
      case DueKind::Slice:
        on_slice_due(static_cast<std::size_t>(due.number));
        break;
      case DueKind::Service:
        on_services_due();
        break;
    }
  }
}

// ---- the pass ----------------------------------------------------------------------------------

void Controller::Impl::want_pass() { pass_wanted = true; }

// Changes ask for a pass; it runs in a turn of its own right after this one, so that a burst of
// changes makes one pass. A long pass is followed by a pause in proportion, counted in jobs looked
// at because that does not depend on the machine, so that requests are served in between.
void Controller::Impl::run_pass() {
  if (!beginning.keys.empty()) return;
  tell_planner_of_claims();
  // Not in the middle of a walk along the line, which would begin anew each time.
  if (!pass_cut_short || now.boot >= next_shares + minutes(1)) renew_fair_shares();
  feed_arrays();
  const PlanDelta plan = planner.pass(now.wall, config.pass_work_budget);
  bool put_off = false;
  for (const Start& start : plan.starts) put_off = !start_job(start) || put_off;
  for (const Reason& reason : plan.reasons) {
    if (const auto job = waiting.find(reason.key); job != waiting.end()) {
      job->second.reason = reason.reason;
    } else if (const Job* const array = find_array_with(reason.key);
               array != nullptr && planned_key(*array) == reason.key) {
      waiting.at(array->key).reason = reason.reason;  // why its first one waits
    }
  }
  // A start makes room for the next ones of its array.
  if (!plan.starts.empty() && !arrays_in_plan.empty()) want_pass();
  promise = plan.promise;
  // What is really left of each type the next pass sees.
  const Time soon = now.wall + seconds(1);
  wake_at(put_off ? std::min(plan.wake.value_or(soon), soon) : plan.wake);
  constexpr int kLongPass = 1000;
  next_pass = now.boot + microseconds(10) * std::max(0, plan.looked_at - kLongPass);
  pass_cut_short = !plan.complete;
  if (pass_cut_short) want_pass();
}

// A promise may fall due though nothing happens then.
void Controller::Impl::wake_at(std::optional<Time> wake) {
  if (promise_due) agenda.erase(*promise_due);
  promise_due.reset();
  if (!wake) return;
  promise_due = Due{now.boot + std::max(Duration{}, *wake - now.wall), DueKind::Promise, {}, 0};
  put_on_agenda(*promise_due);
}

// ---- start and restart -------------------------------------------------------------------------

void Controller::Impl::start() {
  make_slicers();
  planner.apply(delta::RulesAre{config.priority});
  planner.apply(delta::QueuesAre{config.queues});
  load_usage();
  ports_offered = ports_of_services();
  for (const auto& [name, node] : state.nodes()) {
    links.try_emplace(name);
    tell_planner_of(name);
    if (node.contact != Contact::Lost) watch.heard(name, now.boot);
  }
  for (const auto& [id, workflow] : state.workflows()) {
    if (!workflow.ended) open_members[id] = 0;
  }
  const auto is_member_now = [&](const Job& job) {
    if (!job.membership || !open_members.contains(job.membership->workflow)) return false;
    const Workflow& workflow = *state.find_workflow(job.membership->workflow);
    const auto member = members_by_name(workflow).find(job.membership->member);
    return member != members_by_name(workflow).end() &&
           JobKey{workflow.members[member->second].job} == job.key;
  };
  std::vector<JobKey> waiting_keys;
  const JobSpec* last_spec = nullptr;  // jobs in a row often share theirs
  for (const auto& [key, job] : state.jobs()) {
    if (last_spec != job.spec.get()) specs.try_emplace(job.spec_digest, job.spec);
    last_spec = job.spec.get();
    if (job.is_finished()) {
      if (!is_member_now(job)) finished.push_back(key);
      continue;
    }
    ++unfinished_jobs;
    if (job.membership && !job.is_element()) ++open_members[job.membership->workflow];
    if (job.is_waiting()) {
      waiting_keys.push_back(key);
      continue;
    }
    Gang& gang = make_gang(job);
    if (job.is_element()) on_element_started(job);
    if (Category* const category = find_category(job)) category->taken.insert({key.job});
    recall_pause(job, gang);
    tell_planner_started(job);
    if (const auto* running = std::get_if<phase::Running>(&job.phase)) {
      begin_charging(job, running->clock.since.value_or(now.wall));
    }
    if (std::holds_alternative<phase::Starting>(job.phase)) {
      await_preparation(key, gang);
    }
  }
  if (waiting_keys.size() <= config.jobs_of_slice) {
    for (const JobKey key : waiting_keys) begin_waiting(key, {});
  } else {
    OldJobs old;
    for (const JobKey key : finished) old.emplace(key, state.get_job(key));
    begin_later(std::move(waiting_keys), std::move(old));
  }
  // Of one that is lost already nobody will say so again, whatever a job's end still waits for.
  for (const auto& [name, node] : state.nodes()) {
    if (node.contact == Contact::Lost) end_parts_on(name, "was lost", false);
  }
  start_services();
  arm_watch();
  want_pass();
}

// ---- small tools -------------------------------------------------------------------------------

void Controller::Impl::reply(io::PeerId to, std::uint32_t stream, wire::Response response) {
  turn.effects.emplace_back(effect::Reply{to, stream, std::move(response)});
}

void Controller::Impl::reply_error(io::PeerId to, std::uint32_t stream, const Error& error) {
  wire::Response response;
  wire::to_wire(error, response.mutable_error());
  reply(to, stream, std::move(response));
}

Result<void> Controller::Impl::ask_history(std::vector<store::HistoryQuery> jobs,
                                           std::vector<WorkflowId> workflows,
                                           HistoryUse then) {
  return ask_store({.jobs = std::move(jobs), .workflows = std::move(workflows)}, std::move(then));
}

Result<void> Controller::Impl::ask_store(effect::AskHistory question, HistoryUse then) {
  if (questions.size() >= kMaxQuestions) {
    return Error(ErrorKind::Exhausted, "too many questions about finished jobs are under way");
  }
  question.ticket = next_ticket++;
  questions.emplace(question.ticket, std::move(then));
  turn.effects.emplace_back(std::move(question));
  return {};
}

void Controller::Impl::on_history(std::uint64_t ticket, const History& history) {
  const auto question = questions.find(ticket);
  if (question == questions.end()) return;
  const HistoryUse use = std::move(question->second);
  questions.erase(question);
  use(history);
}

bool Controller::Impl::is_operator(const io::LocalUser& user) const {
  if (user.uid == 0 || user.uid == config.own_uid) return true;
  const std::string name = users.name_of(user.uid);
  return std::find(config.operators.begin(), config.operators.end(), name) !=
         config.operators.end();
}

bool Controller::Impl::may_change(const io::LocalUser& user, const Owner& owner) const {
  return user.uid == owner.uid || is_operator(user);
}

const Queue* Controller::Impl::find_queue(const QueueName& name) const {
  for (const Queue& queue : config.queues) {
    if (name.empty() ? queue.is_default : queue.name == name) return &queue;
  }
  return nullptr;
}

void Controller::Impl::on_client_request(io::PeerId from,
                                         const io::LocalUser& user,
                                         std::uint32_t stream,
                                         const wire::Request& request) {
  ++requests;
  switch (request.what_case()) {
    case wire::Request::kSubmit:
      return on_submit(from, user, stream, request.submit());
    case wire::Request::kListJobs:
      return on_list_jobs(from, stream, request.list_jobs());
    case wire::Request::kAct:
      return on_act(from, user, stream, request.act());
    case wire::Request::kWaitFor:
      return on_wait_for(from, stream, request.wait_for(), request.deadline_ms());
    case wire::Request::kExplain:
      return on_explain(from, stream, request.explain());
    case wire::Request::kListNodes:
      return on_list_nodes(from, stream, request.list_nodes());
    case wire::Request::kNodeCommand:
      return on_node_command(from, user, stream, request.node_command());
    case wire::Request::kPing:
      return on_ping(from, stream);
    case wire::Request::kListWorkflows:
      return on_list_workflows(from, stream, request.list_workflows());
    case wire::Request::kListShares:
      return on_list_shares(from, stream);
    case wire::Request::kAccountCommand:
      return on_account_command(from, user, stream, request.account_command());
    case wire::Request::kOpenSession:
      return on_open_session(from, user, stream, request.open_session());
    case wire::Request::kToSession:
    case wire::Request::kCloseSession:
      return on_to_session(from, stream, request);
    case wire::Request::kAlter:
      return on_alter(from, user, stream, request.alter());
    case wire::Request::kResumeWorkflow:
      return on_resume_workflow(from, user, stream, request.resume_workflow());
    case wire::Request::kFollow:
      return on_follow(from, user, stream, request.follow());
    case wire::Request::kSubmitServices:
      return on_submit_services(from, user, stream, request.submit_services());
    case wire::Request::kListServices:
      return on_list_services(from, user, stream, request.list_services());
    case wire::Request::kServiceCommand:
      return on_service_command(from, user, stream, request.service_command());
    case wire::Request::kSubscribeRoutes:
      return on_subscribe_routes(from, user, stream);
    case wire::Request::kConfirmRoutes:
      return on_confirm_routes(from, user, stream, request.confirm_routes());
    case wire::Request::WHAT_NOT_SET:
      break;
  }
  reply_error(from, stream,
              Error(ErrorKind::Unsupported, "the scheduler does not know this request"));
}

void Controller::Impl::on_client_closed(io::PeerId peer) {
  submissions.erase(submissions.lower_bound({peer, 0}),
                    submissions.lower_bound({io::PeerId{peer.value + 1}, 0}));
  std::erase_if(followers, [&](const auto& entry) { return entry.second.peer == peer; });
  std::erase_if(route_subscribers, [&](const auto& entry) { return entry.first == peer; });
  if (const auto found = waits_of_peer.find(peer); found != waits_of_peer.end()) {
    for (const std::uint64_t ticket : std::set(found->second)) drop_wait(ticket);
  }
  close_sessions_of(peer);
}

// ---- the face ----------------------------------------------------------------------------------

Controller::Controller(ControllerConfig config,
                       Epoch epoch,
                       store::LiveState loaded,
                       const UserDirectory& users,
                       SecretSource make_secret,
                       Now now)
    : impl_(std::make_unique<Impl>(
          std::move(config), epoch, std::move(loaded), users, std::move(make_secret), now)) {}
Controller::~Controller() = default;

Turn Controller::start(Now now) {
  impl_->begin(now);
  impl_->start();
  return impl_->finish();
}

Turn Controller::on_client_request(io::PeerId from,
                                   const io::LocalUser& user,
                                   std::uint32_t stream,
                                   const wire::Request& request,
                                   Now now) {
  impl_->begin(now);
  impl_->on_client_request(from, user, stream, request);
  return impl_->finish();
}

std::optional<Turn> Controller::try_submit_known(io::PeerId from,
                                                 const io::LocalUser& user,
                                                 std::uint32_t stream,
                                                 std::string_view key,
                                                 std::string_view job,
                                                 Now now) {
  impl_->begin(now);
  if (!impl_->submit_known(from, user, stream, key, job)) return std::nullopt;
  ++impl_->requests;
  return impl_->finish();
}

Turn Controller::on_client_closed(io::PeerId peer, Now now) {
  impl_->begin(now);
  impl_->on_client_closed(peer);
  return impl_->finish();
}

Turn Controller::on_node_connected(io::PeerId peer, const NodeName& node, Now now) {
  impl_->begin(now);
  impl_->on_node_connected(peer, node);
  return impl_->finish();
}

Turn Controller::on_node_message(io::PeerId from, const wire::FromNode& message, Now now) {
  impl_->begin(now);
  impl_->on_node_message(from, message);
  return impl_->finish();
}

Turn Controller::on_node_closed(io::PeerId peer, Now now) {
  impl_->begin(now);
  impl_->on_node_closed(peer);
  return impl_->finish();
}

Turn Controller::on_timer(std::uint64_t token, Now now) {
  impl_->begin(now);
  impl_->on_timer(token);
  return impl_->finish();
}

Turn Controller::on_history(std::uint64_t ticket, const History& history, Now now) {
  impl_->begin(now);
  impl_->on_history(ticket, history);
  return impl_->finish();
}

const ClusterState& Controller::state() const { return impl_->state; }

std::vector<NodeName> Controller::nodes_held_by(JobKey key) const {
  std::vector<NodeName> out;
  const auto gang = impl_->gangs.find(key);
  if (gang == impl_->gangs.end()) return out;
  for (const Impl::Part& part : gang->second.parts) {
    if (part.state != Impl::PartState::Over) out.push_back(part.node);
  }
  return out;
}

std::vector<ShareRow> Controller::shares() const { return impl_->shares(); }

std::optional<bool> Controller::stands_still(JobKey key) const {
  const auto gang = impl_->gangs.find(key);
  if (gang == impl_->gangs.end() || gang->second.pause_number == 0) return std::nullopt;
  for (const Impl::Part& part : gang->second.parts) {
    if (!part.pause_told && part.state != Impl::PartState::Over) return std::nullopt;
  }
  return gang->second.pause_on;
}

PendingReason Controller::reason_of(JobKey key) const {
  const auto job = impl_->waiting.find(key);
  return job == impl_->waiting.end() ? PendingReason::None : job->second.reason;
}

}  // namespace gangway::scheduler
