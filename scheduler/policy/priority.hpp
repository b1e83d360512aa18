// Priority: one integer for each job, in points. A job's queue gives points, `nice` takes them
// away, and every minute of waiting since it became eligible gives one.
//
// All jobs age at the same pace, so the order of two of them never changes while they wait: it is
// the order of Place, which needs no clock, and no pass has to sort. Pure.
#pragma once

#include <compare>
#include <cstdint>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"

namespace gangway::scheduler {

inline constexpr Duration kTimePerPoint = minutes(1);
inline constexpr std::int64_t kBasePoints = 1000;        // so that ordinary numbers are positive
inline constexpr std::int64_t kMostPoints = 10'000'000;  // of queue and nice; more counts as this

// A job's place in the line: smaller is earlier.
struct Place {
  std::int64_t lateness_ns = 0;  // eligible time, less the points as time
  Time eligible;
  JobKey key;
  friend constexpr auto operator<=>(const Place&, const Place&) = default;
};

[[nodiscard]] Place place_of(JobKey key,
                             Time eligible,
                             std::int64_t queue_points,
                             std::int64_t nice);

// What people see at `now`.
[[nodiscard]] std::int64_t priority_at(const Place& place, Time now);

}  // namespace gangway::scheduler
