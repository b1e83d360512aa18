// jrequeue: puts running jobs back into the queue.
#include "submit/console.hpp"
#include "submit/verb.hpp"

namespace {
constexpr gangway::submit::OptionName kOptions[] = {
    {"quiet", 'Q', gangway::submit::Takes::Nothing, "", "no messages about single jobs"},
};
constexpr gangway::submit::Verb kVerb{
    "jrequeue",
    R"(usage: jrequeue [options] ID...     jobs (42, 42_7) and workflows (w7)

Stops running jobs and puts them back into the queue, under the same id.

  -Q, --quiet        no messages about single jobs
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jrequeue 42 43
  jrequeue w7
)",
    kOptions};
}  // namespace

int main(int argc, char** argv) {
  using namespace gangway;  // NOLINT: a main of three lines
  submit::finish(submit::run_simple_act(kVerb, wire::Act::REQUEUE, argc, argv));
}
