// jqueue-watch: what `jqueue --watch` runs. Apart, because it alone needs ncurses and jqueue is
// started by the thousand.
#include "queues/base/text.hpp"
#include "submit/console.hpp"
#include "submit/job_list.hpp"
#include "submit/monitor/monitor.hpp"
#include "submit/verb.hpp"

namespace gangway::submit {
namespace {

// Of jqueue's options those that choose jobs; jqueue itself has seen to the others.
constexpr OptionName kOptions[] = {
    {"watch", 0, Takes::Nothing, "", ""},
    {"user", 'u', Takes::Value, "NAMES", ""},
    {"me", 0, Takes::Nothing, "", ""},
    {"jobs", 'j', Takes::Value, "IDS", ""},
    {"name", 'n', Takes::Value, "NAMES", ""},
    {"partition", 'p', Takes::Value, "QUEUES", ""},
    {"queue", 0, Takes::Value, "QUEUES", "", "partition"},
    {"account", 'A', Takes::Value, "NAMES", ""},
    {"nodelist", 0, Takes::Value, "NODES", ""},
    {"states", 't', Takes::Value, "STATES", ""},
};
constexpr Verb kVerb{"jqueue", "usage: jqueue --watch\n", kOptions};

int run(int argc, char** argv) {
  const Invocation invocation(kVerb, argc, argv);
  const monitor::MonitorOptions options{.program = std::string(kVerb.program),
                                        .socket = find_socket(invocation.text("socket")),
                                        .filter = make_filter(invocation, "states"),
                                        .colours = colours_wanted()};
  const Result<int> code = monitor::run_monitor(options);
  if (!code) invocation.fail(code.error());
  return *code;
}

}  // namespace
}  // namespace gangway::submit

int main(int argc, char** argv) { gangway::submit::finish(gangway::submit::run(argc, argv)); }
