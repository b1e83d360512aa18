// jrequeue: puts running jobs back into the queue; lets a workflow go on where it broke.
#include "queues/base/text.hpp"
#include "submit/console.hpp"
#include "submit/submission.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"failed", 0, Takes::Nothing, "", "the jobs of a workflow that have not succeeded run again"},
    {"quiet", 'Q', Takes::Nothing, "", "no messages about single jobs"},
};
constexpr Verb kVerb{
    "jrequeue",
    R"(usage: jrequeue [options] ID...     jobs (42, 42_7, 42_[1-5]) and workflows (w7)

Stops running jobs and puts them back into the queue, under the same id.

      --failed       of a workflow: what has failed, was cancelled or skipped runs again, as new jobs;
                     what has succeeded is not repeated, also of its arrays
  -Q, --quiet        no messages about single jobs
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jrequeue 42 43
  jrequeue --failed w7
)",
    kOptions};

int resume(const Invocation& invocation) {
  const Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->workflows.empty() || !targets->jobs.empty() || !targets->elements.empty()) {
    invocation.fail_usage("--failed takes workflows; for example: jrequeue --failed w7");
  }
  Client client = invocation.client();
  int code = kExitOk;
  for (const WorkflowId id : targets->workflows) {
    wire::Request request;
    request.mutable_resume_workflow()->set_workflow(id.value);
    request.mutable_resume_workflow()->set_key(make_key());
    const Result<wire::Submitted> done =
        submit(client, invocation.program(), {&request, 1}, seconds(60), invocation.has("quiet"));
    if (!done) {
      const int failed = complain(invocation.program(), done.error());
      if (code == kExitOk) code = failed;
      continue;
    }
    if (invocation.has("quiet")) continue;
    print(cat("Workflow ", to_string(id), " goes on: ", done->jobs_size(),
              done->jobs_size() == 1 ? " job runs again\n" : " jobs run again\n"));
  }
  return code;
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) {
  using namespace gangway::submit;  // NOLINT: a main of a few lines
  const Invocation invocation(kVerb, argc, argv);
  if (invocation.has("failed")) finish(resume(invocation));
  finish(run_simple_act(kVerb, gangway::wire::Act::REQUEUE, argc, argv));
}
