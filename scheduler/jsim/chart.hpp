// Charts as SVG, to be looked at in any browser. Pure.
#pragma once

#include <string>

#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

// Time to the right, processors upwards, one colour a user; a job's title says who it is. Requires:
// the schedule was made with_places.
[[nodiscard]] std::string render_gantt(const Trace& trace, const Schedule& schedule);
// The part of the machine that is in use over time.
[[nodiscard]] std::string render_utilisation(const Trace& trace, const Schedule& schedule);

}  // namespace gangway::jsim
