// What people read of a replay: tables, one column for each policy, and a CSV with one line for
// each job. Pure: text out of figures.
#pragma once

#include <string>
#include <vector>

#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

struct PolicyRun {
  std::string name;  // "easy"
  Schedule schedule;
  Figures figures;
};

// "28481 jobs of 28489 lines on 100 processors", how many lines were left out, why, and the numbers
// of the first ones of each reason.
[[nodiscard]] std::string render_trace(const Trace& trace);
// All left-out lines: "line,reason".
[[nodiscard]] std::string render_left_out(const Trace& trace);
// Mean bounded slowdowns have four decimals, waits two.
[[nodiscard]] std::string render_figures(const std::vector<PolicyRun>& runs);
// Each user's jobs, waits and slowdowns.
[[nodiscard]] std::string render_users(const std::vector<PolicyRun>& runs);
// Who gains and who loses when `after` takes the place of `before`: jobs, and the users whose mean
// slowdown changes most.
[[nodiscard]] std::string render_change(const Trace& trace,
                                        const PolicyRun& before,
                                        const PolicyRun& after);
// job,user,processors,submit,run,estimate and for each policy start,wait,slowdown; seconds.
[[nodiscard]] std::string render_csv(const Trace& trace, const std::vector<PolicyRun>& runs);

// `value` with so many decimals, in the C locale.
[[nodiscard]] std::string with_decimals(double value, int decimals);

}  // namespace gangway::jsim
