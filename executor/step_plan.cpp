#include "executor/step_plan.hpp"

#include <algorithm>

#include "executor/binding.hpp"
#include "executor/environment.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/output_pattern.hpp"

namespace gangway::executor {
namespace {

std::string count_list(const google::protobuf::RepeatedField<std::uint32_t>& counts) {
  std::vector<std::int64_t> numbers(counts.begin(), counts.end());
  return render_counts(numbers);
}

// What is the same for all ranks of the step on this node.
Environment part_environment(const StepOrder& order,
                             const LaunchFacts& facts,
                             const containers::SandboxReady& sandbox,
                             std::uint32_t step,
                             const wire::PartStart& start,
                             const Meeting& meeting) {
  const wire::StepRun& run = start.run();
  Environment env = plan_environment(order, facts, sandbox);
  if (!run.job_env()) {
    // The client's own, from the node it runs on; what describes that node is replaced.
    std::vector<std::string> of_node;
    for (const char* name : {"HOSTNAME", "SLURMD_NODENAME", "JOB_CPUS_ON_NODE",
                             "SLURM_CPUS_ON_NODE", "JOB_STEP_SOCKET"}) {
      if (const std::string* value = env.find(name)) of_node.push_back(cat(name, '=', *value));
    }
    env = Environment();
    env.set_all({run.env().begin(), run.env().end()});
    env.drop_if([](std::string_view name) {
      return name.starts_with("PMIX_") || name.starts_with("PMI_") ||
             name.starts_with("OMPI_COMM_WORLD_");
    });
    env.set_all(of_node);
  } else {
    env.set_all({run.env().begin(), run.env().end()});
  }
  std::vector<NodeName> nodes;
  for (const std::string& name : start.nodes()) nodes.emplace_back(name);
  const std::string id = cat(step);
  const std::string tasks = cat(start.tasks());
  const std::string node_count = cat(start.nodes_size());
  const std::string tasks_per_node = count_list(start.tasks_of_node());
  set_both(env, "STEP_ID", id);
  env.set("SLURM_STEPID", id);
  set_both(env, "STEP_NODELIST", render_host_list(nodes));
  set_both(env, "STEP_NUM_NODES", node_count);
  set_both(env, "STEP_NUM_TASKS", tasks);
  set_both(env, "STEP_TASKS_PER_NODE", tasks_per_node);
  set_both(env, "NTASKS", tasks);
  env.set("SLURM_NPROCS", tasks);
  env.set("SLURM_NNODES", node_count);
  env.set("SLURM_TASKS_PER_NODE", tasks_per_node);
  if (run.cpus_per_task() > 0) set_both(env, "CPUS_PER_TASK", cat(run.cpus_per_task()));
  set_both(env, "NODEID", cat(start.place()));
  plan_mpi_environment(env, facts, meeting.mode, static_cast<std::size_t>(start.ranks_size()),
                       static_cast<std::size_t>(start.cores_size()));
  return env;
}

std::vector<std::string> argv_of(const StepOrder& order,
                                 const containers::SandboxReady& sandbox,
                                 const wire::StepRun& run,
                                 std::uint32_t program) {
  std::vector<std::string> argv;
  if (run.behind_entrypoint()) argv = plan_entrypoint(order, sandbox);
  if (program < static_cast<std::uint32_t>(run.programs_size())) {
    const auto& words = run.programs(static_cast<int>(program)).argv();
    argv.insert(argv.end(), words.begin(), words.end());
    if (words.empty() && run.behind_entrypoint() && !order.spec.container.entrypoint) {
      argv.insert(argv.end(), sandbox.image_cmd.begin(), sandbox.image_cmd.end());
    }
  }
  return argv;
}

std::vector<std::vector<int>> bind(const LaunchFacts& facts, const wire::PartStart& start) {
  const wire::StepRun& run = start.run();
  const auto ranks = static_cast<std::size_t>(start.ranks_size());
  std::vector<int> given(start.cores().begin(), start.cores().end());
  BindRequest request;
  request.ranks = start.ranks_size();
  request.cpus_per_task = std::max(start.cpus_per_task(), 1);
  request.distribution = static_cast<SocketDistribution>(run.socket_distribution());
  request.to = static_cast<BindTo>(run.bind());
  if (request.to == BindTo::Auto && !start.bound()) request.to = BindTo::None;
  for (const std::string& cpus : run.bind_list()) {
    if (Result<std::vector<int>> parsed = parse_cpus(cpus)) request.list.push_back(*parsed);
  }
  std::vector<std::vector<int>> sets = bind_ranks(facts.topology, given, request);
  // Cores of its own are kept to, whatever else was asked.
  if (run.exact()) {
    for (std::vector<int>& set : sets) {
      if (set.empty()) set = given;
    }
  }
  sets.resize(ranks);
  return sets;
}

std::string directory_of(const StepOrder& order,
                         const containers::SandboxReady& sandbox,
                         const wire::StepRun& run) {
  return run.workdir().empty() ? plan_directory(order, sandbox) : run.workdir();
}

// A file that the step names for this rank; "" if it names none.
std::string path_of(const StepOrder& order,
                    const LaunchFacts& facts,
                    std::uint32_t step,
                    const wire::PartStart& start,
                    const std::string& directory,
                    std::int32_t task,
                    std::string_view text) {
  const PatternFacts pattern{.key = order.key,
                             .restarts = order.attempt - 1,
                             .job_name = order.spec.name,
                             .user = facts.user.name,
                             .node = facts.node.value,
                             .node_index = start.place(),
                             .task = task,
                             .batch = false,
                             .step = step};
  const std::string name = expand_pattern(text, pattern);
  return name.empty() || name.front() == '/' ? name : cat(directory, '/', name);
}

void set_outputs(containers::ProgramRequest& program,
                 const StepOrder& order,
                 const LaunchFacts& facts,
                 std::uint32_t step,
                 const wire::PartStart& start,
                 const std::string& directory,
                 std::int32_t task) {
  const wire::StepRun& run = start.run();
  const auto file = [&](std::string_view text) {
    return containers::ProgramOutput{
        .path = path_of(order, facts, step, start, directory, task, text),
        .truncate = !run.append()};
  };
  if (!run.out().empty()) program.out = file(run.out());
  if (!run.err().empty()) program.err = file(run.err());
}

}  // namespace

std::vector<containers::ProgramRequest> plan_spawned_in_part(
    const StepOrder& order,
    const LaunchFacts& facts,
    const containers::SandboxReady& sandbox,
    std::uint32_t step,
    const wire::PartStart& start,
    const Meeting& meeting,
    const exchange_action::StartRanks& spawned) {
  const std::string directory = directory_of(order, sandbox, start.run());
  std::vector<containers::ProgramRequest> programs =
      plan_world(part_environment(order, facts, sandbox, step, start, meeting), directory,
                 start.run().umask(), spawned.world, spawned.ranks);
  for (std::size_t i = 0; i < programs.size(); ++i) {
    programs[i].host_files = start.run().host_files();
    set_outputs(programs[i], order, facts, step, start, directory,
                static_cast<std::int32_t>(spawned.ranks[i].rank()));
  }
  return programs;
}

PartPlan plan_part(const StepOrder& order,
                   const LaunchFacts& facts,
                   const containers::SandboxReady& sandbox,
                   std::uint32_t step,
                   const wire::PartStart& start,
                   const Meeting& meeting,
                   const std::vector<RankEnvironment>& ranks) {
  const wire::StepRun& run = start.run();
  const Environment of_part = part_environment(order, facts, sandbox, step, start, meeting);
  const std::vector<std::vector<int>> sets = bind(facts, start);
  const std::string directory = directory_of(order, sandbox, run);
  const auto is_usable = [&](const std::vector<int>& set) {
    return !facts.shared_machine &&
           (facts.usable_cores.empty() || std::all_of(set.begin(), set.end(), [&](int core) {
              return std::find(facts.usable_cores.begin(), facts.usable_cores.end(), core) !=
                     facts.usable_cores.end();
            }));
  };
  std::string global_ids;
  for (const wire::PartRank& rank : start.ranks()) {
    global_ids += cat(global_ids.empty() ? "" : ",", rank.rank());
  }
  PartPlan plan;
  for (int local = 0; local < start.ranks_size(); ++local) {
    const wire::PartRank& rank = start.ranks(local);
    const std::vector<int>& set = sets[static_cast<std::size_t>(local)];
    const std::string cpus =
        set.empty() ? render_cpus({start.cores().begin(), start.cores().end()}) : render_cpus(set);
    Environment env = of_part;
    set_both(env, "PROCID", cat(rank.rank()));
    set_both(env, "LOCALID", cat(local));
    env.set("SLURM_GTIDS", global_ids);
    env.set("JOB_TASK_CPUS", cpus);
    env.set("SLURM_CPU_BIND_LIST", cpus);
    for (const RankEnvironment& one : ranks) {
      if (one.rank == rank.rank()) env.set_all(one.env);
    }
    if (offers_pmi(meeting.mode)) {
      plan_pmi_variables(env, meeting.name, rank.rank(), start.tasks());
    }
    containers::ProgramRequest program;
    program.argv = argv_of(order, sandbox, run, rank.program());
    program.env = env.strings();
    program.workdir = directory;
    program.umask = static_cast<mode_t>(run.umask() & 0777);
    if (is_usable(set)) program.cores = set;
    program.host_files = run.host_files();
    const auto task = static_cast<std::int32_t>(rank.rank());
    program.stdin_path = path_of(order, facts, step, start, directory, task, run.in());
    set_outputs(program, order, facts, step, start, directory, task);
    plan.programs.push_back(std::move(program));
    plan.bindings.push_back(cat("task ", rank.rank(), " on ", facts.node.value, ": cores ", cpus,
                                set.empty() ? " (not bound)" : ""));
  }
  return plan;
}

Result<RankMap> ranks_of_step(const StepOrder& order,
                              std::uint32_t step,
                              const wire::PartStart& start) {
  RankMap map;
  map.name = cat("gangway.", to_string(order.key), ".", order.attempt, ".", step);
  std::uint32_t cores = 0;
  for (int i = 0; i < start.nodes_size(); ++i) {
    const std::string& text = start.ranks_of_node(i);
    const std::size_t dash = text.find('-');
    const auto first = parse_integer<std::uint32_t>(text.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : parse_integer<std::uint32_t>(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
      return Error(ErrorKind::Unsupported,
                   "ranks of MPI must follow each other on a node: use --distribution=block, or "
                   "--mpi=none");
    }
    const auto& shares = order.allocation.shares;
    const std::uint32_t index = start.node_indices(i);
    const auto here = index < shares.size()
                          ? static_cast<std::uint32_t>(shares[index].resources.cores)
                          : std::uint32_t{0};
    map.nodes.push_back(
        {.name = start.nodes(i), .ranks = {*first, *last - *first + 1}, .cores = here});
    cores += here;
  }
  map.self = start.place();
  map.tasks = start.tasks();
  map.universe = std::max(cores, map.tasks);
  return map;
}

containers::ProgramRequest plan_step_pmix_server(const LaunchFacts& facts, int inherit_fd) {
  containers::ProgramRequest program;
  program.argv = {facts.pmix_server};
  program.env = {"PATH=/usr/bin:/bin", cat("HOSTNAME=", facts.node.value), "LANG=C"};
  program.workdir = "/";
  program.host_files = true;
  program.inherit_fd = inherit_fd;
  return program;
}

}  // namespace gangway::executor
