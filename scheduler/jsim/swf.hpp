// SWF: the Standard Workload Format of the Parallel Workloads Archive.
//
// Source: S. Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job
// Schedulers", JSSPP 1999; the archive's description, version 2.2. One job a line, 18 numbers, -1
// for what is not known, comments after ';' with the machine's size among them.
//
// Which rows are jobs (as in E. Gaussier et al., SC'15, whose figures this reproduces): processors
// are those requested, or if unknown those allocated, and neither is more than the machine has; run
// time and requested time are known and above 0; the submit time is not below 0. A job that ran
// longer than it asked for ran as long as it asked for.
//
// Pure.
#pragma once

#include <optional>
#include <string_view>

#include "queues/base/result.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

enum class Estimates {
  Requested,  // what users asked for
  Perfect,    // the run times: what if they all knew
};

struct SwfOptions {
  std::optional<std::int32_t>
      processors;  // else MaxProcs of the header, MaxNodes, or the largest job
  Estimates estimates = Estimates::Requested;
};

// Errors: Invalid, if no line is a job.
[[nodiscard]] Result<Trace> parse_swf(std::string_view text, const SwfOptions& options = {});

}  // namespace gangway::jsim
