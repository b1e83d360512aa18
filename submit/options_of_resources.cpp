// What a job needs: nodes, tasks, cores, memory, named resources.
#include <array>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "submit/job_values.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

using namespace option_setters;

Applied set_nodes(Draft& draft, const Given& given) {
  const std::string_view text = given.text();
  const std::size_t dash = text.find('-');
  const auto low = parse_count(text.substr(0, dash), 1, kMaxNodesPerJob);
  const auto high =
      dash == std::string_view::npos ? low : parse_count(text.substr(dash + 1), 1, kMaxNodesPerJob);
  if (!low || !high || *high < *low) {
    return bad(given, "a number of nodes; for example --nodes=4, or --nodes=2-4 for at least 2");
  }
  // A range asks for at least its low end; that many start soonest.
  draft.nodes = static_cast<std::int32_t>(*low);
  return {};
}

Applied set_time(Draft& draft, const Given& given) {
  const std::string_view text = given.text();
  if (text == "UNLIMITED" || text == "INFINITE" || text == "unlimited" || text == "infinite") {
    draft.time_limit = Duration{};
    return {};
  }
  const std::optional<Duration> limit = parse_time_limit(text);
  if (!limit) {
    return bad(given,
               "a time limit; it is written 30 (minutes), 1:30:00, 2-12:00:00, 90s or 1h30m");
  }
  draft.time_limit = *limit;
  return {};
}

Applied set_named(Draft& draft, const Given& given) {
  Result<NamedRequest> request = parse_named(given.text());
  if (!request) return option_error(given, request.error().message());
  for (const std::string& typed : request->types) {
    draft.warnings.push_back(cat(prefix_of(given.place), "option ", given.spelled, ": the type in ",
                                 typed, " is not looked at, any will do"));
  }
  draft.named = std::move(request->amounts);
  return {};
}

Applied set_constraint(Draft& draft, const Given& given) {
  const Result<Constraint> constraint = parse_constraint(given.text());
  if (!constraint) {
    return option_error(given, cat("\"", given.text(), "\": ", constraint.error().message()));
  }
  draft.constraint = std::string(trim(given.text()));
  return {};
}

constexpr auto kOptions = std::to_array<JobOption>({
    {{"nodes", 'N', kValue, "N", "number of nodes"}, set_nodes, true},
    {{"ntasks", 'n', kValue, "N", "number of tasks"},
     set_count<&Draft::tasks, kMaxTasksPerJob>,
     true},
    {{"ntasks-per-node", 0, kValue, "N", "tasks on each node"},
     set_count<&Draft::tasks_per_node, 1'000'000>,
     true},
    {{"tasks-per-node", 0, kValue, "N", "", "ntasks-per-node"},
     set_count<&Draft::tasks_per_node, 1'000'000>,
     true},
    {{"cpus-per-task", 'c', kValue, "N", "cores of each task"},
     set_count<&Draft::cpus_per_task, 1'000'000>,
     true},
    {{"mem", 0, kValue, "SIZE", "memory on each node; 0: all of it"},
     set_memory<MemoryPer::Node>,
     true},
    {{"mem-per-cpu", 0, kValue, "SIZE", "memory for each core"}, set_memory<MemoryPer::Cpu>, true},
    {{"mem-per-gpu", 0, kValue, "SIZE", "memory for each GPU"}, set_memory<MemoryPer::Gpu>, true},
    {{"time", 't', kValue, "LIMIT", "limit of the run time"}, set_time},
    {{"time-min", 0, kValue, "LIMIT"}, ignore},
    {{"gres", 0, kValue, "NAME:N", "named resources on each node, such as gpu:2"}, set_named, true},
    {{"gpus", 'G', kValue, "N", "GPUs of the whole job"}, set_gpus<&Draft::gpus>, true},
    {{"gpus-per-node", 0, kValue, "N", "GPUs on each node"}, set_gpus<&Draft::gpus_per_node>, true},
    {{"gpus-per-task", 0, kValue, "N", "GPUs of each task"}, set_gpus<&Draft::gpus_per_task>, true},
    {{"gpus-per-socket", 0, kValue, "N"}, ignore},
    {{"cpus-per-gpu", 0, kValue, "N"}, ignore},
    {{"ntasks-per-gpu", 0, kValue, "N"}, ignore},
    {{"ntasks-per-core", 0, kValue, "N"}, ignore},
    {{"ntasks-per-socket", 0, kValue, "N"}, ignore},
    {{"constraint", 'C', kValue, "FEATURES", "only nodes with these features, as a&b"},
     set_constraint,
     true},
    {{"exclusive", 0, kMaybe, "user", "whole nodes"}, set_flag<&Draft::exclusive>, true},
    {{"oversubscribe", 's', kFlag, ""}, ignore},
    {{"share", 0, kFlag, "", "", "oversubscribe"}, ignore},
    {{"overcommit", 'O', kFlag, ""}, ignore},
    {{"nodelist", 'w', kValue, "NODES", "only these nodes"}, set_hosts<&Draft::only_nodes>, true},
    {{"exclude", 'x', kValue, "NODES", "not these nodes"}, set_hosts<&Draft::not_nodes>, true},
    {{"licenses", 'L', kValue, "LIST"}, ignore},
    {{"mincpus", 0, kValue, "N"}, ignore},
    {{"tmp", 0, kValue, "SIZE"}, ignore},
    {{"threads-per-core", 0, kValue, "N"}, ignore},
    {{"cores-per-socket", 0, kValue, "N"}, ignore},
    {{"sockets-per-node", 0, kValue, "N"}, ignore},
    {{"extra-node-info", 'B', kValue, "S[:C[:T]]"}, ignore},
    {{"core-spec", 'S', kValue, "N"}, ignore},
    {{"thread-spec", 0, kValue, "N"}, ignore},
    {{"contiguous", 0, kFlag, ""}, ignore},
    {{"switches", 0, kValue, "N[@TIME]"}, ignore},
});

}  // namespace

std::span<const JobOption> resources_options() { return kOptions; }

}  // namespace gangway::submit
