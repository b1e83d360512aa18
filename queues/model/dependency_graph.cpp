#include "queues/model/dependency_graph.hpp"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <functional>
#include <queue>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {
// 32-bit vertices and edge offsets: half the memory of the default, and more than any workflow has.
using Graph = boost::compressed_sparse_row_graph<boost::directedS,
                                                 boost::no_property,
                                                 boost::no_property,
                                                 boost::no_property,
                                                 std::uint32_t,
                                                 std::uint32_t>;
using Vertex = boost::graph_traits<Graph>::vertex_descriptor;

// Calls `f(successor)` for each edge of `v`. out_edges() is a template over the graph's own vertex
// type and does not convert an int.
template <typename F>
void for_each_successor(const Graph& graph, Vertex v, F f) {
  const auto [first, last] = boost::out_edges(v, graph);
  for (auto edge = first; edge != last; ++edge) f(boost::target(*edge, graph));
}

// Remembers the path of the search and the first edge that closes a cycle over it.
class CycleFinder : public boost::default_dfs_visitor {
 public:
  CycleFinder(std::vector<Vertex>& parent, std::vector<Vertex>& cycle)
      : parent_(&parent), cycle_(&cycle) {}

  template <typename Edge>
  void tree_edge(Edge edge, const Graph& graph) {
    (*parent_)[boost::target(edge, graph)] = boost::source(edge, graph);
  }
  template <typename Edge>
  void back_edge(Edge edge, const Graph& graph) {
    if (!cycle_->empty()) return;
    const Vertex top = boost::target(edge, graph);
    for (Vertex v = boost::source(edge, graph); v != top; v = (*parent_)[v]) cycle_->push_back(v);
    cycle_->push_back(top);
    std::ranges::reverse(*cycle_);
  }

 private:
  std::vector<Vertex>* parent_;  // pointers, because the search copies its visitor
  std::vector<Vertex>* cycle_;
};

// The vertices of one cycle in order, the one with the least number first. Requires: there is one.
std::vector<Vertex> find_cycle(const Graph& graph) {
  const std::size_t count = boost::num_vertices(graph);
  std::vector<Vertex> parent(count);
  std::vector<Vertex> cycle;
  std::vector<boost::default_color_type> colors(count, boost::white_color);
  const auto color_map =
      boost::make_iterator_property_map(colors.begin(), boost::get(boost::vertex_index, graph));
  const auto found = [&](Vertex, const Graph&) { return !cycle.empty(); };
  for (Vertex v = 0; v < count && cycle.empty(); ++v) {
    if (colors[v] != boost::white_color) continue;
    // Not recursive: a chain of a million jobs does not overflow the stack.
    boost::depth_first_visit(graph, v, CycleFinder(parent, cycle), color_map, found);
  }
  CHECK(!cycle.empty());
  std::rotate(cycle.begin(), std::ranges::min_element(cycle), cycle.end());
  return cycle;
}

Error cycle_error(const std::vector<std::string>& names, const std::vector<Vertex>& cycle) {
  constexpr std::size_t kMaxNamed = 1000;
  std::string path;
  for (std::size_t i = 0; i < std::min(cycle.size(), kMaxNamed); ++i) {
    path.append(names[cycle[i]]).append(" -> ");
  }
  if (cycle.size() > kMaxNamed) path.append(cat("(", cycle.size() - kMaxNamed, " more) -> "));
  return {ErrorKind::Invalid, cat("these wait for each other: ", path, names[cycle.front()])};
}

// Kahn's algorithm; the heap breaks ties by number. Shorter than the graph if it has a cycle.
std::vector<std::uint32_t> topological_order(const Graph& graph) {
  const std::size_t count = boost::num_vertices(graph);
  std::vector<std::uint32_t> waits_for(count);
  for (Vertex v = 0; v < count; ++v) {
    for_each_successor(graph, v, [&](Vertex next) { ++waits_for[next]; });
  }
  std::priority_queue<Vertex, std::vector<Vertex>, std::greater<>> ready;
  for (Vertex v = 0; v < count; ++v) {
    if (waits_for[v] == 0) ready.push(v);
  }
  std::vector<std::uint32_t> order;
  order.reserve(count);
  while (!ready.empty()) {
    const Vertex v = ready.top();
    ready.pop();
    order.push_back(v);
    for_each_successor(graph, v, [&](Vertex next) {
      if (--waits_for[next] == 0) ready.push(next);
    });
  }
  return order;
}
}  // namespace

Result<GraphOrder> order_graph(const std::vector<std::string>& names,
                               const std::vector<std::int64_t>& weights,
                               const std::vector<GraphEdge>& edges) {
  CHECK(names.size() == weights.size());
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
  pairs.reserve(edges.size());
  for (const auto& edge : edges) {
    CHECK(edge.from < weights.size() && edge.to < weights.size());
    pairs.emplace_back(edge.from, edge.to);
  }
  const Graph graph(boost::edges_are_unsorted_multi_pass, pairs.begin(), pairs.end(),
                    static_cast<std::uint32_t>(weights.size()));

  GraphOrder order{.topological = topological_order(graph), .length_to_end = weights};
  if (order.topological.size() < weights.size()) return cycle_error(names, find_cycle(graph));
  for (auto v = order.topological.rbegin(); v != order.topological.rend(); ++v) {
    std::int64_t longest = 0;
    for_each_successor(
        graph, *v, [&](Vertex next) { longest = std::max(longest, order.length_to_end[next]); });
    order.length_to_end[*v] += longest;
  }
  return order;
}

}  // namespace gangway
