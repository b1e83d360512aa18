#include "scheduler/jsim/shake.hpp"

#include <algorithm>
#include <numeric>

namespace gangway::jsim {

namespace {

// Tasks of a workflow stay beside each other, and so do their needs.
void sort_by_submission(std::vector<TraceJob>& jobs) {
  std::vector<std::uint32_t> order(jobs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return jobs[a].submit < jobs[b].submit;
  });
  std::vector<std::uint32_t> place(jobs.size());
  std::vector<TraceJob> sorted;
  sorted.reserve(jobs.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    sorted.push_back(std::move(jobs[order[i]]));
  }
  for (TraceJob& job : sorted) {
    for (std::uint32_t& on : job.needs) on = place[on];
  }
  jobs = std::move(sorted);
}

}  // namespace

Trace shake(const Trace& trace, Duration by, Rng& rng) {
  Trace shaken = trace;
  if (trace.jobs.empty()) return shaken;
  const std::int64_t most = by.ns / seconds(1).ns;
  const Time first = trace.jobs.front().submit;
  std::int32_t workflow = -1;
  Time moved;
  for (TraceJob& job : shaken.jobs) {
    if (job.workflow < 0 || job.workflow != workflow) {
      moved = std::max(first, job.submit + seconds(rng.between(-most, most)));
      workflow = job.workflow;
      if (workflow >= 0) shaken.workflows[static_cast<std::size_t>(workflow)].submit = moved;
    }
    job.submit = moved;
  }
  sort_by_submission(shaken.jobs);
  return shaken;
}

}  // namespace gangway::jsim
