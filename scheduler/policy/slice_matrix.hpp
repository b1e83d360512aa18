// SliceMatrix: gangs that take turns on the same cores.
//
// A column is a core of a node, a row is a time slice. A gang stands in one row, with all its cores
// or not at all, and no core has two gangs in a row; the gangs of a row run at the same time and
// the rows one after the other. A new gang comes into the first row in which its cores are free;
// when one leaves, gangs of later rows move up where they fit, and rows that become empty vanish. A
// gang whose cores nobody needs in the slice of another row runs in that one too.
//
// Source: J. Ousterhout, "Scheduling Techniques for Concurrent Systems", ICDCS 1982 (the matrix
// method, and what he calls alternate selection); D. Feitelson, L. Rudolph, "Evaluation of Design
// Choices for Gang Scheduling Using Distributed Hierarchical Control", JPDC 35(1), 1996, and
// D. Feitelson, "Packing Schemes for Gang Scheduling", JSSPP 1996 (first fit; unification of
// slots). One deviation: where a gang goes is chosen for its whole request by the caller, because
// nodes are unequal and memory is not shared between rows.
//
// Pure value; equal histories give equal rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "scheduler/policy/gang.hpp"

namespace gangway::scheduler {

class SliceMatrix {
 public:
  // A gang's cores on one node.
  struct Cell {
    NodeIndex node = 0;
    std::vector<std::int32_t> cores;
    friend bool operator==(const Cell&, const Cell&) = default;
  };
  using Cells = std::vector<Cell>;

  // Into the first row in which its cores are free, a new one if there is none. A gang that is
  // there keeps its row if its new cores fit there.
  void put(JobKey gang, Cells cells);
  // An unknown gang changes nothing.
  void take(JobKey gang);

  [[nodiscard]] bool contains(JobKey gang) const { return gangs_.contains(gang); }
  // Each in the order in which its gangs came into it; none is empty.
  [[nodiscard]] const std::vector<std::vector<JobKey>>& rows() const { return rows_; }
  // Requires: it is there.
  [[nodiscard]] std::size_t row_of(JobKey gang) const;
  [[nodiscard]] const Cells& cells_of(JobKey gang) const { return gangs_.at(gang); }
  // Whether they have a core in common. Requires: both are there.
  [[nodiscard]] bool overlap(JobKey a, JobKey b) const;
  // The gangs that have a core in common with this one.
  [[nodiscard]] std::vector<JobKey> rivals_of(JobKey gang) const;

  // Who runs in the slice of row `row`: of those who are `willing` its own gangs, then, from the
  // next row on and around, each whose cores are still free. In the order of keys.
  [[nodiscard]] std::vector<JobKey> slice(std::size_t row,
                                          const std::function<bool(JobKey)>& willing) const;
  // The first row after `row`, around and with itself last, that has a willing gang; nullopt: none.
  [[nodiscard]] std::optional<std::size_t> next_row(
      std::size_t row, const std::function<bool(JobKey)>& willing) const;

  // Who has which core of a node, in any row; and in one row.
  using Holders = std::map<std::int32_t, std::vector<JobKey>>;
  [[nodiscard]] const Holders& holders_on(NodeIndex node) const;
  [[nodiscard]] bool is_used(std::size_t row, NodeIndex node, std::int32_t core) const;

 private:
  [[nodiscard]] bool fits(std::size_t row, const Cells& cells) const;
  void remove(JobKey gang);
  void unify();

  std::map<JobKey, Cells> gangs_;
  std::map<JobKey, std::size_t> row_of_;
  std::vector<std::vector<JobKey>> rows_;
  std::map<NodeIndex, Holders> nodes_;
};

}  // namespace gangway::scheduler
