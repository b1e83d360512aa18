// Backfill: one walk along the line of waiting jobs. Each starts if it can; the first ones that
// cannot get a reservation, their earliest start in the profile; later jobs may start now only if
// no reservation moves to a later time.
//
// reservation_depth 1 is EASY, infinity is conservative backfilling.
// Source: D. Lifka, "The ANL/IBM SP Scheduling System", 1995; A. Mu'alem, D. Feitelson, IEEE TPDS
// 12(6), 2001. Two deviations, because nodes are unequal and resources are many: a reservation is
// for concrete nodes, and a job that stands in its way may still start if the reserved jobs then
// find other nodes at the same time (on equal nodes this is exactly "it fits into the extra
// nodes").
//
// Equal requests fail together: once one has failed, the others of its kind are not tried in this
// walk. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

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
  // Jobs with the request of the last one are passed over from now on, because of `reason`.
  virtual void pass_over_equals(PendingReason reason) = 0;
};

struct BackfillRules {
  std::size_t reservation_depth = 1;
  int budget = 10'000;  // looks
};

struct Reserved {
  JobKey key;
  const Request* request = nullptr;
  Time start;
  std::vector<NodeIndex> nodes;
};

struct BackfillResult {
  std::vector<Start> starts;
  std::vector<Reserved> reserved;
  bool complete = true;
  int looked_at = 0;
};

// `profile` is as before afterwards.
[[nodiscard]] BackfillResult backfill(Profile& profile,
                                      Line& line,
                                      Time now,
                                      const BackfillRules& rules);

// The first reservation, if its start is known.
[[nodiscard]] std::optional<Promise> promise_of(const BackfillResult& result,
                                                const Profile& profile);

}  // namespace gangway::scheduler
