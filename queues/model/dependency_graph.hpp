// The DAG of a workflow, checked whole with Boost.Graph (only the .cpp includes it).
//
// Source: cycle check by depth-first search, topological order, longest path (critical path) by
// dynamic programming over it; the graph is a compressed sparse row graph of 32-bit vertices.
// Pure. Linear in vertices and edges.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway {

struct GraphEdge {
  std::uint32_t from = 0;  // must end before ...
  std::uint32_t to = 0;    // ... this one may run
};

struct GraphOrder {
  std::vector<std::uint32_t> topological;  // every vertex after those it waits for; ties by number
  std::vector<std::int64_t>
      length_to_end;  // longest sum of weights from the vertex to a sink, own weight included
};

// Errors: Invalid, naming a cycle's vertices in order by `names` ("a -> b -> c -> a").
// Requires: edges name vertices below weights.size() == names.size().
[[nodiscard]] Result<GraphOrder> order_graph(const std::vector<std::string>& names,
                                             const std::vector<std::int64_t>& weights,
                                             const std::vector<GraphEdge>& edges);

}  // namespace gangway
