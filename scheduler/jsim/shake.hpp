// Input shaking: the same trace with its submissions moved a little. One trace gives one number,
// and that may hang on a few jobs; the median over shaken ones does not.
//
// Source: D. Tsafrir, D. Feitelson, "Instability in Parallel Job Scheduling Simulation: The Role of
// Workload Flurries", IPDPS 2006. Pure.
#pragma once

#include "queues/base/rng.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

// Each submission (of a job, or of a workflow as a whole) moves by a whole number of seconds,
// evenly between -by and by, but not before the first one of the trace. Equal seeds give equal
// traces.
[[nodiscard]] Trace shake(const Trace& trace, Duration by, Rng& rng);

}  // namespace gangway::jsim
