// IntervalSet: a set of 32-bit numbers as sorted, disjoint intervals that do not touch.
//
// For sets that are mostly runs: of the elements of an array those that wait, have succeeded, have
// failed. A change costs as much as there are intervals behind it; a look-up their logarithm. Pure
// values.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace gangway {

struct Interval {
  std::uint32_t first = 0;
  std::uint32_t last = 0;  // included
  friend auto operator<=>(const Interval&, const Interval&) = default;
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{last} - first + 1; }
};

class IntervalSet {
 public:
  IntervalSet() = default;
  // The numbers below `count`.
  [[nodiscard]] static IntervalSet below(std::uint32_t count);

  [[nodiscard]] bool empty() const { return intervals_.empty(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool contains(std::uint32_t number) const;
  // The least member that is not below `from`.
  [[nodiscard]] std::optional<std::uint32_t> first_from(std::uint32_t from) const;
  // The least number that is not below `from` and no member.
  [[nodiscard]] std::uint64_t first_gap_from(std::uint32_t from) const;
  [[nodiscard]] const std::vector<Interval>& intervals() const { return intervals_; }

  // Requires: first <= last. Members may be added again, and what is no member be removed.
  void add(Interval interval);
  void add(std::uint32_t number) { add({number, number}); }
  void add(const IntervalSet& other);
  void remove(Interval interval);
  void remove(std::uint32_t number) { remove({number, number}); }
  void remove(const IntervalSet& other);
  [[nodiscard]] IntervalSet intersect(const IntervalSet& other) const;

  friend bool operator==(const IntervalSet&, const IntervalSet&) = default;

 private:
  std::vector<Interval> intervals_;
  std::uint64_t size_ = 0;
};

}  // namespace gangway
