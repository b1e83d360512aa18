// jwait: waits for the end of jobs and workflows and exits as they did.
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/job_values.hpp"
#include "submit/progress.hpp"
#include "submit/submission.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"progress", 'p', Takes::Nothing, "", "a line whenever a job changes its state"},
    {"quiet", 'Q', Takes::Nothing, "", "no messages about single jobs"},
    {"retry", 0, Takes::Value, "TIME", "keep trying while the scheduler is away"},
};

constexpr Verb kVerb{
    "jwait",
    R"(usage: jwait [options] ID...     jobs (42, 42_7, 42_[1-5]) and workflows (w7)

Waits until all of them have ended. Exits with the job's own code, 128+n if signal n ended it, 1 if it
ended in another way (cancelled, time limit, lost node); of several jobs with the first that is not 0.

  -p, --progress     a line whenever a job changes its state
  -Q, --quiet        no messages about single jobs
      --retry TIME   keep trying while the scheduler is away; default 60s
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jwait 42 && echo done
  jwait --progress w7
)",
    kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  const Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->empty()) invocation.fail_usage("which jobs? for example: jwait 42");
  Duration retry = seconds(60);
  if (const GivenOption* given = invocation.find("retry")) {
    const std::optional<Duration> window = parse_window(given->text());
    if (!window) {
      invocation.fail_usage(cat("option --retry: \"", given->text(),
                                "\" is not a time; for example "
                                "60s, or 0 to try once"));
    }
    retry = *window;
  }
  const bool quiet = invocation.has("quiet");
  Client client = invocation.client();
  if (invocation.has("progress")) {
    if (Result<void> shown = show_progress(client, invocation.program(), *targets, retry, quiet);
        !shown) {
      invocation.fail(shown.error());
    }
  }
  wire::WaitFor what;
  put_targets(*targets, what);
  const Result<wire::Waited> waited = wait_for(client, kVerb.program, what, retry, quiet);
  if (!waited) invocation.fail(waited.error());
  return report_ends(kVerb.program, what, *waited, quiet || invocation.has("progress"));
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
