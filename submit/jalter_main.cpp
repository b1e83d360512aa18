// jalter: changes jobs that wait.
#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/job_values.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"job-name", 'J', Takes::Value, "NAME", "name"},
    {"partition", 'p', Takes::Value, "QUEUE", "queue"},
    {"queue", 0, Takes::Value, "QUEUE", "", "partition"},
    {"account", 'A', Takes::Value, "NAME", "account that pays"},
    {"qos", 'q', Takes::Value, "NAME", "quality of service"},
    {"comment", 0, Takes::Value, "TEXT", "comment"},
    {"nice", 0, Takes::Value, "N", "higher is later"},
    {"time", 't', Takes::Value, "LIMIT", "limit of the run time"},
    {"begin", 'b', Takes::Value, "TIME", "not before"},
    {"deadline", 0, Takes::Value, "TIME", "ended by then"},
    {"nodes", 'N', Takes::Value, "N", "nodes"},
    {"ntasks", 'n', Takes::Value, "N", "tasks"},
    {"cpus-per-task", 'c', Takes::Value, "N", "cores of each task"},
    {"mem", 0, Takes::Value, "SIZE", "memory on each node"},
    {"constraint", 'C', Takes::Value, "FEATURES", "features of the nodes"},
    {"requeue", 0, Takes::Nothing, "", "run again after a lost node"},
    {"no-requeue", 0, Takes::Nothing, "", "never run twice"},
    {"dependency", 'd', Takes::Value, "KIND:ID", "after other jobs; none: after no other"},
    {"array-limit", 0, Takes::Value, "N", "elements of an array that run at once"},
    {"quiet", 'Q', Takes::Nothing, "", "no messages about single jobs"},
};

constexpr Verb kVerb{"jalter",
                     R"(usage: jalter OPTIONS ID...     jobs (42, 42_7, 42_[1-5])

Changes jobs that wait: your own, or any as an operator. What is not named stays as it is. Of an array,
those of its elements change that have not started.

  -t, --time LIMIT          30 (minutes), 1:30:00, 90s; 0: the queue's default
  -N, --nodes N             tasks follow in proportion, unless -n says otherwise
  -n, --ntasks N            -c, --cpus-per-task N       --mem SIZE
  -C, --constraint FEATURES features of the nodes; "": none
  -p, --queue QUEUE         -A, --account NAME          -q, --qos NAME
      --partition           the same as --queue
  -J, --job-name NAME           --comment TEXT
      --nice N              higher is later; below 0 only an operator sets it
  -b, --begin TIME          not before: 16:30, now+2hours; now: at once
      --deadline TIME       ended by then; none: no deadline
  -d, --dependency LIST     afterok:42, ...; none: after no other job
      --requeue             run again after a lost node     --no-requeue
      --array-limit N       elements that run at once; 0: no limit
  -Q, --quiet               no messages about single jobs
      --socket PATH         the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jalter --time=30 --nodes=2 42
  jalter --dependency=none --nice=100 42 43
  jalter --array-limit=10 42
)",
                     kOptions};

[[noreturn]] void refuse(const Invocation& invocation,
                         const GivenOption& given,
                         std::string_view right) {
  invocation.fail_usage(cat("option ", given.spelled, ": \"", given.text(), "\" is not ", right));
}

template <typename Set>
void set_count(const Invocation& invocation, std::string_view name, std::int64_t low, Set set) {
  const GivenOption* const given = invocation.find(name);
  if (given == nullptr) return;
  const auto count = parse_count(given->text(), low, 10'000'000);
  if (!count) refuse(invocation, *given, cat("a whole number from ", low));
  set(*count);
}

template <typename Set>
void set_text(const Invocation& invocation, std::string_view name, Set set) {
  if (const GivenOption* const given = invocation.find(name)) set(std::string(given->text()));
}

// "none" or a time.
template <typename Set>
void set_time(const Invocation& invocation, std::string_view name, Time now, Set set) {
  const GivenOption* const given = invocation.find(name);
  if (given == nullptr) return;
  if (given->text() == "none" || given->text() == "now") return set(0);
  const std::optional<Time> time = parse_begin(given->text(), now);
  if (!time) refuse(invocation, *given, "a time; it is written 16:30 or now+2hours");
  set(time->ns);
}

void set_limit(const Invocation& invocation, wire::Alter& alter) {
  const GivenOption* const given = invocation.find("time");
  if (given == nullptr) return;
  const std::optional<Duration> limit = parse_job_limit(given->text());
  if (!limit) refuse(invocation, *given, "a time limit; it is written 30, 1:30:00 or 90s");
  alter.set_time_limit_ns(limit->ns);
}

void set_dependencies(const Invocation& invocation, wire::Alter& alter) {
  const GivenOption* const given = invocation.find("dependency");
  if (given == nullptr) return;
  alter.set_set_dependencies(true);
  if (given->text() == "none" || given->text().empty()) return;
  const Result<DependencyList> list = parse_dependencies(given->text());
  if (!list) invocation.fail_usage(cat("option ", given->spelled, ": ", list.error().message()));
  for (const Dependency& d : list->all) wire::to_wire(d, alter.add_dependencies());
  alter.set_any_dependency(list->any);
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  const Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->empty()) invocation.fail_usage("which jobs? for example: jalter --time=30 42");
  if (!targets->workflows.empty()) {
    invocation.fail_usage("a workflow is not altered as a whole; name its jobs");
  }
  wire::Request request;
  wire::Alter& alter = *request.mutable_alter();
  const Time now = SystemClock().now().wall;
  set_text(invocation, "job-name", [&](std::string v) { alter.set_name(std::move(v)); });
  set_text(invocation, "partition", [&](std::string v) { alter.set_queue(std::move(v)); });
  set_text(invocation, "account", [&](std::string v) { alter.set_account(std::move(v)); });
  set_text(invocation, "qos", [&](std::string v) { alter.set_qos(std::move(v)); });
  set_text(invocation, "comment", [&](std::string v) { alter.set_comment(std::move(v)); });
  set_text(invocation, "constraint", [&](std::string v) { alter.set_constraint(std::move(v)); });
  set_count(invocation, "nodes", 1,
            [&](std::int64_t n) { alter.set_nodes(static_cast<std::int32_t>(n)); });
  set_count(invocation, "ntasks", 1,
            [&](std::int64_t n) { alter.set_tasks(static_cast<std::int32_t>(n)); });
  set_count(invocation, "cpus-per-task", 1,
            [&](std::int64_t n) { alter.set_cpus_per_task(static_cast<std::int32_t>(n)); });
  set_count(invocation, "nice", -1'000'000,
            [&](std::int64_t n) { alter.set_nice(static_cast<std::int32_t>(n)); });
  set_count(invocation, "array-limit", 0,
            [&](std::int64_t n) { alter.set_max_running(static_cast<std::uint32_t>(n)); });
  if (const GivenOption* const given = invocation.find("mem")) {
    const std::optional<Bytes> amount = parse_bytes(given->text(), mebibytes(1));
    if (!amount) refuse(invocation, *given, "an amount of memory; it is written 512M or 4G");
    alter.set_memory_per_node_bytes(amount->value);
  }
  set_limit(invocation, alter);
  set_time(invocation, "begin", now, [&](std::int64_t ns) { alter.set_begin_ns(ns); });
  set_time(invocation, "deadline", now, [&](std::int64_t ns) { alter.set_deadline_ns(ns); });
  if (invocation.has("requeue")) alter.set_requeue(true);
  if (invocation.has("no-requeue")) alter.set_requeue(false);
  set_dependencies(invocation, alter);
  if (alter.ByteSizeLong() == 0) {
    invocation.fail_usage("what is to be changed? for example: jalter --time=30 42");
  }
  for (const JobKey key : targets->jobs) wire::to_wire(key, alter.add_keys());
  for (const ElementsOf& some : targets->elements) {
    wire::Elements* const elements = alter.add_elements();
    elements->set_job(some.job.value);
    wire::to_wire(some.indexes, elements->mutable_indexes());
  }
  return send_act(invocation, request, invocation.has("quiet"));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
