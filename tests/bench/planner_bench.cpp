// What the planner costs on a large cluster with a long line (crowd.hpp): the first pass, in which
// every kind of job is tried; the passes after one job's end and after a change of all shares; a
// pass with a reservation for each of 10,000 jobs; memory. Run by hand:
//
//   planner_bench --benchmark_counters_tabular=true [--plot=FILE.svg]
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>

#include "queues/base/check.hpp"
#include "scheduler/jsim/plot.hpp"
#include "tests/bench/crowd.hpp"

namespace gangway::bench {
namespace {

namespace delta = scheduler::delta;
using scheduler::PlanDelta;
using scheduler::Planner;

constexpr std::uint64_t kSeed = 20'26;
constexpr int kNoBudget = std::numeric_limits<int>::max();

// Of processor time: the planner has one thread and waits for nothing, and the machine may have
// other work.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const { return now() - since_; }

 private:
  static double now() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
  }
  double since_ = now();
};

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Loaded {
  Loaded(std::size_t pending, const char* policy)
      : crowd(kSeed, pending), planner(*parse_backfill_policy(policy)) {
    crowd.build(planner);
    const std::size_t before = bytes_in_use();
    const Stopwatch watch;
    crowd.submit(planner);
    load_s = watch.seconds();
    bytes_per_job = static_cast<double>(bytes_in_use() - before) / static_cast<double>(pending);
  }
  void start(const PlanDelta& plan) {
    for (const auto& start : plan.starts) {
      planner.apply(delta::Started{start.key, start.allocation, crowd.expected_end(start)});
    }
  }

  Crowd crowd;
  Planner planner;
  double load_s = 0;
  double bytes_per_job = 0;
};

void first_pass(benchmark::State& state, const char* policy) {
  const auto pending = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    Loaded loaded(pending, policy);
    const Stopwatch watch;
    const PlanDelta plan = loaded.planner.pass(kNow, kNoBudget);
    state.SetIterationTime(watch.seconds());
    CHECK(plan.complete);
    // Each kind was tried until it failed or no job of it was left.
    const std::size_t fails = static_cast<std::size_t>(plan.looked_at) - plan.starts.size();
    CHECK(fails + plan.starts.size() >= loaded.crowd.kinds());
    state.counters["fails"] = static_cast<double>(fails);
    if (pending > kMostKinds) CHECK(plan.starts.size() >= 2'000);
    state.counters["starts"] = static_cast<double>(plan.starts.size());
    state.counters["looks"] = plan.looked_at;
    state.counters["bytes_per_job"] = loaded.bytes_per_job;
    state.counters["load_s"] = loaded.load_s;
  }
}

// Ends jobs one after the other; each time what became free is planned and taken again.
void after_one_end(benchmark::State& state, const char* policy) {
  Loaded loaded(static_cast<std::size_t>(state.range(0)), policy);
  for (int i = 0; i < 2; ++i) loaded.start(loaded.planner.pass(kNow, kNoBudget));
  std::size_t next = 0;
  double most = 0;
  double starts = 0;
  double looks = 0;
  for (auto _ : state) {
    const Stopwatch watch;
    loaded.planner.apply(delta::Ended{running_job(next++)});
    const PlanDelta plan = loaded.planner.pass(kNow, kNoBudget);
    loaded.start(plan);
    most = std::max(most, watch.seconds());
    state.SetIterationTime(watch.seconds());
    starts += static_cast<double>(plan.starts.size());
    looks += static_cast<double>(plan.looked_at);
  }
  state.counters["longest_ms"] = most * 1000;
  state.counters["starts"] = benchmark::Counter(starts, benchmark::Counter::kAvgIterations);
  state.counters["looks"] = benchmark::Counter(looks, benchmark::Counter::kAvgIterations);
}

void after_new_shares(benchmark::State& state, const char* policy) {
  Loaded loaded(static_cast<std::size_t>(state.range(0)), policy);
  for (int i = 0; i < 2; ++i) loaded.start(loaded.planner.pass(kNow, kNoBudget));
  std::size_t turn = 0;
  for (auto _ : state) {
    ++turn;
    delta::FairSharesAre shares{kNow, {}};
    for (std::size_t user = 0; user < kUsers; ++user) {
      shares.factors.push_back(static_cast<double>((user * 617 + turn * 83) % kUsers + 1) /
                               double{kUsers});
    }
    const Stopwatch watch;
    loaded.planner.apply(shares);
    const PlanDelta plan = loaded.planner.pass(kNow, kNoBudget);
    state.SetIterationTime(watch.seconds());
    loaded.start(plan);
  }
}

BENCHMARK_CAPTURE(first_pass, easy, "easy")
    ->RangeMultiplier(10)
    ->Range(1'000, 1'000'000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_pass, easy_sjbf, "easy-sjbf")
    ->Arg(1'000'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(after_one_end, easy, "easy")
    ->RangeMultiplier(10)
    ->Range(1'000, 1'000'000)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(after_new_shares, easy, "easy")
    ->RangeMultiplier(10)
    ->Range(1'000, 1'000'000)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_pass, conservative_compress, "conservative")
    ->RangeMultiplier(10)
    ->Range(1'000, 10'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_pass, conservative_replan, "conservative-replan")
    ->RangeMultiplier(10)
    ->Range(1'000, 10'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(after_one_end, conservative_compress, "conservative")
    ->Arg(10'000)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(after_one_end, conservative_replan, "conservative-replan")
    ->Arg(10'000)
    ->Iterations(5)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Prints, and keeps what was measured at several lengths of the line.
class PlottingReporter final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      const std::string& name = run.run_name.function_name;
      if (curves_.empty() || curves_.back().name != name) curves_.push_back({name, {}});
      curves_.back().points.push_back({std::stod(run.run_name.args), run.GetAdjustedRealTime()});
    }
  }
  [[nodiscard]] std::string plot() const {
    std::vector<jsim::Curve> curves;
    for (const jsim::Curve& curve : curves_) {
      if (curve.points.size() > 1) curves.push_back(curve);
    }
    return jsim::render_plot(
        {.title = "What a pass costs: 10,000 unequal nodes, up to 10,000 kinds of jobs",
         .across = "waiting jobs",
         .up = "processor time, ms"},
        curves);
  }

 private:
  std::vector<jsim::Curve> curves_;
};

}  // namespace
}  // namespace gangway::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::string plot;
  constexpr std::string_view kPlot = "--plot=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (!option.starts_with(kPlot)) {
      std::cerr << "planner_bench: unknown option " << option << "; there is --plot=FILE\n";
      return 64;
    }
    plot = option.substr(kPlot.size());
  }
  gangway::bench::PlottingReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  if (!plot.empty() && !(std::ofstream(plot) << reporter.plot()).flush()) {
    std::cerr << "planner_bench: cannot write " << plot << '\n';
    return 1;
  }
}
