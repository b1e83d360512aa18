// jqueue: the queue, or one workflow as a tree.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "queues/base/find_program.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/event_line.hpp"
#include "submit/follow.hpp"
#include "submit/job_list.hpp"
#include "submit/job_row.hpp"
#include "submit/queue_format.hpp"
#include "submit/verb.hpp"
#include "submit/workflow_tree.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"user", 'u', Takes::Value, "NAMES", "only these users' jobs"},
    {"me", 0, Takes::Nothing, "", "only my jobs"},
    {"jobs", 'j', Takes::Value, "IDS", "only these jobs"},
    {"name", 'n', Takes::Value, "NAMES", "only jobs of these names"},
    {"partition", 'p', Takes::Value, "QUEUES", "only these queues"},
    {"queue", 0, Takes::Value, "QUEUES", "", "partition"},
    {"account", 'A', Takes::Value, "NAMES", "only these accounts"},
    {"nodelist", 0, Takes::Value, "NODES", "only jobs on these nodes"},
    {"states", 't', Takes::Value, "STATES", "only these states; all: ended jobs too"},
    {"all", 'a', Takes::Nothing, "", "ended jobs too"},
    {"workflow", 'w', Takes::Value, "ID", "one workflow as a tree"},
    {"dag", 0, Takes::Value, "ID", "the same, with its critical path"},
    {"dot", 0, Takes::Nothing, "", "a workflow for Graphviz"},
    {"format", 'o', Takes::Value, "FORMAT", "columns: %i %j %t, or jobid,name,state"},
    {"sort", 'S', Takes::Value, "KEYS", "by these columns: priority,jobid"},
    {"start", 0, Takes::Nothing, "", "when waiting jobs are expected to start"},
    {"watch", 0, Takes::Nothing, "", "the queue status monitor, in the terminal"},
    {"noheader", 'h', Takes::Nothing, "", "no line of headings"},
    {"priority", 0, Takes::Nothing, "", "the terms of the waiting jobs' priorities"},
    {"json", 0, Takes::Nothing, "", "JSON"},
    {"follow", 0, Takes::OptionalValue, "SEQ", "events as they happen"},
    {"array", 'r', Takes::Nothing, "", "a line for each element of an array"},
};

constexpr Verb kVerb{
    "jqueue",
    R"(usage: jqueue [options] [ID...]     jobs (42, 42_7, 42_[1-5]) and workflows (w7)

Lists the jobs that wait or run; a workflow as a tree of its jobs.

  -u, --user NAMES       only these users' jobs       --me  only mine
  -j, --jobs IDS         only these jobs
  -p, --queue QUEUES     only these queues            -n, --name NAMES
      --partition        the same as --queue
  -A, --account NAMES    only these accounts
      --nodelist NODES   only jobs on these nodes
  -t, --states STATES    PD, R, CG, CD, F, ...; all: every state
  -a, --all              ended jobs too
  -w, --workflow ID      the tree of a workflow
      --dag ID           the same, with its critical path marked
      --dot              with either: for Graphviz
      --watch            the queue status monitor: live, for the terminal; F1 shows its keys
      --start            waiting jobs, when and where each is expected to start
  -S, --sort KEYS        by these columns, as priority,jobid; "-" before one: the other way round
  -o, --format FORMAT    columns by name, as jobid:10,name,state; the names are in jqueue(1); or as
                         squeue's: %i id, %j name, %t and %T state, %u user, %P queue, %a account,
                         %M time, %l limit, %D nodes, %C cores, %N node list, %R node list or reason,
                         %r reason, %S start, %V submitted, %Q priority, %q QOS, %f features,
                         %E dependency, %k comment, %Z directory, %o command; %.8j is 8 wide
  -h, --noheader         no line of headings
      --priority         the waiting jobs, highest priority first, with the terms of each
      --json             JSON
      --follow[=SEQ]     events as they happen, one a line; from this number on, to go on where it
                         was left (with --json: "seq" + 1)
  -r, --array            a line for each element of an array, not one for all that wait
      --socket PATH      the scheduler's socket; default $GANGWAY_SOCKET
      --help    -V, --version

examples:
  jqueue --me
  jqueue w7
  jqueue --watch
  jqueue --follow --json
  jqueue --sort user,jobid --format jobid,name:20,timeused
  jqueue -h -t all -o '%i %t' -j 42,43
)",
    kOptions};

constexpr std::size_t kMostOfList = 40;  // of the elements of an array in a table

std::string render_queue(const std::vector<JobRow>& rows, bool header) {
  Table table({{"JOBID", Align::Right},
               {"PARTITION", Align::Left, true},
               {"NAME", Align::Left, true},
               {"USER", Align::Left, true},
               {"ST"},
               {"TIME", Align::Right},
               {"NODES", Align::Right},
               {"NODELIST(REASON)", Align::Left, true}});
  for (const JobRow& row : rows) {
    table.add({{id_of(row, kMostOfList)},
               {row.queue},
               {row.name},
               {row.user},
               {row.letters, colour_of(row)},
               {render_duration(row.elapsed)},
               {cat(row.nodes)},
               {place_or_reason(row)}});
  }
  return table.render(
      {.columns = terminal_columns(), .header = header, .colours = colours_wanted()});
}

// When each waiting job is expected to start: of the first ones, which is how far the scheduler
// looks; in squeue's columns.
std::string render_starts(Client& client,
                          std::vector<JobRow> rows,
                          const std::vector<RowSortKey<JobRow>>& order,
                          bool header,
                          Result<void>& asked) {
  constexpr std::size_t kMostExplained = 1'000;
  std::erase_if(rows, [](const JobRow& row) { return row.letters != "PD"; });
  std::ranges::stable_sort(rows, std::greater<>{}, &JobRow::priority);
  std::map<JobKey, wire::Outlook> outlooks;
  wire::Request request;
  for (const JobRow& row : rows) {
    if (static_cast<std::size_t>(request.explain().keys_size()) == kMostExplained) break;
    wire::to_wire(row.key, request.mutable_explain()->add_keys());
  }
  if (!rows.empty()) {
    Result<wire::Response> answer = client.call(request);
    if (!answer) {
      asked = answer.error();
      return {};
    }
    for (wire::Outlook& outlook : *answer->mutable_explained()->mutable_outlooks()) {
      const JobKey key = wire::from_wire(outlook.key());
      outlooks[key] = std::move(outlook);
    }
  }
  for (JobRow& row : rows) {
    const auto found = outlooks.find(row.key);
    if (found == outlooks.end() || !found->second.has_expected_start_ns()) continue;
    row.expected_start = Time{found->second.expected_start_ns()};
  }
  // The soonest first; those nothing is known of behind.
  std::ranges::stable_sort(
      rows, {}, [](const JobRow& row) { return row.expected_start.value_or(Time::infinity()); });
  if (!order.empty()) sort_rows(order, rows);
  Table table({{"JOBID", Align::Right},
               {"PARTITION", Align::Left, true},
               {"NAME", Align::Left, true},
               {"USER", Align::Left, true},
               {"ST"},
               {"START_TIME"},
               {"NODES", Align::Right},
               {"SCHEDNODES", Align::Left, true},
               {"NODELIST(REASON)", Align::Left, true}});
  for (const JobRow& row : rows) {
    std::vector<NodeName> nodes;
    for (const std::string& node : outlooks[row.key].nodes()) nodes.emplace_back(node);
    table.add({{id_of(row, kMostOfList)},
               {row.queue},
               {row.name},
               {row.user},
               {row.letters},
               {row.expected_start ? render_local_time(*row.expected_start) : std::string("N/A")},
               {cat(row.nodes)},
               {nodes.empty() ? std::string("(null)") : render_host_list(nodes)},
               {place_or_reason(row)}});
  }
  return table.render({.columns = terminal_columns(), .header = header});
}

// sprio's columns.
std::string render_priorities(std::vector<JobRow> rows, bool header) {
  std::erase_if(rows, [](const JobRow& row) { return !row.terms; });
  std::ranges::stable_sort(rows, std::greater<>{}, &JobRow::priority);
  Table table({{"JOBID", Align::Right},
               {"PARTITION", Align::Left, true},
               {"USER", Align::Left, true},
               {"PRIORITY", Align::Right},
               {"AGE", Align::Right},
               {"FAIRSHARE", Align::Right},
               {"JOBSIZE", Align::Right},
               {"PARTITION", Align::Right},
               {"QOS", Align::Right},
               {"NICE", Align::Right},
               {"TRES", Align::Right}});
  const auto points = [](double p) { return cat(static_cast<std::int64_t>(p)); };
  for (const JobRow& row : rows) {
    table.add({{id_of(row, kMostOfList)},
               {row.queue},
               {row.user},
               {cat(row.priority)},
               {points(row.terms->age())},
               {points(row.terms->fair_share())},
               {points(row.terms->size())},
               {points(row.terms->queue())},
               {points(row.terms->qos())},
               {cat(row.terms->nice())},
               {points(row.terms->resources())}});
  }
  return table.render({.columns = terminal_columns(), .header = header});
}

int show_workflows(const Invocation& invocation, const std::vector<WorkflowId>& ids) {
  wire::Request request;
  wire::ListWorkflows& list = *request.mutable_list_workflows();
  for (const WorkflowId id : ids) list.add_ids(id.value);
  list.set_finished_too(true);
  Client client = invocation.client();
  std::vector<wire::WorkflowView> views;
  Time now;
  const Result<void> done =
      client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
        now = Time{response.workflows().now_ns()};
        for (wire::WorkflowView& view : *response.mutable_workflows()->mutable_workflows()) {
          views.push_back(std::move(view));
        }
      });
  if (!done) invocation.fail(done.error());
  for (const WorkflowId id : ids) {
    const bool there = std::ranges::any_of(
        views, [&](const wire::WorkflowView& v) { return v.state().id() == id.value; });
    if (!there) invocation.fail(Error(ErrorKind::NotFound, cat("no workflow ", to_string(id))));
  }
  if (invocation.has("json")) {
    JsonWriter json;
    json.begin_object().key("workflows").begin_array();
    for (const wire::WorkflowView& view : views) write_workflow_json(view, now, json);
    json.end_array().end_object();
    finish(kExitOk, cat(json.take(), "\n"));
  }
  std::string text;
  for (const wire::WorkflowView& view : views) {
    if (invocation.has("dot")) {
      text += render_dot(view, now);
      continue;
    }
    text += render_workflow(view, now,
                            {.columns = terminal_columns(),
                             .header = !invocation.has("noheader"),
                             .colours = colours_wanted()},
                            invocation.has("dag"));
  }
  finish(kExitOk, text);
}

// Pushed by the scheduler. Ends with an error, or when nobody reads any more.
int follow(const Invocation& invocation, const GivenOption& given) {
  std::uint64_t from = 0;
  if (given.value) {
    const auto number = parse_integer<std::uint64_t>(*given.value);
    if (!number || *number == 0) {
      invocation.fail_usage(cat("option --follow: \"", *given.value,
                                "\" is no number of an event; they begin with 1"));
    }
    from = *number;
  }
  const bool json = invocation.has("json");
  bool first = true;
  // The stream blocks, so that it is ended with the process.
  const auto write = [](const std::string& line) {
    if (!print(line)) finish(kExitCannotCreate);
    return true;
  };
  Client client = invocation.client();
  const Result<void> done = follow_events(
      client, kVerb.program, from, seconds(60),
      {.on_begin =
           [&](std::uint64_t next) {
             const bool say = json && first;
             first = false;
             return !say || write(cat("{\"next\":", next, "}\n"));
           },
       .on_event =
           [&](const Event& event) {
             return write(cat(json ? render_event_json(event) : render_event(event), "\n"));
           }});
  if (!done) invocation.fail(done.error());
  return kExitOk;
}

// The monitor is a program of its own, which takes the options that choose jobs.
[[noreturn]] void watch(const Invocation& invocation, char** argv) {
  constexpr std::string_view kTaken[] = {"watch",  "user",      "me",      "jobs",    "name",
                                         "states", "partition", "account", "nodelist"};
  for (const OptionName& option : kOptions) {
    if (!invocation.has(option.name) ||
        std::ranges::find(kTaken, option.name) != std::end(kTaken)) {
      continue;
    }
    invocation.fail_usage(cat("option --", option.name, ": not together with --watch"));
  }
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    invocation.fail_usage(
        "option --watch: it needs a terminal; --follow writes to a file or a pipe");
  }
  const Result<std::string> program = find_program("jqueue-watch");
  if (!program) invocation.fail(program.error());
  ::execv(program->c_str(), argv);
  invocation.fail(errno_error(cat("cannot run ", *program), errno));
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  if (invocation.has("watch")) watch(invocation, argv);
  if (const GivenOption* given = invocation.find("follow")) return follow(invocation, *given);
  JobFilter filter = make_filter(invocation, "states");
  filter.each_element = invocation.has("array");
  for (const char* const option : {"workflow", "dag"}) {
    const GivenOption* const given = invocation.find(option);
    if (given == nullptr) continue;
    const std::optional<WorkflowId> id = parse_workflow_id(given->text());
    if (!id) {
      invocation.fail_usage(cat("option --", option, ": \"", given->text(),
                                "\" is no workflow id; they are written w7"));
    }
    filter.targets.workflows.push_back(*id);
  }
  if (!filter.targets.workflows.empty() && filter.targets.jobs.empty() &&
      filter.targets.elements.empty()) {
    return show_workflows(invocation, filter.targets.workflows);
  }
  Client client = invocation.client();
  std::vector<RowSortKey<JobRow>> order;
  if (const GivenOption* given = invocation.find("sort")) {
    Result<std::vector<RowSortKey<JobRow>>> parsed = parse_sort(job_columns(), given->text());
    if (!parsed) invocation.fail_usage(cat("option --sort: ", parsed.error().message()));
    order = *std::move(parsed);
  }
  QueueFormat format;
  if (const GivenOption* given = invocation.find("format")) {
    Result<QueueFormat> parsed = parse_queue_format(given->text());
    if (!parsed) invocation.fail_usage(cat("option --format: ", parsed.error().message()));
    format = *std::move(parsed);
  }
  Result<JobList> list = list_jobs(client, filter);
  if (!list) invocation.fail(list.error());
  sort_rows(order, list->rows);
  if (list->truncated) {
    complain(kVerb.program, "there are more jobs than the scheduler lists at once");
  }
  const bool header = !invocation.has("noheader");
  if (invocation.has("json")) finish(kExitOk, render_json(list->rows));
  if (invocation.has("format")) finish(kExitOk, render_rows(format, list->rows, header));
  if (invocation.has("start")) {
    Result<void> asked;
    const std::string text = render_starts(client, std::move(list->rows), order, header, asked);
    if (!asked) invocation.fail(asked.error());
    finish(kExitOk, text);
  }
  if (invocation.has("priority")) finish(kExitOk, render_priorities(list->rows, header));
  finish(kExitOk, render_queue(list->rows, header));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
