// Backfill: one walk along the line of waiting jobs. Each starts if it can; the first ones that
// cannot get a reservation, their earliest start in the profile; later jobs may start now only if
// no reservation moves to a later time.
//
// The policy (backfill_policy.hpp) says how many have a reservation: none may pass (FCFS), one
// (EASY), some, or all (conservative backfilling); whether a reservation of the last walk is kept
// and only moved to an earlier time, or all are made anew; and in which order the jobs behind the
// reservations are tried.
// Source: D. Lifka, "The ANL/IBM SP Scheduling System", 1995; A. Mu'alem, D. Feitelson, IEEE TPDS
// 12(6), 2001 (EASY, conservative and its compression); D. Tsafrir, Y. Etsion, D. Feitelson, IEEE
// TPDS 18(6), 2007 (shortest job backfilled first). Two deviations, because nodes are unequal and
// resources are many: a reservation is for concrete nodes, and a job that stands in the way of few
// of them may still start if the reserved jobs then find other nodes at the same time (on equal
// nodes this is exactly "it fits into the extra nodes").
//
// Equal requests fail together: once one has failed, the others of its kind are not tried in this
// walk; nor are jobs that ask for as much as one that has failed, or more (failures.hpp). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/backfill_policy.hpp"
#include "queues/model/job.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"
#include "scheduler/policy/time_slices.hpp"

namespace gangway::scheduler {

struct Reserved {
  JobKey key;
  const Request* request = nullptr;
  Time start;
  Placement placement;
  [[nodiscard]] std::vector<NodeIndex> nodes() const;
};

// One look at the line: a job and what it asks for.
struct InLine {
  JobKey key;
  const Request* request = nullptr;
};

// The waiting jobs, first first.
class Line {
 public:
  virtual ~Line() = default;
  // nullopt at its end. The job before is out of the line.
  [[nodiscard]] virtual std::optional<InLine> next() = 0;
  // Jobs with the request of the last one are passed over from now on, because of `reason`; those
  // with a promise are not. `could_run`: it is for want of nodes, and so many could run it at most;
  // it needs as many as could not be spared from the only reservation.
  virtual void pass_over_equals(PendingReason reason, std::optional<std::size_t> could_run) = 0;
  // What is left comes by its limit from now on, short before long, in its order where limits are
  // equal; before them, in their order, those eligible at `first_if_before` or earlier.
  virtual void shortest_first(std::optional<Time> first_if_before) = 0;
  // The only reservation is made; and, from now on, so many nodes could be taken from it.
  virtual void on_reserved(const Reserved& reserved) = 0;
  virtual void on_spare(std::size_t nodes) = 0;
  // Something is free that was not.
  virtual void on_freed() = 0;
};

struct BackfillRules {
  BackfillPolicy policy;
  int budget = 10'000;     // looks
  bool tries_all = false;  // also jobs of which it is known that they cannot start: the reference
};

struct BackfillResult {
  std::vector<Start> starts;
  std::vector<Reserved> reserved;  // in the order of the line; then promises not looked at
  bool complete = true;
  int looked_at = 0;
};

// `kept` are the promises of the last walk; empty unless the policy keeps them. Time has come to
// `now` in `profile`, which is otherwise as before afterwards. `slices`: the gangs of time-sliced
// queues in it; as before afterwards, too. Without it no gangs share cores.
[[nodiscard]] BackfillResult backfill(Profile& profile,
                                      Line& line,
                                      Time now,
                                      const BackfillRules& rules,
                                      const std::vector<Reserved>& kept = {},
                                      TimeSlices* slices = nullptr);

// The first reservation, if its start is known.
[[nodiscard]] std::optional<Promise> promise_of(const BackfillResult& result,
                                                const Profile& profile);
[[nodiscard]] Promise promise_of(const Reserved& reserved, const Profile& profile);
// When a promise falls due although nothing may have happened; nullopt: none does.
[[nodiscard]] std::optional<Time> wake_of(const BackfillResult& result,
                                          const BackfillPolicy& policy);

}  // namespace gangway::scheduler
