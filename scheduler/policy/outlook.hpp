// Outlook: for each node a moment before which nothing of some size can begin on it, so that a
// search for the earliest start looks at those nodes that may have it, and at no others.
//
// Sizes are rounded down: an amount of one kind of resource, and a length of time. For each pair
// that was asked for there is a table with a bound for each node, and one for each block of nodes;
// a request has one for each kind that it wants. Taking something from a node leaves its bounds
// right, only lower than need be, until somebody asks; giving something back undoes those of that
// node. So the bounds of a walk that makes many reservations rise along with them, and every step
// of a timeline is passed about once for each size, instead of once for each reservation. Blocks
// are of nodes that are about as large, so that most of them are passed over as a whole.
//
// Searches spend their time on fetching bounds and timelines from memory. So bounds are kept in few
// bytes, as moments of about a second, a block's beside each other; and a block's timelines are
// fetched before the first is looked at.
//
// Bounds only spare work: what they are decides no answer. Tables are dropped when there are too
// many. Time never goes back. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

#include "queues/base/time.hpp"
#include "scheduler/policy/amounts.hpp"
#include "scheduler/policy/gang.hpp"
#include "scheduler/policy/timeline.hpp"

namespace gangway::scheduler {

class Outlook {
 public:
  struct Size {
    std::size_t kind = 0;  // kWhole: all of a node, whatever it has
    std::int64_t amount = 0;
    std::optional<Duration> length;  // none: for ever
  };
  static constexpr std::size_t kWhole = kMaxKinds;
  // What begins only where `size` does, too, as it is no larger.
  [[nodiscard]] static Size rounded_down(Size size);

  // A time rounded down: ever later bounds become ever later moments, and a bound that is a little
  // too early is still right.
  using Moment = std::int32_t;
  static constexpr Moment kAnyTime = 0;
  static constexpr Moment kNever = std::numeric_limits<Moment>::max();
  [[nodiscard]] Moment moment_of(Time time) const;
  [[nodiscard]] Time time_of(Moment moment) const;

  // Seats are the nodes in the order given; so many make a block.
  static constexpr std::size_t kBlock = 16;
  struct Bounds {
    std::array<Moment, kBlock> earliest{};
    std::array<std::uint16_t, kBlock> changes{};  // of the node, when `earliest` was found
  };
  struct Table {
    Size size;
    Wanted wanted;
    std::vector<Bounds> blocks;
    std::vector<Moment> of_block;  // the least of its nodes
    std::size_t given_before = 0;  // so many of given_ are in it
  };

  Outlook() = default;
  ~Outlook() = default;
  // A copy has to find all of it again: there is much of it, and it may never be asked.
  Outlook(const Outlook& other) : Outlook() { set_order(other.order_); }
  Outlook& operator=(const Outlook& other);
  Outlook(Outlook&&) noexcept = default;
  Outlook& operator=(Outlook&&) noexcept = default;

  // All nodes, those that are alike beside each other. Any order is right.
  void set_order(std::vector<NodeIndex> order);
  [[nodiscard]] std::size_t seats() const { return order_.size(); }
  [[nodiscard]] std::size_t blocks() const { return (seats() + kBlock - 1) / kBlock; }
  [[nodiscard]] NodeIndex node_at(std::size_t seat) const { return order_[seat]; }

  // Before a search: tables are dropped if there are too many.
  void begin_search(Time now);
  // The table of a rounded size. It stays until the next change, or begin_search().
  [[nodiscard]] Table& table_of(const Size& size);
  // Whether what the table says of the node is all that can be said, as far as is known: among very
  // many changes one may be overlooked.
  [[nodiscard]] bool is_exact(const Bounds& bounds, std::size_t seat) const {
    return bounds.changes[seat % kBlock] == changes_[seat];
  }
  void set_exact(Bounds& bounds, std::size_t seat, Moment earliest) const {
    bounds.earliest[seat % kBlock] = earliest;
    bounds.changes[seat % kBlock] = changes_[seat];
  }

  // Changes: something of the node is taken, or free that was not.
  void on_taken(NodeIndex node);
  void on_given(NodeIndex node);

 private:
  void forget();

  using Key = std::tuple<std::size_t, std::int64_t, std::int64_t>;
  std::map<Key, Table> tables_;
  Time origin_;                     // the first moment; tables are of later ones
  std::vector<std::size_t> given_;  // seats
  std::vector<NodeIndex> order_;
  std::vector<std::size_t> seat_of_;    // by node
  std::vector<std::uint16_t> changes_;  // by seat: how often it has changed, from 1
};

// The nodes by their bounds in some tables, of which the latest counts; the earliest first.
class ByOutlook {
 public:
  ByOutlook(const Outlook& outlook, std::vector<Outlook::Table*> tables);

  // Whether there is a node that was not visited yet and may have a start by `time`.
  [[nodiscard]] bool may_begin_by(Time time) const {
    return !blocks_.empty() && blocks_.top().bound <= outlook_.moment_of(time);
  }
  // Visits some of those, if there are any, whose bounds are the earliest and not later than
  // `needed`; at least something is learnt. `nodes` has
  //   prefetch(node)                  will be asked of it soon
  //   earliest_of(table, node, from)  when the table's size fits on the node, `from` or later
  //   visit(node, from)               not before `from`
  // Requires: may_begin_by(needed).
  template <typename Nodes>
  void visit_next(Time needed, Nodes& nodes);

 private:
  using Moment = Outlook::Moment;
  static constexpr std::size_t kBlock = Outlook::kBlock;

  struct Block {
    Moment bound = 0;
    std::uint32_t number = 0;
    friend bool operator<(const Block& a, const Block& b) {  // for a queue with the first on top
      return std::tie(b.bound, b.number) < std::tie(a.bound, a.number);
    }
  };
  // A node of the block that may be visited, and its bound.
  struct Due {
    std::size_t seat = 0;
    Moment bound = 0;
  };

  [[nodiscard]] std::array<Moment, kBlock> bounds_in(std::size_t block) const;
  void prefetch_bounds(std::size_t block) const;
  void summarise(std::size_t block);

  const Outlook& outlook_;
  std::vector<Outlook::Table*> tables_;
  std::priority_queue<Block> blocks_;
  std::vector<std::uint16_t> unvisited_;  // by block, a bit for each seat
};

template <typename Nodes>
void ByOutlook::visit_next(Time needed, Nodes& nodes) {
  const Block block = blocks_.top();
  blocks_.pop();
  const Moment next = blocks_.empty() ? Outlook::kNever : blocks_.top().bound;
  const Moment last = std::min(outlook_.moment_of(needed), Outlook::kNever - 1);
  const Moment most = std::max(block.bound, std::min(last, next));
  if (!blocks_.empty()) prefetch_bounds(blocks_.top().number);

  const std::array<Moment, kBlock> bounds = bounds_in(block.number);
  std::uint16_t& unvisited = unvisited_[block.number];
  std::array<Due, kBlock> due;
  std::size_t count = 0;
  Moment left = Outlook::kNever;
  for (std::size_t i = 0; i < kBlock; ++i) {
    if ((unvisited >> i & 1) == 0) continue;
    if (bounds[i] > most) {
      left = std::min(left, bounds[i]);
      continue;
    }
    const std::size_t seat = block.number * kBlock + i;
    due[count++] = {seat, bounds[i]};
    nodes.prefetch(outlook_.node_at(seat));
  }
  bool learnt = false;
  for (std::size_t i = 0; i < count; ++i) {
    auto [seat, earliest] = due[i];
    const NodeIndex node = outlook_.node_at(seat);
    for (Outlook::Table* const table : tables_) {
      Outlook::Bounds& known = table->blocks[block.number];
      if (outlook_.is_exact(known, seat)) continue;
      const Time from = outlook_.time_of(known.earliest[seat % kBlock]);
      const Moment found = outlook_.moment_of(nodes.earliest_of(*table, node, from));
      outlook_.set_exact(known, seat, found);
      learnt = true;
      earliest = std::max(earliest, found);
      if (earliest > most) break;  // that is enough to know
    }
    if (earliest <= last) {
      unvisited = static_cast<std::uint16_t>(unvisited & ~(1U << (seat % kBlock)));
      nodes.visit(node, outlook_.time_of(earliest));
    } else {
      left = std::min(left, earliest);
    }
  }
  if (learnt) summarise(block.number);
  if (left < Outlook::kNever) blocks_.push({left, block.number});
}

}  // namespace gangway::scheduler
