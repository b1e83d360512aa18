#include "scheduler/policy/slice_matrix.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace gangway::scheduler {

void SliceMatrix::put(JobKey gang, Cells cells) {
  std::optional<std::size_t> before;
  if (contains(gang)) {
    before = row_of(gang);
    remove(gang);
  }
  std::size_t row = 0;
  if (before && fits(*before, cells)) {
    row = *before;
  } else {
    while (row < rows_.size() && !fits(row, cells)) ++row;
  }
  if (row == rows_.size()) rows_.emplace_back();
  rows_[row].push_back(gang);
  row_of_[gang] = row;
  for (const Cell& cell : cells) {
    for (const std::int32_t core : cell.cores) nodes_[cell.node][core].push_back(gang);
  }
  gangs_.emplace(gang, std::move(cells));
  if (before) unify();
}

void SliceMatrix::take(JobKey gang) {
  if (!contains(gang)) return;
  remove(gang);
  unify();
}

// Its row may be empty afterwards.
void SliceMatrix::remove(JobKey gang) {
  for (const Cell& cell : gangs_.at(gang)) {
    const auto node = nodes_.find(cell.node);
    if (node == nodes_.end()) continue;
    for (const std::int32_t core : cell.cores) {
      const auto holders = node->second.find(core);
      std::erase(holders->second, gang);
      if (holders->second.empty()) node->second.erase(holders);
    }
    if (node->second.empty()) nodes_.erase(node);
  }
  std::erase(rows_[row_of(gang)], gang);
  row_of_.erase(gang);
  gangs_.erase(gang);
}

std::size_t SliceMatrix::row_of(JobKey gang) const { return row_of_.at(gang); }

bool SliceMatrix::fits(std::size_t row, const Cells& cells) const {
  return std::ranges::none_of(cells, [&](const Cell& cell) {
    return std::ranges::any_of(cell.cores,
                               [&](std::int32_t core) { return is_used(row, cell.node, core); });
  });
}

// One pass from the first row on is enough: whoever moves up frees room only in rows that are
// looked at later, or in its own, into which those behind it come next.
void SliceMatrix::unify() {
  for (std::size_t from = 1; from < rows_.size(); ++from) {
    for (const JobKey gang : std::vector(rows_[from])) {
      for (std::size_t to = 0; to < from; ++to) {
        if (!fits(to, gangs_.at(gang))) continue;
        std::erase(rows_[from], gang);
        rows_[to].push_back(gang);
        row_of_[gang] = to;
        break;
      }
    }
  }
  std::erase_if(rows_, [](const auto& row) { return row.empty(); });
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (const JobKey gang : rows_[row]) row_of_[gang] = row;
  }
}

std::vector<JobKey> SliceMatrix::rivals_of(JobKey gang) const {
  std::set<JobKey> rivals;
  for (const Cell& cell : gangs_.at(gang)) {
    const Holders& there = holders_on(cell.node);
    for (const std::int32_t core : cell.cores) {
      const std::vector<JobKey>& holders = there.at(core);
      rivals.insert(holders.begin(), holders.end());
    }
  }
  rivals.erase(gang);
  return {rivals.begin(), rivals.end()};
}

bool SliceMatrix::overlap(JobKey a, JobKey b) const {
  const std::vector<JobKey> rivals = rivals_of(a);
  return std::ranges::find(rivals, b) != rivals.end();
}

std::vector<JobKey> SliceMatrix::slice(std::size_t row,
                                       const std::function<bool(JobKey)>& willing) const {
  std::set<JobKey> running;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    for (const JobKey gang : rows_[(row + i) % rows_.size()]) {
      if (!willing(gang)) continue;
      const std::vector<JobKey> rivals = rivals_of(gang);
      const bool free =
          std::ranges::none_of(rivals, [&](const JobKey rival) { return running.contains(rival); });
      if (free) running.insert(gang);
    }
  }
  return {running.begin(), running.end()};
}

std::optional<std::size_t> SliceMatrix::next_row(std::size_t row,
                                                 const std::function<bool(JobKey)>& willing) const {
  for (std::size_t i = 1; i <= rows_.size(); ++i) {
    const std::size_t candidate = (row + i) % rows_.size();
    if (std::ranges::any_of(rows_[candidate], willing)) return candidate;
  }
  return std::nullopt;
}

const SliceMatrix::Holders& SliceMatrix::holders_on(NodeIndex node) const {
  static const Holders kNobody;
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? kNobody : found->second;
}

bool SliceMatrix::is_used(std::size_t row, NodeIndex node, std::int32_t core) const {
  const Holders& there = holders_on(node);
  const auto holders = there.find(core);
  return holders != there.end() && std::ranges::any_of(holders->second, [&](const JobKey gang) {
           return row_of_.at(gang) == row;
         });
}

}  // namespace gangway::scheduler
