// jhist: jobs that have ended.
#include <algorithm>

#include "queues/base/text.hpp"
#include "submit/account_tree.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/job_values.hpp"
#include "submit/queue_format.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"user", 'u', Takes::Value, "NAMES", "only these users' jobs"},
    {"me", 0, Takes::Nothing, "", "only my jobs"},
    {"jobs", 'j', Takes::Value, "IDS", "only these jobs"},
    {"name", 'n', Takes::Value, "NAMES", "only jobs of these names"},
    {"partition", 'p', Takes::Value, "QUEUES", "only these queues"},
    {"queue", 0, Takes::Value, "QUEUES", "", "partition"},
    {"states", 't', Takes::Value, "STATES", "only these states"},
    {"starttime", 'S', Takes::Value, "TIME", "only jobs that ended at this time or later"},
    {"endtime", 'E', Takes::Value, "TIME", "only jobs that ended before"},
    {"nodelist", 0, Takes::Value, "NODES", "only jobs that were on these nodes"},
    {"sort", 0, Takes::Value, "KEYS", "by these columns: -elapsed,jobid"},
    {"format", 'o', Takes::Value, "FORMAT", "columns: jobid,state,exitcode or %i %T"},
    {"limit", 'l', Takes::Value, "N", "at most this many"},
    {"noheader", 0, Takes::Nothing, "", "no line of headings"},
    {"json", 0, Takes::Nothing, "", "JSON"},
    {"usage", 0, Takes::Nothing, "", "what each node and step has used"},
    {"accounts", 'A', Takes::Value, "NAMES", "only these accounts"},
    {"account", 0, Takes::Value, "NAMES", "", "accounts"},
    {"parsable", 'P', Takes::Nothing, "", "shares separated by |"},
};

constexpr Verb kVerb{
    "jhist",
    R"(usage: jhist [options] [ID...]     jobs (42, 42_7, 42_[1-5]) and workflows (w7)
       jhist shares [options]      accounts, what they have used and what is due to them

Lists jobs that have ended, the newest end first; or the tree of accounts in the columns of sshare -l.

  -u, --user NAMES     only these users' jobs      --me  only mine
  -j, --jobs IDS       only these jobs
  -p, --queue QUEUES   only these queues           -n, --name NAMES
      --partition      the same as --queue
  -t, --states STATES  CD, F, CA, TO, OOM, NF, PR, LF
  -S, --starttime TIME only jobs that ended then or later, as 2026-11-24 or now-2hours
  -E, --endtime TIME   only jobs that ended before
      --nodelist NODES only jobs that were on these nodes
      --sort KEYS      by these columns, as elapsed,jobid; "-" before one: the other way round
  -o, --format FORMAT  columns as of jqueue(1): jobid,name,state,exitcode,maxrss or %i %j %T
  -l, --limit N        at most this many; default 100
      --noheader       no line of headings
      --json           JSON
      --usage          what the jobs have used on each node, and each of their steps
  -A, --accounts NAMES only these accounts (--account is the same), of jobs and of shares
  -P, --parsable       shares with | between the columns
      --socket PATH    the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

RawUsage is what the jobs were allocated times the time they ran, in weighted seconds, halved with each
half-life; FairShare is the factor of the user's priority, 1 for who is served first.
With --usage PEAK is the most memory in use at once (of a step: by its largest process), and READ and
WRITTEN are bytes from and to storage. Lines with a node are of all that ran there.
EXIT is the exit code and, after the colon, the signal that ended the job.

examples:
  jhist --me --states F
  jhist -j 42 --json
  jhist --starttime today --format jobid,name:20,state,exitcode
  jhist -j 42 --usage
  jhist shares --user ann
)",
    kOptions};

std::string render_history(const std::vector<JobRow>& rows, bool header) {
  Table table({{"JOBID", Align::Right},
               {"NAME", Align::Left, true},
               {"USER", Align::Left, true},
               {"PARTITION", Align::Left, true},
               {"STATE"},
               {"EXIT", Align::Right},
               {"ELAPSED", Align::Right},
               {"NODES", Align::Right},
               {"NODELIST", Align::Left, true},
               {"ENDED"},
               {"DETAIL", Align::Left, true}});
  for (const JobRow& row : rows) {
    constexpr std::size_t kMostOfList = 40;  // of an array's elements
    table.add({{id_of(row, kMostOfList)},
               {row.name},
               {row.user},
               {row.queue},
               {row.state, colour_of(row)},
               {exit_pair(row)},
               {render_duration(row.elapsed)},
               {cat(row.nodes)},
               {row.node_list.empty() ? std::string("-") : row.node_list},
               {row.ended ? render_local_time(*row.ended) : std::string("-")},
               {row.outcome ? detail_with_waivers(*row.outcome) : std::string()}});
  }
  return table.render(
      {.columns = terminal_columns(), .header = header, .colours = colours_wanted()});
}

// "1.9": how many cores were busy on average.
std::string busy_cores(const UsedAmounts& used) {
  if (used.wall.ns <= 0) return "-";
  const std::int64_t tenths = used.cpu.ns * 10 / used.wall.ns;
  return cat(tenths / 10, ".", tenths % 10);
}

std::string render_usage(const std::vector<JobRow>& rows, bool header) {
  Table table({{"JOBID", Align::Right},
               {"NAME", Align::Left, true},
               {"NODE", Align::Left, true},
               {"TASKS", Align::Right},
               {"EXIT", Align::Right},
               {"ELAPSED", Align::Right},
               {"CPU", Align::Right},
               {"CORES", Align::Right},
               {"PEAK", Align::Right},
               {"READ", Align::Right},
               {"WRITTEN", Align::Right}});
  const auto add = [&](std::string id, const std::string& name, std::string node, std::string tasks,
                       std::string exit, const UsedAmounts& used) {
    table.add({{std::move(id)},
               {name},
               {std::move(node)},
               {std::move(tasks)},
               {std::move(exit)},
               {render_duration(used.wall)},
               {render_short(used.cpu)},
               {busy_cores(used)},
               {render_bytes(used.peak_memory)},
               {render_bytes(used.read)},
               {render_bytes(used.written)}});
  };
  for (const JobRow& row : rows) {
    for (const NodeUsage& node : row.usage.nodes) {
      add(to_string(row.key), row.name, node.node.value, "-", exit_pair(row), node.used);
    }
    for (const StepRecord& step : row.usage.steps) {
      add(cat(to_string(row.key), ".", step.step), step.name, cat(step.nodes, " nodes"),
          cat(step.tasks), cat(step.exit_code), step.used);
    }
  }
  return table.render(
      {.columns = terminal_columns(), .header = header, .colours = colours_wanted()});
}

int run_shares(const Invocation& invocation) {
  if (invocation.operands().size() > 1) {
    invocation.fail_usage("shares takes no ids; --user and --accounts choose");
  }
  const auto list_of = [&](std::string_view option) {
    const GivenOption* const given = invocation.find(option);
    return given == nullptr ? std::vector<std::string>() : words_of_list(given->text());
  };
  Client client = invocation.client();
  auto found = list_shares(client);
  if (!found) invocation.fail(found.error());
  const auto rows = select_shares(*std::move(found), list_of("user"), list_of("accounts"));
  const bool header = !invocation.has("noheader");
  if (invocation.has("json")) finish(kExitOk, render_shares_json(rows));
  if (invocation.has("parsable")) finish(kExitOk, render_shares_parsable(rows, header));
  finish(kExitOk, render_shares(rows, {.columns = terminal_columns(), .header = header}));
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  if (!invocation.operands().empty() && invocation.operands().front() == "shares") {
    return run_shares(invocation);
  }
  JobFilter filter = make_filter(invocation, "states");
  filter.finished_too = true;
  filter.accounts = words_of_list(invocation.text("accounts"));
  const auto time_of = [&](std::string_view option) -> std::optional<Time> {
    const GivenOption* const given = invocation.find(option);
    if (given == nullptr) return std::nullopt;
    const std::optional<Time> time = parse_past(given->text(), SystemClock().now().wall);
    if (!time) {
      invocation.fail_usage(cat("option --", option, ": \"", given->text(),
                                "\" is no time; it is written 2026-11-24, 16:30 or now-2hours"));
    }
    return time;
  };
  const std::optional<Time> from = time_of("starttime");
  const std::optional<Time> until = time_of("endtime");
  QueueFormat format;
  if (const GivenOption* given = invocation.find("format")) {
    Result<QueueFormat> parsed = parse_queue_format(given->text());
    if (!parsed) invocation.fail_usage(cat("option --format: ", parsed.error().message()));
    format = *std::move(parsed);
  }
  std::vector<RowSortKey<JobRow>> order;
  if (const GivenOption* given = invocation.find("sort")) {
    Result<std::vector<RowSortKey<JobRow>>> parsed = parse_sort(job_columns(), given->text());
    if (!parsed) invocation.fail_usage(cat("option --sort: ", parsed.error().message()));
    order = *std::move(parsed);
  }
  std::size_t limit = 100;
  if (const GivenOption* given = invocation.find("limit")) {
    const auto count = parse_count(given->text(), 1, 1'000'000);
    if (!count) {
      invocation.fail_usage(cat("option --limit: \"", given->text(), "\" is not a number above 0"));
    }
    limit = static_cast<std::size_t>(*count);
  }
  Client client = invocation.client();
  Result<JobList> list = list_jobs(client, filter);
  if (!list) invocation.fail(list.error());
  if (list->truncated) {
    complain(kVerb.program, "there are more jobs than the scheduler lists at once");
  }
  std::vector<JobRow>& rows = list->rows;
  for (const JobRow& row : rows) {
    if (row.finished || filter.targets.jobs.empty()) continue;
    complain(kVerb.program, cat("job ", id_of(row, 40), " has not ended yet: ", row.state));
  }
  // Options that narrow the list may be why a job is not in it.
  const bool is_narrowed = !filter.users.empty() || filter.mine || !filter.names.empty() ||
                           !filter.queues.empty() || !filter.accounts.empty() ||
                           !filter.nodes.empty() || !filter.states.empty();
  bool any_missing = false;
  for (const JobKey key : filter.targets.jobs) {
    const auto is_of = [&](const JobRow& row) {
      return row.key == key || (key.index == JobKey::kNoIndex && row.key.job == key.job);
    };
    if (is_narrowed || list->truncated || std::ranges::any_of(rows, is_of)) continue;
    complain(kVerb.program, cat("there is no job ", to_string(key)));
    any_missing = true;
  }
  const int code = any_missing ? kExitNoInput : kExitOk;
  std::erase_if(rows, [&](const JobRow& row) {
    const Time ended = row.ended.value_or(Time{});
    return !row.finished || (from && ended < *from) || (until && ended >= *until);
  });
  std::ranges::stable_sort(rows, std::greater<>{},
                           [](const JobRow& row) { return row.ended.value_or(Time{}); });
  if (rows.size() > limit) rows.resize(limit);
  sort_rows(order, rows);
  if (invocation.has("json")) finish(code, render_json(rows));
  if (invocation.has("format")) {
    finish(code, render_rows(format, rows, !invocation.has("noheader")));
  }
  if (invocation.has("usage")) {
    finish(code, render_usage(rows, !invocation.has("noheader")));
  }
  finish(code, render_history(rows, !invocation.has("noheader")));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
