// KeyList: the jobs of one user in order, at sixteen bytes each.
//
// Ids rise, so that nearly all come at the end; those that are gone are taken out when they are
// half of it, so that each costs constant time on average. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "queues/base/strong_id.hpp"

namespace gangway::scheduler {

class KeyList {
 public:
  // Requires: it is not in the list.
  void add(JobKey key);
  // It counts as gone. Requires: it is in the list, and `is_there` says so of all others that are.
  template <typename IsThere>
  void remove_one(IsThere is_there) {
    if (++gone_ * 2 <= keys_.size()) return;
    std::erase_if(keys_, [&](JobKey key) { return !is_there(key); });
    gone_ = 0;
  }
  [[nodiscard]] bool empty() const { return gone_ == keys_.size(); }
  // Some of them are gone.
  [[nodiscard]] const std::vector<JobKey>& keys() const { return keys_; }

 private:
  std::vector<JobKey> keys_;
  std::size_t gone_ = 0;
};

inline void KeyList::add(JobKey key) {
  if (keys_.empty() || keys_.back() < key) {
    keys_.push_back(key);
    return;
  }
  const auto place = std::lower_bound(keys_.begin(), keys_.end(), key);
  if (*place == key) {  // was gone, and is back
    --gone_;
    return;
  }
  keys_.insert(place, key);
}

}  // namespace gangway::scheduler
