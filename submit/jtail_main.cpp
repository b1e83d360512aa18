// jtail: the output of a job while it runs, from wherever the scheduler can be reached; of a job
// that has ended, the file itself.
#include <csignal>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/job_values.hpp"
#include "submit/output_file.hpp"
#include "submit/step_client.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"follow", 'f', Takes::Nothing, "", "go on until the job ends"},
    {"lines", 'n', Takes::Value, "N", "only the last N lines"},
    {"error", 'e', Takes::Nothing, "", "its errors instead of its output"},
    {"task", 't', Takes::Value, "N", "of a job with a file for each task: this one's"},
};

constexpr Verb kVerb{"jtail",
                     R"(usage: jtail [options] ID     of a job (42, 42_7)

Shows what a job has written to its output file, as it lies on the job's node, with your rights. A job
that waits is waited for; of one that has ended the output file is read from here, but not a file of
errors: the scheduler does not know its name.

  -f, --follow       go on until the job ends
  -n, --lines N      only the last N lines; default 10, with 0 what comes from now on, "all" for all
  -e, --error        its errors instead of its output
  -t, --task N       of a job with a file for each task: this one's
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jtail 42
  jtail -f 42
  jtail -n all -e 42
)",
                     kOptions};

int show_ended(
    const Invocation& invocation, JobKey key, bool errors, std::uint32_t task, std::int64_t lines) {
  wire::Request request;
  wire::to_wire(key, request.mutable_list_jobs()->add_keys());
  request.mutable_list_jobs()->set_finished_too(true);
  Client client = invocation.client();
  const Result<wire::Response> answer = client.call(request);
  if (!answer) invocation.fail(answer.error());
  if (answer->jobs().jobs_size() == 0) {
    invocation.fail(Error(ErrorKind::NotFound, cat("there is no job ", to_string(key))));
  }
  const JobRow job = make_row(answer->jobs().jobs(0), Time{answer->jobs().now_ns()});
  if (errors) {
    invocation.fail(Error(ErrorKind::Unsupported, cat("job ", to_string(key),
                                                      " has ended; its errors are in the file that "
                                                      "it was submitted with")));
  }
  const std::string path = output_file_of(job, task);
  constexpr std::int64_t kMostShown = 1 << 30;
  const Result<FileEnd> end = read_end(path, lines, kMostShown);
  if (!end) invocation.fail(end.error());
  finish(kExitOk, end->text);
}

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  const Result<Targets> targets = parse_targets(invocation.operands());
  if (!targets) invocation.fail_usage(targets.error().message());
  if (targets->jobs.size() != 1 || !targets->workflows.empty()) {
    invocation.fail_usage("which job? one, for example: jtail -f 42");
  }
  const JobKey key = targets->jobs.front();
  std::int64_t lines = 10;
  if (const GivenOption* given = invocation.find("lines")) {
    const auto count = parse_count(given->text(), 0, 1'000'000'000);
    if (!count && given->text() != "all") {
      invocation.fail_usage(cat("option --lines: \"", given->text(), "\" is no number"));
    }
    lines = count.value_or(-1);
  }
  std::uint32_t task = 0;
  if (const GivenOption* given = invocation.find("task")) {
    const auto number = parse_count(given->text(), 0, 10'000'000);
    if (!number) invocation.fail_usage(cat("option --task: \"", given->text(), "\" is no task"));
    task = static_cast<std::uint32_t>(*number);
  }
  const bool errors = invocation.has("error");
  Result<std::unique_ptr<StepLink>> link = open_tunnel(
      std::string(kVerb.program), find_socket(invocation.text("socket")), key, WaitTick());
  if (!link) {
    if (link.error().kind() != ErrorKind::NotFound) invocation.fail(link.error());
    return show_ended(invocation, key, errors, task, lines);
  }
  wire::ToStep first;
  first.mutable_follow()->set_stream(errors ? 2 : 1);
  first.mutable_follow()->set_task(task);
  first.mutable_follow()->set_follow(invocation.has("follow"));
  first.mutable_follow()->set_lines(lines);
  StepFront front;
  front.program = kVerb.program;
  front.pass_signals = false;  // they end us, and with us the reader
  front.input = -1;
  const Result<int> code = play_step(**link, first, front);
  if (!code) invocation.fail(code.error());
  return *code;
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
