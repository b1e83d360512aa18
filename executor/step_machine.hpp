// StepMachine: one attempt of a job on one node, from the order to its end. The shepherd's mind.
//
//   Preparing --SandboxReady--> Ready --Launch--> Launching --PmixReady--> Running
//       |                         |                   |                      | last program ended
//       '--failed, Stop,----------'--Stop, lease------'--Stop, failed--------'--Stop, grace--.
//          lease over                 over                                                    v
//                       Released <--Release-- Done <--CleanedUp-- CleaningUp <---------------'
//
// Pause makes the programs stand still in Running, and keeps them from starting before; the
// walltime stands still with them, the lease does not. Who is stopped goes on, so that TERM comes
// through.
//
// Sans-I/O: on() takes what happened and returns what to do; shepherd.hpp does it and tells what
// came of it. The lease is counted on the boot clock: when it ends without contact the attempt ends
// by itself, at once, because the scheduler may start the next one then. The walltime limit is
// enforced here too, so that it holds without the scheduler. The table of all pairs stands in the
// .cpp.
//
// The first reason for an end is the outcome; what follows from it (tasks that our TERM ended) is
// not counted. A program that cannot be started is the job's failure (Failed, 127, with the
// reason), and so is a rank that ends well without having met the others (kAloneCode); a sandbox
// that cannot be made is LaunchFailed, exit_code 75 (EX_TEMPFAIL) if another try may help.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "executor/mpi_choice.hpp"
#include "executor/probe_machine.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::executor {

// What the machine needs to know of the order.
struct StepOrder {
  JobKey key;
  Attempt attempt = 0;
  JobSpec spec;
  Allocation allocation;  // of the whole gang
  std::uint32_t node_index = 0;
  bool leased = false;
  std::optional<ReplicaProbes> replica{};  // of a service's
  int stop_signal = SIGTERM;               // which ends its programs
};

struct RankEnvironment {
  std::uint32_t rank = 0;
  std::vector<std::string> env;
};
struct PeerAddress {
  std::string node;
  std::string address;
  std::uint16_t port = 0;
};

// Grace: from TERM to KILL, and from KILL to giving up on the programs' ends. Limit: the walltime.
// Start: until the PMIx server must be ready. Warn: so long before the walltime ends.
enum class StepTimer { Grace, Limit, Lease, Start, Warn };
inline constexpr Duration kStartPatience = seconds(60);
inline constexpr Duration kKillPatience = seconds(10);

namespace step_event {
struct Begin {
  BootTime lease_until;
};
struct SandboxReady {
  std::uint16_t peer_port = 0;
  MpiChoice mpi;
};
struct SandboxFailed {
  Error error;
};
struct Launch {
  std::vector<PeerAddress> peers;
};
struct PmixReady {
  std::vector<RankEnvironment> ranks;
};
struct PmixFailed {
  std::string message;
};
struct PmixAborted {
  std::uint32_t rank = 0;
  std::int32_t status = 0;
};
struct RankConnected {  // called MPI_Init, and was told who it is
  std::uint32_t rank = 0;
};
struct PeerLost {
  std::string node;
};  // a shepherd of the gang that is needed cannot be reached
struct ProgramEnded {
  std::uint32_t task = 0;
  bool started = true;
  int wait_status = 0;
  std::string message;
};
struct ProgramsAdded {  // ranks that others have spawned; they have been started
  std::uint32_t count = 0;
};
struct Stop {
  Outcome outcome;
  bool at_once = false;
};
// Programs of steps (jrun) on this node have been started, or ended.
struct GuestsChanged {
  int by = 0;
};
struct Signal {
  int number = 0;
};
// Of two orders the one with the higher number counts.
struct Pause {
  std::uint64_t number = 0;
  bool on = false;
};
struct PauseSettled {
  bool on = false;
};  // every program stands still, or all go on
struct LeaseRenewed {
  BootTime until;
};
struct TimerFired {
  StepTimer timer = StepTimer::Grace;
};
struct CleanedUp {
  Duration cpu;
  Bytes peak_memory;
  bool out_of_memory = false;
  Bytes read{};
  Bytes written{};
};
struct AgentConnected {};  // again, after its restart or ours: it has to be told how things stand
struct Released {};
}  // namespace step_event
using StepEvent = std::variant<step_event::Begin,
                               step_event::SandboxReady,
                               step_event::SandboxFailed,
                               step_event::Launch,
                               step_event::PmixReady,
                               step_event::PmixFailed,
                               step_event::PmixAborted,
                               step_event::RankConnected,
                               step_event::PeerLost,
                               step_event::ProgramEnded,
                               step_event::ProgramsAdded,
                               step_event::Stop,
                               step_event::GuestsChanged,
                               step_event::Signal,
                               step_event::Pause,
                               step_event::PauseSettled,
                               step_event::LeaseRenewed,
                               step_event::TimerFired,
                               step_event::CleanedUp,
                               step_event::AgentConnected,
                               step_event::Released>;

struct FailedTask {
  std::uint32_t task = 0;
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
};
struct StepReport {
  Outcome outcome;
  std::vector<FailedTask> failed_tasks;  // the first kMaxFailedTasks
  bool never_launched = false;
  Duration cpu;
  Bytes peak_memory;
  Duration wall;
  Bytes read{};
  Bytes written{};
};
inline constexpr std::size_t kMaxFailedTasks = 16;

namespace step_action {
struct PrepareSandbox {};  // and listen for the gang's other shepherds if there are any
struct StartPmix {  // what the tasks are offered to find each other; a PMIx server if need be
  std::vector<PeerAddress> peers;
};
struct StartPrograms {
  std::vector<RankEnvironment> ranks;
};  // this node's tasks, or the script
struct SignalPrograms {
  int number = 0;
};
// The warning before the walltime ends: to the script alone, or to what it has started.
struct Warn {
  int number = 0;
  bool script_only = false;
};
struct PausePrograms {
  bool on = false;
};
struct ReportPaused {
  std::uint64_t number = 0;
  bool on = false;
};
struct CleanUp {};
struct ReportPrepared {
  std::uint16_t peer_port = 0;
};
struct ReportFinished {
  StepReport report;
};  // durably noted in the spool first, sent until released
struct ArmTimer {
  StepTimer timer = StepTimer::Grace;
  BootTime at;
};  // replaces an armed one
struct CancelTimer {
  StepTimer timer = StepTimer::Grace;
};
struct Leave {};  // the shepherd's process ends; the agent removes its records
struct Note {
  std::string text;
};  // for the log: news that fits no phase
}  // namespace step_action
using StepAction = std::variant<step_action::PrepareSandbox,
                                step_action::StartPmix,
                                step_action::StartPrograms,
                                step_action::SignalPrograms,
                                step_action::Warn,
                                step_action::PausePrograms,
                                step_action::ReportPaused,
                                step_action::CleanUp,
                                step_action::ReportPrepared,
                                step_action::ReportFinished,
                                step_action::ArmTimer,
                                step_action::CancelTimer,
                                step_action::Leave,
                                step_action::Note>;
using StepActions = std::vector<StepAction>;

enum class StepPhase { New, Preparing, Ready, Launching, Running, CleaningUp, Done, Released };

class StepMachine {
 public:
  explicit StepMachine(StepOrder order);
  [[nodiscard]] StepActions on(const StepEvent& event, Now now);
  [[nodiscard]] StepPhase phase() const { return phase_; }
  [[nodiscard]] const StepOrder& order() const { return order_; }
  [[nodiscard]] bool has_launched() const { return launched_; }
  // From the launch to the last program's end, or to the order to clean up.
  [[nodiscard]] Duration wall() const { return wall_.value_or(Duration{}); }
  [[nodiscard]] bool has_connected(std::uint32_t task) const { return connected_.contains(task); }

 private:
  StepActions handle(const step_event::Begin& e, Now now);
  StepActions handle(const step_event::SandboxReady& e, Now now);
  StepActions handle(const step_event::SandboxFailed& e, Now now);
  StepActions handle(const step_event::Launch& e, Now now);
  StepActions handle(const step_event::PmixReady& e, Now now);
  StepActions handle(const step_event::PmixFailed& e, Now now);
  StepActions handle(const step_event::PmixAborted& e, Now now);
  StepActions handle(const step_event::RankConnected& e, Now now);
  StepActions handle(const step_event::PeerLost& e, Now now);
  StepActions handle(const step_event::ProgramEnded& e, Now now);
  StepActions handle(const step_event::ProgramsAdded& e, Now now);
  StepActions handle(const step_event::Stop& e, Now now);
  StepActions handle(const step_event::GuestsChanged& e, Now now);
  StepActions handle(const step_event::Signal& e, Now now);
  StepActions handle(const step_event::Pause& e, Now now);
  StepActions handle(const step_event::PauseSettled& e, Now now);
  StepActions handle(const step_event::LeaseRenewed& e, Now now);
  StepActions handle(const step_event::TimerFired& e, Now now);
  StepActions handle(const step_event::CleanedUp& e, Now now);
  StepActions handle(const step_event::AgentConnected& e, Now now);
  StepActions handle(const step_event::Released& e, Now now);

  StepActions start_programs(std::vector<RankEnvironment> ranks, Now now);
  void arm_limit(StepActions& actions, Now now) const;
  [[nodiscard]] Duration ran(Now now) const;  // pauses left out
  StepActions clean_up(Outcome outcome, Now now);
  // Ends the programs: TERM, grace, KILL; or KILL `at_once`.
  StepActions stop_programs(Outcome outcome, bool at_once, Now now);
  StepActions kill_programs(Now now);
  void go_on(StepActions& actions, Now now);
  StepActions on_lease_over(Now now);
  void note_failed(const step_event::ProgramEnded& e);
  [[nodiscard]] StepActions unexpected(std::string_view what) const;
  [[nodiscard]] const std::string& node() const;  // this one's name
  [[nodiscard]] bool is_alone(std::uint32_t task) const;
  void note_alone(std::uint32_t task);
  [[nodiscard]] bool ends_with_first_failure() const;
  [[nodiscard]] Outcome outcome_of_programs() const;
  [[nodiscard]] std::uint32_t programs_here() const;

  StepOrder order_;
  StepPhase phase_ = StepPhase::New;
  std::optional<Outcome> outcome_;  // the first reason counts
  bool stopping_ = false;
  bool killed_ = false;
  bool launched_ = false;
  bool released_ = false;  // before its end: nobody waits for the report
  std::uint32_t running_programs_ = 0;
  int guests_ = 0;             // programs of steps
  bool paused_ = false;        // as ordered
  bool pause_settled_ = true;  // and so it is
  std::uint64_t pause_number_ = 0;
  std::optional<std::vector<RankEnvironment>> to_start_;  // programs, when it goes on
  Duration ran_;                                          // before the newest pause
  std::optional<BootTime> runs_since_;
  std::optional<Duration> wall_;
  BootTime lease_until_;
  std::uint16_t peer_port_ = 0;
  MpiChoice mpi_;
  std::set<std::uint32_t> connected_;           // ranks of this node
  std::optional<std::uint32_t> ended_alone_{};  // the first that came through without connecting
  std::vector<FailedTask> failed_;
  std::string failed_detail_;     // of the task that decides
  std::int32_t failed_code_ = 0;  // its shell code
  FailedTask deciding_;
  std::optional<StepReport> report_;
};

[[nodiscard]] std::string_view to_string(StepPhase phase);  // "Preparing"

}  // namespace gangway::executor
