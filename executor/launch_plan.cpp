#include "executor/launch_plan.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstring>
#include <set>
#include <utility>

#include "containers/sandbox_plan.hpp"
#include "executor/device_plan.hpp"
#include "executor/environment.hpp"
#include "executor/mpi_plan.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/output_pattern.hpp"
#include "queues/model/service_ports.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {

namespace {

const NodeShare& share_of(const StepOrder& order) {
  return order.allocation.shares[order.node_index];
}

const Component& component_of(const StepOrder& order) {
  const std::uint32_t index = share_of(order).component;
  CHECK(index < order.spec.components.size());
  return order.spec.components[index];
}

bool is_batch(const StepOrder& order) { return order.spec.launch == LaunchMode::Batch; }

std::string number(std::int64_t value) { return cat(value); }

// ---- file names --------------------------------------------------------------------------------

std::string absolute(std::string path, const std::string& workdir) {
  if (path.empty() || path.front() == '/') return path;
  return cat(workdir, workdir.empty() || workdir.back() != '/' ? "/" : "", path);
}

PatternFacts pattern_facts(const StepOrder& order, const LaunchFacts& facts, std::int32_t task) {
  return {.key = order.key,
          .restarts = order.attempt - 1,
          .job_name = order.spec.name,
          .user = facts.user.name,
          .node = facts.node.value,
          .node_index = order.node_index,
          .task = task,
          .batch = is_batch(order)};
}

std::string out_pattern(const StepOrder& order) {
  if (!order.spec.stdio.out.empty()) return order.spec.stdio.out;
  return std::string(default_output_pattern(order.key));
}

struct StdioPaths {
  std::string in;
  std::string out;
  std::string err;  // empty: same as out
};

StdioPaths stdio_paths(const StepOrder& order, const LaunchFacts& facts, std::int32_t task) {
  const PatternFacts pattern = pattern_facts(order, facts, task);
  const auto path = [&](std::string_view text) {
    return absolute(expand_pattern(text, pattern), order.spec.workdir);
  };
  StdioPaths paths;
  paths.in = path(order.spec.stdio.in);
  paths.out = path(out_pattern(order));
  paths.err = path(order.spec.stdio.err);
  if (paths.err == paths.out) paths.err.clear();
  return paths;
}

// The name differs from node to node, so that no other node writes to the file.
bool is_of_one_node(const StepOrder& order, std::string_view pattern) {
  if (is_batch(order) || order.allocation.shares.size() == 1) return true;
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    std::size_t letter = i + 1;
    while (letter < pattern.size() && pattern[letter] >= '0' && pattern[letter] <= '9') ++letter;
    if (letter < pattern.size() &&
        (pattern[letter] == 'N' || pattern[letter] == 'n' || pattern[letter] == 't')) {
      return true;
    }
    i = letter;
  }
  return false;
}

std::int32_t programs_here(const StepOrder& order) {
  if (is_batch(order)) return order.node_index == 0 ? 1 : 0;
  return share_of(order).tasks;
}

// Files to be made while the gang prepares. One that all nodes write to is made by the first.
std::vector<containers::ProgramOutput> plan_outputs(const StepOrder& order,
                                                    const LaunchFacts& facts) {
  const bool out_is_ours = order.node_index == 0 || is_of_one_node(order, out_pattern(order));
  const bool err_is_ours = order.node_index == 0 || is_of_one_node(order, order.spec.stdio.err);
  std::vector<containers::ProgramOutput> outputs;
  std::set<std::string> seen;
  const auto add = [&](const std::string& path) {
    if (path.empty() || !seen.insert(path).second) return;
    outputs.push_back({.path = path, .truncate = !order.spec.stdio.append});
  };
  for (std::int32_t local = 0; local < programs_here(order); ++local) {
    const StdioPaths paths = stdio_paths(order, facts, share_of(order).first_task + local);
    if (out_is_ours) add(paths.out);
    if (err_is_ours) add(paths.err);
  }
  return outputs;
}

// ---- cores -------------------------------------------------------------------------------------

std::vector<int> cores_of_task(const StepOrder& order,
                               const LaunchFacts& facts,
                               std::int32_t local) {
  if (facts.shared_machine) return {};
  const std::vector<std::int32_t>& given = share_of(order).cores;
  std::vector<int> cores;
  const auto each = static_cast<std::size_t>(std::max(component_of(order).cpus_per_task, 1));
  const std::size_t first = is_batch(order) ? 0 : static_cast<std::size_t>(local) * each;
  const std::size_t end = is_batch(order) ? given.size() : first + each;
  if (end > given.size()) return {};  // fewer cores than the tasks asked for: they share all
  for (std::size_t i = first; i < end; ++i) cores.push_back(given[i]);
  // Cores that an operator has declared beyond those of the machine cannot be pinned to.
  const auto missing = [&](int core) {
    return !facts.usable_cores.empty() &&
           std::find(facts.usable_cores.begin(), facts.usable_cores.end(), core) ==
               facts.usable_cores.end();
  };
  if (std::any_of(cores.begin(), cores.end(), missing)) return {};
  return cores;
}

// ---- environment -------------------------------------------------------------------------------

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Of a gang of unlike components: which one this node is of, and what each has.
void set_component_variables(Environment& env, const StepOrder& order) {
  const auto count = static_cast<std::int64_t>(order.spec.components.size());
  env.set("JOB_COMPONENT", number(share_of(order).component));
  env.set("JOB_COMPONENTS", number(count));
  env.set("SLURM_HET_SIZE", number(count));
  for (std::size_t i = 0; i < order.spec.components.size(); ++i) {
    const Component& component = order.spec.components[i];
    std::vector<NodeName> nodes;
    std::vector<std::int64_t> tasks;
    for (const NodeShare& share : order.allocation.shares) {
      if (share.component != i) continue;
      nodes.push_back(share.node);
      tasks.push_back(share.tasks);
    }
    const auto set = [&](std::string_view ours, std::string_view slurms, const std::string& value) {
      env.set(cat("JOB_COMPONENT_", i, '_', ours), value);
      env.set(cat("SLURM_", slurms, "_HET_GROUP_", i), value);
    };
    set("NODELIST", "JOB_NODELIST", render_host_list(nodes));
    set("NUM_NODES", "JOB_NUM_NODES", number(static_cast<std::int64_t>(nodes.size())));
    set("NTASKS", "NTASKS", number(component.tasks));
    set("TASKS_PER_NODE", "TASKS_PER_NODE", render_counts(tasks));
    set("CPUS_PER_TASK", "CPUS_PER_TASK", number(component.cpus_per_task));
    env.set(cat("SLURM_JOB_ID_HET_GROUP_", i),
            number(static_cast<std::int64_t>(order.key.job.value)));
  }
}

// What is the same for all tasks of this node.
void set_job_variables(Environment& env, const StepOrder& order, const LaunchFacts& facts) {
  const NodeShare& share = share_of(order);
  std::vector<NodeName> nodes;
  std::vector<std::int64_t> tasks;
  std::vector<std::int64_t> cores;
  for (const NodeShare& each : order.allocation.shares) {
    nodes.push_back(each.node);
    tasks.push_back(each.tasks);
    cores.push_back(each.resources.cores);
  }
  const std::string id = number(static_cast<std::int64_t>(order.key.job.value));
  const std::string node_list = render_host_list(nodes);
  const std::string node_count = number(static_cast<std::int64_t>(order.allocation.shares.size()));
  const std::string task_count = number(order.spec.total_tasks());
  const std::string cpus_per_task = number(component_of(order).cpus_per_task);

  env.set("HOSTNAME", facts.node.value);

  env.set("JOB_ID", id);
  env.set("SLURM_JOB_ID", id);
  env.set("SLURM_JOBID", id);
  env.set("JOB_NAME", order.spec.name);
  env.set("SLURM_JOB_NAME", order.spec.name);
  env.set("SLURM_JOB_USER", facts.user.name);
  env.set("SLURM_JOB_UID", number(facts.user.uid));
  env.set("SLURM_JOB_GID", number(facts.user.gid));
  if (!order.spec.qos.empty()) env.set("SLURM_JOB_QOS", order.spec.qos);
  env.set("JOB_NODELIST", node_list);
  env.set("SLURM_JOB_NODELIST", node_list);
  env.set("SLURM_NODELIST", node_list);
  env.set("JOB_NUM_NODES", node_count);
  env.set("SLURM_JOB_NUM_NODES", node_count);
  env.set("SLURM_NNODES", node_count);
  set_both(env, "NTASKS", task_count);
  env.set("SLURM_NPROCS", task_count);
  set_both(env, "CPUS_PER_TASK", cpus_per_task);
  set_both(env, "CPUS_ON_NODE", number(share.resources.cores));
  env.set("SLURM_JOB_CPUS_PER_NODE", render_counts(cores));
  env.set("SLURM_TASKS_PER_NODE", render_counts(tasks));
  if (share.resources.memory.value > 0) {
    env.set("SLURM_MEM_PER_NODE", number(share.resources.memory.value >> 20));  // MiB, as Slurm
  }
  set_both(env, "NODEID", number(order.node_index));
  env.set("SLURMD_NODENAME", facts.node.value);
  env.set_default("JOB_SUBMIT_DIR", order.spec.workdir);
  env.set("SLURM_SUBMIT_DIR", *env.find("JOB_SUBMIT_DIR"));
  set_both(env, "RESTART_COUNT", number(order.attempt - 1));
  if (!order.spec.queue.empty()) env.set("SLURM_JOB_PARTITION", order.spec.queue.value);
  if (!order.spec.account.empty()) env.set("SLURM_JOB_ACCOUNT", order.spec.account.value);
  if (order.key.index != JobKey::kNoIndex) {
    set_both(env, "ARRAY_JOB_ID", id);
    set_both(env, "ARRAY_TASK_ID", number(order.key.index));
    if (const auto& array = order.spec.array) {
      const std::vector<IndexRange>& ranges = array->indexes.ranges;
      set_both(env, "ARRAY_TASK_COUNT", number(array->indexes.count()));
      set_both(env, "ARRAY_TASK_MIN", number(ranges.front().first));
      set_both(env, "ARRAY_TASK_MAX", number(ranges.back().last));
      set_both(env, "ARRAY_TASK_STEP", number(ranges.front().step));
    }
  }
  if (order.spec.components.size() > 1) set_component_variables(env, order);
  if (facts.membership) {
    env.set("JOB_WORKFLOW", to_string(facts.membership->workflow));
    env.set("JOB_MEMBER", facts.membership->member);
  }
}

// Whether its script was submitted with #PBS lines: jsubmit says so by this variable.
bool speaks_pbs(const StepOrder& order) {
  return std::any_of(order.spec.env.begin(), order.spec.env.end(), [](std::string_view variable) {
    return variable.starts_with("PBS_ENVIRONMENT=");
  });
}

std::string node_file(const StepOrder& order) {
  std::string text;
  for (const NodeShare& share : order.allocation.shares) {
    for (std::int32_t task = 0; task < share.tasks; ++task) text += cat(share.node.value, '\n');
  }
  return text;
}

void set_pbs_variables(Environment& env,
                       const StepOrder& order,
                       const containers::SandboxReady& sandbox) {
  env.set("PBS_JOBID", number(static_cast<std::int64_t>(order.key.job.value)));
  if (order.key.index != JobKey::kNoIndex) {
    env.set("PBS_ARRAYID", number(order.key.index));      // Torque's
    env.set("PBS_ARRAY_INDEX", number(order.key.index));  // PBS Pro's
    env.set("PBS_ARRAY_ID", number(static_cast<std::int64_t>(order.key.job.value)));
  }
  env.set("PBS_JOBNAME", order.spec.name);
  env.set("PBS_QUEUE", order.spec.queue.value);
  env.set("PBS_NODEFILE", cat(sandbox.files_directory, "/", kNodeFileName));
  env.set("PBS_NODENUM", number(order.node_index));
  env.set("PBS_NUM_NODES", number(static_cast<std::int64_t>(order.allocation.shares.size())));
  env.set("PBS_NUM_PPN", number(share_of(order).tasks));
  env.set("PBS_NP", number(order.spec.total_tasks()));
}

Environment node_environment(const StepOrder& order,
                             const LaunchFacts& facts,
                             const containers::SandboxReady& sandbox) {
  Environment env;
  if (order.spec.image) {
    Environment of_job;
    of_job.set_all(order.spec.env);
    of_job.drop_if(is_bound_to_host);
    env.set_all(sandbox.image_env);
    env.set_all(of_job.strings());
    env.set_all(order.spec.container.env);
  } else {
    env.set_all(order.spec.env);
  }
  env.drop_if(is_of_an_outer_job);
  const containers::UserIdentity& who = sandbox.inside ? *sandbox.inside : facts.user;
  if (sandbox.inside) {
    // The submitter's say who she is outside.
    for (const char* name : {"HOME", "USER", "LOGNAME"})
      env.drop_if([&](std::string_view n) { return n == name; });
  }
  env.set_default("HOME", who.home.empty() ? "/" : who.home);
  env.set_default("USER", who.name);
  env.set_default("LOGNAME", who.name);
  env.set_default("SHELL",
                  order.spec.image || facts.user.shell.empty() ? "/bin/sh" : facts.user.shell);
  env.set_default("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  env.set_default("TMPDIR", "/tmp");
  set_job_variables(env, order, facts);
  set_device_variables(env, share_of(order), facts);
  if (const auto port = given_port(share_of(order))) env.set("PORT", cat(*port));
  if (speaks_pbs(order)) set_pbs_variables(env, order, sandbox);
  plan_launchers(env, order, facts, sandbox);
  if (facts.step_socket) {
    env.set("JOB_STEP_SOCKET", cat(sandbox.files_directory, "/", kStepSocketName));
  }
  // Behind everything: jrun is found in any image, and what the image or the user has goes first.
  if (!facts.step_tool.empty()) {
    env.set("PATH", cat(*env.find("PATH"), ":", sandbox.files_directory, "/bin"));
  }
  return env;
}

// The program of a job that jrun has made for one step: ours, not the image's.
bool is_holder(const StepOrder& order) {
  return order.spec.argv.size() == 2 && order.spec.argv[1] == "--hold" &&
         order.spec.argv[0] == cat(containers::kFilesDirectory, "/bin/jrun");
}

containers::ImageSource image_source(const ImageSpec& image) {
  containers::ImageSource source;
  switch (image.kind) {
    case ImageKind::OciLayout:
      source.kind = containers::ImageSourceKind::OciLayout;
      break;
    case ImageKind::OciArchive:
      source.kind = containers::ImageSourceKind::OciArchive;
      break;
    case ImageKind::DockerArchive:
      source.kind = containers::ImageSourceKind::DockerArchive;
      break;
  }
  source.path = image.path;
  source.manifest_digest = image.manifest_digest;
  return source;
}

}  // namespace

std::vector<std::string> plan_argv(const StepOrder& order,
                                   const containers::SandboxReady& sandbox) {
  const JobSpec& spec = order.spec;
  std::vector<std::string> argv;
  if (!spec.script.empty()) {
    const std::string path = cat(sandbox.files_directory, "/", kScriptName);
    if (!spec.script.starts_with("#!")) argv.push_back("/bin/sh");
    argv.push_back(path);
  } else if (spec.image) {
    if (!is_holder(order)) argv = plan_entrypoint(order, sandbox);
    if (spec.argv.empty() && !spec.container.entrypoint) {
      argv.insert(argv.end(), sandbox.image_cmd.begin(), sandbox.image_cmd.end());
    }
  }
  argv.insert(argv.end(), spec.argv.begin(), spec.argv.end());
  return argv;
}

bool has_host_file(const StepOrder& order) {
  return order.spec.total_tasks() > 1 || order.allocation.shares.size() > 1 || speaks_pbs(order);
}

std::string plan_output_path(const StepOrder& order,
                             const LaunchFacts& facts,
                             std::int32_t task,
                             int stream) {
  const StdioPaths paths = stdio_paths(order, facts, task);
  return stream == 2 && !paths.err.empty() ? paths.err : paths.out;
}

Environment plan_environment(const StepOrder& order,
                             const LaunchFacts& facts,
                             const containers::SandboxReady& sandbox) {
  return node_environment(order, facts, sandbox);
}

// As Docker: the image's entry point stands before the command, or before its own default; with
// another entry point the default has lost its meaning.
std::vector<std::string> plan_entrypoint(const StepOrder& order,
                                         const containers::SandboxReady& sandbox) {
  if (!order.spec.image) return {};
  const std::optional<std::string>& entrypoint = order.spec.container.entrypoint;
  if (!entrypoint) return sandbox.image_entrypoint;
  if (entrypoint->empty()) return {};
  return {*entrypoint};
}

// The image's own command may name files where the image starts it; any other starts where the job
// was submitted.
std::string plan_directory(const StepOrder& order, const containers::SandboxReady& sandbox) {
  const ContainerSpec& container = order.spec.container;
  if (!container.workdir.empty()) return container.workdir;
  if (container.own_command && !sandbox.image_workdir.empty()) return sandbox.image_workdir;
  return order.spec.workdir;
}

std::string render_counts(const std::vector<std::int64_t>& counts) {
  std::string text;
  for (std::size_t i = 0; i < counts.size();) {
    std::size_t same = i;
    while (same < counts.size() && counts[same] == counts[i]) ++same;
    if (!text.empty()) text += ',';
    text += number(counts[i]);
    if (same - i > 1) text += cat("(x", same - i, ")");
    i = same;
  }
  return text;
}

// Left by a job around the submission: true of that job and not of this one.
bool is_of_an_outer_job(std::string_view name) {
  return starts_with_any(name, {"PMIX_",
                                "PMI_",
                                "PMI2_",
                                "OMPI_COMM_WORLD_",
                                "SLURM_ARRAY_",
                                "SLURM_STEP",
                                "JOB_STEP_",
                                "JOB_TASK_CPUS",
                                "SLURM_TASK",
                                "SLURM_LOCALID",
                                "SLURM_PROCID",
                                "SLURM_NODEID",
                                "SLURM_JOB_",
                                "SLURM_GTIDS",
                                "JOB_ARRAY_",
                                "JOB_WORKFLOW",
                                "JOB_MEMBER",
                                "JOB_COMPONENT",
                                "SLURM_HET_",
                                "SLURM_NTASKS_HET_",
                                "SLURM_CPUS_PER_TASK_HET_",
                                "PBS_ARRAY",
                                "PBS_JOB",
                                "PBS_N",
                                "PBS_QUEUE"});
}

bool is_bound_to_host(std::string_view name) {
  static constexpr std::array<std::string_view, 20> kNames{"PATH",
                                                           "LD_LIBRARY_PATH",
                                                           "LD_PRELOAD",
                                                           "LD_AUDIT",
                                                           "LIBRARY_PATH",
                                                           "CPATH",
                                                           "MANPATH",
                                                           "PKG_CONFIG_PATH",
                                                           "PYTHONHOME",
                                                           "PYTHONPATH",
                                                           "PERL5LIB",
                                                           "TMPDIR",
                                                           "TMP",
                                                           "TEMP",
                                                           "SHELL",
                                                           "XDG_RUNTIME_DIR",
                                                           "DBUS_SESSION_BUS_ADDRESS",
                                                           "SSH_AUTH_SOCK",
                                                           "XAUTHORITY",
                                                           "BASH_ENV"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         starts_with_any(name, {"MODULE", "LMOD_", "__LMOD", "LOADEDMODULES", "_LMFILES_", "CONDA_",
                                "BASH_FUNC_"});
}

namespace {

// "SIGQUIT", "quit" or "3"; nullopt: there is none of that name.
std::optional<int> find_signal(std::string_view name) {
  if (const auto number = parse_integer<int>(name)) return *number;
  std::string bare;
  for (const char c : name) {
    bare.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  if (bare.starts_with("SIG")) bare.erase(0, 3);
  for (int number = 1; number < NSIG; ++number) {
    const char* const abbreviation = ::sigabbrev_np(number);
    if (abbreviation != nullptr && bare == abbreviation) return number;
  }
  return std::nullopt;
}

Result<void> read_replica(const wire::ReplicaOrder& m, StepOrder& order) {
  ReplicaProbes& replica = order.replica.emplace();
  const auto read = [](bool is_there, const wire::Probe& probe,
                       std::optional<Probe>& out) -> Result<void> {
    if (!is_there) return {};
    GANGWAY_ASSIGN(out, wire::from_wire(probe));
    return {};
  };
  GANGWAY_TRY(read(m.has_startup(), m.startup(), replica.startup));
  GANGWAY_TRY(read(m.has_readiness(), m.readiness(), replica.readiness));
  GANGWAY_TRY(read(m.has_liveness(), m.liveness(), replica.liveness));
  for (const wire::ContainerPort& port : m.ports()) {
    GANGWAY_ASSIGN(ContainerPort read_port, wire::from_wire(port));
    replica.ports.push_back(std::move(read_port));
  }
  if (m.stop_signal().empty()) return {};
  const auto number = find_signal(m.stop_signal());
  if (!number || *number < 1 || *number >= NSIG)
    return Error(ErrorKind::Invalid, cat("unknown stop signal ", m.stop_signal()));
  order.stop_signal = *number;
  return {};
}

}  // namespace

Result<StepOrder> read_order(const wire::Prepare& m) {
  StepOrder order;
  order.key = wire::from_wire(m.key());
  order.attempt = m.attempt();
  GANGWAY_ASSIGN(order.spec, wire::from_wire(m.spec()));
  GANGWAY_ASSIGN(order.allocation, wire::from_wire(m.allocation()));
  order.node_index = m.node_index();
  order.leased = m.leased();
  if (m.has_replica()) GANGWAY_TRY(read_replica(m.replica(), order));
  if (order.attempt == 0) return Error(ErrorKind::Corrupt, "order: attempt is 0");
  if (order.node_index >= order.allocation.shares.size()) {
    return Error(ErrorKind::Corrupt, cat("order: node_index ", order.node_index, " of ",
                                         order.allocation.shares.size(), " nodes"));
  }
  for (const NodeShare& share : order.allocation.shares) {
    if (share.component >= order.spec.components.size()) {
      return Error(ErrorKind::Corrupt, cat("order: share of component ", share.component));
    }
    if (share.tasks < 0 || share.first_task < 0) {
      return Error(ErrorKind::Corrupt, "order: negative task");
    }
  }
  return order;
}

std::map<std::string, std::vector<DeviceEdits>> read_devices(const wire::ShepherdStart& start) {
  std::map<std::string, std::vector<DeviceEdits>> devices;
  for (const wire::NodeDevices& kind : start.devices()) {
    std::vector<DeviceEdits>& list = devices[kind.name()];
    for (const wire::DeviceEdits& of_one : kind.devices()) {
      DeviceEdits edits;
      for (const wire::Bind& node : of_one.nodes()) {
        edits.nodes.push_back({node.source(), node.destination()});
      }
      for (const wire::Bind& mount : of_one.mounts()) {
        edits.mounts.push_back({mount.source(), mount.destination(), mount.read_only()});
      }
      edits.env.assign(of_one.env().begin(), of_one.env().end());
      list.push_back(std::move(edits));
    }
  }
  return devices;
}

containers::UserIdentity read_user(const wire::ShepherdStart& start) {
  containers::UserIdentity user;
  user.uid = start.order().owner().uid();
  user.gid = start.order().owner().gid();
  for (const std::uint32_t group : start.groups()) user.groups.push_back(group);
  user.name = start.user_name();
  user.home = start.home();
  user.shell = start.shell();
  return user;
}

containers::SandboxRequest plan_sandbox(const StepOrder& order, const LaunchFacts& facts) {
  const NodeShare& share = share_of(order);
  containers::SandboxRequest request;
  request.name = cat(to_string(order.key), ".", order.attempt);
  request.directory = facts.sandbox_directory;
  if (order.spec.image) request.image = image_source(*order.spec.image);
  request.user = facts.user;
  request.hostname = facts.node.value;
  for (const BindSpec& bind : order.spec.binds) {
    request.binds.push_back({bind.source, bind.destination, bind.read_only});
  }
  request.workdir = order.spec.workdir;
  request.read_only_root = order.spec.container.read_only;
  request.private_network = order.spec.container.network == ContainerNetwork::None;
  switch (order.spec.container.user) {
    case ContainerUser::Self:
      break;
    case ContainerUser::Image:
      request.inside = containers::InsideUser::Image;
      break;
    case ContainerUser::Root:
      request.inside = containers::InsideUser::Root;
      break;
  }
  add_devices(share, facts, request);
  if (!facts.shared_machine) {
    for (const std::int32_t core : share.cores) {
      if (facts.usable_cores.empty() ||
          std::find(facts.usable_cores.begin(), facts.usable_cores.end(), core) !=
              facts.usable_cores.end()) {
        request.limits.cores.push_back(core);
      }
    }
    // All or nothing: a part of what was given would be less than the job was promised.
    if (request.limits.cores.size() != share.cores.size()) request.limits.cores.clear();
  }
  if (share.resources.memory.value > 0) request.limits.memory = share.resources.memory;
  if (!order.spec.script.empty()) {
    request.files.push_back({std::string(kScriptName), order.spec.script, true});
  }
  if (has_host_file(order)) {
    request.files.push_back({std::string(kNodeFileName), node_file(order), false});
  }
  if (!facts.step_tool.empty()) {
    // srun too: two in ten scripts call it.
    request.tools.push_back({facts.step_tool, {"jrun", "srun", std::string(kRemoteShellName)}});
  }
  if (facts.step_socket) {
    request.socket = containers::SandboxSocket{std::string(kStepSocketName), facts.step_socket};
  }
  request.outputs = plan_outputs(order, facts);
  request.umask = static_cast<mode_t>(order.spec.umask & 0777);
  return request;
}

std::vector<containers::ProgramRequest> plan_programs(const StepOrder& order,
                                                      const LaunchFacts& facts,
                                                      const containers::SandboxReady& sandbox,
                                                      const std::vector<RankEnvironment>& ranks) {
  const std::string directory = plan_directory(order, sandbox);
  Environment common = node_environment(order, facts, sandbox);
  if (!is_batch(order)) {
    plan_mpi_environment(common, facts, order.spec.mpi,
                         static_cast<std::size_t>(programs_here(order)),
                         share_of(order).cores.size());
  }
  common.set("PWD", directory);
  const std::vector<std::string> argv = plan_argv(order, sandbox);
  const RankMap map = ranks_of_job(order);
  std::vector<containers::ProgramRequest> programs;
  for (std::int32_t local = 0; local < programs_here(order); ++local) {
    const std::int32_t task = is_batch(order) ? 0 : share_of(order).first_task + local;
    const StdioPaths paths = stdio_paths(order, facts, task);
    Environment env = common;
    set_both(env, "PROCID", number(task));
    set_both(env, "LOCALID", number(local));
    for (const RankEnvironment& rank : ranks) {
      if (rank.rank == static_cast<std::uint32_t>(task)) env.set_all(rank.env);
    }
    if (!is_batch(order) && offers_pmi(order.spec.mpi)) {
      plan_pmi_variables(env, map.name, static_cast<std::uint32_t>(task), map.tasks);
    }
    containers::ProgramRequest program;
    program.id = static_cast<std::uint32_t>(local);
    program.argv = argv;
    program.env = env.strings();
    program.workdir = directory;
    program.stdin_path = paths.in;
    program.out = {.path = paths.out, .truncate = false};  // made while preparing
    if (!paths.err.empty()) {
      program.err = containers::ProgramOutput{.path = paths.err, .truncate = false};
    }
    program.cores = cores_of_task(order, facts, local);
    program.umask = static_cast<mode_t>(order.spec.umask & 0777);
    programs.push_back(std::move(program));
  }
  return programs;
}

std::string render_used(const StepOrder& order, const LaunchFacts& facts, const UsedAmounts& used) {
  const NodeShare& share = share_of(order);
  const std::int64_t tenths = used.wall.ns > 0 ? used.cpu.ns * 10 / used.wall.ns : 0;
  std::string text = cat("gangway: job ", to_string(order.key), " on ", facts.node.value, " used ",
                         render_bytes(used.peak_memory));
  if (share.resources.memory.value > 0) text += cat(" of ", render_bytes(share.resources.memory));
  text += cat(" memory, ", tenths / 10, ".", tenths % 10, " of ", share.resources.cores,
              " cores, for ", render_duration(used.wall));
  if (order.spec.time_limit) text += cat(" of ", render_duration(*order.spec.time_limit));
  return text + cat(", read ", render_bytes(used.read), ", wrote ", render_bytes(used.written));
}

// ---- for people --------------------------------------------------------------------------------

namespace {
void line(std::string& out, std::string_view name, std::string_view value) {
  out += cat(name, ": ", value, "\n");
}
std::string list(const std::vector<int>& numbers) {
  std::vector<std::string> parts;
  parts.reserve(numbers.size());
  for (const int each : numbers) parts.push_back(cat(each));
  return join(parts, ",");
}
std::string_view mode_of(const containers::ProgramOutput& output) {
  return output.truncate ? " (new)" : " (append)";
}
}  // namespace

std::string render(const containers::SandboxRequest& sandbox) {
  std::string out;
  line(out, "sandbox", sandbox.name);
  line(out, "image",
       sandbox.image ? cat(sandbox.image->path, " ", sandbox.image->manifest_digest)
                     : std::string("none: the host's file system"));
  line(out, "user", cat(sandbox.user.name, " ", sandbox.user.uid, ":", sandbox.user.gid));
  line(out, "hostname", sandbox.hostname);
  line(out, "workdir", sandbox.workdir);
  for (const auto& bind : sandbox.binds) {
    line(out, "bind", cat(bind.source, " -> ", bind.destination, bind.read_only ? " (ro)" : ""));
  }
  for (const auto& device : sandbox.devices) {
    line(out, "device", cat(device.source, " -> ", device.inside));
  }
  for (const auto& path : sandbox.closed_devices) line(out, "closed device", path);
  if (sandbox.private_network) line(out, "network", "none");
  line(out, "cores", list(sandbox.limits.cores));
  line(out, "memory", sandbox.limits.memory ? render_bytes(*sandbox.limits.memory) : "no limit");
  for (const auto& file : sandbox.files) {
    line(out, "file", cat(file.name, " (", file.bytes.size(), " bytes)"));
  }
  for (const auto& output : sandbox.outputs) {
    line(out, "output", cat(output.path, mode_of(output)));
  }
  return out;
}

std::string render(const containers::ProgramRequest& program) {
  std::string out;
  line(out, "program", cat(program.id));
  line(out, "argv", join(program.argv, " "));
  line(out, "workdir", program.workdir);
  line(out, "stdin", program.stdin_path.empty() ? "/dev/null" : program.stdin_path);
  line(out, "stdout", program.out.path);
  line(out, "stderr", program.err ? program.err->path : program.out.path);
  line(out, "cores", list(program.cores));
  for (const std::string& variable : program.env) line(out, "env", variable);
  return out;
}

}  // namespace gangway::executor
