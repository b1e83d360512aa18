// Replay: a trace run again under a policy, in virtual time, by the planner that jschedd has.
//
// The machine of a log is one node with all the processors, so that any of them serve any job, as
// the logs have it; that of workflows is some equal nodes, and a task runs on one of them. What
// differs between simulators of the literature is not the policy but the order of events within a
// second and when a pass is made; that is the matter of the driver, here:
//   Batch  all ends of an instant, then all submissions, then one pass: what a live scheduler does.
//   Evt    one event at a time, submissions before ends of the same instant, ends in the order of
//          starts, a pass after each; a submission that does not fit into the free processors makes
//          no pass, unless the policy has a promise for it; a job whose expected end has come
//          counts as gone (E. Gaussier et al., SC'15).
// Without fair shares jobs stand in the order in which they became eligible; with them in that of
// jschedd's default priorities, and shares are looked at again every five minutes at most.
// Pure: equal traces give equal schedules.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/backfill_policy.hpp"
#include "scheduler/jsim/shares.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

enum class EventOrder { Batch, Evt };
// Of the tasks of a workflow that may start: as they became eligible and stand in the file, or the
// longest path first (scheduler/policy/dag_line.hpp).
enum class DagOrder { Plain, CriticalPath };

struct ReplayOptions {
  BackfillPolicy policy;
  EventOrder order = EventOrder::Batch;
  DagOrder dag = DagOrder::CriticalPath;
  const Shares* shares = nullptr;                  // none: all are equal, and only age counts
  bool with_places = false;                        // which processors each job got
  std::function<void(std::size_t)> on_progress{};  // jobs ended so far; called now and then
};

struct JobRun {
  Time eligible;  // its submission, or the end of the last task that it needs
  Time start;
  Time end;
  std::vector<std::int32_t> places{};  // rising; only if asked for
};

struct Schedule {
  std::vector<JobRun> runs;  // as the jobs of the trace
  std::size_t passes = 0;
  std::size_t looks = 0;  // jobs looked at in all passes
};

// Requires: every job of the trace fits on a node of its machine.
[[nodiscard]] Schedule replay(const Trace& trace, const ReplayOptions& options);

}  // namespace gangway::jsim
