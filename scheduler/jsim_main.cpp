// jsim: what would have been, had the cluster had another policy. Replays a log through the planner
// that jschedd has. `--help` says the rest.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "scheduler/jsim/chart.hpp"
#include "scheduler/jsim/figures.hpp"
#include "scheduler/jsim/options.hpp"
#include "scheduler/jsim/replay.hpp"
#include "scheduler/jsim/report.hpp"
#include "scheduler/jsim/shake.hpp"
#include "scheduler/jsim/shares.hpp"
#include "scheduler/jsim/swf.hpp"
#include "scheduler/jsim/task_graph.hpp"
#include "scheduler/jsim/trace_file.hpp"
#include "scheduler/jsim/workflow_trace.hpp"

namespace gangway::jsim {
namespace {

constexpr int kUsage = 64;
constexpr int kBadData = 65;
constexpr int kNoInput = 66;
constexpr int kCannotCreate = 73;
constexpr int kRefused = 77;

int fail(const Error& error, int code) {
  std::fprintf(stderr, "jsim: %s\n", error.message().c_str());
  return code;
}

int code_of(const Error& error) {
  if (error.kind() == ErrorKind::NotFound) return kNoInput;
  return error.kind() == ErrorKind::Denied ? kRefused : kBadData;
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

// What is run: each policy, and of workflows each with each order.
struct Variant {
  std::string name;
  ReplayOptions replayed;
};

std::vector<Variant> variants_of(const Trace& trace, const Options& options, const Shares* shares) {
  std::vector<Variant> out;
  for (const BackfillPolicy& policy : options.policies) {
    for (const DagOrder dag : options.dag_orders) {
      Variant variant{.name = to_string(policy), .replayed = {}};
      if (options.dag_orders.size() > 1) {
        variant.name += dag == DagOrder::Plain ? "/plain" : "/critical-path";
      }
      variant.replayed.policy = policy;
      // The order in which figures of logs are published for this policy.
      variant.replayed.order = options.order.value_or(
          policy.keeps_promises && trace.workflows.empty() ? EventOrder::Evt : EventOrder::Batch);
      variant.replayed.dag = dag;
      variant.replayed.shares = shares;
      out.push_back(std::move(variant));
    }
  }
  return out;
}

PolicyRun run_variant(const Trace& trace,
                      const Variant& variant,
                      bool with_places,
                      ProgressBar& bar,
                      const std::string& what) {
  PolicyRun run;
  run.name = variant.name;
  ReplayOptions replayed = variant.replayed;
  replayed.with_places = with_places;
  replayed.on_progress = [&](std::size_t done) { bar.show(what, done); };
  bar.show(what, 0);
  run.schedule = replay(trace, replayed);
  run.figures = figures_of(trace, run.schedule);
  return run;
}

std::string shaken(const Trace& trace,
                   const std::vector<Variant>& variants,
                   const Options& options,
                   ProgressBar& bar) {
  const bool workflows = !trace.workflows.empty();
  std::string out =
      cat("over ", options.shakes, " shaken ", workflows ? "sets" : "logs",
          " (submissions moved by up to ", render_duration(options.shake_by), ", seed ",
          options.seed, "): median, least and most of the ",
          workflows ? "makespan\n" : "mean bounded slowdown; median of the mean wait\n");
  for (const Variant& variant : variants) {
    Rng rng(options.seed);  // the same logs for each policy
    std::vector<double> values;
    std::vector<double> waits;
    for (int i = 1; i <= options.shakes; ++i) {
      const Trace moved = shake(trace, options.shake_by, rng);
      const PolicyRun run =
          run_variant(moved, variant, false, bar, cat("shake ", i, " of ", options.shakes));
      values.push_back(workflows ? run.figures.makespan_s : run.figures.mean_slowdown);
      waits.push_back(run.figures.mean_wait_s);
    }
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const int decimals = workflows ? 1 : 4;
    out += cat("  ", variant.name, ": ", with_decimals(median(values), decimals), "  ",
               with_decimals(*least, decimals), "  ", with_decimals(*most, decimals));
    out += workflows ? " s\n" : cat("  ", with_decimals(median(waits), 2), " s\n");
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

Result<Trace> read_trace(const Options& options) {
  if (!options.trace.empty()) {
    const std::string name = options.trace == "-" ? "standard input" : options.trace;
    const Result<std::string> text = read_trace_file(options.trace);
    if (!text) return text.error();
    Result<Trace> trace = parse_swf(*text, options.swf);
    return trace ? std::move(trace) : trace.error().with_context(name);
  }
  std::vector<WorkflowInput> inputs;
  for (const WorkflowArgument& one : options.workflows) {
    const Result<std::string> text = read_trace_file(one.file);
    if (!text) return text.error();
    Result<TaskGraph> graph = parse_workflow(*text);
    if (!graph) return graph.error().with_context(one.file);
    const std::size_t slash = one.file.rfind('/');
    inputs.push_back({slash == std::string::npos ? one.file : one.file.substr(slash + 1), one.user,
                      *std::move(graph)});
  }
  return trace_of_workflows(inputs, options.machine, options.apart);
}

Result<std::optional<Shares>> read_shares(const Options& options, const Trace& trace) {
  if (options.fair_share.empty()) return std::optional<Shares>();
  ShareRules rules;
  if (options.fair_share == "groups") {
    rules.account_per_group = true;
  } else if (options.fair_share != "users") {
    const Result<std::string> text = read_trace_file(options.fair_share);
    if (!text) return text.error();
    Result<ShareRules> read = parse_shares(*text);
    if (!read) return read.error().with_context(options.fair_share);
    rules = *std::move(read);
  }
  Result<Shares> shares = shares_of(rules, trace);
  if (!shares) return shares.error().with_context(options.fair_share);
  if (options.half_life) shares->half_life = *options.half_life;
  return std::optional<Shares>(*std::move(shares));
}

Result<void> write_files(const Options& options,
                         const Trace& trace,
                         const std::vector<PolicyRun>& runs) {
  GANGWAY_TRY(write_file(options.left_out, render_oddities(trace)));
  if (!options.csv.empty()) GANGWAY_TRY(write_file(options.csv, render_csv(trace, runs)));
  if (!options.gantt.empty()) {
    GANGWAY_TRY(write_file(options.gantt, render_gantt(trace, runs[0].schedule)));
  }
  if (!options.utilisation.empty()) {
    GANGWAY_TRY(write_file(options.utilisation, render_utilisation(trace, runs[0].schedule)));
  }
  return {};
}

int run(const Options& options) {
  const Result<Trace> trace = read_trace(options);
  if (!trace) return fail(trace.error(), code_of(trace.error()));
  const Result<std::optional<Shares>> read = read_shares(options, *trace);
  if (!read) return fail(read.error(), code_of(read.error()));
  const Shares* const shares = *read ? &**read : nullptr;

  std::string out = render_trace(*trace);
  const std::vector<Variant> variants = variants_of(*trace, options, shares);
  std::vector<PolicyRun> runs;
  {
    ProgressBar bar(trace->jobs.size(), !options.quiet);
    for (const Variant& variant : variants) {
      const bool with_places = runs.empty() && !options.gantt.empty();
      runs.push_back(run_variant(*trace, variant, with_places, bar, variant.name));
    }
    out += cat('\n', render_figures(runs));
    if (!trace->workflows.empty()) out += cat('\n', render_workflows(*trace, runs));
    if (options.shakes > 0) out += cat('\n', shaken(*trace, variants, options, bar));
  }
  for (std::size_t i = 1; i < runs.size(); ++i) {
    out += cat('\n', render_change(*trace, runs[0], runs[i]));
  }
  if (options.users) out += cat('\n', render_users(*trace, runs, shares));

  if (const Result<void> written = write_files(options, *trace, runs); !written) {
    return fail(written.error(), kCannotCreate);
  }
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) {
    return fail(errno_error("write standard output", errno), kCannotCreate);
  }
  return 0;
}

int main_of(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "-h" || word == "--help") {
      std::fwrite(help_text().data(), 1, help_text().size(), stdout);
      return 0;
    }
    if (word == "-V" || word == "--version") {
      std::puts("jsim " GANGWAY_VERSION);
      return 0;
    }
  }
  const Result<Options> options = parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "jsim: %s (see --help)\n", options.error().message().c_str());
    return kUsage;
  }
  return run(*options);
}

}  // namespace
}  // namespace gangway::jsim

int main(int argc, char** argv) { return gangway::jsim::main_of(argc, argv); }
