// jcancel: ends jobs and workflows, or sends them a signal.
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/job_values.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"signal", 's', Takes::Value, "SIGNAL", "send this signal instead"},
    {"user", 'u', Takes::Value, "NAME", "all jobs of this user"},
    {"me", 0, Takes::Nothing, "", "all my jobs"},
    {"name", 'n', Takes::Value, "NAMES", "of those, the ones of these names"},
    {"partition", 'p', Takes::Value, "QUEUES", "of those, the ones in these queues"},
    {"queue", 0, Takes::Value, "QUEUES", "", "partition"},
    {"state", 't', Takes::Value, "STATES", "of those, the ones in these states"},
    {"quiet", 'Q', Takes::Nothing, "", "no messages about single jobs"},
};

constexpr Verb kVerb{
    "jcancel",
    R"(usage: jcancel [options] ID...     jobs (42, 42_7, 42_[1-5]) and workflows (w7)

Ends jobs: TERM, and KILL after the grace time. A waiting job leaves the queue.

  -s, --signal SIGNAL  send this signal to the job's processes and end nothing by itself
  -u, --user NAME      all jobs of this user (your own, or as an operator)
      --me             all your jobs
  -n, --name NAMES     of --user or --me, only those of these names
  -p, --queue QUEUES   ... only those in these queues
      --partition      the same as --queue
  -t, --state STATES   ... only those in these states (PD, R, ...)
  -Q, --quiet          no messages about single jobs
      --socket PATH    the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jcancel 42 43
  jcancel w7
  jcancel -s USR1 42
  jcancel --me --state PD
)",
    kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  wire::Act act;
  act.set_verb(wire::Act::CANCEL);
  if (const GivenOption* given = invocation.find("signal")) {
    const std::optional<int> signal = parse_signal(given->text());
    if (!signal) {
      invocation.fail_usage(cat("option --signal: \"", given->text(),
                                "\" is no signal; for example "
                                "USR1 or 10"));
    }
    act.set_verb(wire::Act::SIGNAL);
    act.set_signal(static_cast<std::uint32_t>(*signal));
  }
  const bool by_user = invocation.has("user") || invocation.has("me");
  const bool filtered =
      invocation.has("name") || invocation.has("partition") || invocation.has("state");
  if (filtered && !by_user) {
    invocation.fail_usage("--name, --queue and --state choose among the jobs of --user or --me");
  }
  if (targets->empty() && !by_user) invocation.fail_usage("which jobs? for example: jcancel 42");
  if (by_user) {
    const JobFilter filter = make_filter(invocation, "state");
    Client client = invocation.client();
    const Result<JobList> list = list_jobs(client, filter);
    if (!list) invocation.fail(list.error());
    for (const JobRow& row : list->rows) {
      if (row.finished) continue;
      if (!row.array) {
        targets->jobs.push_back(row.key);
        continue;
      }
      // Of an array what is listed here waits; those that run have rows of their own.
      Result<IndexList> waiting = parse_index_list(row.array->waiting());
      if (waiting) {
        targets->elements.push_back({row.key.job, *std::move(waiting)});
      } else {
        targets->jobs.push_back(row.key);
      }
    }
    if (targets->empty()) return kExitOk;
  }
  put_targets(*targets, act);
  return act_on(invocation, act, invocation.has("quiet"),
                by_user ? Chosen::ByFilter : Chosen::ByName);
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
