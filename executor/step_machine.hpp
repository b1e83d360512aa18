// StepMachine: one attempt of a job on one node, from the order to its end. The shepherd's mind.
//
//   Preparing --SandboxReady--> Ready --Launch--> Launching --PmixReady--> Running
//       |                         |                   |                      | last program ended
//       '--failed, Stop,----------'--Stop, lease------'--Stop, failed--------'--Stop, grace--.
//          lease over                 over                                                    v
//                       Released <--Release-- Done <--CleanedUp-- CleaningUp <---------------'
//
// Sans-I/O: on() takes what happened and returns what to do; shepherd.hpp does it and tells what came
// of it. The lease is counted on the boot clock: when it ends without contact the attempt ends by
// itself. The walltime limit is enforced here too, so that it holds without the scheduler.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

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
  Allocation allocation;         // of the whole gang
  std::uint32_t node_index = 0;
  bool leased = false;
};

struct RankEnvironment { std::uint32_t rank = 0; std::vector<std::string> env; };
struct PeerAddress { std::string node; std::string address; std::uint16_t port = 0; };

enum class StepTimer { Grace, Limit, Lease, Retry };

namespace step_event {
struct Begin { BootTime lease_until; };
struct SandboxReady { std::uint16_t peer_port = 0; };
struct SandboxFailed { Error error; };
struct Launch { std::vector<PeerAddress> peers; };
struct PmixReady { std::vector<RankEnvironment> ranks; };
struct PmixFailed { std::string message; };
struct PmixAborted { std::uint32_t rank = 0; std::int32_t status = 0; };
struct PeerLost { std::string node; };                     // a shepherd of the gang is gone
struct ProgramEnded { std::uint32_t task = 0; bool started = true; int wait_status = 0; std::string message; };
struct Stop { Outcome outcome; bool at_once = false; };
struct Signal { int number = 0; };
struct LeaseRenewed { BootTime until; };
struct TimerFired { StepTimer timer = StepTimer::Grace; };
struct CleanedUp { Duration cpu; Bytes peak_memory; bool out_of_memory = false; };
struct Released {};
}  // namespace step_event
using StepEvent =
    std::variant<step_event::Begin, step_event::SandboxReady, step_event::SandboxFailed,
                 step_event::Launch, step_event::PmixReady, step_event::PmixFailed,
                 step_event::PmixAborted, step_event::PeerLost, step_event::ProgramEnded,
                 step_event::Stop, step_event::Signal, step_event::LeaseRenewed,
                 step_event::TimerFired, step_event::CleanedUp, step_event::Released>;

struct FailedTask { std::uint32_t task = 0; std::int32_t exit_code = 0; std::int32_t signal = 0; };
struct StepReport {
  Outcome outcome;
  std::vector<FailedTask> failed_tasks;  // the first kMaxFailedTasks
  bool never_launched = false;
  Duration cpu;
  Bytes peak_memory;
  Duration wall;
};
inline constexpr std::size_t kMaxFailedTasks = 16;

namespace step_action {
struct PrepareSandbox {};                 // and listen for the gang's other shepherds if there are any
struct StartPmix { std::vector<PeerAddress> peers; };
struct StartPrograms { std::vector<RankEnvironment> ranks; };  // this node's tasks, or the script
struct SignalPrograms { int number = 0; };
struct CleanUp {};
struct ReportPrepared { std::uint16_t peer_port = 0; };
struct ReportFinished { StepReport report; };   // durably noted in the spool first, sent until released
struct ArmTimer { StepTimer timer = StepTimer::Grace; BootTime at; };  // replaces an armed one
struct CancelTimer { StepTimer timer = StepTimer::Grace; };
struct Leave {};                          // the shepherd's process ends, its spool directory goes
}  // namespace step_action
using StepAction =
    std::variant<step_action::PrepareSandbox, step_action::StartPmix, step_action::StartPrograms,
                 step_action::SignalPrograms, step_action::CleanUp, step_action::ReportPrepared,
                 step_action::ReportFinished, step_action::ArmTimer, step_action::CancelTimer,
                 step_action::Leave>;
using StepActions = std::vector<StepAction>;

enum class StepPhase { New, Preparing, Ready, Launching, Running, CleaningUp, Done, Released };

class StepMachine {
 public:
  explicit StepMachine(StepOrder order);
  [[nodiscard]] StepActions on(const StepEvent& event, Now now);
  [[nodiscard]] StepPhase phase() const { return phase_; }
  [[nodiscard]] const StepOrder& order() const { return order_; }

 private:
  StepActions clean_up(Outcome outcome);
  StepActions begin_stop(const step_event::Stop& stop, Now now);
  [[nodiscard]] std::uint32_t programs_here() const;

  StepOrder order_;
  StepPhase phase_ = StepPhase::New;
  std::optional<Outcome> outcome_;        // the first reason counts
  bool stopping_ = false;
  bool launched_ = false;
  std::uint32_t running_programs_ = 0;
  std::optional<BootTime> launched_at_;
  std::optional<Duration> wall_;
  BootTime lease_until_;
  std::uint16_t peer_port_ = 0;
  std::vector<FailedTask> failed_;
};

}  // namespace gangway::executor
