#include "executor/mpi_plan.hpp"

#include <algorithm>
#include <utility>

#include "executor/mpi_choice.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

namespace {

// Behind the places of tasks and the programs of steps (StepServer).
constexpr std::uint32_t kFirstSpawnedId = 1U << 31;

const NodeShare& share_of(const StepOrder& order) {
  return order.allocation.shares[order.node_index];
}

bool is_oversubscribed(const LaunchFacts& facts, std::size_t ranks, std::size_t cores) {
  if (facts.shared_machine || ranks > cores) return true;
  return !facts.usable_cores.empty() && ranks > facts.usable_cores.size();
}

// Open MPI, started without mpirun.
void plan_open_mpi(Environment& env) {
  // Without this every rank takes itself for a job of its own: the ORTE schizo component claims an
  // unmanaged singleton, PMIx server or not (Open MPI 4).
  env.set_default("OMPI_MCA_schizo", "^orte");
  env.set_default("OMPI_MCA_hwloc_base_binding_policy", "none");
  env.set_default("OMPI_MCA_orte_externally_bound", "1");
}

// However its ranks are started.
void plan_networks(Environment& env, const LaunchFacts& facts) {
  if (!facts.fast_network) {
    // Saves Open MPI 200 ms of looking for fabrics that are not there.
    env.set_default("OMPI_MCA_pml", "ob1");
    env.set_default("OMPI_MCA_btl", "self,vader,tcp");
    // Debian's settings forbid what windows between nodes need over TCP (pt2pt): MPI_ERR_WIN.
    env.set_default("OMPI_MCA_osc", "^ucx");
    // UCX (of MPICH) takes every node's loopback for one network if the nodes are one machine.
    if (!facts.tcp_devices.empty()) env.set_default("UCX_NET_DEVICES", facts.tcp_devices);
  }
  if (facts.tcp_networks.empty()) return;
  if (env.find("OMPI_MCA_btl_tcp_if_exclude") == nullptr) {
    env.set_default("OMPI_MCA_btl_tcp_if_include", facts.tcp_networks);
  }
}

// The application that the world's rank belongs to.
const wire::PmixApp& app_of(const wire::PmixWorld& world, std::uint32_t rank) {
  for (const wire::PmixApp& app : world.apps()) {
    if (rank < app.count()) return app;
    rank -= app.count();
  }
  return *world.apps().rbegin();
}

}  // namespace

// ---- who is where ------------------------------------------------------------------------------

RankMap ranks_of_job(const StepOrder& order) {
  RankMap map;
  map.name = cat("gangway.", to_string(order.key), ".", order.attempt);
  std::int64_t cores = 0;
  for (const NodeShare& share : order.allocation.shares) {
    map.nodes.push_back({.name = share.node.value,
                         .ranks = {static_cast<std::uint32_t>(share.first_task),
                                   static_cast<std::uint32_t>(share.tasks)},
                         .cores = static_cast<std::uint32_t>(share.resources.cores)});
    cores += share.resources.cores;
  }
  map.self = order.node_index;
  map.tasks = static_cast<std::uint32_t>(order.spec.total_tasks());
  map.universe = static_cast<std::uint32_t>(std::max<std::int64_t>(cores, map.tasks));
  return map;
}

PmiJob plan_pmi_job(const RankMap& map) {
  PmiJob job;
  job.id = map.name;
  job.tasks = map.tasks;
  job.universe = map.universe;
  job.local = map.nodes[map.self].ranks;
  std::vector<std::size_t> ranks_of_node;
  for (const ExchangeNode& node : map.nodes) ranks_of_node.push_back(node.ranks.count);
  job.process_mapping = render_process_mapping(ranks_of_node);
  return job;
}

wire::PmixSetup plan_pmix_setup(const RankMap& map, const LaunchFacts& facts) {
  wire::PmixSetup setup;
  // PMIx believes who a process says it is, and the server's port is open to everybody on the node.
  // So the name of the job's name space is what nobody else can guess.
  setup.set_name_space(
      cat(map.name, ".", to_hex(hmac_sha256(facts.secret, "name space of the gang"))));
  for (const ExchangeNode& node : map.nodes) {
    setup.add_nodes(node.name);
    std::string ranks;
    if (node.ranks.count == 1) ranks = cat(node.ranks.first);
    if (node.ranks.count > 1) {
      ranks = cat(node.ranks.first, "-", node.ranks.first + node.ranks.count - 1);
    }
    setup.add_ranks_of_node(ranks);
  }
  setup.set_node_index(map.self);
  setup.set_universe(map.universe);
  setup.set_tasks(map.tasks);
  setup.set_uid(facts.user.uid);  // the sandbox's user namespace maps it to itself
  setup.set_gid(facts.user.gid);
  setup.set_temporary_directory("/tmp");
  return setup;
}

// ---- the environment ---------------------------------------------------------------------------

void plan_launchers(Environment& env,
                    const StepOrder& order,
                    const LaunchFacts& facts,
                    const containers::SandboxReady& sandbox) {
  if (!has_host_file(order)) return;
  const std::string hosts = cat(sandbox.files_directory, "/", kNodeFileName);
  env.set("JOB_HOSTFILE", hosts);
  if (facts.step_tool.empty()) return;
  const std::string shell = cat(sandbox.files_directory, "/bin/", kRemoteShellName);
  plan_networks(env, facts);
  // Open MPI 4. What it reads of Slurm says the same as the file, but only where it was built to.
  env.set_default("OMPI_MCA_ras", "^slurm");
  env.set_default("OMPI_MCA_plm", "rsh");
  env.set_default("OMPI_MCA_plm_rsh_agent", shell);
  env.set_default("OMPI_MCA_orte_default_hostfile", hosts);
  // Open MPI 5.
  env.set_default("PRTE_MCA_ras", "^slurm");
  env.set_default("PRTE_MCA_plm", "ssh");
  env.set_default("PRTE_MCA_plm_ssh_agent", shell);
  env.set_default("PRTE_MCA_prte_default_hostfile", hosts);
  // MPICH, and Intel MPI.
  env.set_default("HYDRA_LAUNCHER", "rsh");
  env.set_default("HYDRA_LAUNCHER_EXEC", shell);
  env.set_default("HYDRA_HOST_FILE", hosts);
  env.set_default("I_MPI_HYDRA_BOOTSTRAP", "rsh");
  env.set_default("I_MPI_HYDRA_BOOTSTRAP_EXEC", shell);
  env.set_default("I_MPI_HYDRA_HOST_FILE", hosts);
  // By address: the nodes' names may be unknown inside.
  if (!facts.tcp_devices.empty()) {
    env.set_default("HYDRA_IFACE", facts.tcp_devices.substr(0, facts.tcp_devices.find(',')));
  }
}

void plan_mpi_environment(Environment& env,
                          const LaunchFacts& facts,
                          MpiMode mode,
                          std::size_t ranks,
                          std::size_t cores) {
  if (mode == MpiMode::None) return;
  env.set("JOB_MPI", to_string(mode));
  plan_networks(env, facts);
  if (!offers_pmix(mode)) return;
  plan_open_mpi(env);
  if (is_oversubscribed(facts, ranks, cores)) env.set_default("OMPI_MCA_mpi_yield_when_idle", "1");
  // With SLURM_NODELIST but without a step, Open MPI takes a rank for a singleton in an allocation.
  env.set_default("SLURM_STEP_ID", "0");
  env.set_default("SLURM_STEPID", "0");
}

void plan_pmi_variables(Environment& env,
                        std::string_view job,
                        std::uint32_t rank,
                        std::uint32_t size) {
  env.set("PMI_FD", "3");
  env.set("PMI_RANK", cat(rank));
  env.set("PMI_SIZE", cat(size));
  env.set("PMI_JOBID", job);
}

// ---- programs ----------------------------------------------------------------------------------

containers::ProgramRequest plan_pmix_server(const StepOrder& order,
                                            const LaunchFacts& facts,
                                            int inherit_fd) {
  containers::ProgramRequest program;
  program.id = kPmixServerId;
  program.argv = {facts.pmix_server};
  // Nothing of the user's: PMIX_MCA_* in it would reach into the server.
  program.env = {"PATH=/usr/bin:/bin", cat("HOSTNAME=", facts.node.value), "LANG=C"};
  program.workdir = "/";
  // What it has to say on stderr belongs to the job: most of it is about the job's ranks.
  program.out = {.path = plan_output_path(order, facts, share_of(order).first_task, 2),
                 .truncate = false};
  program.host_files = true;
  program.inherit_fd = inherit_fd;
  return program;
}

std::vector<containers::ProgramRequest> plan_world(const Environment& common,
                                                   const std::string& directory,
                                                   std::uint32_t umask,
                                                   const wire::PmixWorld& world,
                                                   const std::vector<wire::RankEnv>& ranks) {
  std::vector<containers::ProgramRequest> programs;
  if (world.apps().empty()) return programs;
  std::int64_t local = 0;
  for (const wire::RankEnv& rank : ranks) {
    const std::uint32_t in_world = rank.rank() - world.first();
    const wire::PmixApp& app = app_of(world, in_world);
    Environment env = common;
    Environment of_app;
    of_app.set_all({app.env().begin(), app.env().end()});
    of_app.drop_if(is_of_an_outer_job);
    env.set_all(of_app.strings());
    set_both(env, "PROCID", cat(in_world));
    set_both(env, "LOCALID", cat(local++));
    set_both(env, "NTASKS", cat(world.count()));
    env.set_all({rank.env().begin(), rank.env().end()});
    containers::ProgramRequest program;
    program.argv = {app.argv().begin(), app.argv().end()};
    program.workdir = app.workdir().empty() ? directory : std::string(app.workdir());
    env.set("PWD", program.workdir);
    program.env = env.strings();
    program.umask = static_cast<mode_t>(umask & 0777);
    programs.push_back(std::move(program));
  }
  return programs;
}

std::vector<containers::ProgramRequest> plan_spawned(const StepOrder& order,
                                                     const LaunchFacts& facts,
                                                     const containers::SandboxReady& sandbox,
                                                     const wire::PmixWorld& world,
                                                     const std::vector<wire::RankEnv>& ranks) {
  Environment common = plan_environment(order, facts, sandbox);
  plan_mpi_environment(common, facts, order.spec.mpi, ranks.size(), share_of(order).cores.size());
  std::vector<containers::ProgramRequest> programs =
      plan_world(common, plan_directory(order, sandbox), order.spec.umask, world, ranks);
  for (std::size_t i = 0; i < programs.size(); ++i) {
    const auto task = static_cast<std::int32_t>(ranks[i].rank());
    programs[i].id = kFirstSpawnedId + ranks[i].rank();
    programs[i].out = {.path = plan_output_path(order, facts, task, 1), .truncate = false};
    const std::string errors = plan_output_path(order, facts, task, 2);
    if (errors == programs[i].out.path) continue;
    programs[i].err = containers::ProgramOutput{.path = errors, .truncate = false};
  }
  return programs;
}

std::uint32_t program_of_rank(const StepOrder& order, std::uint32_t rank) {
  const NodeShare& share = share_of(order);
  const std::uint32_t place = rank - static_cast<std::uint32_t>(share.first_task);
  return place < static_cast<std::uint32_t>(share.tasks) ? place : kFirstSpawnedId + rank;
}

std::uint32_t task_of_program(const StepOrder& order, std::uint32_t id) {
  if (order.spec.launch == LaunchMode::Batch) return 0;
  if (id >= kFirstSpawnedId) return id - kFirstSpawnedId;
  return static_cast<std::uint32_t>(share_of(order).first_task) + id;
}

containers::ProgramRequest plan_inspection(const StepOrder& order,
                                           const LaunchFacts& facts,
                                           const containers::SandboxReady& sandbox) {
  containers::ProgramRequest program;
  program.id = kInspectionId;
  program.argv = plan_argv(order, sandbox);
  program.env = plan_environment(order, facts, sandbox).strings();
  program.workdir = plan_directory(order, sandbox);
  return program;
}

}  // namespace gangway::executor
