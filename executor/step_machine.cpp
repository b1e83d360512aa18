// Every pair of phase and event has a place here; "." changes nothing and is expected (repeated or
// late news), "!" cannot happen if the others keep their contracts and is noted in the log.
//
//                 New   Preparing  Ready     Launching  Running      CleaningUp  Done      Released
//  Begin          Prep  .          .         .          .            .           .         .
//  SandboxReady   !     Ready      !         !          !            .           !         !
//  SandboxFailed  !     Clean      !         !          !            .           !         !
//  Launch         !     !          Launch/Run .         .            .           .         .
//  PmixReady      !     !          !         Run        .            .           .         .
//  PmixFailed     !     !          !         Clean      stop         .           .         .
//  PmixAborted    !     !          !         Clean      stop         .           .         .
//  RankConnected  !     !          !         .          noted        .           .         .
//  PeerLost       !     .          .         Clean      stop (MPI)   .           .         .
//  ProgramEnded   !     !          !         !          last: Clean  .           !         !
//  ProgramsAdded  !     !          !         !          counted      .           .         .
//  Stop           !     Clean      Clean     Clean      stop         .           .         .
//  GuestsChanged  .     .          .         .          last, stopping: Clean  . .         .
//  Signal         .     .          .         .          signal       .           .         .
//  Pause          .     told       told      told       pause        .           .         .
//  PauseSettled   .     .          .         .          told         .           .         .
//  LeaseRenewed   .     re-arm     re-arm    re-arm     re-arm       re-arm      .         .
//  Timer Grace    .     .          .         .          KILL, Clean  .           .         .
//  Timer Limit    .     .          .         .          stop         .           .         .
//  Timer Warn     .     .          .         .          warn         .           .         .
//  Timer Lease    .     Clean      Clean     Clean      KILL         Clean now   .         .
//  Timer Start    .     .          .         Clean      .            .           .         .
//  CleanedUp      !     !          !         !          !            Done        !         !
//  AgentConnected .     .          prepared  .          .            .           finished  .
//  Released       .     Clean      Clean     Clean      stop         noted       Released  .
#include "executor/step_machine.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "executor/exit_status.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

namespace {

Outcome make_outcome(OutcomeKind kind, std::int32_t exit_code, std::string detail) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.exit_code = exit_code;
  outcome.detail = std::move(detail);
  return outcome;
}

Outcome lease_over() {
  return make_outcome(OutcomeKind::NodeFailed, 0,
                      "no contact with the scheduler until the lease ended");
}

void append(StepActions& actions, StepActions more) {
  for (StepAction& action : more) actions.push_back(std::move(action));
}

}  // namespace

std::string_view to_string(StepPhase phase) {
  switch (phase) {
    case StepPhase::New:
      return "New";
    case StepPhase::Preparing:
      return "Preparing";
    case StepPhase::Ready:
      return "Ready";
    case StepPhase::Launching:
      return "Launching";
    case StepPhase::Running:
      return "Running";
    case StepPhase::CleaningUp:
      return "CleaningUp";
    case StepPhase::Done:
      return "Done";
    case StepPhase::Released:
      return "Released";
  }
  return "?";
}

StepMachine::StepMachine(StepOrder order) : order_(std::move(order)) {
  CHECK(order_.node_index < order_.allocation.shares.size());
}

StepActions StepMachine::on(const StepEvent& event, Now now) {
  return std::visit([&](const auto& e) { return handle(e, now); }, event);
}

// ---- from the order to the programs ------------------------------------------------------------

StepActions StepMachine::handle(const step_event::Begin& e, Now) {
  if (phase_ != StepPhase::New) return {};
  phase_ = StepPhase::Preparing;
  StepActions actions;
  if (order_.leased) {
    lease_until_ = e.lease_until;
    actions.push_back(step_action::ArmTimer{StepTimer::Lease, lease_until_});
  }
  actions.push_back(step_action::PrepareSandbox{});
  return actions;
}

StepActions StepMachine::handle(const step_event::SandboxReady& e, Now) {
  switch (phase_) {
    case StepPhase::Preparing:
      phase_ = StepPhase::Ready;
      peer_port_ = e.peer_port;
      mpi_ = e.mpi;
      if (order_.spec.mpi != MpiMode::None) order_.spec.mpi = mpi_.mode;
      return {step_action::ReportPrepared{peer_port_}};
    case StepPhase::CleaningUp:
      return {};  // the clean-up that overtook it takes the sandbox down
    case StepPhase::New:
    case StepPhase::Ready:
    case StepPhase::Launching:
    case StepPhase::Running:
    case StepPhase::Done:
    case StepPhase::Released:
      break;
  }
  return unexpected("SandboxReady");
}

StepActions StepMachine::handle(const step_event::SandboxFailed& e, Now now) {
  switch (phase_) {
    case StepPhase::Preparing:
      return clean_up(launch_failed(e.error), now);
    case StepPhase::CleaningUp:
      return {};
    case StepPhase::New:
    case StepPhase::Ready:
    case StepPhase::Launching:
    case StepPhase::Running:
    case StepPhase::Done:
    case StepPhase::Released:
      break;
  }
  return unexpected("SandboxFailed");
}

StepActions StepMachine::handle(const step_event::Launch& e, Now now) {
  switch (phase_) {
    case StepPhase::Ready:
      break;
    case StepPhase::Launching:
    case StepPhase::Running:
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
      return unexpected("Launch");
  }
  const bool ranks = order_.spec.mpi != MpiMode::None && order_.spec.launch == LaunchMode::Tasks;
  if (!ranks || programs_here() == 0) {
    if (!paused_) return start_programs({}, now);
    phase_ = StepPhase::Launching;
    to_start_.emplace();
    return {};
  }
  phase_ = StepPhase::Launching;
  return {step_action::ArmTimer{StepTimer::Start, now.boot + kStartPatience},
          step_action::StartPmix{e.peers}};
}

StepActions StepMachine::handle(const step_event::PmixReady& e, Now now) {
  switch (phase_) {
    case StepPhase::Launching: {
      StepActions actions{step_action::CancelTimer{StepTimer::Start}};
      if (paused_) {
        to_start_ = e.ranks;
      } else {
        append(actions, start_programs(e.ranks, now));
      }
      return actions;
    }
    case StepPhase::Running:
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
      break;
  }
  return unexpected("PmixReady");
}

StepActions StepMachine::start_programs(std::vector<RankEnvironment> ranks, Now now) {
  phase_ = StepPhase::Running;
  launched_ = true;
  runs_since_ = now.boot;
  running_programs_ = programs_here();
  if (running_programs_ == 0 && order_.spec.launch == LaunchMode::Tasks) {
    return clean_up(outcome_of_programs(), now);  // no task of the gang is here
  }
  StepActions actions;
  arm_limit(actions, now);
  // A batch job's other nodes hold their sandboxes ready for the script on the first one, until the
  // scheduler stops them.
  if (running_programs_ > 0) actions.push_back(step_action::StartPrograms{std::move(ranks)});
  return actions;
}

void StepMachine::arm_limit(StepActions& actions, Now now) const {
  if (!order_.spec.time_limit) return;
  const Duration left = *order_.spec.time_limit - ran(now);
  actions.push_back(step_action::ArmTimer{StepTimer::Limit, now.boot + left});
  // Not again after a pause, if it has been warned already.
  if (order_.spec.warning && order_.spec.warning->before < left) {
    actions.push_back(
        step_action::ArmTimer{StepTimer::Warn, now.boot + (left - order_.spec.warning->before)});
  }
}

Duration StepMachine::ran(Now now) const {
  return runs_since_ ? ran_ + (now.boot - *runs_since_) : ran_;
}

// ---- time slices -------------------------------------------------------------------------------

StepActions StepMachine::handle(const step_event::Pause& e, Now now) {
  switch (phase_) {
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
    case StepPhase::Running:
      break;
    case StepPhase::New:
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
  }
  // Whoever is being stopped is let go on, and its end will be told.
  if (e.number < pause_number_ || stopping_) return {};
  pause_number_ = e.number;
  if (e.on == paused_) {
    if (!pause_settled_) return {};  // it is told when it is so
    return {step_action::ReportPaused{pause_number_, paused_}};
  }
  paused_ = e.on;
  if (phase_ == StepPhase::Running) {
    pause_settled_ = false;
    StepActions actions{step_action::PausePrograms{paused_}};
    if (paused_) {
      ran_ = ran(now);
      runs_since_.reset();
      actions.push_back(step_action::CancelTimer{StepTimer::Limit});
      actions.push_back(step_action::CancelTimer{StepTimer::Warn});
    } else {
      runs_since_ = now.boot;
      arm_limit(actions, now);
    }
    return actions;
  }
  StepActions actions{step_action::ReportPaused{pause_number_, paused_}};
  if (!paused_ && to_start_) {
    append(actions, start_programs(*std::exchange(to_start_, std::nullopt), now));
  }
  return actions;
}

StepActions StepMachine::handle(const step_event::PauseSettled& e, Now) {
  if (phase_ != StepPhase::Running || e.on != paused_ || stopping_) return {};
  pause_settled_ = true;
  return {step_action::ReportPaused{pause_number_, paused_}};
}

// ---- what can go wrong on the way --------------------------------------------------------------

StepActions StepMachine::handle(const step_event::PmixFailed& e, Now now) {
  switch (phase_) {
    case StepPhase::Launching:
      return clean_up(make_outcome(OutcomeKind::LaunchFailed, kTryAgainCode,
                                   cat("pmix server on ", node(), ": ", e.message)),
                      now);
    case StepPhase::Running:
      // TERM goes to all of the sandbox, so while stopping this is no news. Else it counts as the
      // job's failure and not the node's: ranks can bring their server down, and a job must not be
      // able to be run again for ever.
      if (stopping_) return {};
      return stop_programs(
          make_outcome(OutcomeKind::Failed, 70, cat("pmix server on ", node(), ": ", e.message)),
          false, now);
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
      break;
  }
  return unexpected("PmixFailed");
}

StepActions StepMachine::handle(const step_event::PmixAborted& e, Now now) {
  Outcome outcome =
      make_outcome(OutcomeKind::Failed, abort_exit_code(e.status),
                   cat("task ", e.rank, " on ", node(), " called abort with ", e.status));
  switch (phase_) {
    case StepPhase::Launching:
      return clean_up(std::move(outcome), now);
    case StepPhase::Running:
      if (stopping_) return {};
      if (failed_.size() < kMaxFailedTasks) {
        failed_.push_back({.task = e.rank, .exit_code = outcome.exit_code, .signal = 0});
      }
      return stop_programs(std::move(outcome), false, now);
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
      break;
  }
  return unexpected("PmixAborted");
}

StepActions StepMachine::handle(const step_event::PeerLost& e, Now now) {
  Outcome outcome = make_outcome(OutcomeKind::NodeFailed, 0,
                                 cat("lost the connection to the shepherd on ", e.node));
  switch (phase_) {
    case StepPhase::Launching:
      return clean_up(std::move(outcome), now);
    case StepPhase::Running:
      if (stopping_ || order_.spec.mpi == MpiMode::None) return {};
      return stop_programs(std::move(outcome), false, now);
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
      break;
  }
  return unexpected("PeerLost");
}

StepActions StepMachine::handle(const step_event::LeaseRenewed& e, Now) {
  switch (phase_) {
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
    case StepPhase::Running:
    case StepPhase::CleaningUp:
      break;
    case StepPhase::New:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
  }
  if (!order_.leased || e.until <= lease_until_) return {};  // late news never shortens a lease
  lease_until_ = e.until;
  return {step_action::ArmTimer{StepTimer::Lease, lease_until_}};
}

StepActions StepMachine::on_lease_over(Now now) {
  if (!order_.leased) return {};
  if (now.boot < lease_until_) {  // an old timer
    return {step_action::ArmTimer{StepTimer::Lease, lease_until_}};
  }
  switch (phase_) {
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
      return clean_up(lease_over(), now);
    case StepPhase::Running:
      return stop_programs(lease_over(), true, now);
    case StepPhase::CleaningUp:
      // Elsewhere the job may be started now: nothing inside waits any longer.
      return {step_action::CleanUp{}};
    case StepPhase::New:
    case StepPhase::Done:
    case StepPhase::Released:
      break;
  }
  return {};
}

StepActions StepMachine::handle(const step_event::TimerFired& e, Now now) {
  switch (e.timer) {
    case StepTimer::Lease:
      return on_lease_over(now);
    case StepTimer::Start:
      if (phase_ != StepPhase::Launching) return {};
      return clean_up(make_outcome(OutcomeKind::LaunchFailed, kTryAgainCode,
                                   cat("pmix server on ", node(), ": not ready in time")),
                      now);
    case StepTimer::Warn:
      if (phase_ != StepPhase::Running || stopping_ || paused_ || !order_.spec.warning) return {};
      return {step_action::Warn{order_.spec.warning->number, order_.spec.warning->script_only}};
    case StepTimer::Limit:
      if (phase_ != StepPhase::Running || stopping_ || paused_) return {};
      return stop_programs(make_outcome(OutcomeKind::TimedOut, 0, ""), false, now);
    case StepTimer::Grace:
      if (phase_ != StepPhase::Running || !stopping_) return {};
      if (!killed_) return kill_programs(now);
      // Killed and still not reported: the clean-up waits for the last process in any case.
      return clean_up(*outcome_, now);
  }
  return {};
}

// ---- the programs' end -------------------------------------------------------------------------

StepActions StepMachine::handle(const step_event::ProgramEnded& e, Now now) {
  switch (phase_) {
    case StepPhase::Running:
      break;
    case StepPhase::CleaningUp:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
    case StepPhase::Done:
    case StepPhase::Released:
      return unexpected("ProgramEnded");
  }
  if (running_programs_ == 0) return unexpected("ProgramEnded");
  --running_programs_;
  bool failed = !e.started || !read_wait_status(e.wait_status).is_success();
  if (failed && !stopping_) note_failed(e);
  if (!failed && !stopping_ && is_alone(e.task)) {
    if (!ended_alone_) ended_alone_ = e.task;
    // Without knowing better, others that have connected are what tells that it should have.
    failed = mpi_.is_sure || !connected_.empty();
    if (failed) note_alone(e.task);
  }
  if (running_programs_ == 0) {
    // A script dies of TERM at once; the ranks of its steps have their grace.
    if (stopping_ && guests_ > 0) return {};
    return clean_up(outcome_of_programs(), now);
  }
  if (failed && !stopping_ && ends_with_first_failure()) {
    return stop_programs(outcome_of_programs(), false, now);
  }
  return {};
}

StepActions StepMachine::handle(const step_event::ProgramsAdded& e, Now) {
  switch (phase_) {
    case StepPhase::Running:
      running_programs_ += e.count;
      return {};
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
      break;
  }
  return unexpected("ProgramsAdded");
}

void StepMachine::note_failed(const step_event::ProgramEnded& e) {
  ProgramResult result = read_wait_status(e.wait_status);
  std::string detail;
  if (!e.started) {
    if (result.is_success()) result = {.exit_code = 127, .signal = 0};
    detail = e.message;
  } else if (order_.spec.launch == LaunchMode::Tasks && order_.spec.total_tasks() > 1) {
    detail = cat("task ", e.task, " on ", node(), ": ", describe(result));
  }
  const FailedTask task{.task = e.task, .exit_code = result.exit_code, .signal = result.signal};
  if (failed_.size() < kMaxFailedTasks) failed_.push_back(task);
  // The highest code decides, as with srun; in a gang that ends with its first failure, the first.
  if (result.shell_code() > failed_code_) {
    failed_code_ = result.shell_code();
    deciding_ = task;
    failed_detail_ = std::move(detail);
  }
}

// ---- ranks that never meet ---------------------------------------------------------------------

StepActions StepMachine::handle(const step_event::RankConnected& e, Now now) {
  switch (phase_) {
    case StepPhase::Running:
      break;
    case StepPhase::Launching:
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Ready:
      return unexpected("RankConnected");
  }
  connected_.insert(e.rank);
  if (!ended_alone_ || stopping_) return {};
  note_alone(*ended_alone_);  // this one waits for it for ever
  return stop_programs(outcome_of_programs(), false, now);
}

const std::string& StepMachine::node() const {
  return order_.allocation.shares[order_.node_index].node.value;
}

bool StepMachine::is_alone(std::uint32_t task) const {
  return order_.spec.mpi != MpiMode::None && order_.spec.launch == LaunchMode::Tasks &&
         order_.spec.total_tasks() > 1 && !connected_.contains(task) &&
         task < static_cast<std::uint32_t>(order_.spec.total_tasks());  // not one spawned later
}

void StepMachine::note_alone(std::uint32_t task) {
  const FailedTask failed{.task = task, .exit_code = kAloneCode, .signal = 0};
  if (failed_.size() < kMaxFailedTasks) failed_.push_back(failed);
  if (failed_code_ >= kAloneCode) return;
  failed_code_ = kAloneCode;
  deciding_ = failed;
  failed_detail_ =
      render_alone(task, node(), static_cast<std::uint32_t>(order_.spec.total_tasks()), mpi_);
}

Outcome StepMachine::outcome_of_programs() const {
  if (outcome_) return *outcome_;
  Outcome outcome = outcome_of({.exit_code = deciding_.exit_code, .signal = deciding_.signal});
  outcome.detail = failed_detail_;
  return outcome;
}

// Ranks that wait for a dead one wait for ever; other tasks have nothing to do with each other.
bool StepMachine::ends_with_first_failure() const { return order_.spec.mpi != MpiMode::None; }

std::uint32_t StepMachine::programs_here() const {
  if (order_.spec.launch == LaunchMode::Batch) return order_.node_index == 0 ? 1 : 0;
  const std::int32_t tasks = order_.allocation.shares[order_.node_index].tasks;
  return tasks > 0 ? static_cast<std::uint32_t>(tasks) : 0;
}

// ---- stopping ----------------------------------------------------------------------------------

StepActions StepMachine::handle(const step_event::Stop& e, Now now) {
  switch (phase_) {
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
      return clean_up(e.outcome, now);
    case StepPhase::Running:
      return stop_programs(e.outcome, e.at_once, now);
    case StepPhase::CleaningUp:
    case StepPhase::Done:
    case StepPhase::Released:
      return {};
    case StepPhase::New:
      break;
  }
  return unexpected("Stop");
}

StepActions StepMachine::stop_programs(Outcome outcome, bool at_once, Now now) {
  if (running_programs_ == 0 && guests_ == 0) return clean_up(std::move(outcome), now);
  if (stopping_) return at_once && !killed_ ? kill_programs(now) : StepActions{};
  stopping_ = true;
  outcome_ = std::move(outcome);
  if (at_once) return kill_programs(now);
  // CONT after TERM: a stopped process would see the TERM only when somebody continues it.
  StepActions actions{
      step_action::CancelTimer{StepTimer::Limit}, step_action::CancelTimer{StepTimer::Warn},
      step_action::SignalPrograms{order_.stop_signal}, step_action::SignalPrograms{SIGCONT},
      step_action::ArmTimer{StepTimer::Grace,
                            now.boot + order_.spec.kill_grace.value_or(kDefaultKillGrace)}};
  go_on(actions, now);
  return actions;
}

// Those who stand still, after what they are to find first.
void StepMachine::go_on(StepActions& actions, Now now) {
  if (!paused_) return;
  paused_ = false;
  runs_since_ = now.boot;
  actions.push_back(step_action::PausePrograms{false});
}

StepActions StepMachine::kill_programs(Now now) {
  killed_ = true;
  StepActions actions{step_action::SignalPrograms{SIGKILL},
                      step_action::ArmTimer{StepTimer::Grace, now.boot + kKillPatience}};
  go_on(actions, now);
  return actions;
}

StepActions StepMachine::handle(const step_event::GuestsChanged& e, Now now) {
  guests_ += e.by;
  CHECK(guests_ >= 0);
  if (phase_ != StepPhase::Running || !stopping_ || guests_ > 0 || running_programs_ > 0) return {};
  return clean_up(*outcome_, now);
}

StepActions StepMachine::handle(const step_event::Signal& e, Now) {
  if (phase_ != StepPhase::Running || (running_programs_ == 0 && guests_ == 0)) return {};
  return {step_action::SignalPrograms{e.number}};
}

// ---- the end -----------------------------------------------------------------------------------

StepActions StepMachine::clean_up(Outcome outcome, Now now) {
  if (!outcome_) outcome_ = std::move(outcome);
  if (launched_) wall_ = ran(now);
  phase_ = StepPhase::CleaningUp;
  return {step_action::CancelTimer{StepTimer::Grace}, step_action::CancelTimer{StepTimer::Limit},
          step_action::CancelTimer{StepTimer::Warn}, step_action::CancelTimer{StepTimer::Start},
          step_action::CleanUp{}};
}

StepActions StepMachine::handle(const step_event::CleanedUp& e, Now) {
  if (phase_ != StepPhase::CleaningUp) return unexpected("CleanedUp");
  CHECK(outcome_.has_value());
  // The kernel's word on the reason is better than the program's. Also of a job that says that it
  // came through: the last program of a pipe ends well on half its input. One that was stopped for
  // a reason of ours has not failed for lack of memory.
  const bool ended_by_itself = outcome_->kind == OutcomeKind::Completed ||
                               outcome_->kind == OutcomeKind::Failed ||
                               outcome_->kind == OutcomeKind::Signaled;
  if (e.out_of_memory && ended_by_itself) outcome_->kind = OutcomeKind::OutOfMemory;
  StepReport report;
  report.outcome = *outcome_;
  report.failed_tasks = failed_;
  report.never_launched = !launched_;
  report.cpu = e.cpu;
  report.peak_memory = e.peak_memory;
  report.read = e.read;
  report.written = e.written;
  report.wall = wall_.value_or(Duration{});
  report_ = report;
  StepActions actions{step_action::ReportFinished{std::move(report)}};
  if (released_) {
    phase_ = StepPhase::Released;
    actions.push_back(step_action::Leave{});
  } else {
    phase_ = StepPhase::Done;
  }
  return actions;
}

StepActions StepMachine::handle(const step_event::AgentConnected&, Now) {
  switch (phase_) {
    case StepPhase::Ready:
      return {step_action::ReportPrepared{peer_port_}};
    case StepPhase::Done:
      return {step_action::ReportFinished{*report_}};
    case StepPhase::New:
    case StepPhase::Preparing:
    case StepPhase::Launching:
    case StepPhase::Running:
    case StepPhase::CleaningUp:
    case StepPhase::Released:
      break;
  }
  return {};
}

// A release before the end means that the scheduler has given this attempt up: it ends, and does
// not wait to be released once more.
StepActions StepMachine::handle(const step_event::Released&, Now now) {
  Outcome given_up = make_outcome(OutcomeKind::NodeFailed, 0, "given up by the scheduler");
  switch (phase_) {
    case StepPhase::Preparing:
    case StepPhase::Ready:
    case StepPhase::Launching:
      released_ = true;
      return clean_up(std::move(given_up), now);
    case StepPhase::Running:
      released_ = true;
      return stop_programs(std::move(given_up), false, now);
    case StepPhase::CleaningUp:
      released_ = true;
      return {};
    case StepPhase::Done:
      phase_ = StepPhase::Released;
      return {step_action::Leave{}};
    case StepPhase::New:
    case StepPhase::Released:
      break;
  }
  return {};
}

StepActions StepMachine::unexpected(std::string_view what) const {
  return {step_action::Note{cat("unexpected ", what, " in ", to_string(phase_))}};
}

}  // namespace gangway::executor
