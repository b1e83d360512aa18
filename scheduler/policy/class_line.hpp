// ClassLine: the waiting jobs of one class in their order, so kept that all can get new prices at
// once.
//
// Places that follow each other stand in blocks of memory, which a new price for everybody walks
// along; a class with few jobs is one block. What decides a job's price beside what its class has
// in common stands with its place, so no job has to be looked up. Coming and going cost the length
// of a block, and the logarithm of their number.
//
// Pure value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "scheduler/policy/pricing.hpp"
#include "scheduler/policy/priority.hpp"

namespace gangway::scheduler {

class ClassLine {
 public:
  [[nodiscard]] bool empty() const { return blocks_.empty(); }
  // Requires: it is not empty.
  [[nodiscard]] const Place& front() const { return blocks_.front().front().place; }
  // The first of those behind; nullptr: none.
  [[nodiscard]] const Place* find_after(const Place& place) const;
  [[nodiscard]] std::size_t count_before(const Place& place) const;
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Block& block : blocks_) {
      for (const Waiter& waiter : block) visit(waiter.place);
    }
  }

  void insert(const Place& place, const Payer& payer);
  void erase(const Place& place);  // requires: it is there
  // lateness(place, payer): the new one. All others of a place stay.
  template <typename Lateness>
  void price_again(Lateness lateness) {
    for (Block& block : blocks_) {
      for (Waiter& waiter : block) waiter.place.lateness = lateness(waiter.place, waiter.payer);
    }
    sort();
  }

 private:
  struct Waiter {
    Place place;
    Payer payer;
    friend bool operator<(const Waiter& a, const Waiter& b) { return a.place < b.place; }
  };
  using Block = std::vector<Waiter>;  // sorted, and before those of the next

  [[nodiscard]] std::size_t block_of(const Place& place) const;
  void sort();

  std::vector<Block> blocks_;  // none is empty
};

}  // namespace gangway::scheduler
