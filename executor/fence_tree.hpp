// FenceTree: the collective exchange between the shepherds of a gang, behind PMIx fences.
//
// Each node gives its ranks' bytes; all participants get the bytes of all. The nodes that take part
// form a tree of a fixed fan-out by their position in the sorted list (the children of position p
// are f*p+1 .. f*p+f); bytes go up to the first and the whole comes down: 2 log n messages deep,
// not all-to-one. A fence is known by its participating ranks and a counter for each such set, so
// that fences of different sets may overlap in any order. The bytes of a fence are in the tree's
// order, whatever the order of arrival. A fence may carry a label, what kind of meeting it is: each
// kind has a counter of its own.
//
// Failure: when a shepherd is lost, or a bound is passed, the fences of that node end with a status
// on every node that takes part, each when its own ranks have arrived. A node tells its neighbours
// in the tree, so it is enough that the neighbours notice a loss.
//
// Sans-I/O. Requires links that are FIFO or lost. Our own server's fences are not trusted: ranks
// out of range are refused, open fences and held bytes are bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queues/wire/framing.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct RankRange {  // of one node
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// The few of PMIx's status codes that are spoken between shepherds; its numbers are fixed by the
// standard, and pmix_server.cpp asserts that they are these.
inline constexpr std::int32_t kPmixSuccess = 0;
inline constexpr std::int32_t kPmixUnreachable = -25;
inline constexpr std::int32_t kPmixBadParameter = -27;
inline constexpr std::int32_t kPmixOutOfResource = -29;
inline constexpr std::int32_t kPmixNotFound = -46;
inline constexpr std::int32_t kPmixDuplicateKey = -53;
inline constexpr std::int32_t kPmixLostConnection = -61;

struct FenceSend {
  std::uint32_t node_index = 0;
  wire::Peer message;
};
struct FenceComplete {
  std::uint64_t local_id = 0;
  std::int32_t status = kPmixSuccess;
  std::string data;  // empty unless the status is success
};
using FenceAction = std::variant<FenceSend, FenceComplete>;
using FenceActions = std::vector<FenceAction>;

// The bytes of all ranks of one fence, so that they fit into one frame with room for its envelope.
inline constexpr std::size_t kMaxFenceBytes = wire::kMaxPayloadBytes - (64 << 10);
inline constexpr std::size_t kMaxOpenFences = 1024;
inline constexpr std::size_t kMaxFenceSets = 1 << 16;  // different sets of ranks in a job's life
inline constexpr std::size_t kMaxHeldBytes = 4 * kMaxFenceBytes;  // of all open fences

class FenceTree {
 public:
  // `nodes[i]` are the ranks on node i; ranges do not overlap. Requires: self < nodes.size(),
  // fan_out >= 1.
  FenceTree(std::uint32_t self, std::vector<RankRange> nodes, std::uint32_t fan_out = 8);

  // Ranks that have come later, on that node; their numbers were nobody's before.
  void add_ranks(std::uint32_t node, RankRange ranks);

  // This node's ranks have arrived. Answered by a FenceComplete with the same id, now or later.
  [[nodiscard]] FenceActions on_local(const wire::PmixFence& message);
  // FenceUp and FenceDown; others are ignored, as is what belongs to no fence under way.
  [[nodiscard]] FenceActions on_peer(std::uint32_t from, const wire::Peer& message);
  // Every fence that it takes part in fails, under way or later.
  [[nodiscard]] FenceActions on_peer_lost(std::uint32_t node_index);

  // The node that `rank` is on; nullopt if there is no such rank.
  [[nodiscard]] std::optional<std::uint32_t> node_of(std::uint32_t rank) const;
  [[nodiscard]] std::size_t open_fences() const { return open_.size(); }

 private:
  struct Block {
    std::uint32_t node = 0;
    RankRange ranks;
  };
  struct Id {
    std::string signature;
    std::uint64_t counter = 0;
    friend auto operator<=>(const Id&, const Id&) = default;
  };
  struct Fence {
    bool here = false;  // our ranks have arrived: what follows is known only then
    std::uint64_t local_id = 0;
    std::string own_data;
    std::vector<std::uint32_t> nodes;  // participants, sorted
    std::size_t position = 0;          // ours among them
    bool sent_up = false;
    // What has come from neighbours, perhaps before our own ranks.
    std::map<std::uint32_t, std::string> up;  // by child: data of its whole subtree
    std::int32_t status = kPmixSuccess;       // the first failure
  };
  using Open = std::map<Id, Fence>;
  struct Participants {
    std::string signature;
    std::vector<std::uint32_t> nodes;  // sorted, ours among them
  };

  // nullopt if a rank does not exist or none of them is ours.
  [[nodiscard]] std::optional<Participants> participants(const wire::PmixFence& fence) const;
  [[nodiscard]] std::vector<std::uint32_t> children(const Fence& fence) const;
  [[nodiscard]] std::optional<std::uint32_t> parent(const Fence& fence) const;

  // The fence of a neighbour's message, opened if ours have not yet arrived; end() if it is over
  // here or a bound is reached.
  Open::iterator find_or_expect(const wire::FenceId& id);
  void on_up(std::uint32_t from, const wire::FenceUp& up, FenceActions& actions);
  void on_down(std::uint32_t from, const wire::FenceDown& down, FenceActions& actions);
  // Does what the state of the fence allows; a fence that ends is closed.
  void advance(Open::iterator entry, FenceActions& actions);
  void finish(Open::iterator entry, std::string data, FenceActions& actions);
  static void fail(Fence& fence, std::int32_t status);
  void hold(Fence& fence, std::string& place, const std::string& data);  // fails it at the bound
  void let_go(Fence& fence);

  std::uint32_t self_;
  std::uint32_t fan_out_;
  std::uint64_t total_ranks_ = 0;           // that the job began with: the "whole" of a fence
  std::vector<std::uint32_t> whole_nodes_;  // that have some of them, sorted
  std::vector<Block> blocks_;               // all ranks there are, sorted
  std::vector<bool> lost_;
  std::map<std::string, std::uint64_t> counters_;  // the next fence of our ranks, by signature
  Open open_;
  std::size_t held_bytes_ = 0;
};

}  // namespace gangway::executor
