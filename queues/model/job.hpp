// A job: its immutable spec, its phase, and its times.
//
// Phase and outcome are variants, not flags; apply() in job_machine.hpp is the only writer.
// Pure values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "queues/model/interval_set.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/job_usage.hpp"

namespace gangway {

// Why a job waits. Slurm's words where it has one.
enum class PendingReason {
  None,       // not looked at yet
  Priority,   // others are before it
  Resources,  // next in line, waits for resources
  Dependency,
  DependencyNeverSatisfied,
  BeginTime,
  JobHeldUser,
  JobHeldAdmin,
  NodesUnavailable,  // enough nodes exist, too many of them are down, lost or drained
  QueueDown,
  Requeued,              // waits for its old attempt to be over everywhere
  LaunchFailedRequeued,  // its last start failed; it backs off
  BadConstraints,        // not enough nodes have what it asks for, whatever their state
  JobArrayTaskLimit,     // as many elements of its array run as may at once
  Deadline,              // it cannot end before its deadline any more
  RetryBackoff,          // it has failed and is to be tried again a little later
  ThrottledByCategory,   // as many of its category run in its workflow as may at once
};
inline constexpr PendingReason kLastPendingReason = PendingReason::ThrottledByCategory;
[[nodiscard]] std::string_view to_string(PendingReason reason);

enum class OutcomeKind {
  Completed,
  Failed,
  Signaled,
  Cancelled,
  TimedOut,
  OutOfMemory,
  NodeFailed,
  Preempted,
  LaunchFailed,
};
[[nodiscard]] std::string_view to_string(OutcomeKind kind);          // "COMPLETED"
[[nodiscard]] std::string_view customary_letters(OutcomeKind kind);  // "CD"

struct Outcome {
  OutcomeKind kind = OutcomeKind::Completed;
  std::int32_t exit_code = 0;  // 0..255 where a program ended by itself, also MPI_Abort's
  std::int32_t signal = 0;     // the signal that ended it, 0 if none
  std::string detail;          // one clause for people: who cancelled, what failed on which node
  std::vector<std::string> waivers{};  // what it ran without, as the operator allowed it
  friend bool operator==(const Outcome&, const Outcome&) = default;
  [[nodiscard]] bool is_success() const { return kind == OutcomeKind::Completed; }
  // What `jwait` exits with: the job's own code, 128+n for a signal, 1 for the rest.
  [[nodiscard]] int shell_code() const;
};

// Time spent running, pauses left out: never end = start + limit.
struct RunClock {
  Duration accumulated;
  std::optional<Time> since;  // running now, since then
  friend bool operator==(const RunClock&, const RunClock&) = default;
  [[nodiscard]] Duration elapsed(Time now) const {
    return since ? accumulated + (now - *since) : accumulated;
  }
};

namespace phase {
struct Waiting {
  PendingReason reason = PendingReason::None;
  friend bool operator==(const Waiting&, const Waiting&) = default;
};
struct Starting {  // allocated; its nodes prepare
  Allocation allocation;
  friend bool operator==(const Starting&, const Starting&) = default;
};
struct Running {
  Allocation allocation;
  RunClock clock;
  friend bool operator==(const Running&, const Running&) = default;
};
struct Suspended {
  Allocation allocation;
  RunClock clock;
  bool by_operator = false;  // until an operator resumes it; else until its next time slice
  friend bool operator==(const Suspended&, const Suspended&) = default;
};
struct Completing {  // its outcome is known; some nodes still clean up
  Allocation allocation;
  Outcome outcome;
  bool requeue = false;  // goes back to Waiting instead of Finished
  friend bool operator==(const Completing&, const Completing&) = default;
};
struct Finished {
  Outcome outcome;
  Allocation ran_on;  // what its last attempt held, for the history; empty if it never had nodes
  friend bool operator==(const Finished&, const Finished&) = default;
};
}  // namespace phase

using Phase = std::variant<phase::Waiting,
                           phase::Starting,
                           phase::Running,
                           phase::Suspended,
                           phase::Completing,
                           phase::Finished>;
[[nodiscard]] std::string_view phase_name(const Phase& phase);  // "Waiting"
[[nodiscard]] std::string_view customary_letters(
    const Phase& p);  // "PD", "CF", "R", "S", "CG", or the outcome's

struct Hold {
  bool by_user = false;
  bool by_operator = false;
  friend bool operator==(const Hold&, const Hold&) = default;
  [[nodiscard]] bool any() const { return by_user || by_operator; }
};

// Its place in a workflow.
struct Membership {
  WorkflowId workflow;
  std::string member;  // its name in the DAG file
  friend bool operator==(const Membership&, const Membership&) = default;
};

// What an array keeps of its elements, by position (array.hpp). Those in none of the sets are jobs
// of their own that have not ended.
struct ArrayState {
  IntervalSet waiting;       // have no row
  IntervalSet succeeded;     // have ended as COMPLETED
  IntervalSet unsuccessful;  // have ended otherwise
  IntervalSet dropped;       // were cancelled before they had a row
  Outcome dropped_as;        // the last of these
  Outcome worst;             // of the first unsuccessful one, cancelled ones last; if there is one
  std::uint32_t worst_at = 0;
  friend bool operator==(const ArrayState&, const ArrayState&) = default;
  [[nodiscard]] bool has_ended(std::uint32_t position) const {
    return succeeded.contains(position) || unsuccessful.contains(position) ||
           dropped.contains(position);
  }
  [[nodiscard]] std::uint64_t ended() const {
    return succeeded.size() + unsuccessful.size() + dropped.size();
  }
};

struct Job {
  JobKey key;
  Owner owner;
  std::string spec_digest;
  std::shared_ptr<const JobSpec> spec;  // shared because immutable; never null
  std::optional<Membership> membership;

  Phase phase = phase::Waiting{};
  Hold hold;
  Attempt attempt = 0;                // of the newest allocation; 0 before the first
  std::uint32_t launch_failures = 0;  // in a row; bounded, see job_machine.hpp
  std::uint32_t retries_used = 0;     // of spec->retries
  std::optional<ArrayState> array;    // of an array as a whole
  std::uint32_t position = 0;         // of an element
  Time submitted;
  std::optional<Time> eligible;  // since when nothing but resources keeps it
  std::optional<Time> started;   // of the newest attempt
  std::optional<Time> ended;
  JobUsage usage;             // of the newest attempt that has ended
  Duration paused;            // between `started` and `ended`; known when it has ended
  std::uint64_t version = 0;  // rises with each event

  [[nodiscard]] bool is_element() const { return key.index != JobKey::kNoIndex; }
  [[nodiscard]] bool is_waiting() const { return std::holds_alternative<phase::Waiting>(phase); }
  [[nodiscard]] bool is_finished() const { return std::holds_alternative<phase::Finished>(phase); }
  // What it holds: of Starting, Running, Suspended, Completing; nullptr otherwise.
  [[nodiscard]] const Allocation* allocation() const;
  // Of Completing and Finished; nullptr otherwise.
  [[nodiscard]] const Outcome* outcome() const;
};

// Equality by value of everything stored (spec by digest).
[[nodiscard]] bool same_state(const Job& a, const Job& b);

}  // namespace gangway
