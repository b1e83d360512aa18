// jattach: the output of a step that runs, and input for it.
#include "queues/base/text.hpp"
#include "submit/console.hpp"
#include "submit/step_client.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

constexpr OptionName kOptions[] = {
    {"label", 'l', Takes::Nothing, "", "each line behind the number of its task"},
    {"input", 'i', Takes::Nothing, "", "pass standard input on, too"},
};

constexpr Verb kVerb{
    "jattach",
    R"(usage: jattach [options] ID[.STEP]     a running step (42.0; 42 is its step 0)

Shows what the tasks of a step write from now on, beside its jrun; an interrupt (^C) ends jattach and
not the step. Output that goes straight to its jrun cannot be had twice: start such a step with labels,
a terminal, or on several nodes. A shell beside it is a step of its own; see jrun(1).

  -l, --label        each line behind the number of its task
  -i, --input        pass standard input on, too
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jattach 42.1
  jattach --label 42
)",
    kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  if (invocation.operands().size() != 1) {
    invocation.fail_usage("which step? one, for example: jattach 42.0");
  }
  const std::string_view id = invocation.operands().front();
  const std::size_t dot = id.find('.');
  const std::optional<JobKey> key = parse_job_key(id.substr(0, dot));
  const auto step = dot == std::string_view::npos
                        ? std::optional<std::uint32_t>(0)
                        : parse_integer<std::uint32_t>(id.substr(dot + 1));
  if (!key || !step) invocation.fail_usage(cat("\"", id, "\" is no step; it is written 42.0"));
  Result<std::unique_ptr<StepLink>> link = open_tunnel(
      std::string(kVerb.program), find_socket(invocation.text("socket")), *key, WaitTick());
  if (!link) invocation.fail(link.error());
  wire::ToStep first;
  first.mutable_attach()->set_step(*step);
  first.mutable_attach()->set_with_input(invocation.has("input"));
  StepFront front;
  front.program = kVerb.program;
  front.label = invocation.has("label");
  front.pass_signals = false;
  if (!invocation.has("input")) front.input = -1;
  const Result<int> code = play_step(**link, first, front);
  if (!code) invocation.fail(code.error());
  return *code;
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
