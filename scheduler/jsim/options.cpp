#include "scheduler/jsim/options.hpp"

#include <getopt.h>

#include <algorithm>
#include <set>

#include "queues/base/text.hpp"

namespace gangway::jsim {

namespace {

constexpr std::string_view kHelp =
    "usage: jsim --trace FILE [--policy NAME]... [options]\n"
    "       jsim --workflow [USER=]FILE... [--nodes N] [--cores N] [options]\n"
    "\n"
    "Replays a log in the Standard Workload Format, or workflows of WfCommons (JSON) or Pegasus\n"
    "(DAX), plain or gzip, through the policy that jschedd has, and says how their jobs would\n"
    "have fared.\n"
    "\n"
    "  --trace FILE          the log; - is standard input\n"
    "  --workflow [USER=]FILE   a workflow, and whose it is (default: of a user of its own); may\n"
    "                        be given several times\n"
    "  --policy NAME         fcfs, easy (default), easy:N, easy-sjbf, conservative or\n"
    "                        conservative-replan; a second one stands beside the first\n"
    "  --starvation-bound T  easy-sjbf: jobs that have waited so long are passed no more\n"
    "  --order batch|evt     events of one second: all, then one pass (batch), or a pass after\n"
    "                        each (evt); default batch, for a log and conservative evt\n"
    "  --estimates requested|perfect   of a log: what the policy knows of run times\n"
    "  --processors N        of a log: size of the machine, if not as the log says\n"
    "  --nodes N             of workflows: nodes of the machine (default 4)\n"
    "  --cores N             of workflows: cores of each node (default 4)\n"
    "  --apart T             of workflows: each is submitted so much after the one before\n"
    "  --dag-order NAME      of workflows: critical-path (default) or plain; may be given twice\n"
    "  --fair-share WHAT     users: all users have equal shares; groups: all groups of the log;\n"
    "                        else a file with shares\n"
    "  --half-life T         of usage, with --fair-share (default 7-0; 0: never forgotten)\n"
    "  --shake N             also N runs with submissions moved a little, and their medians\n"
    "  --shake-by T          by up to so much (default 1m)\n"
    "  --seed N              of the shaking (default 1)\n"
    "  --users               how each user fared\n"
    "  --csv FILE            one line for each job or task\n"
    "  --gantt FILE          chart of processors over time (SVG), of the first policy\n"
    "  --utilisation FILE    chart of processors in use (SVG), of the first policy\n"
    "  --left-out FILE       everything that was not as it should be, and why\n"
    "  --quiet               no progress bar\n"
    "  -h, --help   -V, --version\n"
    "\n"
    "exit codes: 0; 64 usage; 65 not a log or workflow; 66 no such file; 73 cannot write;\n"
    "77 not allowed\n";

enum Option : int {
  kTrace = 1000,
  kWorkflow,
  kPolicy,
  kBound,
  kOrder,
  kEstimates,
  kProcessors,
  kNodes,
  kCores,
  kApart,
  kDagOrder,
  kFairShare,
  kHalfLife,
  kShake,
  kShakeBy,
  kSeed,
  kUsers,
  kCsv,
  kGantt,
  kUtilisation,
  kLeftOut,
  kQuiet
};

const option kKnown[] = {{"trace", required_argument, nullptr, kTrace},
                         {"workflow", required_argument, nullptr, kWorkflow},
                         {"policy", required_argument, nullptr, kPolicy},
                         {"starvation-bound", required_argument, nullptr, kBound},
                         {"order", required_argument, nullptr, kOrder},
                         {"estimates", required_argument, nullptr, kEstimates},
                         {"processors", required_argument, nullptr, kProcessors},
                         {"nodes", required_argument, nullptr, kNodes},
                         {"cores", required_argument, nullptr, kCores},
                         {"apart", required_argument, nullptr, kApart},
                         {"dag-order", required_argument, nullptr, kDagOrder},
                         {"fair-share", required_argument, nullptr, kFairShare},
                         {"half-life", required_argument, nullptr, kHalfLife},
                         {"shake", required_argument, nullptr, kShake},
                         {"shake-by", required_argument, nullptr, kShakeBy},
                         {"seed", required_argument, nullptr, kSeed},
                         {"users", no_argument, nullptr, kUsers},
                         {"csv", required_argument, nullptr, kCsv},
                         {"gantt", required_argument, nullptr, kGantt},
                         {"utilisation", required_argument, nullptr, kUtilisation},
                         {"left-out", required_argument, nullptr, kLeftOut},
                         {"quiet", no_argument, nullptr, kQuiet},
                         {}};

Error invalid(std::string why) { return {ErrorKind::Invalid, std::move(why)}; }

// "ann=montage.json"; what stands before the '=' of a path with a '/' in it is no user.
WorkflowArgument parse_workflow_argument(const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == 0 || equals == std::string::npos) return {"", value};
  const std::string user = value.substr(0, equals);
  if (user.find('/') != std::string::npos) return {"", value};
  return {user, value.substr(equals + 1)};
}

Result<std::int32_t> count(std::string_view name, const std::string& value) {
  const auto number = parse_integer<std::int32_t>(value);
  if (number && *number >= 1 && *number <= kMostProcessors) return *number;
  return invalid(cat("--", name, " ", value, ": 1 to ", kMostProcessors));
}

Result<Duration> time(std::string_view name, const std::string& value, Duration least) {
  const auto parsed = parse_time_limit(value);
  if (parsed && *parsed >= least) return *parsed;
  return invalid(parsed ? cat("--", name, " ", value, ": at least ", render_duration(least))
                        : cat("--", name, " ", value, ": no time"));
}

template <typename T, typename Parsed>
Result<void> put(T& into, Result<Parsed> parsed) {
  if (!parsed) return parsed.error();
  into = *std::move(parsed);
  return {};
}

Result<void> take(Options& out, int which, const std::string& value) {
  switch (which) {
    case kTrace:
      out.trace = value;
      return {};
    case kWorkflow:
      out.workflows.push_back(parse_workflow_argument(value));
      if (out.workflows.back().file.empty()) return invalid(cat("--workflow ", value, ": no file"));
      return {};
    case kPolicy: {
      const auto policy = parse_backfill_policy(value);
      if (!policy) return invalid(cat("--policy: ", policy.error().message()));
      out.policies.push_back(*policy);
      return {};
    }
    case kOrder:
      if (value != "batch" && value != "evt")
        return invalid(cat("--order ", value, ": batch or evt"));
      out.order = value == "evt" ? EventOrder::Evt : EventOrder::Batch;
      return {};
    case kEstimates:
      if (value != "requested" && value != "perfect") {
        return invalid(cat("--estimates ", value, ": requested or perfect"));
      }
      out.swf.estimates = value == "perfect" ? Estimates::Perfect : Estimates::Requested;
      return {};
    case kProcessors:
      return put(out.swf.processors, count("processors", value));
    case kNodes:
      return put(out.machine.nodes, count("nodes", value));
    case kCores:
      return put(out.machine.cores, count("cores", value));
    case kApart:
      return put(out.apart, time("apart", value, {}));
    case kDagOrder:
      if (value != "plain" && value != "critical-path") {
        return invalid(cat("--dag-order ", value, ": critical-path or plain"));
      }
      out.dag_orders.push_back(value == "plain" ? DagOrder::Plain : DagOrder::CriticalPath);
      return {};
    case kFairShare:
      if (value.empty()) return invalid("--fair-share: users, groups or a file");
      out.fair_share = value;
      return {};
    case kHalfLife:
      return put(out.half_life, time("half-life", value, {}));
    case kShake: {
      const auto runs = parse_integer<int>(value);
      if (!runs || *runs < 1 || *runs > 10'000)
        return invalid(cat("--shake ", value, ": 1 to 10000"));
      out.shakes = *runs;
      return {};
    }
    case kShakeBy:
      return put(out.shake_by, time("shake-by", value, seconds(1)));
    case kSeed: {
      const auto seed = parse_integer<std::uint64_t>(value);
      if (!seed) return invalid(cat("--seed ", value, ": a number"));
      out.seed = *seed;
      return {};
    }
    case kUsers:
      out.users = true;
      return {};
    case kCsv:
      out.csv = value;
      return {};
    case kGantt:
      out.gantt = value;
      return {};
    case kUtilisation:
      out.utilisation = value;
      return {};
    case kLeftOut:
      out.left_out = value;
      return {};
    default:
      out.quiet = true;
      return {};
  }
}

// "unknown option --polcy; did you mean --policy?"
std::string unknown(const std::string& word) {
  std::vector<std::string> names;
  for (const option* known = kKnown; known->name != nullptr; ++known)
    names.emplace_back(known->name);
  std::size_t begin_with_it = 0;
  std::string all;
  const std::string name = word.starts_with("--") ? word.substr(2, word.find('=') - 2) : word;
  for (const std::string& one : names) {
    if (name.empty() || !one.starts_with(name)) continue;
    ++begin_with_it;
    all += cat(all.empty() ? "--" : ", --", one);
  }
  if (begin_with_it == 1) return cat(all, " takes no value");
  if (begin_with_it > 1) return cat(word, " may be ", all);
  const std::string meant = nearest(name, names);
  return cat("unknown option ", word, meant.empty() ? "" : cat("; did you mean --", meant, "?"));
}

// What goes with a log alone, or with workflows alone.
Result<void> check_together(const Options& options, const std::set<int>& given) {
  if (options.trace.empty() && options.workflows.empty()) {
    return invalid("which log, or which workflow? --trace FILE or --workflow FILE");
  }
  if (!options.trace.empty() && !options.workflows.empty()) {
    return invalid("--trace and --workflow do not go together");
  }
  const bool is_log = !options.trace.empty();
  const std::set<int> of_logs{kEstimates, kProcessors};
  const std::set<int> of_workflows{kNodes, kCores, kApart, kDagOrder};
  for (const option* known = kKnown; known->name != nullptr; ++known) {
    if (!given.contains(known->val)) continue;
    if (!is_log && of_logs.contains(known->val)) {
      return invalid(cat("--", known->name, " goes with --trace alone"));
    }
    if (is_log && of_workflows.contains(known->val)) {
      return invalid(cat("--", known->name, " goes with --workflow alone"));
    }
  }
  if (!is_log && options.fair_share == "groups") {
    return invalid("--fair-share groups goes with --trace alone");
  }
  if (options.half_life && options.fair_share.empty()) {
    return invalid("--half-life goes with --fair-share alone");
  }
  if (options.machine.nodes > kMostProcessors / options.machine.cores) {
    return invalid(cat("--nodes ", options.machine.nodes, " --cores ", options.machine.cores,
                       ": at most ", kMostProcessors, " cores in all"));
  }
  return {};
}

}  // namespace

std::string_view help_text() { return kHelp; }

Result<Options> parse_options(int argc, char** argv) {
  Options out;
  std::optional<Duration> bound;
  std::set<int> given;
  opterr = 0;
  optind = 0;  // anew, also the second time in a process
  for (int c = 0; (c = getopt_long(argc, argv, ":", kKnown, nullptr)) != -1;) {
    const std::string value = optarg == nullptr ? "" : optarg;
    if (c == ':') return invalid(cat(argv[optind - 1], " needs a value"));
    if (c < kTrace) return invalid(unknown(argv[optind - 1]));
    given.insert(c);
    if (c == kBound) {
      GANGWAY_TRY(put(bound, time("starvation-bound", value, {})));
    } else {
      GANGWAY_TRY(take(out, c, value));
    }
  }
  if (optind < argc) return invalid(cat("unexpected ", argv[optind]));
  GANGWAY_TRY(check_together(out, given));
  if (out.policies.empty()) out.policies.emplace_back();
  for (BackfillPolicy& policy : out.policies) policy.starvation_bound = bound;
  if (out.dag_orders.empty()) out.dag_orders.push_back(DagOrder::CriticalPath);
  return out;
}

}  // namespace gangway::jsim
