// Timeline: what is free of one node from now on, as a step function.
//
// A step begins where something ends or begins, and no two neighbours are equal, so there are at
// most twice as many steps as claims. The first step is the present: it has no beginning, because
// what holds part of the node now has held it long enough.
//
// Source: the slot list of D. Talby, D. Feitelson, IPPS 1999, with amounts instead of a number of
// processors. Pure value.
#pragma once

#include <cstddef>
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

  [[nodiscard]] const Amounts& now() const { return steps_.front().free; }
  [[nodiscard]] const Amounts& at(Time time) const;
  [[nodiscard]] bool fits(const Amounts& wanted, Time from, Time to) const;

  // The starts at which `wanted` fits until its end (end_of(start, limit)).
  struct Window {
    Time first;
    Time last;  // exclusive
    Time next;  // later windows begin here or after
  };
  // The first window that has a start at `after` or later; nullopt: none.
  [[nodiscard]] std::optional<Window> next_window(const Amounts& wanted,
                                                  Time after,
                                                  std::optional<Duration> limit) const;

  [[nodiscard]] std::size_t size() const { return steps_.size(); }

 private:
  struct Step {
    Time from;
    Amounts free;
  };
  using Steps = std::vector<Step>;

  [[nodiscard]] Steps::const_iterator step_at(Time time) const;
  template <typename Change>
  void change(Time from, Time to, Change change);
  std::size_t split(Time at);   // the step that begins there now
  void join(std::size_t step);  // with the one before, if they are equal

  Steps steps_{Step{kAlways, {}}};
};

}  // namespace gangway::scheduler
