#include "scheduler/policy/core_set.hpp"

#include <algorithm>
#include <bit>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kBits = 64;

std::uint64_t bit(std::size_t core) { return std::uint64_t{1} << (core % kBits); }

}  // namespace

CoreSet::CoreSet(std::int64_t count)
    : size_(static_cast<std::size_t>(std::max<std::int64_t>(count, 0))),
      free_((size_ + kBits - 1) / kBits, ~std::uint64_t{0}) {
  if (size_ % kBits != 0) free_.back() = bit(size_) - 1;
}

std::size_t CoreSet::next(std::size_t from, bool free) const {
  for (std::size_t word = from / kBits; word < free_.size(); ++word) {
    std::uint64_t bits = free ? free_[word] : ~free_[word];
    if (word == from / kBits) bits &= ~(bit(from) - 1);
    if (bits != 0) {
      return std::min(size_, word * kBits + static_cast<std::size_t>(std::countr_zero(bits)));
    }
  }
  return size_;
}

std::vector<std::int32_t> CoreSet::choose(std::int64_t count) const {
  const auto wanted = static_cast<std::size_t>(count);
  std::size_t best_start = 0;
  std::size_t best_length = 0;  // 0: no run is long enough
  for (std::size_t start = next(0, true); start < size_;) {
    const std::size_t end = next(start, false);
    const std::size_t length = end - start;
    if (length >= wanted && (best_length == 0 || length < best_length)) {
      best_start = start;
      best_length = length;
    }
    start = next(end, true);
  }
  std::vector<std::int32_t> out;
  out.reserve(wanted);
  for (std::size_t start = next(best_start, true); start < size_ && out.size() < wanted;) {
    const std::size_t end = next(start, false);
    for (; start < end && out.size() < wanted; ++start) {
      out.push_back(static_cast<std::int32_t>(start));
    }
    start = next(end, true);
  }
  CHECK(out.size() == wanted);
  return out;
}

bool CoreSet::take(const std::vector<std::int32_t>& cores) {
  bool all_were_free = true;
  for (const std::int32_t core : cores) {
    const auto number = static_cast<std::size_t>(core);
    if (core < 0 || number >= size_) continue;
    std::uint64_t& word = free_[number / kBits];
    all_were_free = all_were_free && (word & bit(number)) != 0;
    word &= ~bit(number);
  }
  return all_were_free;
}

void CoreSet::give(const std::vector<std::int32_t>& cores) {
  for (const std::int32_t core : cores) {
    const auto number = static_cast<std::size_t>(core);
    if (core >= 0 && number < size_) free_[number / kBits] |= bit(number);
  }
}

}  // namespace gangway::scheduler
