#include "submit/jobspec_parse.hpp"

#include <algorithm>
#include <iterator>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/devices.hpp"
#include "submit/pbs_options.hpp"

namespace gangway::submit {

namespace {

Error invalid(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

struct Counts {
  std::int32_t nodes = 1;
  std::int32_t tasks = 1;
};

std::int64_t most_nodes(const JobDraft& draft) {
  return draft.most_nodes && draft.nodes ? *draft.most_nodes : kMaxNodesPerJob;
}

// `at_least`: so many nodes, if their number is left to us.
Result<Counts> count_tasks(JobDraft& draft, std::int64_t at_least) {
  const std::int64_t listed = static_cast<std::int64_t>(draft.only_nodes.size());
  // Two nodes with a and one with b are three.
  std::int64_t counted = 0;
  if (draft.constraint) {
    GANGWAY_ASSIGN(const Constraint constraint, parse_constraint(*draft.constraint));
    counted = constraint.counted_nodes();
  }
  if (draft.nodes && listed > 0 && *draft.nodes > listed) {
    return invalid(cat("--nodes=", *draft.nodes, " with --nodelist of ", listed,
                       ": a job runs on the listed nodes and no others; list as many as it needs"));
  }
  std::int64_t nodes = draft.nodes.value_or(0);
  std::int64_t tasks = draft.tasks.value_or(0);
  const std::int64_t per_node = draft.tasks_per_node.value_or(0);
  if (nodes == 0 && tasks > 0 && per_node > 0) nodes = (tasks + per_node - 1) / per_node;
  const bool has_range = draft.most_nodes.value_or(0) > nodes;
  draft.nodes_are_open = (nodes == 0 || has_range) && tasks > std::max<std::int64_t>(nodes, 1) &&
                         per_node == 0 && std::max(counted, listed) == 0;
  if (nodes == 0) nodes = std::max({counted, listed, std::int64_t{1}});
  if (draft.nodes_are_open) {
    nodes = std::clamp(at_least, nodes, std::min(tasks, most_nodes(draft)));
  }
  if (tasks == 0) tasks = nodes * std::max<std::int64_t>(per_node, 1);
  if (per_node > 0 && tasks > nodes * per_node) {
    return invalid(cat("--ntasks=", tasks, " does not fit: --nodes=", nodes,
                       " with --ntasks-per-node=", per_node, " have room for ", nodes * per_node));
  }
  if (tasks < nodes) {
    draft.warnings.push_back(
        cat("--ntasks=", tasks, " on --nodes=", nodes, " leaves nodes idle; using ", tasks));
    nodes = tasks;
  }
  if (tasks > kMaxTasksPerJob) {
    return invalid(cat(tasks, " tasks are too many; a job has at most ", kMaxTasksPerJob));
  }
  return Counts{static_cast<std::int32_t>(nodes), static_cast<std::int32_t>(tasks)};
}

// Named resources of each node: --gres, then the GPUs that the --gpus family asks for. What is
// asked for by type counts for its kind too.
Result<Resources> count_named(const JobDraft& draft, const Component& component) {
  Resources named;
  const auto add = [&](const NamedAmounts& amounts, std::int64_t times, std::int64_t over) {
    for (const auto& [name, amount] : amounts) {
      const std::int64_t here = (amount * times + over - 1) / over;
      const std::string kind(kind_of_resource(name));
      named.set_named(name, named.amount_of(name) + here);
      if (kind != name) named.set_named(kind, named.amount_of(kind) + here);
    }
  };
  const bool gpus = draft.gpus || draft.gpus_per_node || draft.gpus_per_task;
  NamedAmounts others = draft.named;
  if (gpus) {
    std::erase_if(others, [](const auto& entry) { return kind_of_resource(entry.first) == "gpu"; });
  }
  add(others, 1, 1);
  if (draft.gpus_per_node) {
    add(*draft.gpus_per_node, 1, 1);
  } else if (draft.gpus_per_task) {
    add(*draft.gpus_per_task, component.tasks_on_fullest_node(), 1);
  } else if (draft.gpus) {
    add(*draft.gpus, 1, component.nodes);
  }
  return named;
}

// What --cpus-per-gpu and --mincpus make of the cores, and what --ntasks-per-socket
// cannot promise.
Result<void> count_cores(JobDraft& draft, Component& component) {
  const std::int64_t tasks = component.tasks_on_fullest_node();
  if (draft.cpus_per_gpu) {
    if (draft.cpus_per_task) return invalid("--cpus-per-gpu excludes --cpus-per-task");
    const std::int64_t gpus = component.named_per_node.amount_of("gpu");
    if (gpus == 0) return invalid("--cpus-per-gpu: the job asks for no GPUs");
    const std::int64_t cores = gpus * *draft.cpus_per_gpu;
    if (cores > kMaxCpusPerTask) return invalid(cat("--cpus-per-gpu: ", cores, " cores on a node"));
    component.cpus_per_task = static_cast<std::int32_t>((cores + tasks - 1) / tasks);
  }
  if (draft.overcommit) component.cores_per_node = component.cpus_per_task;
  if (draft.min_cores && *draft.min_cores > component.cores_for(tasks)) {
    component.cores_per_node = *draft.min_cores;
  }
  // How many sockets a node has is not known; on one they surely fit.
  if (draft.tasks_per_socket && tasks > *draft.tasks_per_socket) {
    draft.ignored.emplace_back("--ntasks-per-socket");
  }
  return {};
}

Result<Bytes> count_memory(const MemoryRequest& request, const Component& component) {
  std::int64_t factor = 1;
  if (request.per == MemoryPer::Cpu) {
    factor = component.cores_for(component.tasks_on_fullest_node());
  } else if (request.per == MemoryPer::Gpu) {
    factor = component.named_per_node.amount_of("gpu");
    if (factor == 0) return invalid(cat(request.spelled, ": the job asks for no GPUs"));
  }
  std::int64_t total = 0;
  if (__builtin_mul_overflow(request.amount.value, factor, &total)) {
    return invalid(cat(request.spelled, ": this is more memory than a number can say"));
  }
  return Bytes{total};
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

// Puts "NAME=value" in the place of what has that name.
void set_variable(std::vector<std::string>& variables, std::string_view assignment) {
  std::erase_if(variables, [&](const std::string& v) { return name_of(v) == name_of(assignment); });
  variables.emplace_back(assignment);
}

// What the job gets of the environment: by "ALL", and by name.
struct Exported {
  std::vector<std::string> all;
  std::vector<std::string> named;
};

// Slurm's --export: words of a list, of which ALL, NONE and NIL are not names. Without it
// everything goes along, except into an image: its own environment is right there, and what a
// script for Slurm expects.
Exported exported(const JobDraft& draft, const std::vector<std::string>& environment) {
  const bool into_image = draft.image && !draft.from_sbatch && !draft.from_pbs;
  const std::string_view list = draft.export_list ? std::string_view(*draft.export_list)
                                : into_image      ? "NONE"
                                                  : "ALL";
  bool everything = list.empty();
  const std::vector<std::string> items = split_quoted(list);
  std::vector<std::string_view> names;
  for (const std::string_view item : items) {
    if (item == "ALL" || item == "all") {
      everything = true;
    } else if (item != "NONE" && item != "none" && item != "NIL" && item != "nil" &&
               !item.empty()) {
      names.push_back(item);
    }
  }
  names.insert(names.end(), draft.env.begin(), draft.env.end());
  const auto is_named = [&](const std::string& variable) {
    return std::ranges::any_of(names,
                               [&](std::string_view n) { return name_of(n) == name_of(variable); });
  };
  Exported out;
  for (const std::string& variable : environment) {
    if (name_of(variable).empty() || variable.find('=') == variable.npos) continue;
    if (everything && !is_named(variable)) out.all.push_back(variable);
  }
  for (const std::string_view name : names) {
    if (name.find('=') != name.npos) {
      set_variable(out.named, name);
      continue;
    }
    for (const std::string& variable : environment) {
      if (name_of(variable) == name && variable.size() > name.size()) {
        set_variable(out.named, variable);
      }
    }
  }
  return out;
}

// What is said of an image's container. Errors: Invalid, where there is no image.
Result<ContainerSpec> make_container(const JobDraft& draft,
                                     const ProgramText& program,
                                     std::vector<std::string> named) {
  ContainerSpec container;
  if (!draft.image) {
    const std::string_view given = draft.entrypoint                    ? "--entrypoint"
                                   : draft.read_only                   ? "--read-only"
                                   : draft.user != ContainerUser::Self ? "--user"
                                                                       : "";
    container.network = draft.network;
    if (given.empty()) return container;
    return invalid(cat(given, ": it is for a container image, and there is no --image"));
  }
  container.own_command = program.script.empty() && program.argv.empty();
  container.entrypoint = draft.entrypoint;
  container.env = std::move(named);
  container.workdir = draft.workdir.value_or("");
  container.read_only = draft.read_only;
  container.user = draft.user;
  container.network = draft.network;
  if (container.own_command && draft.entrypoint && draft.entrypoint->empty()) {
    return invalid("--entrypoint: without an entry point there is nothing to run; give a command");
  }
  return container;
}

// Half of all PBS scripts begin with: cd $PBS_O_WORKDIR. What is known only when the job runs, as
// PBS_NODEFILE, the executor adds where it finds PBS_ENVIRONMENT. Scripts for others get none of
// it: Open MPI and its like take such variables for the system they are under.
void set_pbs_variables(std::vector<std::string>& env, bool from_pbs, const std::string& directory) {
  std::erase_if(env, [](std::string_view variable) {
    return variable.starts_with("PBS_ENVIRONMENT=") || variable.starts_with("PBS_O_WORKDIR=");
  });
  if (!from_pbs) return;
  env.emplace_back("PBS_ENVIRONMENT=PBS_BATCH");
  env.push_back(cat("PBS_O_WORKDIR=", directory));
}

// Where jsubmit was called; the executor takes the working directory for it unless we say
// otherwise.
void set_submit_directory(std::vector<std::string>& env,
                          const std::string& workdir,
                          const std::string& directory) {
  std::erase_if(env, [](std::string_view variable) {
    return variable.starts_with("JOB_SUBMIT_DIR=") || variable.starts_with("SLURM_SUBMIT_DIR=");
  });
  if (workdir != directory) env.push_back(cat("JOB_SUBMIT_DIR=", directory));
}

Result<Component> make_component_on(JobDraft& draft, std::int64_t at_least) {
  Component component;
  GANGWAY_ASSIGN(const Counts counts, count_tasks(draft, at_least));
  component.nodes = counts.nodes;
  component.tasks = counts.tasks;
  component.cpus_per_task = draft.cpus_per_task.value_or(1);
  component.exclusive = draft.exclusive;
  component.only_nodes = draft.only_nodes;
  component.not_nodes = draft.not_nodes;
  component.constraint = draft.constraint.value_or("");
  GANGWAY_ASSIGN(component.named_per_node, count_named(draft, component));
  GANGWAY_TRY(count_cores(draft, component));
  if (draft.memory) {
    GANGWAY_ASSIGN(component.memory_per_node, count_memory(*draft.memory, component));
    // Slurm's --mem=0 is all of a node's memory; with it gone nobody else could start there.
    if (draft.memory->per == MemoryPer::Node && draft.memory->amount.value == 0) {
      component.exclusive = true;
    }
  }
  return component;
}

bool has_room(const Component& component, const std::vector<Resources>& nodes) {
  const Resources share = component.per_node();
  const auto able =
      std::ranges::count_if(nodes, [&](const Resources& r) { return fits_in(share, r); });
  return able >= component.nodes;
}

// Where their number is left to us: as few nodes as there ever are with room for the tasks. If
// there are none, what was asked for, and the scheduler says what is missing.
Result<Component> make_component(JobDraft& draft, const std::vector<Resources>& nodes) {
  // In a cluster of unlike nodes the fewest are not far behind what the largest could hold.
  constexpr std::int64_t kMostTries = 1'000;
  GANGWAY_ASSIGN(Component asked, make_component_on(draft, 1));
  if (!draft.nodes_are_open || nodes.empty() || has_room(asked, nodes)) return asked;
  const std::int64_t most_cores = std::ranges::max(nodes, {}, &Resources::cores).cores;
  const std::int64_t first = std::max<std::int64_t>(
      asked.nodes + 1, asked.total_cores() / std::max<std::int64_t>(most_cores, 1));
  const std::int64_t last = std::min({first + kMostTries, std::int64_t{asked.tasks},
                                      most_nodes(draft), static_cast<std::int64_t>(nodes.size())});
  for (std::int64_t count = first; count <= last; ++count) {
    JobDraft trial = draft;
    GANGWAY_ASSIGN(Component component, make_component_on(trial, count));
    if (has_room(component, nodes)) return component;
  }
  return asked;
}

}  // namespace

// A quote that is never closed is an apostrophe.
std::vector<std::string> split_quoted(std::string_view list) {
  std::vector<std::string> items(1);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char c = list[i];
    const std::size_t close = c == '"' || c == '\'' ? list.find(c, i + 1) : list.npos;
    if (close != list.npos) {
      items.back() += list.substr(i + 1, close - i - 1);
      i = close;
    } else if (c == ',') {
      items.emplace_back();
    } else {
      items.back() += c;
    }
  }
  return items;
}

std::string absolute_path(std::string_view path, std::string_view directory) {
  if (path.starts_with('/')) return std::string(path);
  while (path.starts_with("./")) path.remove_prefix(2);
  if (path.empty() || path == ".") return std::string(directory);
  return cat(directory, directory.ends_with('/') ? "" : "/", path);
}

std::string ignored_warning(std::vector<std::string> ignored) {
  std::vector<std::string> names;
  for (std::string& name : ignored) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  if (names.empty()) return {};
  return cat("without effect here: ", join(names, ", "));
}

bool repair_line_ends(std::string& script) {
  const std::size_t end = script.find('\n');
  if (end == std::string::npos || end == 0 || script[end - 1] != '\r') return false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < script.size(); ++i) {
    if (script[i] == '\r' && i + 1 < script.size() && script[i + 1] == '\n') continue;
    script[kept++] = script[i];
  }
  script.resize(kept);
  return true;
}

Result<void> check_script(std::string_view script, std::string_view name) {
  if (trim(script).empty()) return invalid(cat(name, ": the script is empty"));
  if (script.starts_with("\xEF\xBB\xBF")) {
    return invalid(cat(name,
                       ":1: the file begins with a byte order mark (UTF-8), which the kernel does "
                       "not pass over; repair it with: sed -i '1s/^\\xEF\\xBB\\xBF//' ",
                       name));
  }
  if (!script.starts_with("#!")) {
    return invalid(cat(name,
                       ":1: a job script begins with \"#!\" and the path of its interpreter, "
                       "such as #!/bin/sh"));
  }
  if (const std::size_t at = script.find("\r\n"); at != std::string_view::npos) {
    const auto line =
        1 + std::count(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    return invalid(cat(name, ":", line,
                       ": the line ends with a carriage return (DOS); repair the "
                       "file with: sed -i 's/\\r$//' ",
                       name));
  }
  if (script.find('\0') != std::string_view::npos) {
    return invalid(cat(name, ": this is no text file; run a program with: jsubmit -- ", name));
  }
  return {};
}

Result<void> apply_script(JobDraft& draft, std::string_view script, const std::string& name) {
  const ScriptDirectives found = parse_directives(script);
  std::size_t component = 0;
  for (const ScriptWarning& warning : found.warnings) {
    draft.warnings.push_back(cat(name, ":", warning.line, ": ", warning.message));
  }
  for (const Directive& directive : found.directives) {
    const Place place{.file = name, .line = directive.line};
    draft.from_sbatch = draft.from_sbatch || directive.dialect == Dialect::Sbatch;
    if (directive.dialect == Dialect::Pbs) {
      draft.from_pbs = true;
      GANGWAY_TRY(apply_pbs(draft, directive.words, place));
      continue;
    }
    if (directive.words.size() == 1 &&
        (directive.words[0] == "hetjob" || directive.words[0] == "packjob")) {
      if (++component == kMaxComponents) {
        return invalid(cat(prefix_of(place), "a job has at most ", kMaxComponents, " components"));
      }
      static_cast<void>(draft.component(component));
      continue;
    }
    GANGWAY_ASSIGN(ParsedOptions parsed,
                   parse_options(job_option_names(), directive.words, Operands::Anywhere, place));
    for (GivenOption& given : parsed.options) given.component = component;
    if (!parsed.operands.empty()) {
      return invalid(cat(prefix_of(place), "\"", parsed.operands.front(),
                         "\" is not an option; a value with blanks needs quotes, and a comment "
                         "begins with #"));
    }
    GANGWAY_TRY(apply_options(draft, parsed.options));
  }
  return {};
}

namespace {

// Whether a message names the option: "--ntasks", and not "--ntasks-per-node".
bool names_option(std::string_view message, std::string_view name) {
  const std::string word = cat("--", name);
  for (std::size_t at = message.find(word); at != message.npos; at = message.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool ends = end == message.size() || (message[end] != '-' && message[end] != '_' &&
                                                (message[end] < 'a' || message[end] > 'z'));
    if (ends) return true;
  }
  return false;
}

// An error about options that contradict each other is of the script's last line with one of them,
// if nothing stronger has said any.
Error placed(const JobDraft& draft, const Error& error) {
  const Place* last = nullptr;
  const auto look_at = [&](const JobDraft& one) {
    for (const JobDraft::Said& said : one.said) {
      if (!names_option(error.message(), job_option_names()[said.option].name)) continue;
      if (said.source != OptionSource::Script) return false;
      if (last == nullptr || said.place.line > last->line) last = &said.place;
    }
    return true;
  };
  const bool of_script = look_at(draft) && std::ranges::all_of(draft.others, look_at);
  if (!of_script || last == nullptr) return error;
  return Error(error.kind(), cat(prefix_of(*last), error.message()));
}

Result<JobSpec> put_together(JobDraft& draft,
                             const ProgramText& program,
                             const Surroundings& around) {
  JobSpec spec;
  spec.name = draft.name.value_or(program.default_name);
  spec.queue = QueueName(draft.queue.value_or(""));
  spec.account = AccountName(draft.account.value_or(""));
  spec.qos = draft.qos.value_or("");
  spec.comment = draft.comment.value_or("");
  spec.nice = draft.nice.value_or(0);
  spec.held = draft.hold;
  spec.requeue = draft.requeue;
  spec.not_before = draft.begin;
  if (draft.time_limit && draft.time_limit->ns > 0) spec.time_limit = draft.time_limit;
  GANGWAY_ASSIGN(Component first, make_component(draft, around.nodes));
  spec.components.push_back(std::move(first));
  for (JobDraft& other : draft.others) {
    Result<Component> component = make_component(other, around.nodes);
    if (!component) {
      return component.error().with_context(cat("component ", spec.components.size()));
    }
    spec.components.push_back(*std::move(component));
    draft.nodes_are_open = draft.nodes_are_open || other.nodes_are_open;
    std::ranges::move(other.warnings, std::back_inserter(draft.warnings));
    std::ranges::move(other.ignored, std::back_inserter(draft.ignored));
    other.warnings.clear();
    other.ignored.clear();
  }

  spec.script = program.script;
  spec.argv = program.argv;
  const bool is_command = program.script.empty();
  const bool wants_mpi = draft.mpi.value_or(MpiMode::None) != MpiMode::None;
  if (is_command && (spec.total_tasks() > 1 || wants_mpi)) {
    spec.launch = LaunchMode::Tasks;
    spec.mpi = draft.mpi.value_or(MpiMode::Auto);
  } else if (!is_command && wants_mpi) {
    draft.warnings.emplace_back(
        "--mpi has no effect on a script, which is started once; it is for: jsubmit -- COMMAND");
  }

  std::vector<std::string> environment = around.environment;
  if (draft.user_env && around.login_environment != nullptr) {
    GANGWAY_ASSIGN(const std::vector<std::string> login, around.login_environment());
    // What is set here is stronger.
    for (const std::string& variable : login) {
      const bool is_set = std::ranges::any_of(around.environment, [&](const std::string& v) {
        return name_of(v) == name_of(variable);
      });
      if (!is_set) environment.push_back(variable);
    }
  }
  Exported variables = exported(draft, environment);
  spec.env = std::move(variables.all);
  if (!draft.image) {
    for (const std::string& variable : variables.named) set_variable(spec.env, variable);
  }
  GANGWAY_ASSIGN(spec.container, make_container(draft, program, std::move(variables.named)));
  if (draft.overcommit) draft.step_env.emplace_back("SLURM_OVERCOMMIT=1");
  if (spec.launch == LaunchMode::Tasks && draft.deals_tasks_otherwise) {
    draft.ignored.emplace_back("--distribution");
  }
  // Of this job, whatever one around the submission had.
  std::erase_if(spec.env, [](std::string_view variable) {
    return variable.starts_with("SLURM_MEM_PER_") || variable.starts_with("SLURM_NTASKS_PER_NODE=");
  });
  if (draft.tasks_per_node) {
    draft.step_env.push_back(cat("SLURM_NTASKS_PER_NODE=", *draft.tasks_per_node));
  }
  if (draft.memory && draft.memory->per == MemoryPer::Cpu) {
    draft.step_env.push_back(cat("SLURM_MEM_PER_CPU=", draft.memory->amount.value >> 20));
  }
  if (!around.host.empty()) draft.step_env.push_back(cat("SLURM_SUBMIT_HOST=", around.host));
  for (const std::string& variable : draft.step_env) set_variable(spec.env, variable);
  set_pbs_variables(spec.env, draft.from_pbs, around.directory);
  const std::optional<std::string>& directory =
      draft.chdir || draft.image ? draft.chdir : draft.workdir;
  spec.workdir = absolute_path(directory.value_or(""), around.directory);
  set_submit_directory(spec.env, spec.workdir, around.directory);
  spec.umask = draft.umask.value_or(around.umask);
  // Scripts for Slurm, and what reads after them, look for its names.
  const std::string_view by_default = !draft.from_sbatch ? ""
                                      : draft.array      ? "slurm-%A_%a.out"
                                                         : "slurm-%j.out";
  spec.stdio.out = draft.output.value_or(std::string(by_default));
  spec.stdio.err = draft.join_output ? std::string() : draft.error.value_or("");
  spec.stdio.in = draft.input.value_or("");
  // A subjob of PBS has an id of its own.
  if (draft.from_pbs && draft.array) {
    for (std::string* const path : {&spec.stdio.out, &spec.stdio.err}) {
      for (std::size_t at = 0; (at = path->find("%j", at)) != path->npos; at += 5) {
        path->replace(at, 2, "%A_%a");
      }
    }
  }
  spec.stdio.append = draft.append;
  spec.warning = draft.warning;
  spec.report_usage = draft.report_usage;
  for (BindSpec bind : draft.binds) {
    bind.source = absolute_path(bind.source, around.directory);
    bind.destination = absolute_path(bind.destination, around.directory);
    spec.binds.push_back(std::move(bind));
  }
  spec.dependencies = draft.dependencies;
  spec.any_dependency = draft.any_dependency;
  spec.array = draft.array;
  spec.deadline = draft.deadline;
  spec.mail = draft.mail;
  spec.retries = draft.retries;
  spec.retry_backoff = draft.retry_backoff;
  spec.kill_on_invalid_dependency = draft.kill_on_invalid_dependency;
  GANGWAY_TRY(validate(spec));
  return spec;
}

}  // namespace

Result<JobSpec> make_spec(JobDraft& draft, const ProgramText& program, const Surroundings& around) {
  Result<JobSpec> spec = put_together(draft, program, around);
  if (!spec) return placed(draft, spec.error());
  return spec;
}

Result<ParsedJob> parse_job(std::span<const GivenOption> command_line,
                            const ProgramText& program,
                            const std::string& script_name,
                            const Surroundings& around) {
  JobDraft draft;
  draft.now = around.now;
  if (!script_name.empty()) {
    draft.source = OptionSource::Script;
    GANGWAY_TRY(apply_script(draft, program.script, script_name));
  }
  for (const GivenOption& given : command_line) {
    if (given.component < kMaxComponents) static_cast<void>(draft.component(given.component));
  }
  draft.source = OptionSource::Environment;
  GANGWAY_TRY(apply_environment(draft, around.environment));
  draft.source = OptionSource::CommandLine;
  GANGWAY_TRY(apply_options(draft, command_line));

  ParsedJob job;
  GANGWAY_ASSIGN(job.spec, make_spec(draft, program, around));
  job.image = draft.image;
  job.choices = std::move(draft.choices);
  job.nodes_are_open = draft.nodes_are_open;
  job.warnings = std::move(draft.warnings);
  if (std::string line = ignored_warning(std::move(draft.ignored)); !line.empty()) {
    job.warnings.push_back(std::move(line));
  }
  return job;
}

}  // namespace gangway::submit
