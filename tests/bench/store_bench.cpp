// How many jobs and state changes a second become durable, by the number in one transaction. On the
// disk of GANGWAY_BENCH_DIR (default: the current directory), because a flush to memory costs
// nothing. Run by hand: store_bench --benchmark_counters_tabular=true
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "queues/base/text.hpp"
#include "queues/store/sqlite_store.hpp"
#include "tests/queues/store/ledger.hpp"

namespace gangway::store {
namespace {

class Place {
 public:
  Place() {
    const char* wanted = std::getenv("GANGWAY_BENCH_DIR");
    directory_ = cat(std::string_view(wanted != nullptr ? wanted : "."), "/store_bench_XXXXXX");
    CHECK(::mkdtemp(directory_.data()) != nullptr);
    auto opened = SqliteStore::open(directory_ + "/store.sqlite");
    CHECK(opened.has_value());
    store = *std::move(opened);
    epoch = *store->open_epoch();
  }
  ~Place() {
    store.reset();
    std::filesystem::remove_all(directory_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void commit(const std::vector<Batch>& batches) {
    CHECK(store->apply_batches(batches, epoch) == CommitEnd::Durable);
  }

  std::unique_ptr<SqliteStore> store;
  Epoch epoch;

 private:
  std::string directory_;
};

// Each job a batch of its own, with a spec of its own and an answer, as `jsubmit` in a loop makes
// them; `state.range(0)` of them reach the disk together.
std::vector<Batch> submissions(Ledger& ledger, std::int64_t count) {
  std::vector<Batch> batches(static_cast<std::size_t>(count));
  for (Batch& batch : batches) {
    const JobKey job = ledger.submit(batch, "ada", std::nullopt, cat("job", ledger.next_job.value));
    SubmissionRecord answer;
    answer.key = cat("1000:", sha256_hex(cat(job.job.value)).substr(0, 32));
    answer.jobs = {job.job};
    answer.at = ledger.now;
    batch.submissions.push_back(std::move(answer));
  }
  return batches;
}

void submit(benchmark::State& state) {
  Place place;
  Ledger ledger;
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<Batch> batches = submissions(ledger, state.range(0));
    state.ResumeTiming();
    place.commit(batches);
  }
  state.counters["jobs/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(state.range(0)),
      benchmark::Counter::kIsRate);
}

// One event and one row each, of jobs all over the table.
void change_state(benchmark::State& state) {
  constexpr std::int64_t kJobs = 100'000;
  Place place;
  Ledger ledger;
  for (std::int64_t i = 0; i < kJobs; i += 1000) place.commit(submissions(ledger, 1000));
  std::uint64_t next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Batch> batches(static_cast<std::size_t>(state.range(0)));
    for (Batch& batch : batches) {
      // A stride that shares no factor with the count visits all.
      const JobKey job{JobId{1 + next++ * 7919 % static_cast<std::uint64_t>(kJobs)}};
      const auto reason = next % 2 == 0 ? PendingReason::Priority : PendingReason::Resources;
      ledger.happen(batch, job, job_event::ReasonChanged{reason});
    }
    state.ResumeTiming();
    place.commit(batches);
  }
  state.counters["changes/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(state.range(0)),
      benchmark::Counter::kIsRate);
}

void load(benchmark::State& state) {
  Place place;
  Ledger ledger;
  for (std::int64_t i = 0; i < state.range(0); i += 1000) {
    place.commit(submissions(ledger, 1000));
  }
  for (auto _ : state) benchmark::DoNotOptimize(place.store->load_live(ledger.now));
  state.counters["jobs/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(state.range(0)),
      benchmark::Counter::kIsRate);
}

BENCHMARK(submit)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->UseRealTime();
BENCHMARK(change_state)->Arg(1)->Arg(100)->Arg(1000)->UseRealTime();
BENCHMARK(load)->Arg(100'000)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gangway::store

BENCHMARK_MAIN();
