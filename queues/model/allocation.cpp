#include "queues/model/allocation.hpp"

namespace gangway {

const NodeShare* Allocation::find(const NodeName& node) const {
  for (const auto& share : shares) {
    if (share.node == node) return &share;
  }
  return nullptr;
}

}  // namespace gangway
