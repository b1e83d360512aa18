// Planner: whom to start now, where, and why the others wait.
//
// Deltas in, deltas out: the caller tells it every change of jobs, nodes and queues, and asks for a
// pass. Deterministic: no clock, no I/O, no threads, no random numbers; ties are broken by JobKey;
// the budget is counted in jobs looked at. A start that pass() returns is not assumed: the caller
// applies it (or not) and says so with JobStarted.
//
// One queue order (priority.hpp, then eligible time, then workflow and path, then id), and one
// backfill over all resources at once whose policy says how many jobs are promised a start
// (backfill.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "queues/model/backfill_policy.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/queue.hpp"
#include "scheduler/policy/priority.hpp"
#include "scheduler/policy/slice_matrix.hpp"
#include "scheduler/policy/usage.hpp"

namespace gangway::scheduler {

// What the policy sees of a job that nothing but resources keeps waiting.
struct Candidate {
  JobKey key;
  QueueName queue;
  UserNumber user = 0;  // whose fair share counts
  double qos = 0;       // its factor, at most 1
  std::int64_t nice = 0;
  Time eligible;                      // it ages from then on; of a member, its turn (dag_line.hpp)
  std::optional<Duration> limit;      // none: unlimited
  std::vector<Component> components;  // memory filled in from the queue's default
  std::optional<DagPosition> dag{};   // none: no member of a workflow
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

namespace delta {
struct RulesAre {
  PriorityRules priority;
};
struct QueuesAre {
  std::vector<Queue> queues;
};
// Factors by the number of the user; one that is not there has 0. From now on `at` decides who has
// aged fully. All waiting jobs are put in their order anew, so it costs as much as they are many.
struct FairSharesAre {
  Time at;
  std::vector<double> factors;
};
struct NodeIs {
  NodeName name;
  Resources capacity;
  bool usable = true;
  std::vector<std::string> features{};
};
struct NodeGone {
  NodeName name;
};
struct Waits {
  Candidate job;
};  // new, or changed; one whose request has not changed keeps its promise
struct WaitsNoMore {
  JobKey key;
};  // held, cancelled
struct Started {
  JobKey key;
  Allocation allocation;
  Time expected_end;  // infinity(): unlimited
  QueueName queue{};  // its gangs take turns if this is a queue with time slices
};
struct Ended {
  JobKey key;
};  // its resources are free on all its nodes
}  // namespace delta
using Delta = std::variant<delta::RulesAre,
                           delta::QueuesAre,
                           delta::FairSharesAre,
                           delta::NodeIs,
                           delta::NodeGone,
                           delta::Waits,
                           delta::WaitsNoMore,
                           delta::Started,
                           delta::Ended>;

// In a queue with time slices it may have cores that others have as well (time_slices.hpp).
struct Start {
  JobKey key;
  Allocation allocation;
};
struct Reason {
  JobKey key;
  PendingReason reason = PendingReason::None;
};
// The reservation of a job: it starts then at the latest, if everybody keeps to their limits and
// the policy keeps its promises (or, if it makes them anew, for the first job that could not start
// as long as it is the first).
struct Promise {
  JobKey key;
  Time start;
  std::vector<NodeName> nodes;
};

struct PlanDelta {
  std::vector<Start> starts;       // in the order of priority
  std::vector<Reason> reasons;     // only those that changed since the last pass
  std::optional<Promise> promise;  // of the first job that could not start
  std::optional<Time> wake;        // a promise falls due: ask for a pass then, whatever happens
  bool complete = true;            // false: the budget ended the pass; ask again
  int looked_at = 0;
};

// What the same job would get if it asked for a little less.
struct BetterStart {
  std::string change;  // "with 2 nodes instead of 4"
  Time start;
  Candidate job;  // changed so
};

// How far an explanation looks: not into the future, or to the job's start and to what would start
// sooner.
enum class LookAhead { None, Whole };

struct Explanation {
  PendingReason reason = PendingReason::None;
  int rank = 0;   // 1 is next
  int ahead = 0;  // waiting jobs before it
  PriorityTerms priority;
  std::optional<Time> expected_start;  // by playing the plan forward; none: not within the horizon
  std::vector<NodeName> nodes;         // where it would start then
  std::string rests_on;                // what lets it start then, a clause for people; or empty
  std::string waits_for;               // one clause for people
  std::vector<BetterStart> better;     // would start sooner, the smallest change first; a few
};

class Planner {
 public:
  explicit Planner(BackfillPolicy policy = {});
  ~Planner();
  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) noexcept;

  void apply(const Delta& delta);
  [[nodiscard]] PlanDelta pass(Time now, int budget);
  // nullopt if the job is not waiting here. Plays the plan forward, everybody running to their
  // limits, for the job as it is and for some that ask for less; the work is bounded.
  [[nodiscard]] std::optional<Explanation> explain(JobKey key,
                                                   Time now,
                                                   LookAhead look = LookAhead::Whole) const;
  // Of a job that does not wait here yet. Requires: its key is nobody's.
  [[nodiscard]] Explanation explain_as_if(const Candidate& job, Time now) const;
  // nullopt if the job is not waiting here. As of the last pass.
  [[nodiscard]] std::optional<PriorityTerms> priority_of(JobKey key) const;
  // The promises that the next pass keeps, in the order of jobs; none if the policy makes them
  // anew.
  [[nodiscard]] std::vector<Promise> kept_promises() const;
  // Who takes turns with whom; nullptr: the queue has no time slices. Until the next apply().
  [[nodiscard]] const SliceMatrix* slices_of(const QueueName& queue) const;
  // How long a job of the queue may take for this limit if others take turns with it.
  [[nodiscard]] std::optional<Duration> stretched(const QueueName& queue,
                                                  std::optional<Duration> limit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether `components` could ever run on these nodes if all were free and up. Errors: Invalid,
// naming what is asked and the most there is ("5 nodes asked, queue batch has 4").
[[nodiscard]] Result<void> can_ever_run(const std::vector<Component>& components,
                                        const Queue& queue,
                                        const std::vector<delta::NodeIs>& nodes);

}  // namespace gangway::scheduler
