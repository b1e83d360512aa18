// Trace: jobs of the past, to be run again.
//
// Pure values. Times are exact to the nanosecond, so a trace with fractions of seconds keeps them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
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
  std::int64_t user = -1;              // -1: unknown
  std::int64_t group = -1;             // likewise
  std::int32_t workflow = -1;          // of which it is a task; -1: of none
  std::string name{};                  // of a task
  std::vector<std::uint32_t> needs{};  // tasks of its workflow that must have ended, by index
  friend bool operator==(const TraceJob&, const TraceJob&) = default;
};

// What in a file is not as it should be, and what was made of it.
struct Oddity {
  std::size_t line = 0;  // from 1; 0: `where` says it
  std::string where{};
  std::string why;      // the same text for the same reason
  bool mended = false;  // something was taken for what is missing; else it was left out
  friend bool operator==(const Oddity&, const Oddity&) = default;
};

// Its tasks follow each other in the trace.
struct TraceWorkflow {
  std::string file;
  std::string name;
  std::int64_t user = -1;
  Time submit;
  std::size_t tasks = 0;
};

struct Trace {
  std::int32_t processors = 0;  // of the machine
  std::int32_t nodes = 1;       // equal ones; a job's processors are on one of them
  std::vector<TraceJob> jobs;   // by submit time, equal ones as they stood
  std::size_t rows = 0;         // lines that should be jobs, or entries that should be tasks
  std::vector<Oddity> oddities;
  std::vector<std::string> notes;                    // what was assumed
  std::vector<TraceWorkflow> workflows{};            // none: a log
  std::map<std::int64_t, std::string> user_names{};  // of those that have one
};

}  // namespace gangway::jsim
