// Trace: jobs of the past, to be run again.
//
// Pure values. Times are exact to the nanosecond, so a trace with fractions of seconds keeps them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "queues/base/time.hpp"

namespace gangway::jsim {

struct TraceJob {
  std::int64_t number = 0;  // in the trace
  Time submit;
  Duration run;
  Duration estimate;  // what its user asked for: the limit
  std::int32_t processors = 1;
  std::int64_t user = -1;  // -1: unknown
  friend bool operator==(const TraceJob&, const TraceJob&) = default;
};

// A line that is no job for us, and why.
struct LeftOut {
  std::size_t line = 0;  // from 1
  std::string why;       // the same text for the same reason
};

struct Trace {
  std::int32_t processors = 0;  // of the machine
  std::vector<TraceJob> jobs;   // by submit time, equal ones as they stood
  std::size_t rows = 0;         // lines that should be jobs
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes;  // what was assumed
};

}  // namespace gangway::jsim
