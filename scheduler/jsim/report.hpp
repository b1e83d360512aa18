// What people read of a replay: tables, one column for each policy, and a CSV with one line for
// each job. Pure: text out of figures.
#pragma once

#include <string>
#include <vector>

#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/shares.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

struct PolicyRun {
  std::string name;  // "easy"
  Schedule schedule;
  Figures figures;
};

// "28481 jobs of 28489 lines on 100 processors", or "2 workflows of 60 tasks on 4 nodes with 8
// cores"; how many oddities there are of each kind, and where the first ones are.
[[nodiscard]] std::string render_trace(const Trace& trace);
// All oddities: "line,reason", or "where,reason" for workflows.
[[nodiscard]] std::string render_oddities(const Trace& trace);
// Mean bounded slowdowns have four decimals, waits two.
[[nodiscard]] std::string render_figures(const std::vector<PolicyRun>& runs);
// Of each workflow its critical path, which no schedule can beat, and its makespans.
[[nodiscard]] std::string render_workflows(const Trace& trace, const std::vector<PolicyRun>& runs);
// Each user's jobs, waits and slowdowns; with shares also the account, the part of the machine that
// the shares give, and the part of all used time that the user's jobs took.
[[nodiscard]] std::string render_users(const Trace& trace,
                                       const std::vector<PolicyRun>& runs,
                                       const Shares* shares = nullptr);
// Who gains and who loses when `after` takes the place of `before`: jobs, and the users whose mean
// slowdown changes most.
[[nodiscard]] std::string render_change(const Trace& trace,
                                        const PolicyRun& before,
                                        const PolicyRun& after);
// job,user,processors,submit,run,estimate and for each policy start,wait,slowdown; seconds. Tasks
// also have workflow, task and for each policy eligible: their waits count from then.
[[nodiscard]] std::string render_csv(const Trace& trace, const std::vector<PolicyRun>& runs);

// `value` with so many decimals, in the C locale.
[[nodiscard]] std::string with_decimals(double value, int decimals);

}  // namespace gangway::jsim
