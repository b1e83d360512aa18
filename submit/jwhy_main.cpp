// jwhy: why a job is where it is.
#include <unistd.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/outlook.hpp"
#include "submit/render.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {{"json", 0, Takes::Nothing, "", "JSON"}};

constexpr Verb kVerb{"jwhy",
                     R"(usage: jwhy [options] [ID...]     jobs (42, 42_7) and workflows (w7)

Says what each job waits for and when it is expected to start, or where it runs, or how it ended.
Without an id: your waiting jobs. Of a job that waits for nothing but resources also: when and where it
would start if all jobs run to their limits, what that rests on, and what would start sooner.

      --json         JSON: the outlook of jobs that wait for resources, the lines for people
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jwhy 42
  jwhy
)",
                     kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  for (const ElementsOf& some : targets->elements) {
    constexpr std::uint32_t kMost = 20;  // they wait for the same
    for (std::uint32_t i = 0; i < std::min(some.indexes.count(), kMost); ++i) {
      targets->jobs.push_back({some.job, some.indexes.index_at(i)});
    }
  }
  targets->elements.clear();
  Client client = invocation.client();
  if (targets->jobs.empty()) {
    JobFilter filter;
    filter.targets.workflows = targets->workflows;
    if (targets->empty()) {
      filter.mine = ::getuid();
      filter.states = {"PD"};
    }
    filter.finished_too = !targets->empty();
    const Result<JobList> list = list_jobs(client, filter);
    if (!list) invocation.fail(list.error());
    for (const JobRow& row : list->rows) targets->jobs.push_back(row.key);
    if (targets->jobs.empty() && !targets->workflows.empty()) {
      invocation.fail(
          Error(ErrorKind::NotFound, cat("no workflow ", to_string(targets->workflows.front()))));
    }
    if (targets->jobs.empty()) finish(kExitOk, "None of your jobs waits\n");
  }
  wire::Request request;
  for (const JobKey key : targets->jobs) {
    wire::to_wire(key, request.mutable_explain()->add_keys());
  }
  std::vector<std::string> lines;
  JsonWriter json;
  json.begin_object().key("outlooks").begin_array();
  const Result<void> done =
      client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
        for (const std::string& line : response.explained().lines()) lines.push_back(line);
        for (const wire::Outlook& outlook : response.explained().outlooks()) {
          write_json(outlook, json);
        }
      });
  if (!done) invocation.fail(done.error());
  if (invocation.has("json")) {
    json.end_array().key("lines").begin_array();
    for (const std::string& line : lines) json.value(line);
    json.end_array().end_object();
    finish(kExitOk, cat(json.take(), "\n"));
  }
  std::string text;
  for (const std::string& line : lines) text += cat(printable(line), "\n");
  finish(kExitOk, text);
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
