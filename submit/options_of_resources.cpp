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
  draft.most_nodes = static_cast<std::int32_t>(*high);
  return {};
}

Applied set_time(Draft& draft, const Given& given) {
  const std::optional<Duration> limit = parse_job_limit(given.text());
  if (!limit) {
    return bad(given,
               "a time limit; it is written 30 (minutes), 1:30:00, 2-12:00:00, 90s or 1h30m");
  }
  draft.time_limit = *limit;
  return {};
}

Applied set_named(Draft& draft, const Given& given) {
  Result<NamedAmounts> amounts = parse_named(given.text());
  if (!amounts) return option_error(given, amounts.error().message());
  draft.named = *std::move(amounts);
  return {};
}

Applied set_exclusive(Draft& draft, const Given& given) {
  // "user" and its kin would let some others in: whole nodes are more than that.
  if (given.value) GANGWAY_TRY(check_word(given, {"user", "mcs", "topo", "exclusive"}));
  draft.exclusive = true;
  return {};
}

// The longer limit is what a job gets; that it would do with less is leave we do not take.
Applied check_time_min(Draft&, const Given& given) {
  if (!parse_time_limit(given.text())) return bad(given, "a time; it is written 30 or 1:30:00");
  return {};
}

// There is one switch here: a job never spans more.
Applied check_switches(Draft&, const Given& given) {
  const std::string_view text = given.text();
  const std::size_t at = text.find('@');
  if (!parse_count(text.substr(0, at), 1, 1'000'000) ||
      (at != std::string_view::npos && !parse_time_limit(text.substr(at + 1)))) {
    return bad(given, "a number of switches; it is written 1 or 1@60");
  }
  return {};
}

Applied check_scratch(Draft& draft, const Given& given) {
  const std::optional<Bytes> amount = parse_bytes(given.text(), mebibytes(1));
  if (!amount) return bad(given, "an amount of disk; it is written 4000 (MiB), 512M or 4G");
  return amount->value == 0 ? Applied{} : ignore(draft, given);
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
    {{"time-min", 0, kValue, "LIMIT", "(less would do: leave that is not taken)"}, check_time_min},
    {{"gres", 0, kValue, "NAME:N", "named resources on each node, such as gpu:a100:2"},
     set_named,
     true},
    {{"gpus", 'G', kValue, "N", "GPUs of the whole job"}, set_gpus<&Draft::gpus>, true},
    {{"gpus-per-node", 0, kValue, "N", "GPUs on each node"}, set_gpus<&Draft::gpus_per_node>, true},
    {{"gpus-per-task", 0, kValue, "N", "GPUs of each task"}, set_gpus<&Draft::gpus_per_task>, true},
    {{"gpus-per-socket", 0, kValue, "N"}, ignore},
    {{"cpus-per-gpu", 0, kValue, "N", "cores for each GPU"},
     set_count<&Draft::cpus_per_gpu, 1'000'000>,
     true},
    {{"ntasks-per-gpu", 0, kValue, "N"}, ignore},
    {{"ntasks-per-core", 0, kValue, "N", "at most so many; a task has its cores alone"},
     check_any_count<1>},
    {{"ntasks-per-socket", 0, kValue, "N", "at most so many tasks on a socket"},
     set_count<&Draft::tasks_per_socket, 1'000'000>,
     true},
    {{"constraint", 'C', kValue, "FEATURES", "only nodes with these features, as a&b"},
     set_constraint,
     true},
    {{"exclusive", 0, kMaybe, "user", "whole nodes"}, set_exclusive, true},
    {{"oversubscribe", 's', kFlag, "", "(others may share: leave that is not taken)"}, nothing},
    {{"share", 0, kFlag, "", "", "oversubscribe"}, nothing},
    {{"overcommit", 'O', kFlag, "", "tasks of a node share the cores of one"},
     set_flag<&Draft::overcommit>,
     true},
    {{"nodelist", 'w', kValue, "NODES", "only these nodes"}, set_hosts<&Draft::only_nodes>, true},
    {{"exclude", 'x', kValue, "NODES", "not these nodes"}, set_hosts<&Draft::not_nodes>, true},
    {{"licenses", 'L', kValue, "LIST"}, ignore},
    {{"mincpus", 0, kValue, "N", "at least so many cores on each node"},
     set_count<&Draft::min_cores, 1'000'000>,
     true},
    {{"tmp", 0, kValue, "SIZE"}, check_scratch},
    {{"threads-per-core", 0, kValue, "N"}, check_count_of<1, 1>},
    {{"cores-per-socket", 0, kValue, "N"}, check_count_of<1, 1>},
    {{"sockets-per-node", 0, kValue, "N"}, check_count_of<1, 1>},
    {{"extra-node-info", 'B', kValue, "S[:C[:T]]"}, ignore},
    {{"core-spec", 'S', kValue, "N"}, check_count_of<0, 0>},
    {{"thread-spec", 0, kValue, "N"}, check_count_of<0, 0>},
    {{"contiguous", 0, kFlag, ""}, ignore},
    {{"switches", 0, kValue, "N[@TIME]", "at most so many; there is one"}, check_switches},
});

}  // namespace

std::span<const JobOption> resources_options() { return kOptions; }

}  // namespace gangway::submit
