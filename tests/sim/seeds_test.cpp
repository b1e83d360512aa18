// Random histories by seed. A seed that once failed becomes a scenario in scenarios_test.cpp.

#include <gtest/gtest.h>

#include <cstdlib>

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "tests/sim/random_run.hpp"

namespace gangway::sim {
namespace {

// GANGWAY_SIM_SEEDS=5000 makes a night of it.
std::uint64_t seeds_to_run() {
  const char* const wanted = std::getenv("GANGWAY_SIM_SEEDS");
  if (wanted == nullptr) return 150;
  return parse_integer<std::uint64_t>(wanted).value_or(150);
}

TEST(Sim, RandomHistoriesKeepEveryPromise) {
  set_log("sim", LogLevel::Error);
  int jobs = 0;
  int faults = 0;
  for (std::uint64_t seed = 1; seed <= seeds_to_run(); ++seed) {
    const RunResult result = random_run(seed);
    jobs += result.jobs;
    faults += result.faults;
    for (const std::string& problem : result.problems) {
      ADD_FAILURE() << problem << "\n  again: sim_main --seed=" << seed << " --trace";
    }
    if (HasFailure()) break;
  }
  RecordProperty("jobs", jobs);
  RecordProperty("faults", faults);
}

TEST(Sim, TheSameSeedGivesTheSameHistory) {
  set_log("sim", LogLevel::Error);
  for (const std::uint64_t seed : {3U, 17U, 42U}) {
    EXPECT_EQ(random_run(seed).hash, random_run(seed).hash) << "seed " << seed;
  }
}

}  // namespace
}  // namespace gangway::sim
