// jnodes: the nodes, what they have and what is used of it.
#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/node_format.hpp"
#include "submit/node_row.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"states", 't', Takes::Value, "STATES", "only nodes in these states"},
    {"features", 'f', Takes::Value, "NAMES", "only nodes with all of these features"},
    {"format", 'o', Takes::Value, "FORMAT", "columns: node,state,free or %n %t %C"},
    {"sort", 'S', Takes::Value, "KEYS", "by these columns: -free,node"},
    {"noheader", 'h', Takes::Nothing, "", "no line of headings"},
    {"json", 0, Takes::Nothing, "", "JSON"},
};

constexpr Verb kVerb{"jnodes",
                     R"(usage: jnodes [options] [NODES]     such as n[01-04]

Lists nodes with their state, and cores, memory and named resources as used/all, and
features.

States: idle, mixed (some cores used), allocated (all), draining and drained (an operator takes it
out), suspect (late), lost (silent past its lease), unknown (not heard of since the scheduler started).

  -t, --states STATES    only nodes in these states
  -f, --features NAMES   only nodes that have all of these features
  -S, --sort KEYS        by these columns, as state,node; "-" before one: the other way round
  -o, --format FORMAT    columns by name, as node:10,state,free; the names are in jnodes(1); or as
                         sinfo's: %n name, %t state, %c cores, %C cores used/idle/other/all, %m memory,
                         %e free memory in MiB, %G named resources, %f features, %E reason
  -h, --noheader         no line of headings
      --json             JSON
      --socket PATH      the scheduler's socket; default $GANGWAY_SOCKET
      --help    -V, --version

examples:
  jnodes
  jnodes --states idle,mixed --sort free --format node,free,freemem
  jnodes n[01-02] --json
)",
                     kOptions};

constexpr std::string_view kStates[] = {"idle",    "mixed",   "allocated", "draining",
                                        "drained", "suspect", "lost",      "unknown"};

// As sinfo abbreviates them, too.
std::string state_of(const Invocation& invocation, std::string_view word) {
  std::string lower = column_format::lower(word);
  if (lower == "alloc") lower = "allocated";
  if (lower == "mix") lower = "mixed";
  if (lower == "down") lower = "lost";
  if (lower == "drng") lower = "draining";
  if (lower == "drain") lower = "drained";
  if (std::ranges::find(kStates, lower) != std::end(kStates)) return lower;
  std::vector<std::string> all(std::begin(kStates), std::end(kStates));
  invocation.fail_usage(
      cat("option --states: \"", word, "\" is no state; there are ", join(all, ", ")));
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  std::vector<std::string> states;
  for (const std::string& word : words_of_list(invocation.text("states"))) {
    states.push_back(state_of(invocation, word));
  }
  const std::vector<std::string> features = words_of_list(invocation.text("features"));
  RowFormat<NodeRow> format;
  if (const GivenOption* given = invocation.find("format")) {
    Result<RowFormat<NodeRow>> parsed = parse_format(node_columns(), given->text());
    if (!parsed) invocation.fail_usage(cat("option --format: ", parsed.error().message()));
    format = *std::move(parsed);
  }
  std::vector<RowSortKey<NodeRow>> order;
  if (const GivenOption* given = invocation.find("sort")) {
    Result<std::vector<RowSortKey<NodeRow>>> parsed = parse_sort(node_columns(), given->text());
    if (!parsed) invocation.fail_usage(cat("option --sort: ", parsed.error().message()));
    order = *std::move(parsed);
  }
  wire::Request request;
  wire::ListNodes& list = *request.mutable_list_nodes();
  for (const std::string& word : invocation.operands()) {
    const Result<std::vector<NodeName>> names = parse_host_list(word);
    if (!names) invocation.fail_usage(cat("\"", word, "\": ", names.error().message()));
    for (const NodeName& name : *names) list.add_names(name.value);
  }
  Client client = invocation.client();
  std::vector<NodeRow> rows;
  const Result<void> done =
      client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
        for (const wire::NodeView& view : response.nodes().nodes()) {
          rows.push_back(make_node_row(view));
        }
      });
  if (!done) invocation.fail(done.error());
  std::erase_if(rows, [&](const NodeRow& row) {
    const auto has = [&](const std::string& feature) {
      return std::ranges::find(row.features, feature) != row.features.end();
    };
    const bool in_state = states.empty() || std::ranges::find(states, row.state) != states.end();
    return !in_state || !std::ranges::all_of(features, has);
  });
  sort_rows(order, rows);
  if (invocation.has("json")) {
    JsonWriter json;
    json.begin_object().key("nodes").begin_array();
    for (const NodeRow& row : rows) write_json(row, json);
    json.end_array().end_object();
    finish(kExitOk, cat(json.take(), "\n"));
  }
  const bool header = !invocation.has("noheader");
  if (invocation.has("format")) finish(kExitOk, render_formatted(format, rows, header));
  finish(kExitOk,
         render_nodes(
             rows, {.columns = terminal_columns(), .header = header, .colours = colours_wanted()}));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
