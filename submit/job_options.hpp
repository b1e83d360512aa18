// The options of a job: one table of name, letter, kind of argument, meaning and handler, for the
// command line, the environment and the directives of scripts. Names and meanings are Slurm's where
// it has them; ours are --image, --bind, --queue, --key, --retry, --socket and --format.
//
// Handlers write a JobDraft. Sources are applied from the weakest to the strongest, so the last one
// counts. Pure: what depends on the directory, the time or the environment comes in by
// DraftContext.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/model/job_spec.hpp"
#include "submit/job_values.hpp"
#include "submit/options.hpp"

namespace gangway::submit {

enum class OptionSource { Default, Script, Environment, CommandLine };

// What jsubmit is to do beside the job itself.
struct SubmitChoices {
  bool parsable = false;
  bool quiet = false;
  bool wait = false;
  bool test_only = false;
  bool json = false;
  bool help = false;
  bool version = false;
  bool list_options = false;
  std::string key;                      // empty: make one
  std::string socket;                   // empty: the usual one
  std::string format;                   // "", "script", "workflow", "dagman" or "wfcommons"
  std::vector<std::string> parameters;  // of a workflow, "NAME=VALUE"
  double time_scale = 1;                // of recorded run times
  Duration retry = seconds(60);
  std::vector<std::string> clusters;      // one of which has to be ours; empty: any
  std::vector<std::string> other_queues;  // that will do as well, in their order
};

enum class MemoryPer { Node, Cpu, Gpu };
struct MemoryRequest {
  Bytes amount;
  MemoryPer per = MemoryPer::Node;
  OptionSource source = OptionSource::Default;
  std::string spelled;  // with its place, for messages
};

// What was asked so far, not yet put together.
struct JobDraft {
  Now now;  // for --begin
  std::optional<std::string> constraint;
  std::optional<std::string> name, queue, account, qos, output, error, input, chdir, comment, wrap,
      image, entrypoint, workdir;
  std::optional<std::string> export_list;
  std::optional<std::int32_t> nodes, tasks, tasks_per_node, cpus_per_task, nice;
  std::optional<std::int32_t> most_nodes;  // of --nodes=2-4
  std::optional<std::int32_t> cpus_per_gpu, min_cores, tasks_per_socket;
  std::optional<NamedAmounts> gpus, gpus_per_node, gpus_per_task;
  NamedAmounts named;  // --gres, per node
  std::optional<MemoryRequest> memory;
  std::optional<Duration> time_limit;  // 0: no limit asked
  std::optional<Time> begin;
  std::optional<std::uint32_t> umask;
  std::vector<NodeName> only_nodes, not_nodes;
  std::vector<Dependency> dependencies;
  std::optional<ArraySpec> array;
  std::optional<Time> deadline;
  MailSpec mail;
  std::int32_t retries = 0;
  Duration retry_backoff;
  std::vector<BindSpec> binds;
  // For the steps of the job's script: "SLURM_DISTRIBUTION=cyclic" and the like.
  std::vector<std::string> step_env;
  std::vector<std::string> env;  // --env: "NAME=value", or "NAME" for the value it has here
  std::optional<MpiMode> mpi;
  std::optional<WarningSignal> warning;
  OptionSource source = OptionSource::Default;  // of what is being applied
  // How many nodes it gets was left to the cluster, and one may be too few.
  bool nodes_are_open = false;
  bool any_dependency = false;
  bool deals_tasks_otherwise = false;  // --distribution asks for another than block
  bool report_usage = false;
  bool hold = false;
  bool exclusive = false;
  bool overcommit = false;
  bool user_env = false;  // --get-user-env
  bool requeue = true;
  bool append = false;
  bool kill_on_invalid_dependency = false;
  bool read_only = false;
  ContainerUser user = ContainerUser::Self;
  ContainerNetwork network = ContainerNetwork::Host;
  bool from_sbatch = false;  // the script speaks Slurm's language
  bool from_pbs = false;     // the script speaks PBS: it reads the variables of PBS, too
  bool join_output = false;  // PBS -j oe: errors go with the output whatever -e says

  // Further components of a gang; of these drafts only what makes a component counts.
  std::vector<JobDraft> others;
  // The first component is the draft itself; those up to `index` are made.
  [[nodiscard]] JobDraft& component(std::size_t index);
  struct OfWholeJob {
    std::size_t option = 0;  // its index
    OptionSource source = OptionSource::Default;
    std::string value;
  };
  std::vector<OfWholeJob> of_whole_job;  // what was given so far
  struct Said {
    std::size_t option = 0;  // its index
    OptionSource source = OptionSource::Default;
    Place place;
  };
  std::vector<Said> said;  // the last word on each option: where contradictions come from

  SubmitChoices choices;
  std::vector<std::string> ignored;   // known options without effect here, as spelled
  std::vector<std::string> warnings;  // whole lines
};

struct JobOption {
  OptionName name;
  Result<void> (*apply)(JobDraft&, const GivenOption&) = nullptr;
  bool is_of_component = false;  // each component of a gang may have its own
};

[[nodiscard]] std::span<const JobOption> job_options();
// The names of job_options(), in the same order, as parse_options() takes them.
[[nodiscard]] std::span<const OptionName> job_option_names();

inline constexpr std::size_t kMaxComponents = 128;

// Applies what parse_options(job_option_names(), …) returned. Options of a later component
// that make none are of the whole job; they may repeat what was said of it, not contradict.
[[nodiscard]] Result<void> apply_options(JobDraft& draft, std::span<const GivenOption> options);

// The options that the environment sets: SBATCH_* and, stronger, GANGWAY_*. `environment` is
// "NAME=value" strings.
[[nodiscard]] Result<void> apply_environment(JobDraft& draft,
                                             std::span<const std::string> environment);

// The names behind SBATCH_ and GANGWAY_ that are known, sorted.
[[nodiscard]] std::vector<std::string_view> option_variables();

// `name` (without dashes) with a value, as if given at `place`. Requires: the option exists.
[[nodiscard]] Result<void> apply_named(JobDraft& draft,
                                       std::string_view name,
                                       std::optional<std::string> value,
                                       std::string spelled,
                                       const Place& place);

}  // namespace gangway::submit
