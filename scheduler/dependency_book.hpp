// DependencyBook: which jobs wait for which, and whom an end sets free or dooms.
//
// Each waiting job has a list of conditions and a count of those not met; each job waited for has
// the list of its successors. A start or an end looks at the successors only: O(out-degree).
//
// Pairwise dependencies follow Slurm; the needs of a workflow's members are conditions too:
//   Started       after          it has started (or ended without), and `delay` has passed since
//   Ended         afterany       it has ended, however
//   Succeeded     afterok        it has ended as COMPLETED
//   NotSucceeded  afternotok     it has ended otherwise
//   Failed        needs: failure it ran and has not succeeded: being skipped is not a failure
// Sans-I/O; no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job.hpp"
#include "queues/model/workflow.hpp"

namespace gangway::scheduler {

enum class Until : std::uint8_t { Started, Ended, Succeeded, NotSucceeded, Failed };
[[nodiscard]] Until until_of(DependencyKind kind);  // Singleton waits for others to end
[[nodiscard]] Until until_of(NeedOutcome outcome);

// Its detail begins with kSkippedPrefix.
[[nodiscard]] bool is_skip(const Outcome& outcome);

struct Condition {
  JobKey on;
  Until until = Until::Succeeded;
  Duration delay;
  bool met = false;
  friend bool operator==(const Condition&, const Condition&) = default;
};

enum class ConditionState { Open, Met, Never };
// Of a condition on a job whose state is known.
[[nodiscard]] ConditionState state_of(Until until, const Job& on);

class DependencyBook {
 public:
  // Notes what `waiter` waits for. `earliest`: because of delays of those that are met already.
  // `doomed`: one of them can never be met, or with `any`, none of them. With `any` one that is met
  // is enough. Requires: it is not in the book.
  void add(JobKey waiter,
           std::vector<Condition> conditions,
           Time earliest = {},
           bool doomed = false,
           bool any = false);
  // It waits no more.
  void remove(JobKey waiter);

  struct News {
    JobKey waiter;
    std::optional<Condition> never;  // this one can never be met; nullopt: one more is met
  };
  // In the order of the waiters' keys. `on` has started at `at`; has ended as `outcome` at `at`.
  [[nodiscard]] std::vector<News> on_started(JobKey on, Time at);
  [[nodiscard]] std::vector<News> on_ended(JobKey on, const Outcome& outcome, Time at);

  // No condition of it is open; also of a job that is not in the book.
  [[nodiscard]] bool is_clear(JobKey waiter) const;
  [[nodiscard]] bool is_doomed(JobKey waiter) const;
  // It may not start before, because of delays; Time{} if there are none.
  [[nodiscard]] Time earliest(JobKey waiter) const;
  // Jobs and elements of this id for which somebody waits, in order.
  [[nodiscard]] std::vector<JobKey> waited_for(JobId id) const;
  [[nodiscard]] bool is_any(JobKey waiter) const;
  // nullptr: not in the book.
  [[nodiscard]] const std::vector<Condition>* find(JobKey waiter) const;

 private:
  struct Waiter {
    std::vector<Condition> conditions;
    std::uint32_t open = 0;
    bool doomed = false;
    bool any = false;            // one of them is enough
    std::uint32_t possible = 0;  // with `any`: those that may still be met
    Time earliest;
  };
  template <typename Decide>
  std::vector<News> tell(JobKey on, bool is_over, Decide decide, Time at);

  std::unordered_map<JobKey, Waiter> waiters_;
  // Waiters in the order of adding; those that wait no more are left out when they are met.
  std::unordered_map<JobKey, std::vector<JobKey>> successors_;
};

}  // namespace gangway::scheduler
