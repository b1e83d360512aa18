// jsim: what would have been, had the cluster had another policy. Replays a log through the planner
// that jschedd has. `--help` says the rest.
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "queues/model/backfill_policy.hpp"
#include "scheduler/jsim/chart.hpp"
#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/report.hpp"
#include "scheduler/jsim/shake.hpp"
#include "scheduler/jsim/swf.hpp"
#include "scheduler/jsim/trace_file.hpp"

namespace gangway::jsim {
namespace {

constexpr std::string_view kHelp =
    "usage: jsim --trace FILE [--policy NAME]... [options]\n"
    "\n"
    "Replays a log in the Standard Workload Format, plain or gzip, through the policy that\n"
    "jschedd has, and says how its jobs would have fared.\n"
    "\n"
    "  --trace FILE          the log\n"
    "  --policy NAME         fcfs, easy (default), easy:N, easy-sjbf, conservative or\n"
    "                        conservative-replan; a second one stands beside the first\n"
    "  --starvation-bound T  easy-sjbf: jobs that have waited so long are passed no more\n"
    "  --order batch|evt     events of one second: all, then one pass (batch), or a pass after\n"
    "                        each (evt); default batch, for conservative evt\n"
    "  --estimates requested|perfect   what the policy knows of run times\n"
    "  --processors N        size of the machine, if not as the log says\n"
    "  --shake N             also N runs with submissions moved a little, and their medians\n"
    "  --shake-by T          by up to so much (default 1m)\n"
    "  --seed N              of the shaking (default 1)\n"
    "  --users               how each user fared\n"
    "  --csv FILE            one line for each job\n"
    "  --gantt FILE          chart of processors over time (SVG), of the first policy\n"
    "  --utilisation FILE    chart of processors in use (SVG), of the first policy\n"
    "  --left-out FILE       all lines of the log that are no jobs, and why\n"
    "  --quiet               no progress bar\n"
    "  -h, --help   -V, --version\n"
    "\n"
    "exit codes: 0; 64 usage; 65 not a log; 66 no such file; 73 cannot write; 77 not allowed\n";

constexpr int kUsage = 64;
constexpr int kBadData = 65;
constexpr int kNoInput = 66;
constexpr int kCannotCreate = 73;
constexpr int kRefused = 77;

struct Options {
  std::string trace;
  std::vector<BackfillPolicy> policies;
  std::optional<Duration> starvation_bound;
  std::optional<EventOrder> order;
  SwfOptions swf;
  int shakes = 0;
  Duration shake_by = minutes(1);
  std::uint64_t seed = 1;
  bool users = false;
  bool quiet = false;
  std::string csv;
  std::string gantt;
  std::string utilisation;
  std::string left_out;
};

int usage(const std::string& message) {
  std::fprintf(stderr, "jsim: %s (see --help)\n", message.c_str());
  return kUsage;
}

int fail(const Error& error, int code) {
  std::fprintf(stderr, "jsim: %s\n", error.message().c_str());
  return code;
}

int read_failure(const Error& error) {
  if (error.kind() == ErrorKind::NotFound) return fail(error, kNoInput);
  return fail(error, error.kind() == ErrorKind::Denied ? kRefused : kBadData);
}

// nullopt: a message was printed.
std::optional<Options> read_options(int argc, char** argv) {
  enum Option : int {
    kTrace = 1000,
    kPolicy,
    kBound,
    kOrder,
    kEstimates,
    kProcessors,
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
  const option known[] = {{"trace", required_argument, nullptr, kTrace},
                          {"policy", required_argument, nullptr, kPolicy},
                          {"starvation-bound", required_argument, nullptr, kBound},
                          {"order", required_argument, nullptr, kOrder},
                          {"estimates", required_argument, nullptr, kEstimates},
                          {"processors", required_argument, nullptr, kProcessors},
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
  Options out;
  const auto refuse = [](const std::string& message) {
    (void)usage(message);
    return std::nullopt;
  };
  opterr = 0;
  for (int c = 0; (c = getopt_long(argc, argv, ":", known, nullptr)) != -1;) {
    const std::string value = optarg == nullptr ? "" : optarg;
    switch (c) {
      case kTrace:
        out.trace = value;
        break;
      case kPolicy: {
        const auto policy = parse_backfill_policy(value);
        if (!policy) return refuse(cat("--policy: ", policy.error().message()));
        out.policies.push_back(*policy);
        break;
      }
      case kBound:
        out.starvation_bound = parse_time_limit(value);
        if (!out.starvation_bound) return refuse(cat("--starvation-bound ", value, ": no time"));
        break;
      case kOrder:
        if (value != "batch" && value != "evt") {
          return refuse(cat("--order ", value, ": batch or evt"));
        }
        out.order = value == "evt" ? EventOrder::Evt : EventOrder::Batch;
        break;
      case kEstimates:
        if (value != "requested" && value != "perfect") {
          return refuse(cat("--estimates ", value, ": requested or perfect"));
        }
        out.swf.estimates = value == "perfect" ? Estimates::Perfect : Estimates::Requested;
        break;
      case kProcessors:
        out.swf.processors = parse_integer<std::int32_t>(value);
        if (!out.swf.processors || *out.swf.processors < 1 || *out.swf.processors > 10'000'000) {
          return refuse(cat("--processors ", value, ": 1 to 10000000"));
        }
        break;
      case kShake: {
        const auto runs = parse_integer<int>(value);
        if (!runs || *runs < 1 || *runs > 10'000) {
          return refuse(cat("--shake ", value, ": 1 to 10000"));
        }
        out.shakes = *runs;
        break;
      }
      case kShakeBy: {
        const auto by = parse_time_limit(value);
        if (!by || *by < seconds(1)) return refuse(cat("--shake-by ", value, ": at least 1s"));
        out.shake_by = *by;
        break;
      }
      case kSeed: {
        const auto seed = parse_integer<std::uint64_t>(value);
        if (!seed) return refuse(cat("--seed ", value, ": a number"));
        out.seed = *seed;
        break;
      }
      case kUsers:
        out.users = true;
        break;
      case kCsv:
        out.csv = value;
        break;
      case kGantt:
        out.gantt = value;
        break;
      case kUtilisation:
        out.utilisation = value;
        break;
      case kLeftOut:
        out.left_out = value;
        break;
      case kQuiet:
        out.quiet = true;
        break;
      case ':':
        return refuse(cat(argv[optind - 1], " needs a value"));
      default:
        return refuse(cat("unknown option ", argv[optind - 1]));
    }
  }
  if (optind < argc) return refuse(cat("unexpected ", argv[optind]));
  if (out.trace.empty()) return refuse("which log? --trace FILE");
  if (out.policies.empty()) out.policies.emplace_back();
  for (BackfillPolicy& policy : out.policies) policy.starvation_bound = out.starvation_bound;
  return out;
}

// On standard error, if that is a terminal.
class ProgressBar {
 public:
  ProgressBar(std::size_t all, bool wanted) : all_(all), wanted_(wanted && ::isatty(2) == 1) {}
  ~ProgressBar() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const std::string& what, std::size_t done) {
    if (!wanted_ || all_ == 0) return;
    constexpr std::size_t kCells = 40;
    const std::size_t cells = done * kCells / all_;
    if (shown_ && cells == last_ && done != 0) return;
    last_ = cells;
    shown_ = true;
    std::fprintf(stderr, "\r%-20.20s [%s%s] %3zu %%", what.c_str(), std::string(cells, '#').c_str(),
                 std::string(kCells - cells, ' ').c_str(), done * 100 / all_);
  }

 private:
  std::size_t all_;
  bool wanted_;
  bool shown_ = false;
  std::size_t last_ = 0;
};

PolicyRun run_policy(const Trace& trace,
                     const BackfillPolicy& policy,
                     const Options& options,
                     bool with_places,
                     ProgressBar& bar,
                     const std::string& what) {
  PolicyRun run;
  run.name = to_string(policy);
  ReplayOptions replayed;
  replayed.policy = policy;
  // The order in which figures of this policy are published.
  replayed.order =
      options.order.value_or(policy.keeps_promises ? EventOrder::Evt : EventOrder::Batch);
  replayed.with_places = with_places;
  replayed.on_progress = [&](std::size_t done) { bar.show(what, done); };
  bar.show(what, 0);
  run.schedule = replay(trace, replayed);
  run.figures = figures_of(trace, run.schedule);
  return run;
}

std::string shaken(const Trace& trace, const Options& options, ProgressBar& bar) {
  std::string out = cat("over ", options.shakes, " shaken logs (submissions moved by up to ",
                        render_duration(options.shake_by), ", seed ", options.seed,
                        "): median, least and most of the mean bounded slowdown; median of the "
                        "mean wait\n");
  for (const BackfillPolicy& policy : options.policies) {
    Rng rng(options.seed);  // the same logs for each policy
    std::vector<double> slowdowns;
    std::vector<double> waits;
    for (int i = 1; i <= options.shakes; ++i) {
      const Trace moved = shake(trace, options.shake_by, rng);
      const PolicyRun run =
          run_policy(moved, policy, options, false, bar, cat("shake ", i, " of ", options.shakes));
      slowdowns.push_back(run.figures.mean_slowdown);
      waits.push_back(run.figures.mean_wait_s);
    }
    const auto [least, most] = std::minmax_element(slowdowns.begin(), slowdowns.end());
    out += cat("  ", to_string(policy), ": ", with_decimals(median(slowdowns), 4), "  ",
               with_decimals(*least, 4), "  ", with_decimals(*most, 4), "  ",
               with_decimals(median(waits), 2), " s\n");
  }
  return out;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return {};
  std::FILE* const file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return errno_error(cat("write ", path), errno);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int why = errno;
  if (std::fclose(file) != 0) return errno_error(cat("write ", path), errno);
  if (!written) return errno_error(cat("write ", path), why);
  return {};
}

int run(const Options& options) {
  const Result<std::string> text = read_trace_file(options.trace);
  if (!text) return read_failure(text.error());
  const Result<Trace> trace = parse_swf(*text, options.swf);
  if (!trace) return fail(trace.error().with_context(options.trace), kBadData);

  std::string out = render_trace(*trace);
  std::vector<PolicyRun> runs;
  {
    ProgressBar bar(trace->jobs.size(), !options.quiet);
    for (const BackfillPolicy& policy : options.policies) {
      const bool with_places = runs.empty() && !options.gantt.empty();
      runs.push_back(run_policy(*trace, policy, options, with_places, bar, to_string(policy)));
    }
    out += cat('\n', render_figures(runs));
    if (options.shakes > 0) out += cat('\n', shaken(*trace, options, bar));
  }
  for (std::size_t i = 1; i < runs.size(); ++i) {
    out += cat('\n', render_change(*trace, runs[0], runs[i]));
  }
  if (options.users) out += cat('\n', render_users(runs));

  Result<void> written = write_file(options.left_out, render_left_out(*trace));
  if (written && !options.csv.empty()) written = write_file(options.csv, render_csv(*trace, runs));
  if (written && !options.gantt.empty()) {
    written = write_file(options.gantt, render_gantt(*trace, runs[0].schedule));
  }
  if (written && !options.utilisation.empty()) {
    written = write_file(options.utilisation, render_utilisation(*trace, runs[0].schedule));
  }
  if (!written) return fail(written.error(), kCannotCreate);
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) {
    return fail(errno_error("write standard output", errno), kCannotCreate);
  }
  return 0;
}

int main_of(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "-h" || word == "--help") {
      std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
      return 0;
    }
    if (word == "-V" || word == "--version") {
      std::puts("jsim " GANGWAY_VERSION);
      return 0;
    }
  }
  const std::optional<Options> options = read_options(argc, argv);
  return options ? run(*options) : kUsage;
}

}  // namespace
}  // namespace gangway::jsim

int main(int argc, char** argv) { return gangway::jsim::main_of(argc, argv); }
