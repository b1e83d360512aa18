// Timeline: what is free of one node from now on, as a step function.
//
// A step begins where something ends or begins, and no two neighbours are equal, so there are at
// most twice as many steps as claims. The first step is the present: it has no beginning, because
// what holds part of the node now has held it long enough.
//
// Source: the slot list of D. Talby, D. Feitelson, IPPS 1999, with amounts instead of a number of
// processors. Planning is mostly walking along steps, so what a walk reads lies together: the
// beginnings of all steps, and for each kind of resource that the node has ever had or given the
// amounts of all steps, one after the other in a single piece of memory.
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
  [[nodiscard]] std::int64_t cores_at(Time time) const { return amounts(0)[step_at(time)]; }
  [[nodiscard]] bool fits_now(const Wanted& wanted) const;
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

  [[nodiscard]] std::size_t size() const { return size_; }
  // Asks the processor to have it at hand: it is walked along soon.
  void prefetch() const;

 private:
  // What is wanted of a kind, and what there is of it in each step.
  struct Need {
    std::int64_t amount = 0;
    const std::int64_t* free = nullptr;
  };
  class Needs;

  [[nodiscard]] std::size_t room() const { return std::size_t{1} << room_bits_; }
  [[nodiscard]] const std::int64_t* beginnings() const { return numbers_.data(); }
  [[nodiscard]] const std::int64_t* amounts(std::size_t kind) const {
    return &numbers_[(kind + 1) << room_bits_];
  }
  [[nodiscard]] std::int64_t* amounts(std::size_t kind) {
    return &numbers_[(kind + 1) << room_bits_];
  }
  [[nodiscard]] Time beginning_of(std::size_t step) const { return {numbers_[step]}; }
  [[nodiscard]] std::size_t step_at(Time time) const;
  [[nodiscard]] Amounts amounts_of(std::size_t step) const;
  template <typename Fits>
  [[nodiscard]] std::optional<Window> next_window_if(Fits fits,
                                                     Time after,
                                                     std::optional<Duration> limit) const;
  void add(Time from, Time to, const Amounts& more, std::int64_t sign);
  void make_room();
  std::size_t split(Time at);   // the step that begins there now
  void join(std::size_t step);  // with the one before, if they are equal

  // Columns of room() numbers, of which size_ are used: the beginnings, then the kinds.
  static constexpr std::uint8_t kFirstBits = 2;
  std::vector<std::int64_t> numbers_ = first_step();
  std::uint32_t size_ = 1;
  std::uint8_t room_bits_ = kFirstBits;
  std::uint8_t kinds_ = 2;
  static std::vector<std::int64_t> first_step();
};

}  // namespace gangway::scheduler
