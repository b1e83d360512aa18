#include "scheduler/policy/priority.hpp"

#include <algorithm>

namespace gangway::scheduler {

Place place_of(JobKey key, Time eligible, std::int64_t queue_points, std::int64_t nice) {
  // Each is clamped first, so that nothing overflows: 2e7 points are 1.2e18 ns.
  const std::int64_t points = std::clamp(queue_points, -kMostPoints, kMostPoints) -
                              std::clamp(nice, -kMostPoints, kMostPoints);
  return {eligible.ns - points * kTimePerPoint.ns, eligible, key};
}

std::int64_t priority_at(const Place& place, Time now) {
  return kBasePoints + (now.ns - place.lateness_ns) / kTimePerPoint.ns;
}

}  // namespace gangway::scheduler
