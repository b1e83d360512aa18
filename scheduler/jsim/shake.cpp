#include "scheduler/jsim/shake.hpp"

#include <algorithm>

namespace gangway::jsim {

Trace shake(const Trace& trace, Duration by, Rng& rng) {
  Trace shaken = trace;
  if (trace.jobs.empty()) return shaken;
  const std::int64_t most = by.ns / seconds(1).ns;
  const Time first = trace.jobs.front().submit;
  for (TraceJob& job : shaken.jobs) {
    job.submit = std::max(first, job.submit + seconds(rng.between(-most, most)));
  }
  std::stable_sort(shaken.jobs.begin(), shaken.jobs.end(),
                   [](const TraceJob& a, const TraceJob& b) { return a.submit < b.submit; });
  return shaken;
}

}  // namespace gangway::jsim
