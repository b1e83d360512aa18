// Figures of a schedule: what it was like to be a job, a user, the machine.
//
// Bounded slowdown of a job: max(1, (wait + run) / max(run, 10 s)).
// Source: D. Feitelson, L. Rudolph, "Metrics and Benchmarking for Parallel Job Scheduling", JSSPP
// 1998. Fairness: R. Jain's index (1984) over the users' mean bounded slowdowns: 1 if all fare
// alike, 1/n if one of n bears all. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

inline constexpr Duration kSlowdownBound = seconds(10);

[[nodiscard]] double bounded_slowdown(Duration wait, Duration run);

struct UserFigures {
  std::int64_t user = -1;
  std::size_t jobs = 0;
  double processor_seconds = 0;
  double mean_wait_s = 0;
  double mean_slowdown = 0;
};

struct Figures {
  std::size_t jobs = 0;
  double mean_slowdown = 0;
  double median_slowdown = 0;
  double mean_wait_s = 0;
  double median_wait_s = 0;
  double longest_wait_s = 0;
  double utilisation = 0;  // of the machine from the first submission to the last end, 0..1
  double makespan_s = 0;
  double fairness = 1;
  std::vector<UserFigures> users;  // by number
};

// Requires: `schedule` is of `trace`, which has at least one job.
[[nodiscard]] Figures figures_of(const Trace& trace, const Schedule& schedule);

// The middle one; the mean of the two in the middle of an even number. 0 of none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace gangway::jsim
