#include "submit/job_options.hpp"

#include <algorithm>

#include "queues/base/text.hpp"
#include "submit/option_setters.hpp"

namespace gangway::submit {

namespace {

// Variables of the environment that stand for an option: SBATCH_<suffix> and GANGWAY_<suffix>.
// A flag is set by any value; an optional value may be empty. Without an option: part of another
// variable's meaning, or about what there is none of here.
struct Variable {
  std::string_view suffix;
  std::string_view option;
};
constexpr Variable kVariables[] = {
    {"ACCOUNT", "account"},
    {"ACCTG_FREQ", "acctg-freq"},
    {"ARRAY_INX", "array"},
    {"BATCH", "batch"},
    {"BEGIN", "begin"},
    {"CLUSTERS", "clusters"},
    {"COMMENT", "comment"},
    {"CONSTRAINT", "constraint"},
    {"CONTAINER", "container"},
    {"CONTAINER_ID", "container-id"},
    {"CORE_SPEC", "core-spec"},
    {"CPUS_PER_GPU", "cpus-per-gpu"},
    {"CPUS_PER_TASK", "cpus-per-task"},
    {"DEBUG", "verbose"},
    {"DELAY_BOOT", "delay-boot"},
    {"DISTRIBUTION", "distribution"},
    {"ERROR", "error"},
    {"EXCLUSIVE", "exclusive"},
    {"EXPORT", "export"},
    {"GET_USER_ENV", "get-user-env"},
    {"GPUS", "gpus"},
    {"GPUS_PER_NODE", "gpus-per-node"},
    {"GPUS_PER_TASK", "gpus-per-task"},
    {"GPU_BIND", "gpu-bind"},
    {"GPU_FREQ", "gpu-freq"},
    {"GRES", "gres"},
    {"GRES_FLAGS", "gres-flags"},
    {"HINT", "hint"},
    {"IGNORE_PBS", "ignore-pbs"},
    {"IMAGE", "image"},
    {"INPUT", "input"},
    {"JOB_NAME", "job-name"},
    {"MEM_BIND", "mem-bind"},
    {"MEM_BIND_LIST", ""},
    {"MEM_BIND_PREFER", ""},
    {"MEM_BIND_TYPE", ""},
    {"MEM_BIND_VERBOSE", ""},
    {"MEM_PER_CPU", "mem-per-cpu"},
    {"MEM_PER_GPU", "mem-per-gpu"},
    {"MEM_PER_NODE", "mem"},
    {"MPI", "mpi"},
    {"NETWORK", "network"},
    {"NICE", "nice"},
    {"NO_KILL", "no-kill"},
    {"NO_REQUEUE", "no-requeue"},
    {"OPEN_MODE", "open-mode"},
    {"OUTPUT", "output"},
    {"OVERCOMMIT", "overcommit"},
    {"PARTITION", "partition"},
    {"POWER", "power"},
    {"PROFILE", "profile"},
    {"QOS", "qos"},
    {"QUEUE", "partition"},
    {"REQUEUE", "requeue"},
    {"REQ_SWITCH", "switches"},
    {"RESERVATION", "reservation"},
    {"RETRY", "retry"},
    {"SEGMENT_SIZE", "segment"},
    {"SIGNAL", "signal"},
    {"SPREAD_JOB", "spread-job"},
    {"THREADS_PER_CORE", "threads-per-core"},
    {"THREAD_SPEC", "thread-spec"},
    {"TIMELIMIT", "time"},
    {"TRES_BIND", "tres-bind"},
    {"TRES_PER_TASK", "tres-per-task"},
    {"USE_MIN_NODES", "use-min-nodes"},
    {"WAIT", "wait"},
    {"WAIT4SWITCH", ""},
    {"WAIT_ALL_NODES", "wait-all-nodes"},
    {"WCKEY", "wckey"},
};

}  // namespace

std::span<const JobOption> job_options() {
  static const std::vector<JobOption> options = [] {
    std::vector<JobOption> all;
    for (const std::span<const JobOption> part :
         {queueing_options(), resources_options(), running_options(), jsubmit_options(),
          known_options()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return options;
}

std::span<const OptionName> job_option_names() {
  static const std::vector<OptionName> names = [] {
    std::vector<OptionName> all;
    for (const JobOption& option : job_options()) all.push_back(option.name);
    return all;
  }();
  return names;
}

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

// The last word on the option: `said` holds one of each.
void note_said(JobDraft& draft, const GivenOption& given) {
  std::erase_if(draft.said, [&](const JobDraft::Said& s) { return s.option == given.index; });
  draft.said.push_back({given.index, draft.source, given.place});
}

Result<void> apply_to_component(JobDraft& draft, const GivenOption& given) {
  const JobOption& option = job_options()[given.index];
  if (given.component >= kMaxComponents) {
    return Error(ErrorKind::Invalid,
                 cat(prefix_of(given.place), "a job has at most ", kMaxComponents, " components"));
  }
  JobDraft& component = draft.component(given.component);
  if (option.is_of_component || option.apply == &option_setters::ignore) {
    note_said(component, given);
    return option.apply(component, given);
  }
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
      std::ranges::find_if(job_options(), [&](const JobOption& o) { return o.name.name == name; });
  return option != job_options().end() && option->is_of_component;
}

}  // namespace

std::vector<std::string_view> option_variables() {
  std::vector<std::string_view> suffixes;
  for (const Variable& variable : kVariables) suffixes.push_back(variable.suffix);
  return suffixes;
}

Result<void> apply_options(JobDraft& draft, std::span<const GivenOption> options) {
  for (const GivenOption& given : options) {
    CHECK(given.index < job_options().size());
    if (given.component > 0) {
      GANGWAY_TRY(apply_to_component(draft, given));
      continue;
    }
    const JobOption& option = job_options()[given.index];
    if (!option.is_of_component) {
      draft.of_whole_job.push_back({given.index, draft.source, std::string(given.text())});
    }
    note_said(draft, given);
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
      if (variable->option.empty()) continue;
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
  const auto found = std::ranges::find(job_option_names(), name, &OptionName::name);
  CHECK(found != job_option_names().end());
  const auto index = static_cast<std::size_t>(found - job_option_names().begin());
  const GivenOption given{
      .index = index, .spelled = std::move(spelled), .value = std::move(value), .place = place};
  note_said(draft, given);
  return job_options()[index].apply(draft, given);
}

}  // namespace gangway::submit
