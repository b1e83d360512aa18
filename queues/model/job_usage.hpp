// What an attempt of a job has used: on each of its nodes, and by each of its steps. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway {

struct UsedAmounts {
  Duration cpu;       // of all cores
  Bytes peak_memory;  // of a node: of everything in it; of a step: of its largest process
  Duration wall;
  Bytes read;  // from storage
  Bytes written;
  friend bool operator==(const UsedAmounts&, const UsedAmounts&) = default;
};

struct NodeUsage {
  NodeName node;
  UsedAmounts used;
  friend bool operator==(const NodeUsage&, const NodeUsage&) = default;
};

struct StepRecord {
  std::uint32_t step = 0;  // 42.0 is the first
  std::string name;
  std::int32_t nodes = 0;
  std::int32_t tasks = 0;
  std::int32_t exit_code = 0;  // of the worst rank; 128+n for a signal
  Time started;
  UsedAmounts used;
  friend bool operator==(const StepRecord&, const StepRecord&) = default;
};

// A node that was lost has said nothing. Of a job with more steps than kMaxRememberedSteps the last
// ones are known.
struct JobUsage {
  std::vector<NodeUsage> nodes;  // in order of the allocation
  std::vector<StepRecord> steps;
  friend bool operator==(const JobUsage&, const JobUsage&) = default;
};

inline constexpr std::size_t kMaxRememberedSteps = 100;

}  // namespace gangway
