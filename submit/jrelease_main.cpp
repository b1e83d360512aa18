// jrelease: lets held jobs start.
#include "submit/console.hpp"
#include "submit/verb.hpp"

namespace {
constexpr gangway::submit::OptionName kOptions[] = {
    {"quiet", 'Q', gangway::submit::Takes::Nothing, "", "no messages about single jobs"},
};
constexpr gangway::submit::Verb kVerb{
    "jrelease",
    R"(usage: jrelease [options] ID...     jobs (42, 42_7) and workflows (w7)

Lets jobs start that jhold or jsubmit --hold holds. Only an operator releases what an operator holds.

  -Q, --quiet        no messages about single jobs
      --socket PATH  the scheduler's socket; default $GANGWAY_SOCKET
  -h, --help    -V, --version

examples:
  jrelease 42 43
  jrelease w7
)",
    kOptions};
}  // namespace

int main(int argc, char** argv) {
  using namespace gangway;  // NOLINT: a main of three lines
  submit::finish(submit::run_simple_act(kVerb, wire::Act::RELEASE, argc, argv));
}
