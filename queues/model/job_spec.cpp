#include "queues/model/job_spec.hpp"

#include <algorithm>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"

namespace gangway {

Resources Component::per_node() const {
  Resources r;
  r.cores = cores_for(tasks_on_fullest_node());
  r.memory = memory_per_node;
  r.named = named_per_node.named;
  return r;
}

std::string_view to_string(ImageKind kind) {
  switch (kind) {
    case ImageKind::OciLayout:
      return "oci";
    case ImageKind::OciArchive:
      return "oci-archive";
    case ImageKind::DockerArchive:
      return "docker-archive";
  }
  return "oci";
}

std::string_view to_string(MpiMode mode) {
  switch (mode) {
    case MpiMode::None:
      return "none";
    case MpiMode::Pmix:
      return "pmix";
    case MpiMode::Pmi2:
      return "pmi2";
    case MpiMode::Pmi1:
      return "pmi1";
    case MpiMode::Auto:
      return "auto";
  }
  return "?";
}

std::string_view to_string(DependencyKind kind) {
  switch (kind) {
    case DependencyKind::After:
      return "after";
    case DependencyKind::AfterAny:
      return "afterany";
    case DependencyKind::AfterOk:
      return "afterok";
    case DependencyKind::AfterNotOk:
      return "afternotok";
    case DependencyKind::AfterCorr:
      return "aftercorr";
    case DependencyKind::Singleton:
      return "singleton";
  }
  return "afterok";
}

std::int32_t JobSpec::total_nodes() const {
  std::int32_t sum = 0;
  for (const auto& component : components) sum += component.nodes;
  return sum;
}

std::int32_t JobSpec::total_tasks() const {
  std::int32_t sum = 0;
  for (const auto& component : components) sum += component.tasks;
  return sum;
}

namespace {
// The kernel takes no argument or variable longer than this (MAX_ARG_STRLEN, 32 pages).
constexpr std::size_t kMaxStringBytes = (128 << 10) - 1;
constexpr std::size_t kMaxPathBytes = 4095;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

// A value as an error shows it: short, on one line.
std::string shown(std::string_view value) {
  constexpr std::size_t kLongest = 80;
  std::string out = "\"";
  for (const char c : value.substr(0, kLongest)) {
    out.push_back(static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c);
  }
  out.append(value.size() > kLongest ? "...\"" : "\"");
  return out;
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Result<void> check_label(std::string_view option, std::string_view value, std::size_t longest) {
  if (value.size() > longest) {
    return invalid(cat(option, ": ", shown(value), " is longer than ", longest, " bytes"));
  }
  const bool has_control = std::ranges::any_of(
      value, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
  if (has_control) return invalid(cat(option, ": ", shown(value), " has a control character"));
  if (!is_utf8(value)) return invalid(cat(option, ": ", shown(value), " is not UTF-8"));
  return {};
}

Result<void> check_path(std::string_view option, std::string_view path) {
  if (path.size() > kMaxPathBytes) {
    return invalid(cat(option, ": ", shown(path), " is longer than ", kMaxPathBytes, " bytes"));
  }
  if (has_nul(path)) return invalid(cat(option, ": ", shown(path), " has a zero byte"));
  return {};
}

Result<void> check_absolute(std::string_view option, std::string_view path) {
  GANGWAY_TRY(check_path(option, path));
  if (!path.starts_with('/')) {
    return invalid(cat(option, ": ", shown(path), " is not an absolute path"));
  }
  return {};
}

Result<void> check_node_names(std::string_view option, const std::vector<NodeName>& names) {
  if (names.size() > static_cast<std::size_t>(kMaxNodesPerJob)) {
    return invalid(cat(option, ": more than ", kMaxNodesPerJob, " nodes"));
  }
  for (const auto& name : names) {
    if (name.empty()) return invalid(cat(option, ": a node's name is empty"));
    GANGWAY_TRY(check_label(option, name.value, kMaxNameBytes));
  }
  return {};
}

// As the configuration names them: letters, digits, dots, dashes and underscores; a type follows a
// colon.
bool is_resource_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  const auto is_name = [](std::string_view part) {
    return !part.empty() && part.size() <= kLongest && std::ranges::all_of(part, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '-' || c == '_';
    });
  };
  const std::size_t colon = name.find(':');
  return is_name(name.substr(0, colon)) &&
         (colon == std::string_view::npos || is_name(name.substr(colon + 1)));
}

Result<void> check_constraint(const Component& c) {
  if (c.constraint.empty()) return {};
  const auto constraint = parse_constraint(c.constraint);
  if (!constraint) {
    return invalid(cat("--constraint=", shown(c.constraint), ": ", constraint.error().message()));
  }
  if (constraint->counted_nodes() > c.nodes) {
    return invalid(cat("--constraint=", shown(c.constraint), " asks for ",
                       constraint->counted_nodes(), " nodes, --nodes=", c.nodes, " are fewer"));
  }
  return {};
}

Result<void> check_component(const Component& c) {
  if (c.nodes < 1 || c.nodes > kMaxNodesPerJob) {
    return invalid(cat("--nodes=", c.nodes, ": between 1 and ", kMaxNodesPerJob, " are possible"));
  }
  if (c.tasks < 1 || c.tasks > kMaxTasksPerJob) {
    return invalid(cat("--ntasks=", c.tasks, ": between 1 and ", kMaxTasksPerJob, " are possible"));
  }
  if (c.tasks < c.nodes) {
    return invalid(cat("--ntasks=", c.tasks, " is less than --nodes=", c.nodes,
                       ": each node gets at least one task"));
  }
  if (c.cpus_per_task < 1 || c.cpus_per_task > kMaxCpusPerTask) {
    return invalid(cat("--cpus-per-task=", c.cpus_per_task, ": between 1 and ", kMaxCpusPerTask,
                       " are possible"));
  }
  if (c.cores_per_node < 0 || c.cores_per_node > kMaxCpusPerTask) {
    return invalid(
        cat("--mincpus=", c.cores_per_node, ": between 1 and ", kMaxCpusPerTask, " are possible"));
  }
  if (c.memory_per_node < Bytes{}) {
    return invalid(cat("--mem=", c.memory_per_node.value, ": less than nothing"));
  }
  if (c.memory_per_node > kMaxMemoryPerNode) {
    return invalid(cat("--mem=", render_bytes(c.memory_per_node), ": at most ",
                       render_bytes(kMaxMemoryPerNode), " per node are possible"));
  }
  const auto& named = c.named_per_node.named;
  if (named.size() > kMaxNamedResources) {
    return invalid(cat("--gres: more than ", kMaxNamedResources, " kinds"));
  }
  for (const auto& [name, amount] : named) {
    if (name.empty()) return invalid("--gres: a name is missing");
    if (!is_resource_name(name)) {
      return invalid(cat("--gres: ", shown(name),
                         " is no name: they have letters, digits, dots, dashes and underscores; a "
                         "type follows a colon"));
    }
    if (amount < 1 || amount > kMaxNamedAmount) {
      return invalid(
          cat("--gres=", name, ':', amount, ": between 1 and ", kMaxNamedAmount, " are possible"));
    }
  }
  GANGWAY_TRY(check_constraint(c));
  GANGWAY_TRY(check_node_names("--nodelist", c.only_nodes));
  GANGWAY_TRY(check_node_names("--exclude", c.not_nodes));
  if (!c.only_nodes.empty()) {
    std::set<NodeName> usable(c.only_nodes.begin(), c.only_nodes.end());
    for (const auto& name : c.not_nodes) usable.erase(name);
    if (usable.size() < static_cast<std::size_t>(c.nodes)) {
      return invalid(cat("--nodes=", c.nodes, ": --nodelist leaves only ", usable.size()));
    }
  }
  return {};
}

Result<void> check_components(const JobSpec& spec) {
  if (spec.components.empty()) return invalid("a job has at least one component");
  std::int64_t nodes = 0;
  std::int64_t tasks = 0;
  std::size_t choices = 1;
  for (const auto& component : spec.components) {
    GANGWAY_TRY(check_component(component));
    nodes += component.nodes;
    tasks += component.tasks;
    if (!component.constraint.empty()) {
      const auto constraint = parse_constraint(component.constraint);
      if (constraint) choices *= constraint->choices.size();
      if (choices > kMaxChoicesOfJob) {
        return invalid(
            cat("--constraint: more than ", kMaxChoicesOfJob, " combinations of [..|..]"));
      }
    }
  }
  if (nodes > kMaxNodesPerJob) {
    return invalid(cat("--nodes: ", nodes, " in all, at most ", kMaxNodesPerJob, " are possible"));
  }
  if (tasks > kMaxTasksPerJob) {
    return invalid(cat("--ntasks: ", tasks, " in all, at most ", kMaxTasksPerJob, " are possible"));
  }
  return {};
}

// Each string within what the kernel takes, all together within `bound`.
Result<void> check_strings(std::string_view what,
                           const std::vector<std::string>& strings,
                           std::size_t bound) {
  std::size_t total = 0;
  for (const auto& string : strings) {
    if (has_nul(string)) return invalid(cat(what, ": ", shown(string), " has a zero byte"));
    if (string.size() > kMaxStringBytes) {
      return invalid(cat(what, ": ", shown(string), " has ", string.size(), " bytes, at most ",
                         kMaxStringBytes, " are possible"));
    }
    total += string.size() + 1;
  }
  if (total > bound) {
    return invalid(cat(what, ": ", total, " bytes in all, at most ", bound, " are possible"));
  }
  return {};
}

Result<void> check_variables(std::string_view option, const std::vector<std::string>& variables) {
  for (const auto& variable : variables) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid(cat(option, ": ", shown(variable), " is not NAME=value"));
    }
  }
  return {};
}

Result<void> check_program(const JobSpec& spec) {
  if (spec.container.own_command) {
    if (!spec.script.empty() || !spec.argv.empty()) {
      return invalid("a script or a command, or the image's own command: one of them runs");
    }
  } else if (spec.script.empty() && spec.argv.empty()) {
    return invalid("nothing to run: neither a script nor a command");
  }
  if (!spec.argv.empty() && spec.script.empty() && spec.argv.front().empty())
    return invalid("the command is empty");
  if (!spec.script.empty()) {
    if (trim(spec.script).empty()) return invalid("the script is empty");
    if (spec.script.size() > kMaxScriptBytes) {
      return invalid(cat("the script has ", spec.script.size(), " bytes, at most ", kMaxScriptBytes,
                         " are possible"));
    }
    if (has_nul(spec.script)) return invalid("the script has a zero byte: it is not a text");
    if (spec.launch == LaunchMode::Tasks) {
      return invalid("a script is started once; only a command is started as every task");
    }
  }
  if (spec.mpi != MpiMode::None && spec.launch != LaunchMode::Tasks) {
    return invalid("--mpi: only a command that is started as every task can use it");
  }
  GANGWAY_TRY(check_strings("command", spec.argv, kMaxArgvBytes));
  GANGWAY_TRY(check_strings("--export", spec.env, kMaxEnvBytes));
  return check_variables("--export", spec.env);
}

Result<void> check_files(const JobSpec& spec) {
  GANGWAY_TRY(check_absolute("--chdir", spec.workdir));
  GANGWAY_TRY(check_path("--output", spec.stdio.out));
  GANGWAY_TRY(check_path("--error", spec.stdio.err));
  GANGWAY_TRY(check_path("--input", spec.stdio.in));
  if (spec.umask > 0777) return invalid(cat("umask ", spec.umask, " has more than nine bits"));
  return {};
}

bool is_sha256(std::string_view digest) {
  constexpr std::string_view kPrefix = "sha256:";
  return digest.size() == kPrefix.size() + 64 && digest.starts_with(kPrefix) &&
         digest.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

Result<void> check_container(const ContainerSpec& container) {
  GANGWAY_TRY(check_strings("--env", container.env, kMaxEnvBytes));
  GANGWAY_TRY(check_variables("--env", container.env));
  if (!container.workdir.empty()) GANGWAY_TRY(check_absolute("--workdir", container.workdir));
  if (!container.entrypoint) return {};
  const std::vector<std::string> words{*container.entrypoint};
  return check_strings("--entrypoint", words, kMaxArgvBytes);
}

Result<void> check_image(const ImageSpec& image) {
  GANGWAY_TRY(check_absolute("--image", image.path));
  GANGWAY_TRY(check_label("--image", image.reference, kMaxNameBytes));
  if (!is_sha256(image.manifest_digest)) {
    return invalid(
        cat("--image: ", shown(image.manifest_digest), " is not sha256:<64 hex digits>"));
  }
  return {};
}

Result<void> check_bind(const BindSpec& bind) {
  GANGWAY_TRY(check_absolute("--bind", bind.source));
  GANGWAY_TRY(check_absolute("--bind", bind.destination));
  for (const auto part : split(bind.destination, '/')) {
    if (part == "..") {
      return invalid(cat("--bind: ", shown(bind.destination), " leads out by \"..\""));
    }
  }
  if (bind.destination.find_first_not_of('/') == std::string::npos) {
    return invalid("--bind: nothing can be bound over the root directory");
  }
  return {};
}

Result<void> check_dependency(const JobSpec& spec, const Dependency& dependency) {
  const bool names_a_job = dependency.kind != DependencyKind::Singleton;
  if (names_a_job && dependency.on.value == 0) {
    return invalid(cat("--dependency=", to_string(dependency.kind), ": the job is missing"));
  }
  if (dependency.delay < Duration{} || dependency.delay > kMaxDuration) {
    return invalid(cat("--dependency=", to_string(dependency.kind),
                       ": the delay is negative or above 146 years"));
  }
  if (dependency.delay > Duration{} && dependency.kind != DependencyKind::After) {
    return invalid(
        cat("--dependency=", to_string(dependency.kind), ": only \"after\" takes a delay"));
  }
  if (dependency.kind == DependencyKind::AfterCorr) {
    if (!spec.array) {
      return invalid("--dependency=aftercorr: it is for the elements of an array (--array)");
    }
    if (dependency.index != JobKey::kNoIndex || spec.any_dependency) {
      return invalid(
          "--dependency=aftercorr: it names a whole array, and is no alternative (\"?\")");
    }
  }
  return {};
}

// It goes into a header, from which sendmail reads it.
Result<void> check_mail_user(const std::string& user) {
  GANGWAY_TRY(check_label("--mail-user", user, kMaxNameBytes));
  if (user.starts_with('-') || user.find_first_of(" \t<>\"") != std::string::npos) {
    return invalid(
        cat("--mail-user=", shown(user), " is no address; write for example ann@site.org"));
  }
  return {};
}

Result<void> check_times(const JobSpec& spec) {
  if (spec.time_limit && *spec.time_limit <= Duration{}) {
    return invalid(cat("--time=", render_duration(*spec.time_limit), ": must be above 0"));
  }
  if (spec.time_limit && *spec.time_limit > kMaxDuration) {
    return invalid(
        cat("--time=", render_duration(*spec.time_limit), ": at most 146 years are possible"));
  }
  constexpr Duration kMaxGrace = hours(24);
  if (spec.kill_grace && (*spec.kill_grace < Duration{} || *spec.kill_grace > kMaxGrace)) {
    return invalid(cat("kill grace of ", render_duration(*spec.kill_grace), ": between 0 and ",
                       render_duration(kMaxGrace), " is possible"));
  }
  if (spec.warning && (spec.warning->number < 1 || spec.warning->number > 64 ||
                       spec.warning->before < Duration{} || spec.warning->before > kMaxGrace)) {
    return invalid(cat("--signal=", spec.warning->number, "@",
                       render_duration(spec.warning->before), ": a signal from 1 to 64, at most ",
                       render_duration(kMaxGrace), " before the time limit"));
  }
  if (spec.not_before && (*spec.not_before < Time{} || spec.not_before->ns > kMaxDuration.ns)) {
    return invalid("--begin: not between the years 1970 and 2116");
  }
  if (spec.deadline && (*spec.deadline < Time{} || spec.deadline->ns > kMaxDuration.ns)) {
    return invalid("--deadline: not between the years 1970 and 2116");
  }
  if (spec.retries < 0 || spec.retries > kMaxRetries) {
    return invalid(
        cat("retries: ", spec.retries, ", between 0 and ", kMaxRetries, " are possible"));
  }
  if (spec.retry_backoff < Duration{} || spec.retry_backoff > kMaxRetryBackoff) {
    return invalid(cat("retries: a back-off of ", render_duration(spec.retry_backoff),
                       ", between 0 and ", render_duration(kMaxRetryBackoff), " is possible"));
  }
  return {};
}
}  // namespace

Result<void> validate(const JobSpec& spec) {
  GANGWAY_TRY(check_label("--job-name", spec.name, kMaxNameBytes));
  GANGWAY_TRY(check_label("--partition", spec.queue.value, kMaxNameBytes));
  GANGWAY_TRY(check_label("--account", spec.account.value, kMaxNameBytes));
  GANGWAY_TRY(check_label("--qos", spec.qos, kMaxNameBytes));
  GANGWAY_TRY(check_label("--comment", spec.comment, kMaxCommentBytes));
  GANGWAY_TRY(check_mail_user(spec.mail.user));
  if (spec.array) GANGWAY_TRY(validate(*spec.array));
  GANGWAY_TRY(check_components(spec));
  GANGWAY_TRY(check_program(spec));
  GANGWAY_TRY(check_files(spec));
  GANGWAY_TRY(check_times(spec));
  if (spec.image) GANGWAY_TRY(check_image(*spec.image));
  if (spec.container.user != ContainerUser::Self && spec.mpi != MpiMode::None &&
      spec.launch == LaunchMode::Tasks && spec.total_tasks() > 1) {
    return invalid("--user: MPI ranks run as yourself; --mpi=none runs tasks that are no ranks");
  }
  GANGWAY_TRY(check_container(spec.container));
  if (spec.binds.size() > kMaxBinds) {
    return invalid(
        cat("--bind: ", spec.binds.size(), " of them, at most ", kMaxBinds, " are possible"));
  }
  for (const auto& bind : spec.binds) GANGWAY_TRY(check_bind(bind));
  if (spec.dependencies.size() > kMaxDependencies) {
    return invalid(cat("--dependency: ", spec.dependencies.size(), " of them, at most ",
                       kMaxDependencies, " are possible"));
  }
  for (const auto& dependency : spec.dependencies) GANGWAY_TRY(check_dependency(spec, dependency));
  return {};
}

}  // namespace gangway
