// BackfillPolicy: how many waiting jobs are promised a start, what becomes of the promises, and in
// which order the others may pass them.
//
// Pure value.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"

namespace gangway {

inline constexpr std::size_t kEveryJob = std::numeric_limits<std::size_t>::max();

struct BackfillPolicy {
  // The first so many jobs that cannot start have a reservation. 0: nobody passes anybody (FCFS);
  // 1: EASY; kEveryJob: conservative.
  std::size_t reservation_depth = 1;
  // True: a promise once made is kept and only moves to an earlier time (compress). False: all are
  // made anew in each pass (re-plan).
  bool keeps_promises = false;
  // Behind the reservations, jobs of shorter limits are tried first (EASY-SJBF) ...
  bool shortest_first = false;
  // ... but for those that have waited so long already: they are tried before, in their order.
  std::optional<Duration> starvation_bound;
  friend bool operator==(const BackfillPolicy&, const BackfillPolicy&) = default;
};

// "fcfs", "easy", "easy-sjbf", "easy:N" with N reservations, "conservative" (keeps promises),
// "conservative-replan". Errors: Invalid, with these names.
[[nodiscard]] Result<BackfillPolicy> parse_backfill_policy(std::string_view name);
[[nodiscard]] std::string to_string(const BackfillPolicy& policy);

}  // namespace gangway
