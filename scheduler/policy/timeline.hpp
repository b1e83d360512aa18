// Timeline: what is free of one node from now on, as a step function.
//
// A step begins where something ends or begins, and no two neighbours are equal, so there are at
// most twice as many steps as claims. The first step is the present: it has no beginning, because
// what holds part of the node now has held it long enough.
//
// Source: the slot list of D. Talby, D. Feitelson, IPPS 1999, with amounts instead of a number of
// processors. Beginnings and amounts stand apart, and amounts only of the kinds that the node has
// ever had or given: planning is mostly walking along steps, and most nodes have two kinds.
// Pure value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "queues/base/time.hpp"
#include "scheduler/policy/amounts.hpp"

namespace gangway::scheduler {

class Timeline {
 public:
  static constexpr Time kAlways{std::numeric_limits<std::int64_t>::min()};

  // Frees or takes `amounts` throughout [from, to). From kAlways: from now on. To infinity: for
  // ever. Amounts may sink below zero: then nothing that wants any of it fits.
  void give(Time from, Time to, const Amounts& amounts);
  void take(Time from, Time to, const Amounts& amounts);

  [[nodiscard]] Amounts now() const { return amounts_of(0); }
  [[nodiscard]] Amounts at(Time time) const { return amounts_of(step_at(time)); }
  [[nodiscard]] std::int64_t cores_at(Time time) const { return free_[step_at(time) * kinds_]; }
  [[nodiscard]] bool fits_now(const Wanted& wanted) const { return fits_in_step(wanted, 0); }
  [[nodiscard]] bool fits(const Wanted& wanted, Time from, Time to) const;

  // The starts at which `wanted` fits until its end (end_of(start, limit)).
  struct Window {
    Time first;
    Time last;  // exclusive
    Time next;  // later windows begin here or after
  };
  // The first window that has a start at `after` or later; nullopt: none.
  [[nodiscard]] std::optional<Window> next_window(const Wanted& wanted,
                                                  Time after,
                                                  std::optional<Duration> limit) const;

  [[nodiscard]] std::size_t size() const { return from_.size(); }

 private:
  [[nodiscard]] std::size_t step_at(Time time) const;
  [[nodiscard]] bool fits_in_step(const Wanted& wanted, std::size_t step) const {
    return wanted.fits_in(&free_[step * kinds_], kinds_);
  }
  [[nodiscard]] Amounts amounts_of(std::size_t step) const;
  void add(Time from, Time to, const Amounts& amounts, std::int64_t sign);
  void widen(std::size_t kinds);
  std::size_t split(Time at);   // the step that begins there now
  void join(std::size_t step);  // with the one before, if they are equal

  std::size_t kinds_ = 2;
  std::vector<Time> from_{kAlways};
  std::vector<std::int64_t> free_{0, 0};  // kinds_ numbers for each step
};

}  // namespace gangway::scheduler
