// One random history: work, faults, peace, and what must be true in the end. A workload with a
// nemesis beside it, as FoundationDB composes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gangway::sim {

struct RunResult {
  std::vector<std::string> problems;  // none: all is well
  std::uint64_t hash = 0;             // of the whole history: equal for equal seeds
  std::uint64_t events = 0;
  int jobs = 0;
  int faults = 0;
};

[[nodiscard]] RunResult random_run(std::uint64_t seed, bool trace = false);

}  // namespace gangway::sim
