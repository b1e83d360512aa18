#include "scheduler/policy/core_set.hpp"

#include <cstddef>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

CoreSet::CoreSet(std::int64_t count)
    : free_(static_cast<std::size_t>(count < 0 ? 0 : count), true) {}

std::vector<std::int32_t> CoreSet::choose(std::int64_t count) const {
  const auto wanted = static_cast<std::size_t>(count);
  std::size_t best_start = 0;
  std::size_t best_length = 0;  // 0: no run is long enough
  for (std::size_t i = 0; i < free_.size();) {
    if (!free_[i]) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < free_.size() && free_[end]) ++end;
    const std::size_t length = end - i;
    if (length >= wanted && (best_length == 0 || length < best_length)) {
      best_start = i;
      best_length = length;
    }
    i = end;
  }
  std::vector<std::int32_t> out;
  out.reserve(wanted);
  for (std::size_t i = best_start; i < free_.size() && out.size() < wanted; ++i) {
    if (free_[i]) out.push_back(static_cast<std::int32_t>(i));
  }
  CHECK(out.size() == wanted);
  return out;
}

void CoreSet::take(const std::vector<std::int32_t>& cores) {
  for (const std::int32_t core : cores) {
    if (core >= 0 && static_cast<std::size_t>(core) < free_.size()) {
      free_[static_cast<std::size_t>(core)] = false;
    }
  }
}

void CoreSet::give(const std::vector<std::int32_t>& cores) {
  for (const std::int32_t core : cores) {
    if (core >= 0 && static_cast<std::size_t>(core) < free_.size()) {
      free_[static_cast<std::size_t>(core)] = true;
    }
  }
}

}  // namespace gangway::scheduler
