// BestFit: the nodes in the order in which a job that starts now takes them, to be searched without
// looking at each.
//
// The order: those without named resources before those with them, few free cores before many, then
// by name. It is kept in blocks of neighbours; a block knows the most that any of its nodes has
// free of each kind and how many are idle, so a search passes over whole blocks. Neighbours have
// about as many cores free, so in large clusters most blocks are passed over or serve. A search
// that finds nothing costs a few numbers for each block, and a change the length of a block.
//
// Source: square-root decomposition; the node buckets of OpenPBS are blocks of equal nodes.
// Pure value.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/policy/amounts.hpp"
#include "scheduler/policy/gang.hpp"

namespace gangway::scheduler {

class BestFit {
 public:
  struct Position {
    bool has_named = false;
    std::int64_t free_cores = 0;
    std::uint32_t rank = 0;  // by name
    NodeIndex node = 0;
    friend auto operator<=>(const Position&, const Position&) = default;
  };

  void insert(const Position& position, const Amounts& free, bool is_idle);
  void erase(const Position& position);  // requires: it was inserted
  void clear() { blocks_.clear(); }

  // The nodes on which `wanted` is free now, of `only_idle` those that are wholly free; calls
  // visit(node) in the order above until it returns false.
  template <typename Visit>
  void visit(const Wanted& wanted, bool only_idle, Visit visit) const {
    for (const Block& block : blocks_) {
      if (!wanted.fits_in(block.most) || (only_idle && block.idle == 0)) continue;
      for (std::size_t i = 0; i < block.positions.size(); ++i) {
        if (!wanted.fits_in(block.free[i]) || (only_idle && !block.is_idle[i])) continue;
        if (!visit(block.positions[i].node)) return;
      }
    }
  }

 private:
  struct Block {
    std::vector<Position> positions;
    std::vector<Amounts> free;
    std::vector<char> is_idle;
    Amounts most;
    std::size_t idle = 0;
    void summarise();
  };
  // The block in which `position` is or would come.
  [[nodiscard]] std::size_t block_of(const Position& position) const;

  std::vector<Block> blocks_;  // none is empty
};

}  // namespace gangway::scheduler
