#include "scheduler/policy/timeline.hpp"

#include <algorithm>
#include <iterator>

#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

Timeline::Steps::const_iterator Timeline::step_at(Time time) const {
  const auto after = std::upper_bound(steps_.begin() + 1, steps_.end(), time,
                                      [](Time t, const Step& step) { return t < step.from; });
  return after - 1;
}

const Amounts& Timeline::at(Time time) const { return step_at(time)->free; }

bool Timeline::fits(const Amounts& wanted, Time from, Time to) const {
  for (auto step = step_at(from);; ++step) {
    if (!fits_in(wanted, step->free)) return false;
    const auto next = step + 1;
    if (next == steps_.end() || next->from >= to) return true;
  }
}

std::optional<Timeline::Window> Timeline::next_window(const Amounts& wanted,
                                                      Time after,
                                                      std::optional<Duration> limit) const {
  for (auto step = step_at(after); step != steps_.end();) {
    if (!fits_in(wanted, step->free)) {
      ++step;
      continue;
    }
    const Time first = std::max(step->from, after);
    while (step != steps_.end() && fits_in(wanted, step->free)) ++step;
    if (step == steps_.end()) return Window{first, Time::infinity(), Time::infinity()};
    const Time over = step->from;  // it does not fit from here on
    if (limit && end_of(first, limit) <= over) {
      return Window{first, over - *limit + nanoseconds(1), over};
    }
  }
  return std::nullopt;
}

std::size_t Timeline::split(Time at) {
  if (at == kAlways) return 0;
  const auto found = std::lower_bound(steps_.begin() + 1, steps_.end(), at,
                                      [](const Step& step, Time t) { return step.from < t; });
  const auto index = static_cast<std::size_t>(found - steps_.begin());
  if (found == steps_.end() || found->from != at) {
    steps_.insert(found, Step{at, std::prev(found)->free});
  }
  return index;
}

void Timeline::join(std::size_t step) {
  if (step > 0 && step < steps_.size() && steps_[step - 1].free == steps_[step].free) {
    steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(step));
  }
}

template <typename Change>
void Timeline::change(Time from, Time to, Change change) {
  if (from >= to) return;
  const std::size_t before = split(from);
  const std::size_t after = to == Time::infinity() ? steps_.size() : split(to);
  for (std::size_t step = before; step < after; ++step) change(steps_[step].free);
  if (to != Time::infinity()) join(after);
  join(before);
}

void Timeline::give(Time from, Time to, const Amounts& amounts) {
  change(from, to, [&](Amounts& free) { free += amounts; });
}

void Timeline::take(Time from, Time to, const Amounts& amounts) {
  change(from, to, [&](Amounts& free) { free -= amounts; });
}

}  // namespace gangway::scheduler
