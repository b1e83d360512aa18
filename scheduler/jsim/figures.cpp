#include "scheduler/jsim/figures.hpp"

#include <algorithm>
#include <map>

#include "queues/base/check.hpp"

namespace gangway::jsim {

double bounded_slowdown(Duration wait, Duration run) {
  const double bound = to_seconds(std::max(run, kSlowdownBound));
  return std::max(1.0, to_seconds(wait + run) / bound);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Figures figures_of(const Trace& trace, const Schedule& schedule) {
  CHECK(!trace.jobs.empty() && trace.jobs.size() == schedule.runs.size());
  Figures out;
  out.jobs = trace.jobs.size();
  std::vector<double> waits;
  std::vector<double> slowdowns;
  waits.reserve(out.jobs);
  slowdowns.reserve(out.jobs);
  std::map<std::int64_t, UserFigures> users;
  const Time first = trace.jobs.front().submit;
  Time last = first;
  double used = 0;
  for (std::size_t i = 0; i < out.jobs; ++i) {
    const TraceJob& job = trace.jobs[i];
    const Duration wait = schedule.runs[i].start - schedule.runs[i].eligible;
    const double slowdown = bounded_slowdown(wait, job.run);
    const double area = to_seconds(job.run) * job.processors;
    last = std::max(last, schedule.runs[i].end);
    waits.push_back(to_seconds(wait));
    slowdowns.push_back(slowdown);
    used += area;
    UserFigures& user = users[job.user];
    user.user = job.user;
    ++user.jobs;
    user.processor_seconds += area;
    user.mean_wait_s += to_seconds(wait);
    user.mean_slowdown += slowdown;
  }
  const auto count = static_cast<double>(out.jobs);
  for (const double slowdown : slowdowns) out.mean_slowdown += slowdown;
  for (const double wait : waits) {
    out.mean_wait_s += wait;
    out.longest_wait_s = std::max(out.longest_wait_s, wait);
  }
  out.mean_slowdown /= count;
  out.mean_wait_s /= count;
  out.median_slowdown = median(std::move(slowdowns));
  out.median_wait_s = median(std::move(waits));
  out.makespan_s = to_seconds(last - first);
  if (out.makespan_s > 0) out.utilisation = used / (out.makespan_s * trace.processors);

  double sum = 0;
  double squares = 0;
  for (auto& [number, user] : users) {
    user.mean_wait_s /= static_cast<double>(user.jobs);
    user.mean_slowdown /= static_cast<double>(user.jobs);
    sum += user.mean_slowdown;
    squares += user.mean_slowdown * user.mean_slowdown;
    out.users.push_back(user);
  }
  out.fairness = sum * sum / (static_cast<double>(users.size()) * squares);
  return out;
}

}  // namespace gangway::jsim
