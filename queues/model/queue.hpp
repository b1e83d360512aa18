// A queue: where jobs wait, and the set of nodes that it may use.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway {

// Jobs of the queue may share cores, and then run in turns. Source of the names: an Ousterhout
// matrix of so many rows, each a slice.
struct TimeSlicing {
  std::int64_t gangs = 2;  // so many at most on one core
  Duration slice = seconds(30);
  friend bool operator==(const TimeSlicing&, const TimeSlicing&) = default;
};

struct Queue {
  QueueName name;
  std::vector<NodeName> nodes;            // empty: all nodes
  std::int64_t priority = 0;              // added to each job's
  std::optional<Duration> default_limit;  // of a job that names none; none: unlimited
  std::optional<Duration> max_limit;      // a job that asks for more is refused
  Bytes default_memory_per_core = mebibytes(512);
  bool is_default = false;
  std::optional<TimeSlicing> time_slicing{};  // none: every job has its cores for itself
  friend bool operator==(const Queue&, const Queue&) = default;
};

}  // namespace gangway
