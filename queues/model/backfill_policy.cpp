#include "queues/model/backfill_policy.hpp"

#include <charconv>

#include "queues/base/text.hpp"

namespace gangway {

namespace {

// Jobs with a reservation of their own, when their number is given: more is conservative.
constexpr std::size_t kMostCounted = 100'000;

}  // namespace

Result<BackfillPolicy> parse_backfill_policy(std::string_view name) {
  if (name == "fcfs") return BackfillPolicy{.reservation_depth = 0};
  if (name == "easy") return BackfillPolicy{};
  if (name == "easy-sjbf") return BackfillPolicy{.shortest_first = true};
  if (name == "conservative") {
    return BackfillPolicy{.reservation_depth = kEveryJob, .keeps_promises = true};
  }
  if (name == "conservative-replan") return BackfillPolicy{.reservation_depth = kEveryJob};
  if (name.starts_with("easy:")) {
    const std::string_view digits = name.substr(5);
    std::size_t depth = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), depth);
    if (error == std::errc{} && end == digits.data() + digits.size() && depth >= 1 &&
        depth <= kMostCounted) {
      return BackfillPolicy{.reservation_depth = depth};
    }
  }
  return Error(ErrorKind::Invalid,
               cat("unknown policy ", name,
                   ": fcfs, easy, easy-sjbf, easy:N (N reservations), conservative or "
                   "conservative-replan"));
}

std::string to_string(const BackfillPolicy& policy) {
  if (policy.reservation_depth == 0) return "fcfs";
  if (policy.reservation_depth == kEveryJob) {
    return policy.keeps_promises ? "conservative" : "conservative-replan";
  }
  std::string name = policy.shortest_first ? "easy-sjbf" : "easy";
  if (policy.reservation_depth > 1) name += cat(':', policy.reservation_depth);
  return name;
}

}  // namespace gangway
