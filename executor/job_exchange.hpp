// JobExchange: what the ranks of a job ask of it beyond fences, and how the shepherds of its nodes
// answer together: names that one rank publishes and others look up, events, signals to ranks of
// other nodes, and ranks that are spawned while the job runs.
//
// The first node keeps the names and places new ranks. Ranks are numbered through the job; those of
// a spawn (a world) follow those that are there. A world is made known to all nodes, and started
// when all have said that they know it, so that whoever is spawned can be found. It goes to the
// nodes with the most free cores; nodes that have none left take more than they have, in turn.
// Events are handed on along a tree that begins where they come from, so that no node has to tell
// more than a few.
//
// Sans-I/O, as GangExchange, of which it is a part. Servers are not trusted: what is kept is
// bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "executor/fence_tree.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

namespace exchange_action {
struct TellPeer {
  std::uint32_t node_index = 0;
  wire::Peer message;
};
struct TellPmix {
  wire::ToPmix message;
};
// Ranks of this node.
struct SignalRanks {
  bool all = false;
  std::vector<std::uint32_t> ranks;
  int number = 0;
};
struct StartRanks {
  wire::PmixWorld world;
  std::vector<wire::RankEnv> ranks;  // of this node, by their numbers in the job
};
}  // namespace exchange_action
using ExchangeAction = std::variant<exchange_action::TellPeer,
                                    exchange_action::TellPmix,
                                    exchange_action::SignalRanks,
                                    exchange_action::StartRanks>;
using ExchangeActions = std::vector<ExchangeAction>;

// What the exchange has to know of each node.
struct ExchangeNode {
  std::string name;
  RankRange ranks;
  std::uint32_t cores = 0;
};

inline constexpr std::size_t kMaxNames = 1 << 16;
inline constexpr std::size_t kMaxNameBytes = std::size_t{64} << 20;  // of all names and values
inline constexpr std::size_t kMaxWaitingLookups = 1 << 16;
inline constexpr std::size_t kMaxWaitingBytes = std::size_t{16} << 20;  // of lookups that wait
inline constexpr std::uint32_t kMaxWorlds = 1 << 12;                    // in a job's life
inline constexpr std::uint32_t kMaxRanksOfWorld = 1 << 16;
inline constexpr std::size_t kMaxWorldBytes = std::size_t{16} << 20;  // of worlds not started yet

class JobExchange {
 public:
  // `fences` learns of new ranks, and outlives this. Requires: self < nodes.size().
  JobExchange(std::uint32_t self, std::vector<ExchangeNode> nodes, FenceTree& fences);

  // Of this node's server; false: it is of no kind that is handled here.
  bool on_pmix(const wire::FromPmix& message, ExchangeActions& actions);
  bool on_peer(std::uint32_t from, const wire::Peer& message, ExchangeActions& actions);
  void on_peer_lost(std::uint32_t node, ExchangeActions& actions);

 private:
  struct Name {
    std::string value;
    std::uint32_t rank = 0;
    bool once = false;
  };
  struct World {
    wire::PmixWorld world;
    // At the first node:
    std::uint32_t asker = 0;
    std::uint64_t asker_id = 0;
    std::set<std::uint32_t> waiting_for;  // nodes that have not said that they know it
    // Everywhere:
    std::vector<wire::RankEnv> environments;
    std::size_t bytes = 0;  // of `world` and `environments`, as counted
    bool started = false;
  };

  void tell(std::uint32_t node, wire::Peer message, ExchangeActions& actions);
  void tell_all(const wire::Peer& message, ExchangeActions& actions);

  void names(const wire::PmixNames& names, ExchangeActions& actions);
  std::int32_t publish(const wire::PmixNames& names);
  bool look_up(const wire::PmixNames& names, ExchangeActions& actions);  // false: it waits
  void answer_names(const wire::PmixNames& names,
                    wire::PmixNamesDone done,
                    ExchangeActions& actions);

  void hand_on(const wire::PmixEvent& event, ExchangeActions& actions);
  void control(const wire::PmixControl& control, ExchangeActions& actions);

  void spawn(const wire::PmixSpawn& spawn, ExchangeActions& actions);
  std::int32_t place(const wire::PmixSpawn& spawn, wire::PmixWorld& world);
  void know(const wire::PmixWorld& world, ExchangeActions& actions);
  void ready_here(const wire::PmixWorldReady& ready, ExchangeActions& actions);
  [[nodiscard]] bool are_of_this_node(const wire::PmixWorldReady& ready, const World& world) const;
  void known(std::uint32_t from, const wire::PmixWorldReady& ready, ExchangeActions& actions);
  void say_ready(std::uint32_t first, std::int32_t status, ExchangeActions& actions);
  void forget(World& world);
  void go(std::uint32_t first, ExchangeActions& actions);
  void answer_spawn(std::uint32_t asker,
                    std::uint64_t id,
                    std::int32_t status,
                    std::uint32_t first,
                    std::uint32_t count,
                    ExchangeActions& actions);

  std::uint32_t self_;
  std::vector<ExchangeNode> nodes_;
  FenceTree& fences_;
  std::vector<bool> lost_;

  std::map<std::string, Name> names_;  // at the first node
  std::size_t name_bytes_ = 0;
  std::deque<wire::PmixNames> lookups_;  // that wait
  std::size_t lookup_bytes_ = 0;

  std::vector<std::uint32_t> running_;  // ranks by node, as the first node has placed them
  std::uint32_t next_rank_ = 0;
  std::map<std::uint32_t, World> worlds_;  // by their first rank
  std::size_t world_bytes_ = 0;
};

// The last part of a world's name space, after the job's own: "+8+2" of ranks 8 and 9. From the
// name alone a server knows which ranks of the job its ranks are.
[[nodiscard]] std::string world_suffix(std::uint32_t first, std::uint32_t count);

}  // namespace gangway::executor
