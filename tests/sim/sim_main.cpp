// sim_main --seed=N [--count=K] [--trace]: runs K random histories from seed N on, or tells one.
#include <cstdio>
#include <cstring>
#include <string_view>

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "tests/sim/random_run.hpp"

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--seed=")) {
      seed = gangway::parse_integer<std::uint64_t>(word.substr(7)).value_or(1);
    } else if (word.starts_with("--count=")) {
      count = gangway::parse_integer<std::uint64_t>(word.substr(8)).value_or(1);
    } else if (word == "--trace") {
      trace = true;
    } else {
      std::fprintf(stderr, "usage: sim_main [--seed=N] [--count=K] [--trace]\n");
      return 64;
    }
  }
  gangway::set_log("sim", trace ? gangway::LogLevel::Debug : gangway::LogLevel::Error);
  int bad = 0;
  for (std::uint64_t s = seed; s < seed + count; ++s) {
    const auto result = gangway::sim::random_run(s, trace);
    if (result.problems.empty() && count > 1) continue;
    std::printf("seed %llu: %d jobs, %d faults, %llu events, hash %016llx\n",
                static_cast<unsigned long long>(s), result.jobs, result.faults,
                static_cast<unsigned long long>(result.events),
                static_cast<unsigned long long>(result.hash));
    for (const auto& problem : result.problems) std::printf("  %s\n", problem.c_str());
    if (!result.problems.empty()) {
      ++bad;
      std::printf("  again: sim_main --seed=%llu --trace\n", static_cast<unsigned long long>(s));
    }
  }
  std::printf("%llu histories, %d with problems\n", static_cast<unsigned long long>(count), bad);
  return bad == 0 ? 0 : 1;
}
