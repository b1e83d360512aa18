#include "scheduler/policy/timeline.hpp"

#include <algorithm>

#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

std::size_t Timeline::step_at(Time time) const {
  const auto after = std::upper_bound(from_.begin() + 1, from_.end(), time);
  return static_cast<std::size_t>(after - from_.begin()) - 1;
}

Amounts Timeline::amounts_of(std::size_t step) const {
  Amounts out;
  std::copy_n(&free_[step * kinds_], kinds_, out.of.begin());
  return out;
}

bool Timeline::fits(const Wanted& wanted, Time from, Time to) const {
  for (std::size_t step = step_at(from);; ++step) {
    if (!fits_in_step(wanted, step)) return false;
    if (step + 1 == size() || from_[step + 1] >= to) return true;
  }
}

std::optional<Timeline::Window> Timeline::next_window(const Wanted& wanted,
                                                      Time after,
                                                      std::optional<Duration> limit) const {
  for (std::size_t step = step_at(after); step != size();) {
    if (!fits_in_step(wanted, step)) {
      ++step;
      continue;
    }
    const Time first = std::max(from_[step], after);
    while (step != size() && fits_in_step(wanted, step)) ++step;
    if (step == size()) return Window{first, Time::infinity(), Time::infinity()};
    const Time over = from_[step];  // it does not fit from here on
    if (limit && end_of(first, limit) <= over) {
      return Window{first, over - *limit + nanoseconds(1), over};
    }
  }
  return std::nullopt;
}

std::size_t Timeline::split(Time at) {
  if (at == kAlways) return 0;
  const auto found = std::lower_bound(from_.begin() + 1, from_.end(), at);
  const auto index = static_cast<std::size_t>(found - from_.begin());
  if (found == from_.end() || *found != at) {
    from_.insert(found, at);
    // The step before goes on in it.
    const auto begin = static_cast<std::ptrdiff_t>(index * kinds_);
    free_.insert(free_.begin() + begin, kinds_, 0);
    std::copy_n(free_.begin() + begin - static_cast<std::ptrdiff_t>(kinds_), kinds_,
                free_.begin() + begin);
  }
  return index;
}

void Timeline::join(std::size_t step) {
  if (step == 0 || step >= size()) return;
  const auto begin = free_.begin() + static_cast<std::ptrdiff_t>(step * kinds_);
  const auto kinds = static_cast<std::ptrdiff_t>(kinds_);
  if (!std::equal(begin, begin + kinds, begin - kinds)) return;
  from_.erase(from_.begin() + static_cast<std::ptrdiff_t>(step));
  free_.erase(begin, begin + kinds);
}

void Timeline::widen(std::size_t kinds) {
  std::vector<std::int64_t> wider(size() * kinds, 0);
  for (std::size_t step = 0; step < size(); ++step) {
    std::copy_n(&free_[step * kinds_], kinds_, &wider[step * kinds]);
  }
  free_ = std::move(wider);
  kinds_ = kinds;
}

void Timeline::add(Time from, Time to, const Amounts& amounts, std::int64_t sign) {
  if (from >= to) return;
  std::size_t kinds = kMaxKinds;
  while (kinds > kinds_ && amounts.of[kinds - 1] == 0) --kinds;
  if (kinds > kinds_) widen(kinds);
  const std::size_t before = split(from);
  const std::size_t after = to == Time::infinity() ? size() : split(to);
  for (std::size_t step = before; step < after; ++step) {
    for (std::size_t kind = 0; kind < kinds_; ++kind) {
      free_[step * kinds_ + kind] += sign * amounts.of[kind];
    }
  }
  if (to != Time::infinity()) join(after);
  join(before);
}

void Timeline::give(Time from, Time to, const Amounts& amounts) { add(from, to, amounts, 1); }

void Timeline::take(Time from, Time to, const Amounts& amounts) { add(from, to, amounts, -1); }

}  // namespace gangway::scheduler
