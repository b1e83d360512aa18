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
// Bounds only spare work: what they are decides no answer. Tables are dropped when there are too
// many. Time never goes back. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

  // Seats are the nodes in the order given.
  struct Table {
    Size size;
    Wanted wanted;
    std::vector<Time> earliest;          // by seat
    std::vector<std::uint32_t> changes;  // of the node, when `earliest` was found
    std::vector<Time> of_block;          // the least of its nodes
    std::size_t given_before = 0;        // so many of given_ are in it
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
  [[nodiscard]] NodeIndex node_at(std::size_t seat) const { return order_[seat]; }

  // The table of a rounded size. It stays until the next change, or bound_memory().
  [[nodiscard]] Table& table_of(const Size& size);
  // Whether what the table says of the node is all that can be said.
  [[nodiscard]] bool is_exact(const Table& table, std::size_t seat) const {
    return table.changes[seat] == changes_[seat];
  }
  void set_exact(Table& table, std::size_t seat, Time earliest) const {
    table.earliest[seat] = earliest;
    table.changes[seat] = changes_[seat];
  }

  // Changes: something of the node is taken, or free that was not.
  void on_taken(NodeIndex node);
  void on_given(NodeIndex node);
  // Tables are dropped if there are too many.
  void bound_memory();

 private:
  void forget();

  using Key = std::tuple<std::size_t, std::int64_t, std::int64_t>;
  std::map<Key, Table> tables_;
  std::vector<std::size_t> given_;  // seats
  std::vector<NodeIndex> order_;
  std::vector<std::size_t> seat_of_;    // by node
  std::vector<std::uint32_t> changes_;  // by seat: how often it has changed, from 1
};

// The nodes by their bounds in some tables, of which the latest counts; the earliest first.
class ByOutlook {
 public:
  static constexpr std::size_t kBlock = 16;

  ByOutlook(const Outlook& outlook, std::vector<Outlook::Table*> tables);

  // No node that was not visited yet has a start before.
  [[nodiscard]] Time bound() const {
    return blocks_.empty() ? Time::infinity() : blocks_.top().bound;
  }
  // Calls visit(node, bound) for some of those, if there are any, whose bounds are the earliest and
  // not later than `needed`; at least something is learnt. `earliest_of(table, node, from)`: when
  // the table's size fits on the node, from its bound there on.
  template <typename EarliestOf, typename Visit>
  void visit_next(Time needed, EarliestOf earliest_of, Visit visit);

 private:
  struct Block {
    Time bound;
    std::size_t number = 0;
    friend bool operator<(const Block& a, const Block& b) {  // for a queue with the first on top
      return std::tie(b.bound, b.number) < std::tie(a.bound, a.number);
    }
  };

  [[nodiscard]] Time bound_at(std::size_t seat) const {
    Time bound = Timeline::kAlways;
    for (const Outlook::Table* table : tables_) bound = std::max(bound, table->earliest[seat]);
    return bound;
  }
  void summarise(std::size_t block);

  const Outlook& outlook_;
  std::vector<Outlook::Table*> tables_;
  std::priority_queue<Block> blocks_;
  std::vector<char> visited_;  // by seat
};

template <typename EarliestOf, typename Visit>
void ByOutlook::visit_next(Time needed, EarliestOf earliest_of, Visit visit) {
  const Block block = blocks_.top();
  blocks_.pop();
  const Time most = std::max(block.bound, std::min(needed, bound()));
  const std::size_t end = std::min((block.number + 1) * kBlock, visited_.size());
  Time left = Time::infinity();
  bool learnt = false;
  for (std::size_t seat = block.number * kBlock; seat < end; ++seat) {
    if (visited_[seat] != 0) continue;
    Time earliest = bound_at(seat);
    if (earliest <= most) {
      const NodeIndex node = outlook_.node_at(seat);
      for (Outlook::Table* table : tables_) {
        if (outlook_.is_exact(*table, seat)) continue;
        outlook_.set_exact(*table, seat, earliest_of(*table, node, table->earliest[seat]));
        learnt = true;
        earliest = std::max(earliest, table->earliest[seat]);
        if (earliest > most) break;  // that is enough to know
      }
      if (earliest <= needed && earliest < Time::infinity()) {
        visited_[seat] = 1;
        visit(node, earliest);
        continue;
      }
    }
    left = std::min(left, earliest);
  }
  if (learnt) summarise(block.number);
  if (left < Time::infinity()) blocks_.push({left, block.number});
}

}  // namespace gangway::scheduler
