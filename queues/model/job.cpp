#include "queues/model/job.hpp"

#include "queues/base/overloaded.hpp"

namespace gangway {

std::string_view to_string(PendingReason reason) {
  switch (reason) {
    case PendingReason::None:
      return "None";
    case PendingReason::Priority:
      return "Priority";
    case PendingReason::Resources:
      return "Resources";
    case PendingReason::Dependency:
      return "Dependency";
    case PendingReason::DependencyNeverSatisfied:
      return "DependencyNeverSatisfied";
    case PendingReason::BeginTime:
      return "BeginTime";
    case PendingReason::JobHeldUser:
      return "JobHeldUser";
    case PendingReason::JobHeldAdmin:
      return "JobHeldAdmin";
    case PendingReason::NodesUnavailable:
      return "NodesUnavailable";
    case PendingReason::QueueDown:
      return "QueueDown";
    case PendingReason::Requeued:
      return "Requeued";
    case PendingReason::LaunchFailedRequeued:
      return "LaunchFailedRequeued";
    case PendingReason::BadConstraints:
      return "BadConstraints";
    case PendingReason::JobArrayTaskLimit:
      return "JobArrayTaskLimit";
    case PendingReason::Deadline:
      return "DeadLine";
    case PendingReason::RetryBackoff:
      return "RetryBackoff";
    case PendingReason::ThrottledByCategory:
      return "ThrottledByCategory";
  }
  return "None";
}

std::string_view to_string(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::Completed:
      return "COMPLETED";
    case OutcomeKind::Failed:
      return "FAILED";
    case OutcomeKind::Signaled:
      return "SIGNALED";
    case OutcomeKind::Cancelled:
      return "CANCELLED";
    case OutcomeKind::TimedOut:
      return "TIMEOUT";
    case OutcomeKind::OutOfMemory:
      return "OUT_OF_MEMORY";
    case OutcomeKind::NodeFailed:
      return "NODE_FAIL";
    case OutcomeKind::Preempted:
      return "PREEMPTED";
    case OutcomeKind::LaunchFailed:
      return "LAUNCH_FAILED";
  }
  return "FAILED";
}

std::string_view customary_letters(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::Completed:
      return "CD";
    case OutcomeKind::Failed:
    case OutcomeKind::Signaled:
      return "F";  // Slurm has no letters of its own for a signal
    case OutcomeKind::Cancelled:
      return "CA";
    case OutcomeKind::TimedOut:
      return "TO";
    case OutcomeKind::OutOfMemory:
      return "OOM";
    case OutcomeKind::NodeFailed:
      return "NF";
    case OutcomeKind::Preempted:
      return "PR";
    case OutcomeKind::LaunchFailed:
      return "LF";
  }
  return "F";
}

int Outcome::shell_code() const {
  switch (kind) {
    case OutcomeKind::Completed:
      return 0;
    case OutcomeKind::Failed:
      return exit_code != 0 ? exit_code : 1;
    case OutcomeKind::Signaled:
      return 128 + signal;
    default:
      return 1;
  }
}

std::string_view phase_name(const Phase& p) {
  using std::string_view;
  return std::visit(overloaded{
                        [](const phase::Waiting&) -> string_view { return "Waiting"; },
                        [](const phase::Starting&) -> string_view { return "Starting"; },
                        [](const phase::Running&) -> string_view { return "Running"; },
                        [](const phase::Suspended&) -> string_view { return "Suspended"; },
                        [](const phase::Completing&) -> string_view { return "Completing"; },
                        [](const phase::Finished&) -> string_view { return "Finished"; },
                    },
                    p);
}

std::string_view customary_letters(const Phase& p) {
  using std::string_view;
  return std::visit(overloaded{
                        [](const phase::Waiting&) -> string_view { return "PD"; },
                        [](const phase::Starting&) -> string_view { return "CF"; },
                        [](const phase::Running&) -> string_view { return "R"; },
                        [](const phase::Suspended&) -> string_view { return "S"; },
                        [](const phase::Completing&) -> string_view { return "CG"; },
                        [](const phase::Finished& f) { return customary_letters(f.outcome.kind); },
                    },
                    p);
}

const Allocation* Job::allocation() const {
  using Pointer = const Allocation*;
  return std::visit(overloaded{
                        [](const phase::Waiting&) -> Pointer { return nullptr; },
                        [](const phase::Finished&) -> Pointer { return nullptr; },
                        [](const auto& holder) -> Pointer { return &holder.allocation; },
                    },
                    phase);
}

const Outcome* Job::outcome() const {
  using Pointer = const Outcome*;
  return std::visit(overloaded{
                        [](const phase::Completing& c) -> Pointer { return &c.outcome; },
                        [](const phase::Finished& f) -> Pointer { return &f.outcome; },
                        [](const auto&) -> Pointer { return nullptr; },
                    },
                    phase);
}

bool same_state(const Job& a, const Job& b) {
  return a.key == b.key && a.owner == b.owner && a.spec_digest == b.spec_digest &&
         a.membership == b.membership && a.phase == b.phase && a.hold == b.hold &&
         a.attempt == b.attempt && a.launch_failures == b.launch_failures &&
         a.retries_used == b.retries_used && a.array == b.array && a.position == b.position &&
         a.submitted == b.submitted && a.eligible == b.eligible && a.started == b.started &&
         a.ended == b.ended && a.usage == b.usage && a.paused == b.paused && a.version == b.version;
}

}  // namespace gangway
