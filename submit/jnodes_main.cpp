// jnodes: the nodes, what they have and what is used of it.
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "submit/console.hpp"
#include "submit/node_row.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"noheader", 'h', Takes::Nothing, "", "no line of headings"},
    {"json", 0, Takes::Nothing, "", "JSON"},
};

constexpr Verb kVerb{"jnodes",
                     R"(usage: jnodes [options] [NODES]     such as n[01-04]

Lists nodes with their state, and cores, memory and named resources as used/all, and
features.

States: idle, mixed (some cores used), allocated (all), draining and drained (an operator takes it
out), suspect (late), lost (silent past its lease), unknown (not heard of since the scheduler started).

  -h, --noheader     no line of headings
      --json         JSON
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
      --help    -V, --version

examples:
  jnodes
  jnodes n[01-02] --json
)",
                     kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
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
  if (invocation.has("json")) {
    JsonWriter json;
    json.begin_object().key("nodes").begin_array();
    for (const NodeRow& row : rows) write_json(row, json);
    json.end_array().end_object();
    finish(kExitOk, cat(json.take(), "\n"));
  }
  finish(kExitOk, render_nodes(rows, {.columns = terminal_columns(),
                                      .header = !invocation.has("noheader"),
                                      .colours = colours_wanted()}));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
