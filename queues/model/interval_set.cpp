#include "queues/model/interval_set.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway {

namespace {

// The first interval that does not end before `number`.
template <typename Intervals>
auto at_or_behind(Intervals& intervals, std::uint32_t number) {
  return std::lower_bound(intervals.begin(), intervals.end(), number,
                          [](const Interval& i, std::uint32_t n) { return i.last < n; });
}

}  // namespace

IntervalSet IntervalSet::below(std::uint32_t count) {
  IntervalSet set;
  if (count > 0) set.add({0, count - 1});
  return set;
}

bool IntervalSet::contains(std::uint32_t number) const {
  const auto found = at_or_behind(intervals_, number);
  return found != intervals_.end() && found->first <= number;
}

std::optional<std::uint32_t> IntervalSet::first_from(std::uint32_t from) const {
  const auto found = at_or_behind(intervals_, from);
  if (found == intervals_.end()) return std::nullopt;
  return std::max(found->first, from);
}

std::uint64_t IntervalSet::first_gap_from(std::uint32_t from) const {
  const auto found = at_or_behind(intervals_, from);
  if (found == intervals_.end() || found->first > from) return from;
  return std::uint64_t{found->last} + 1;
}

void IntervalSet::add(Interval interval) {
  CHECK(interval.first <= interval.last);
  // Neighbours that touch become one with it.
  const auto begin =
      at_or_behind(intervals_, interval.first == 0 ? interval.first : interval.first - 1);
  auto end = begin;
  for (; end != intervals_.end() && end->first <= std::uint64_t{interval.last} + 1; ++end) {
    interval.first = std::min(interval.first, end->first);
    interval.last = std::max(interval.last, end->last);
    size_ -= end->count();
  }
  size_ += interval.count();
  if (begin == end) {
    intervals_.insert(begin, interval);
  } else {
    *begin = interval;
    intervals_.erase(std::next(begin), end);
  }
}

// One walk along both: one by one each would move all intervals behind it.
void IntervalSet::add(const IntervalSet& other) {
  if (other.intervals_.size() == 1) return add(Interval(other.intervals_.front()));
  std::vector<Interval> both;
  both.reserve(intervals_.size() + other.intervals_.size());
  std::ranges::merge(intervals_, other.intervals_, std::back_inserter(both));
  IntervalSet out;
  for (const Interval& interval : both) {
    const bool touches =
        !out.intervals_.empty() && interval.first <= std::uint64_t{out.intervals_.back().last} + 1;
    if (!touches) {
      out.intervals_.push_back(interval);
    } else {
      out.intervals_.back().last = std::max(out.intervals_.back().last, interval.last);
    }
  }
  for (const Interval& interval : out.intervals_) out.size_ += interval.count();
  *this = std::move(out);
}

void IntervalSet::remove(Interval interval) {
  CHECK(interval.first <= interval.last);
  auto at = at_or_behind(intervals_, interval.first);
  while (at != intervals_.end() && at->first <= interval.last) {
    const Interval old = *at;
    size_ -= old.count();
    at = intervals_.erase(at);
    if (old.first < interval.first) {
      const Interval before{old.first, interval.first - 1};
      size_ += before.count();
      at = std::next(intervals_.insert(at, before));
    }
    if (old.last > interval.last) {
      const Interval behind{interval.last + 1, old.last};
      size_ += behind.count();
      intervals_.insert(at, behind);
      return;
    }
  }
}

void IntervalSet::remove(const IntervalSet& other) {
  if (other.intervals_.size() == 1) return remove(Interval(other.intervals_.front()));
  IntervalSet out;
  auto hole = other.intervals_.begin();
  for (Interval rest : intervals_) {
    bool is_gone = false;
    while (hole != other.intervals_.end() && hole->last < rest.first) ++hole;
    for (; hole != other.intervals_.end() && hole->first <= rest.last; ++hole) {
      if (hole->first > rest.first) out.intervals_.push_back({rest.first, hole->first - 1});
      is_gone = hole->last >= rest.last;
      if (is_gone) break;  // and it may reach into the next one
      rest.first = hole->last + 1;
    }
    if (!is_gone) out.intervals_.push_back(rest);
  }
  for (const Interval& interval : out.intervals_) out.size_ += interval.count();
  *this = std::move(out);
}

IntervalSet IntervalSet::intersect(const IntervalSet& other) const {
  IntervalSet out;
  auto a = intervals_.begin();
  auto b = other.intervals_.begin();
  while (a != intervals_.end() && b != other.intervals_.end()) {
    const std::uint32_t first = std::max(a->first, b->first);
    const std::uint32_t last = std::min(a->last, b->last);
    if (first <= last) out.add({first, last});
    (a->last < b->last) ? ++a : ++b;
  }
  return out;
}

}  // namespace gangway
