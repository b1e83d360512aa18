#include "scheduler/policy/timeline.hpp"

#include <algorithm>
#include <array>

#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

// What is wanted beside what there is. Of a kind that the node never had there is nothing.
class Timeline::Needs {
 public:
  Needs(const Timeline& timeline, const Wanted& wanted) {
    for (; count_ < wanted.count(); ++count_) {
      const std::size_t kind = wanted.kind(count_);
      if (kind >= timeline.kinds_) {
        can_be_met_ = false;
        return;
      }
      needs_[count_] = {wanted.amount(count_), timeline.amounts(kind)};
    }
  }
  [[nodiscard]] bool can_be_met() const { return can_be_met_; }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] const Need& front() const { return needs_.front(); }
  [[nodiscard]] bool are_met_in(std::size_t step) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (needs_[i].free[step] < needs_[i].amount) return false;
    }
    return true;
  }

 private:
  std::array<Need, kMaxKinds> needs_;
  std::size_t count_ = 0;
  bool can_be_met_ = true;
};

std::vector<std::int64_t> Timeline::first_step() {
  std::vector<std::int64_t> numbers(std::size_t{3} << kFirstBits, 0);
  numbers.front() = kAlways.ns;
  return numbers;
}

void Timeline::prefetch() const {
  constexpr std::size_t kInLine = 64 / sizeof(std::int64_t);
  // More than that of each is rarely walked along.
  const std::size_t most = std::min<std::size_t>(size_, 4 * kInLine);
  for (std::size_t column = 0; column <= 2; ++column) {
    const std::int64_t* const first = &numbers_[column << room_bits_];
    for (std::size_t step = 0; step < most; step += kInLine) __builtin_prefetch(first + step);
  }
}

// The last that begins at `time` or before. Without branches: where it is cannot be foreseen.
std::size_t Timeline::step_at(Time time) const {
  const std::int64_t* const from = beginnings();
  std::size_t step = 0;
  for (std::size_t left = size_; left > 1;) {
    const std::size_t half = left / 2;
    step = from[step + half] <= time.ns ? step + half : step;
    left -= half;
  }
  return step;
}

Amounts Timeline::amounts_of(std::size_t step) const {
  Amounts out;
  for (std::size_t kind = 0; kind < kinds_; ++kind) out.of[kind] = amounts(kind)[step];
  return out;
}

bool Timeline::fits_now(const Wanted& wanted) const {
  for (std::size_t i = 0; i < wanted.count(); ++i) {
    const std::size_t kind = wanted.kind(i);
    if (kind >= kinds_ || amounts(kind)[0] < wanted.amount(i)) return false;
  }
  return true;
}

bool Timeline::fits(const Wanted& wanted, Time from, Time to) const {
  const Needs needs(*this, wanted);
  if (!needs.can_be_met()) return false;
  for (std::size_t step = step_at(from);; ++step) {
    if (!needs.are_met_in(step)) return false;
    if (step + 1 == size_ || beginning_of(step + 1) >= to) return true;
  }
}

template <typename Fits>
std::optional<Timeline::Window> Timeline::next_window_if(Fits fits,
                                                         Time after,
                                                         std::optional<Duration> limit) const {
  for (std::size_t step = step_at(after); step != size_;) {
    if (!fits(step)) {
      ++step;
      continue;
    }
    const Time first = std::max(beginning_of(step), after);
    while (step != size_ && fits(step)) ++step;
    if (step == size_) return Window{first, Time::infinity(), Time::infinity()};
    const Time over = beginning_of(step);  // it does not fit from here on
    if (limit && end_of(first, limit) <= over) {
      return Window{first, over - *limit + nanoseconds(1), over};
    }
  }
  return std::nullopt;
}

std::optional<Timeline::Window> Timeline::next_window(const Wanted& wanted,
                                                      Time after,
                                                      std::optional<Duration> limit) const {
  const Needs needs(*this, wanted);
  if (!needs.can_be_met()) return std::nullopt;
  if (needs.count() == 1) {
    const Need need = needs.front();
    return next_window_if([=](std::size_t step) { return need.free[step] >= need.amount; }, after,
                          limit);
  }
  return next_window_if([&](std::size_t step) { return needs.are_met_in(step); }, after, limit);
}

void Timeline::make_room() {
  std::vector<std::int64_t> wider(2 * numbers_.size(), 0);
  for (std::size_t column = 0; column <= kinds_; ++column) {
    std::copy_n(&numbers_[column << room_bits_], size_, &wider[column << (room_bits_ + 1)]);
  }
  numbers_ = std::move(wider);
  ++room_bits_;
}

std::size_t Timeline::split(Time at) {
  if (at == kAlways) return 0;
  const std::size_t before = step_at(at);
  if (beginning_of(before) == at) return before;
  if (size_ == room()) make_room();
  const std::size_t step = before + 1;
  for (std::size_t column = 0; column <= kinds_; ++column) {
    std::int64_t* const numbers = &numbers_[column << room_bits_];
    std::copy_backward(numbers + step, numbers + size_, numbers + size_ + 1);
    numbers[step] = column == 0 ? at.ns : numbers[before];  // the step before goes on in it
  }
  ++size_;
  return step;
}

void Timeline::join(std::size_t step) {
  if (step == 0 || step >= size_) return;
  for (std::size_t kind = 0; kind < kinds_; ++kind) {
    if (amounts(kind)[step] != amounts(kind)[step - 1]) return;
  }
  for (std::size_t column = 0; column <= kinds_; ++column) {
    std::int64_t* const numbers = &numbers_[column << room_bits_];
    std::copy(numbers + step + 1, numbers + size_, numbers + step);
  }
  --size_;
}

void Timeline::add(Time from, Time to, const Amounts& more, std::int64_t sign) {
  if (from >= to) return;
  std::size_t kinds = kMaxKinds;
  while (kinds > kinds_ && more.of[kinds - 1] == 0) --kinds;
  if (kinds > kinds_) {
    kinds_ = static_cast<std::uint8_t>(kinds);
    numbers_.resize((kinds + 1) << room_bits_, 0);
  }
  const std::size_t before = split(from);
  const std::size_t after = to == Time::infinity() ? size_ : split(to);
  for (std::size_t kind = 0; kind < kinds_; ++kind) {
    const std::int64_t change = sign * more.of[kind];
    if (change == 0) continue;
    std::int64_t* const free = amounts(kind);
    for (std::size_t step = before; step < after; ++step) free[step] += change;
  }
  if (to != Time::infinity()) join(after);
  join(before);
}

void Timeline::give(Time from, Time to, const Amounts& amounts) { add(from, to, amounts, 1); }

void Timeline::take(Time from, Time to, const Amounts& amounts) { add(from, to, amounts, -1); }

}  // namespace gangway::scheduler
