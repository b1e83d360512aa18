// The monitor at work: a loop around terminal, scheduler and a job's output that tells the screen
// what happens and does what it wishes.
//
// Nothing is asked for on a timer: lists once, then news are pushed. The loop wakes up by itself
// only to let the clocks of running jobs go on, and to try the scheduler again when it is away.
#pragma once

#include <string>

#include "queues/base/result.hpp"
#include "submit/job_list.hpp"

namespace gangway::monitor {

struct MonitorOptions {
  std::string program;
  std::string socket;
  submit::JobFilter filter;
  bool colours = true;
};

// The exit code: 0, or 128+n for the signal that ended it. Errors: no scheduler at the start, or no
// terminal that could show it.
[[nodiscard]] Result<int> run_monitor(const MonitorOptions& options);

}  // namespace gangway::monitor
