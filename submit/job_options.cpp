#include "submit/job_options.hpp"

#include <algorithm>
#include <array>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/idset.hpp"
#include "submit/job_values.hpp"

namespace gangway::submit {

namespace {

using Draft = JobDraft;
using Given = GivenOption;
using Applied = Result<void>;

Error bad(const Given& given, std::string_view right) {
  return option_error(given, cat("\"", given.text(), "\" is not ", right));
}

// ---- handlers shared by many options ------------------------------------------------------------

template <std::optional<std::string> Draft::*member>
Applied set_text(Draft& draft, const Given& given) {
  draft.*member = std::string(given.text());
  return {};
}

// A value that may not be empty.
template <std::optional<std::string> Draft::*member>
Applied set_word(Draft& draft, const Given& given) {
  if (given.text().empty()) return option_error(given, "its value is empty");
  return set_text<member>(draft, given);
}

template <std::optional<std::int32_t> Draft::*member, std::int32_t high>
Applied set_count(Draft& draft, const Given& given) {
  const auto count = parse_count(given.text(), 1, high);
  if (!count) {
    return bad(given, cat("a whole number from 1 to ", high, "; for example ", given.spelled,
                          given.spelled.size() == 2 ? " 4" : "=4"));
  }
  draft.*member = static_cast<std::int32_t>(*count);
  return {};
}

template <std::optional<std::int64_t> Draft::*member>
Applied set_gpus(Draft& draft, const Given& given) {
  const auto count = parse_gpu_count(given.text());
  if (!count) return bad(given, "a number of GPUs; for example 2 or a100:2");
  draft.*member = *count;
  return {};
}

template <bool Draft::*member, bool value = true>
Applied set_flag(Draft& draft, const Given&) {
  draft.*member = value;
  return {};
}

template <bool SubmitChoices::*member>
Applied choose(Draft& draft, const Given&) {
  draft.choices.*member = true;
  return {};
}

template <std::string SubmitChoices::*member>
Applied choose_text(Draft& draft, const Given& given) {
  // Each submission has its own: in a script or a profile it would be the same for all.
  if (draft.source != OptionSource::CommandLine) {
    return option_error(given, "belongs on the command line only");
  }
  draft.choices.*member = std::string(given.text());
  return {};
}

template <MemoryPer per>
Applied set_memory(Draft& draft, const Given& given) {
  const std::optional<Bytes> amount = parse_bytes(given.text(), mebibytes(1));
  if (!amount) {
    return bad(given, "an amount of memory; it is written 4000 (MiB), 512M, 4G or 1.5T");
  }
  const std::string spelled = cat(prefix_of(given.place), given.spelled);
  if (draft.memory && draft.memory->source == draft.source && draft.memory->per != per) {
    return option_error(given, cat("excludes ", draft.memory->spelled, "; give one of them"));
  }
  draft.memory = MemoryRequest{*amount, per, draft.source, spelled};
  return {};
}

template <std::vector<NodeName> Draft::*member>
Applied set_hosts(Draft& draft, const Given& given) {
  if (given.text().find('/') != std::string_view::npos) {
    return option_error(given, "a file of node names is not supported; write them as n[01-04]");
  }
  Result<std::vector<NodeName>> names = parse_host_list(given.text());
  if (!names) return option_error(given, names.error().message());
  draft.*member = *std::move(names);
  return {};
}

// Known to sbatch, without effect here: named in one warning.
Applied ignore(Draft& draft, const Given& given) {
  draft.ignored.push_back(given.spelled);
  return {};
}

// Known to sbatch; ignoring it would run something else than what was asked for.
Applied refuse(Draft&, const Given& given) {
  return Error(ErrorKind::Unsupported,
               cat(prefix_of(given.place), "option ", given.spelled,
                   ": not supported, and without it the job would do something else"));
}

Applied nothing(Draft&, const Given&) { return {}; }

// ---- handlers of one option ---------------------------------------------------------------------

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

Applied set_nice(Draft& draft, const Given& given) {
  if (!given.value) {
    draft.nice = 100;
    return {};
  }
  const auto value = parse_integer<std::int32_t>(given.text());
  if (!value || *value < -1'000'000 || *value > 1'000'000) {
    return bad(given, "a whole number; higher is later, for example --nice=100");
  }
  draft.nice = *value;
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

Applied set_dependency(Draft& draft, const Given& given) {
  Result<std::vector<Dependency>> found = parse_dependencies(given.text());
  if (!found) {
    return Error(found.error().kind(), option_error(given, found.error().message()).message());
  }
  draft.dependencies = *std::move(found);
  return {};
}

Applied set_begin(Draft& draft, const Given& given) {
  const std::optional<Time> begin = parse_begin(given.text(), draft.now.wall);
  if (!begin) {
    return bad(given, "a time; it is written 16:30, now+2hours, tomorrow or 2026-11-24T16:30:00");
  }
  draft.begin = begin;
  return {};
}

Applied set_open_mode(Draft& draft, const Given& given) {
  const std::string_view mode = given.text();
  if (mode != "append" && mode != "a" && mode != "truncate" && mode != "t") {
    return bad(given, "append or truncate");
  }
  draft.append = mode.starts_with('a');
  return {};
}

Applied set_mpi(Draft& draft, const Given& given) {
  const std::string_view type = given.text();
  if (type == "none") {
    draft.mpi = MpiMode::None;
  } else if (type == "pmix" || type.starts_with("pmix_v")) {
    draft.mpi = MpiMode::Pmix;
  } else {
    return bad(given, "a way to start MPI programs; there are pmix and none");
  }
  return {};
}

Applied add_binds(Draft& draft, const Given& given) {
  Result<std::vector<BindSpec>> binds = parse_binds(given.text());
  if (!binds) return option_error(given, binds.error().message());
  draft.binds.insert(draft.binds.end(), binds->begin(), binds->end());
  return {};
}

Applied add_variable(Draft& draft, const Given& given) {
  const std::string_view text = given.text();
  if (text.empty() || text.front() == '=')
    return bad(given, "a variable; it is written NAME=VALUE");
  draft.env.emplace_back(text);
  return {};
}

Applied set_kill_on_invalid(Draft& draft, const Given& given) {
  const std::optional<bool> yes = parse_yes_no(given.text());
  if (!yes) return bad(given, "yes or no");
  draft.kill_on_invalid_dependency = *yes;
  return {};
}

Applied set_signal(Draft& draft, const Given& given) {
  if (!is_signal_request(given.text())) {
    return bad(given, "a signal before the end; it is written USR1@120 or B:USR1@120");
  }
  return ignore(draft, given);
}

Applied set_retry(Draft& draft, const Given& given) {
  const std::optional<Duration> window = parse_window(given.text());
  if (!window) return bad(given, "a time; for example 60s, or 0 to try once");
  draft.choices.retry = *window;
  return {};
}

Applied set_key(Draft& draft, const Given& given) {
  if (given.text().size() < 16 || given.text().size() > 64) {
    return bad(given, "a key: they have 16 to 64 characters");
  }
  return choose_text<&SubmitChoices::key>(draft, given);
}

Applied set_format(Draft& draft, const Given& given) {
  if (given.text() != "script" && given.text() != "workflow") {
    return bad(given, "script or workflow");
  }
  return choose_text<&SubmitChoices::format>(draft, given);
}

// ---- the table ----------------------------------------------------------------------------------

constexpr Takes kFlag = Takes::Nothing;
constexpr Takes kValue = Takes::Value;
constexpr Takes kMaybe = Takes::OptionalValue;

constexpr auto kOptions = std::to_array<JobOption>({
    // What the job is.
    {{"job-name", 'J', kValue, "NAME", "name of the job"}, set_word<&Draft::name>},
    {{"partition", 'p', kValue, "QUEUE", "queue to wait in"}, set_word<&Draft::queue>},
    {{"queue", 0, kValue, "QUEUE", "", "partition"}, set_word<&Draft::queue>},
    {{"account", 'A', kValue, "NAME", "account that pays"}, set_word<&Draft::account>},
    {{"qos", 'q', kValue, "NAME", "quality of service"}, set_word<&Draft::qos>},
    {{"comment", 0, kValue, "TEXT", "kept with the job, as it is"}, set_text<&Draft::comment>},
    {{"wrap", 0, kValue, "COMMAND", "run this shell command as the script"},
     set_word<&Draft::wrap>},
    // What it needs.
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
    {{"gres", 0, kValue, "NAME:N", "named resources on each node, such as gpu:2"}, set_named, true},
    {{"gpus", 'G', kValue, "N", "GPUs of the whole job"}, set_gpus<&Draft::gpus>, true},
    {{"gpus-per-node", 0, kValue, "N", "GPUs on each node"}, set_gpus<&Draft::gpus_per_node>, true},
    {{"gpus-per-task", 0, kValue, "N", "GPUs of each task"}, set_gpus<&Draft::gpus_per_task>, true},
    {{"constraint", 'C', kValue, "FEATURES", "only nodes with these features, as a&b"},
     set_constraint,
     true},
    {{"exclusive", 0, kMaybe, "user", "whole nodes"}, set_flag<&Draft::exclusive>, true},
    {{"nodelist", 'w', kValue, "NODES", "only these nodes"}, set_hosts<&Draft::only_nodes>, true},
    {{"exclude", 'x', kValue, "NODES", "not these nodes"}, set_hosts<&Draft::not_nodes>, true},
    // How it runs.
    {{"image", 0, kValue, "PATH[:TAG]", "container image to run in"}, set_word<&Draft::image>},
    {{"bind", 0, kValue, "SRC[:DST[:ro]]", "show a host directory inside"}, add_binds},
    {{"env", 0, kValue, "NAME[=VALUE]", "set this variable, or pass it on"}, add_variable},
    {{"entrypoint", 0, kValue, "PROGRAM", "instead of the image's entry point; \"\": none"},
     set_text<&Draft::entrypoint>},
    {{"workdir", 0, kValue, "DIR", "start here inside the image; without one as --chdir"},
     set_word<&Draft::workdir>},
    {{"read-only", 0, kFlag, "", "nothing of the image can be written"},
     set_flag<&Draft::read_only>},
    {{"mpi", 0, kValue, "pmix|none", "how tasks find each other"}, set_mpi},
    {{"output", 'o', kValue, "FILE", "standard output; default job-%j.out"},
     set_word<&Draft::output>},
    {{"error", 'e', kValue, "FILE", "standard error; default: with the output"},
     set_word<&Draft::error>},
    {{"input", 'i', kValue, "FILE", "standard input; default /dev/null"}, set_word<&Draft::input>},
    {{"open-mode", 0, kValue, "append|truncate", "what to do with files that exist"},
     set_open_mode},
    {{"chdir", 'D', kValue, "DIR", "directory to run in; default: this one"},
     set_word<&Draft::chdir>},
    {{"export", 0, kValue, "ALL|NONE|NAMES", "variables it gets; default ALL"},
     set_text<&Draft::export_list>},
    // When it runs.
    {{"dependency", 'd', kValue, "KIND:ID", "after other jobs, as afterok:42"}, set_dependency},
    {{"kill-on-invalid-dep", 0, kValue, "yes|no", "cancel it if its dependency cannot come true"},
     set_kill_on_invalid},
    {{"begin", 'b', kValue, "TIME", "not before this time"}, set_begin},
    {{"hold", 'H', kFlag, "", "held until jrelease"}, set_flag<&Draft::hold>},
    {{"nice", 0, kMaybe, "N", "higher is later"}, set_nice},
    {{"requeue", 0, kFlag, "", "run again after a lost node (the default)"},
     set_flag<&Draft::requeue>},
    {{"no-requeue", 0, kFlag, "", "never run twice"}, set_flag<&Draft::requeue, false>},
    {{"signal", 0, kValue, "SIGNAL[@S]", "(accepted, without effect)"}, set_signal},
    // What jsubmit does.
    {{"parsable", 0, kFlag, "", "print the id alone"}, choose<&SubmitChoices::parsable>},
    {{"quiet", 'Q', kFlag, "", "no warnings"}, choose<&SubmitChoices::quiet>},
    {{"verbose", 'v', kFlag, "", "(accepted, without effect)"}, nothing},
    {{"wait", 'W', kFlag, "", "wait for the end, exit with the job's code"},
     choose<&SubmitChoices::wait>},
    {{"test-only", 0, kFlag, "", "check, say when it would start, submit nothing"},
     choose<&SubmitChoices::test_only>},
    {{"json", 0, kFlag, "", "with --test-only: the outlook as JSON"}, choose<&SubmitChoices::json>},
    {{"key", 0, kValue, "KEY", "a repeated key gives the same id again"}, set_key},
    {{"retry", 0, kValue, "TIME", "keep trying while the scheduler is away; default 60s"},
     set_retry},
    {{"format", 0, kValue, "script|workflow", "what FILE is, whatever its name"}, set_format},
    {{"socket", 0, kValue, "PATH", "the scheduler's socket"}, choose_text<&SubmitChoices::socket>},
    {{"help", 'h', kFlag, "", "this help"}, choose<&SubmitChoices::help>},
    {{"version", 'V', kFlag, "", "the version"}, choose<&SubmitChoices::version>},
    {{"list-options", 0, kFlag, "", "all options in a list"}, choose<&SubmitChoices::list_options>},

    // Known, and refused because the job would be another one without them.
    {{"array", 'a', kValue, "INDEXES"}, refuse},
    {{"container", 0, kValue, "BUNDLE"}, refuse},
    {{"container-id", 0, kValue, "ID"}, refuse},
    {{"export-file", 0, kValue, "FILE"}, refuse},
    {{"nodefile", 'F', kValue, "FILE"}, refuse},
    {{"uid", 0, kValue, "USER"}, refuse},
    {{"gid", 0, kValue, "GROUP"}, refuse},

    // Known, and without effect here: jsubmit names them in one warning.
    {{"acctg-freq", 0, kValue, "LIST"}, ignore},
    {{"batch", 0, kValue, "FEATURES"}, ignore},
    {{"bb", 0, kValue, "SPEC"}, ignore},
    {{"bbf", 0, kValue, "FILE"}, ignore},
    {{"cluster", 0, kValue, "NAMES", "", "clusters"}, ignore},
    {{"cluster-constraint", 0, kValue, "LIST"}, ignore},
    {{"clusters", 'M', kValue, "NAMES"}, ignore},
    {{"contiguous", 0, kFlag, ""}, ignore},
    {{"core-spec", 'S', kValue, "N"}, ignore},
    {{"cores-per-socket", 0, kValue, "N"}, ignore},
    {{"cpu-bind", 0, kValue, "HOW"}, ignore},
    {{"cpu_bind", 0, kValue, "HOW", "", "cpu-bind"}, ignore},
    {{"cpu-freq", 0, kValue, "KHZ"}, ignore},
    {{"cpus-per-gpu", 0, kValue, "N"}, ignore},
    {{"deadline", 0, kValue, "TIME"}, ignore},
    {{"delay-boot", 0, kValue, "MINUTES"}, ignore},
    {{"distribution", 'm', kValue, "HOW"}, ignore},
    {{"ear", 0, kValue, "on|off"}, ignore},
    {{"ear-policy", 0, kValue, "NAME"}, ignore},
    {{"ear-verbose", 0, kValue, "N"}, ignore},
    {{"extra", 0, kValue, "TEXT"}, ignore},
    {{"extra-node-info", 'B', kValue, "S[:C[:T]]"}, ignore},
    {{"get-user-env", 0, kMaybe, "MODE"}, ignore},
    {{"gpu-bind", 0, kValue, "HOW"}, ignore},
    {{"gpu-freq", 0, kValue, "LIST"}, ignore},
    {{"gpus-per-socket", 0, kValue, "N"}, ignore},
    {{"gres-flags", 0, kValue, "FLAG"}, ignore},
    {{"hint", 0, kValue, "TYPE"}, ignore},
    {{"ignore-pbs", 0, kFlag, ""}, ignore},
    {{"licenses", 'L', kValue, "LIST"}, ignore},
    {{"mail-type", 0, kValue, "TYPES"}, ignore},
    {{"mail-user", 0, kValue, "ADDRESS"}, ignore},
    {{"mcs-label", 0, kValue, "LABEL"}, ignore},
    {{"mem-bind", 0, kValue, "HOW"}, ignore},
    {{"mem_bind", 0, kValue, "HOW", "", "mem-bind"}, ignore},
    {{"mincpus", 0, kValue, "N"}, ignore},
    {{"network", 0, kValue, "TYPE"}, ignore},
    {{"no-kill", 'k', kMaybe, "off"}, ignore},
    {{"ntasks-per-core", 0, kValue, "N"}, ignore},
    {{"ntasks-per-gpu", 0, kValue, "N"}, ignore},
    {{"ntasks-per-socket", 0, kValue, "N"}, ignore},
    {{"overcommit", 'O', kFlag, ""}, ignore},
    {{"oversubscribe", 's', kFlag, ""}, ignore},
    {{"power", 0, kMaybe, "FLAGS"}, ignore},
    {{"prefer", 0, kValue, "FEATURES"}, ignore},
    {{"priority", 0, kValue, "N"}, ignore},
    {{"profile", 0, kValue, "WHAT"}, ignore},
    {{"propagate", 0, kMaybe, "LIMITS"}, ignore},
    {{"quotatype", 0, kValue, "TYPE"}, ignore},
    {{"reboot", 0, kFlag, ""}, ignore},
    {{"reservation", 0, kValue, "NAMES"}, ignore},
    {{"segment", 0, kValue, "N"}, ignore},
    {{"share", 0, kFlag, "", "", "oversubscribe"}, ignore},
    {{"sockets-per-node", 0, kValue, "N"}, ignore},
    {{"spread-job", 0, kFlag, ""}, ignore},
    {{"switches", 0, kValue, "N[@TIME]"}, ignore},
    {{"thread-spec", 0, kValue, "N"}, ignore},
    {{"threads-per-core", 0, kValue, "N"}, ignore},
    {{"time-min", 0, kValue, "LIMIT"}, ignore},
    {{"tmp", 0, kValue, "SIZE"}, ignore},
    {{"tres-bind", 0, kValue, "LIST"}, ignore},
    {{"tres-per-task", 0, kValue, "LIST"}, ignore},
    {{"use-min-nodes", 0, kFlag, ""}, ignore},
    {{"volume", 0, kValue, "LIST"}, ignore},
    {{"wait-all-nodes", 0, kValue, "0|1"}, ignore},
    {{"wckey", 0, kValue, "KEY"}, ignore},
});

constexpr auto kNames = [] {
  std::array<OptionName, kOptions.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kOptions[i].name;
  return names;
}();

// Variables of the environment that stand for an option: SBATCH_<suffix> and GANGWAY_<suffix>.
// A flag is set by any value; an optional value may be empty.
struct Variable {
  std::string_view suffix;
  std::string_view option;
};
constexpr Variable kVariables[] = {
    {"ACCOUNT", "account"},
    {"BEGIN", "begin"},
    {"COMMENT", "comment"},
    {"CPUS_PER_TASK", "cpus-per-task"},
    {"ERROR", "error"},
    {"EXCLUSIVE", "exclusive"},
    {"EXPORT", "export"},
    {"GPUS", "gpus"},
    {"GPUS_PER_NODE", "gpus-per-node"},
    {"GPUS_PER_TASK", "gpus-per-task"},
    {"GRES", "gres"},
    {"IMAGE", "image"},
    {"INPUT", "input"},
    {"JOB_NAME", "job-name"},
    {"MEM_PER_CPU", "mem-per-cpu"},
    {"MEM_PER_GPU", "mem-per-gpu"},
    {"MEM_PER_NODE", "mem"},
    {"MPI", "mpi"},
    {"NICE", "nice"},
    {"NO_REQUEUE", "no-requeue"},
    {"OPEN_MODE", "open-mode"},
    {"OUTPUT", "output"},
    {"PARTITION", "partition"},
    {"QOS", "qos"},
    {"QUEUE", "partition"},
    {"REQUEUE", "requeue"},
    {"RETRY", "retry"},
    {"TIMELIMIT", "time"},
    {"WAIT", "wait"},
};

}  // namespace

std::span<const JobOption> job_options() { return kOptions; }
std::span<const OptionName> job_option_names() { return kNames; }

JobDraft& JobDraft::component(std::size_t index) {
  CHECK(index < kMaxComponents);
  if (index == 0) return *this;
  while (others.size() < index) {
    others.emplace_back();
    others.back().now = now;
  }
  JobDraft& other = others[index - 1];
  other.source = source;
  return other;
}

namespace {

Result<void> apply_to_component(JobDraft& draft, const GivenOption& given) {
  const JobOption& option = kOptions[given.index];
  if (given.component >= kMaxComponents) {
    return Error(ErrorKind::Invalid,
                 cat(prefix_of(given.place), "a job has at most ", kMaxComponents, " components"));
  }
  JobDraft& component = draft.component(given.component);
  if (option.is_of_component || option.apply == &ignore) return option.apply(component, given);
  for (const JobDraft::OfWholeJob& said : draft.of_whole_job) {
    if (said.option != given.index || said.source != draft.source) continue;
    if (said.value == given.text()) return {};
    return option_error(given, "is of the whole job, and said with another value before");
  }
  draft.of_whole_job.push_back({given.index, draft.source, std::string(given.text())});
  return option.apply(draft, given);
}

bool is_of_component(std::string_view name) {
  const auto option =
      std::ranges::find_if(kOptions, [&](const JobOption& o) { return o.name.name == name; });
  return option != kOptions.end() && option->is_of_component;
}

}  // namespace

Result<void> apply_options(JobDraft& draft, std::span<const GivenOption> options) {
  for (const GivenOption& given : options) {
    CHECK(given.index < kOptions.size());
    if (given.component > 0) {
      GANGWAY_TRY(apply_to_component(draft, given));
      continue;
    }
    const JobOption& option = kOptions[given.index];
    if (!option.is_of_component) {
      draft.of_whole_job.push_back({given.index, draft.source, std::string(given.text())});
    }
    GANGWAY_TRY(option.apply(draft, given));
  }
  return {};
}

Result<void> apply_environment(JobDraft& draft, std::span<const std::string> environment) {
  for (const std::string_view prefix : {"SBATCH_", "GANGWAY_"}) {
    for (const std::string& entry : environment) {
      if (!entry.starts_with(prefix)) continue;
      const std::size_t equals = entry.find('=');
      const std::string_view suffix =
          std::string_view(entry).substr(prefix.size(), equals - prefix.size());
      const auto variable = std::ranges::find(kVariables, suffix, &Variable::suffix);
      if (variable == std::end(kVariables) || equals == std::string::npos) continue;
      const std::string value = entry.substr(equals + 1);
      const Place place{.file = cat(entry.substr(0, equals), " in the environment"), .line = 0};
      for (std::size_t i = 0; i <= draft.others.size(); ++i) {
        if (i > 0 && !is_of_component(variable->option)) break;
        GANGWAY_TRY(apply_named(draft.component(i), variable->option,
                                value.empty() ? std::nullopt : std::optional(value),
                                cat("--", variable->option), place));
      }
    }
  }
  return {};
}

Result<void> apply_named(JobDraft& draft,
                         std::string_view name,
                         std::optional<std::string> value,
                         std::string spelled,
                         const Place& place) {
  const auto found = std::ranges::find(kNames, name, &OptionName::name);
  CHECK(found != kNames.end());
  const auto index = static_cast<std::size_t>(found - kNames.begin());
  return kOptions[index].apply(
      draft,
      {.index = index, .spelled = std::move(spelled), .value = std::move(value), .place = place});
}

}  // namespace gangway::submit
