// WaitingRuns: steps that wait for cores, in the order in which they were asked for; bounded by
// their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "queues/wire/step.pb.h"

namespace gangway::executor {

inline constexpr std::size_t kMaxBytesOfWaitingRuns = 64 << 20;

struct WaitingRun {
  std::uint64_t client = 0;
  wire::StepRun run;
  std::size_t bytes = 0;  // of the run
};

class WaitingRuns {
 public:
  explicit WaitingRuns(std::size_t max_bytes = kMaxBytesOfWaitingRuns) : max_bytes_(max_bytes) {}

  // False: there is no room for it.
  [[nodiscard]] bool try_add(std::uint64_t client, wire::StepRun run);
  [[nodiscard]] bool is_empty() const { return waiting_.empty(); }
  // Requires: not empty.
  [[nodiscard]] WaitingRun take_first();
  void put_back(WaitingRun first);
  void remove_of(std::uint64_t client);
  void clear();

 private:
  std::deque<WaitingRun> waiting_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
};

}  // namespace gangway::executor
