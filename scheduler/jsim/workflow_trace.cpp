#include "scheduler/jsim/workflow_trace.hpp"

#include <algorithm>
#include <map>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::jsim {

Trace trace_of_workflows(const std::vector<WorkflowInput>& workflows,
                         const Machine& machine,
                         Duration apart) {
  CHECK(!workflows.empty());
  Trace trace;
  trace.nodes = machine.nodes;
  trace.processors = machine.nodes * machine.cores;
  std::map<std::string, std::int64_t> users;
  const auto number_of = [&](const std::string& name) {
    const auto number = static_cast<std::int64_t>(users.size()) + 1;
    const auto [known, is_new] = users.emplace(name, number);
    if (is_new) trace.user_names[number] = name;
    return known->second;
  };
  for (std::size_t w = 0; w < workflows.size(); ++w) {
    const WorkflowInput& input = workflows[w];
    const std::size_t first = trace.jobs.size();
    const auto oddity = [&](Oddity odd) {
      odd.where = cat(input.file, ": ", odd.where);
      trace.oddities.push_back(std::move(odd));
    };
    for (const Oddity& odd : input.graph.oddities) oddity(odd);
    trace.rows += input.graph.read;
    TraceWorkflow workflow{.file = input.file,
                           .name = input.graph.name,
                           .user = number_of(input.user.empty() ? cat("u", w + 1) : input.user),
                           .submit = Time{apart.ns * static_cast<std::int64_t>(w)},
                           .tasks = input.graph.tasks.size()};
    for (const Task& task : input.graph.tasks) {
      TraceJob job;
      job.number = static_cast<std::int64_t>(trace.jobs.size()) + 1;
      job.submit = workflow.submit;
      job.run = job.estimate = task.run;
      job.processors = std::min(task.cores, machine.cores);
      if (job.processors < task.cores) {
        oddity({0, cat("task ", task.name), "more cores than a node has; all of them are taken",
                true});
      }
      job.user = workflow.user;
      job.workflow = static_cast<std::int32_t>(w);
      job.name = task.name;
      trace.jobs.push_back(std::move(job));
    }
    for (const GraphEdge& edge : input.graph.edges) {
      trace.jobs[first + edge.to].needs.push_back(static_cast<std::uint32_t>(first + edge.from));
    }
    trace.workflows.push_back(std::move(workflow));
  }
  return trace;
}

std::vector<std::int64_t> paths_to_end_ms(const Trace& trace) {
  std::vector<std::string> names(trace.jobs.size());
  std::vector<std::int64_t> runs;
  std::vector<GraphEdge> edges;
  for (std::uint32_t i = 0; i < trace.jobs.size(); ++i) {
    runs.push_back((trace.jobs[i].run.ns + 999'999) / 1'000'000);
    for (const std::uint32_t on : trace.jobs[i].needs) edges.push_back({on, i});
  }
  Result<GraphOrder> order = order_graph(names, runs, edges);
  CHECK(order);  // each workflow was looked at when it was read
  return std::move(order->length_to_end);
}

}  // namespace gangway::jsim
