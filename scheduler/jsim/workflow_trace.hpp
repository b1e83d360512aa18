// Workflows as a trace: each is submitted whole by its user, and a task may start when those that
// it waits for have ended. What the policy knows of run times is the truth, as the files have no
// requests. Pure.
#pragma once

#include <string>
#include <vector>

#include "queues/base/time.hpp"
#include "scheduler/jsim/task_graph.hpp"
#include "scheduler/jsim/trace.hpp"

namespace gangway::jsim {

struct WorkflowInput {
  std::string file;  // as messages name it
  std::string user;  // empty: one of its own
  TaskGraph graph;
};

struct Machine {
  std::int32_t nodes = 4;
  std::int32_t cores = 4;  // of each node
};

// The n-th workflow is submitted at (n - 1) * `apart`. A task with more cores than a node is taken
// to have as many as a node, and told. Requires: there is one workflow, nodes * cores fits.
[[nodiscard]] Trace trace_of_workflows(const std::vector<WorkflowInput>& workflows,
                                       const Machine& machine,
                                       Duration apart = {});

// For each task in order: the longest sum of run times from it to an end of its workflow, its own
// included, in milliseconds: their sum may be more than a Duration holds.
[[nodiscard]] std::vector<std::int64_t> paths_to_end_ms(const Trace& trace);

}  // namespace gangway::jsim
