// jhold: keeps waiting jobs from starting.
#include "submit/console.hpp"
#include "submit/verb.hpp"

namespace {
constexpr gangway::submit::OptionName kOptions[] = {
    {"quiet", 'Q', gangway::submit::Takes::Nothing, "", "no messages about single jobs"},
};
constexpr gangway::submit::Verb kVerb{
    "jhold",
    R"(usage: jhold [options] ID...     jobs (42, 42_7, 42_[1-5]) and workflows (w7)

Keeps waiting jobs from starting until jrelease. A running job goes on; if it is requeued, it is held.

  -Q, --quiet        no messages about single jobs
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jhold 42 43
  jhold w7
)",
    kOptions};
}  // namespace

int main(int argc, char** argv) {
  using namespace gangway;  // NOLINT: a main of three lines
  submit::finish(submit::run_simple_act(kVerb, wire::Act::HOLD, argc, argv));
}
