// Gang: all nodes of all components, or none.
//
// Each component wants a number of nodes out of those it could take; no node is given twice. This
// is a bipartite matching with a multiplicity per component: greedy first, then augmenting paths,
// so that an answer is found whenever there is one. It matters that it is exact: more free nodes
// can then never turn a yes into a no, on which the promise of backfilling rests.
//
// Source: augmenting paths as in H. Kuhn, "The Hungarian method", 1955, over components (few)
// instead of single seats (many).
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace gangway::scheduler {

using NodeIndex = std::uint32_t;

struct GangPart {
  std::int32_t nodes = 0;          // wanted
  std::vector<NodeIndex> options;  // that it could take, best first, none twice
};

// The nodes of each part, best first where there is a choice; nullopt if not all parts can be
// served at once.
[[nodiscard]] std::optional<std::vector<std::vector<NodeIndex>>> assign_gang(
    const std::vector<GangPart>& parts);

}  // namespace gangway::scheduler
