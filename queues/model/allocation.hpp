// Which nodes a job got, and what of each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/model/resources.hpp"

namespace gangway {

// Which of a node's devices of one kind ("gpu") are given, by their number on the node.
struct DeviceShare {
  std::string name;
  std::vector<std::int32_t> indices;  // ascending
  friend bool operator==(const DeviceShare&, const DeviceShare&) = default;
};

// One node's part of an allocation.
struct NodeShare {
  std::uint32_t component = 0;  // index into JobSpec::components
  NodeName node;
  Resources resources;
  std::vector<std::int32_t>
      cores;                    // logical core numbers given on that node; size = resources.cores
  std::int32_t first_task = 0;  // global rank of its first task
  std::int32_t tasks = 0;       // tasks on this node, consecutive ranks (block distribution)
  std::vector<DeviceShare> devices{};  // of its named resources; sorted by name
  friend bool operator==(const NodeShare&, const NodeShare&) = default;
};

// In rank order; its position is the node index (JOB_NODEID). Node 0 runs the script.
struct Allocation {
  std::vector<NodeShare> shares;
  friend bool operator==(const Allocation&, const Allocation&) = default;
  [[nodiscard]] const NodeShare* find(const NodeName& node) const;  // nullptr: not part of it
};

}  // namespace gangway
