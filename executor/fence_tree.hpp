// FenceTree: the collective exchange between the shepherds of a gang, behind PMIx fences.
//
// Each node gives its ranks' bytes; all participants get the bytes of all. The nodes that take part
// form a tree of a fixed fan-out by position in the sorted list; bytes go up to the first and the
// whole comes down: 2 log n messages deep, not all-to-one. A fence is known by its sorted
// participating ranks and a counter for each such set, so that fences of subsets may overlap in any
// order. Sans-I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct RankRange { std::uint32_t first = 0; std::uint32_t count = 0; };  // of one node

struct FenceSend { std::uint32_t node_index = 0; wire::Peer message; };
struct FenceComplete { std::uint64_t local_id = 0; int status = 0; std::string data; };  // PMIx status
using FenceAction = std::variant<FenceSend, FenceComplete>;
using FenceActions = std::vector<FenceAction>;

class FenceTree {
 public:
  // `nodes[i]` are the ranks on node i.
  FenceTree(std::uint32_t self, std::vector<RankRange> nodes, std::uint32_t fan_out = 8);
  [[nodiscard]] FenceActions on_local(const wire::PmixFence& fence);
  [[nodiscard]] FenceActions on_peer(std::uint32_t from, const wire::Peer& message);
  // Every fence under way that it takes part in fails.
  [[nodiscard]] FenceActions on_peer_lost(std::uint32_t node_index);

 private:
  struct Id {
    std::string signature;
    std::uint64_t counter = 0;
    friend auto operator<=>(const Id&, const Id&) = default;
  };
  struct Fence {
    std::vector<std::uint32_t> nodes;  // participating node indices, sorted
    bool here = false;                 // our ranks have arrived
    std::uint64_t local_id = 0;
    std::string data;
    std::uint32_t children_in = 0;
  };
  std::uint32_t self_;
  std::vector<RankRange> nodes_;
  std::uint32_t fan_out_;
  std::map<std::string, std::uint64_t> counters_;
  std::map<Id, Fence> open_;
};

}  // namespace gangway::executor
