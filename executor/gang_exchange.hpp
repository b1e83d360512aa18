// GangExchange: what one node's PMIx server and the other shepherds of the gang say to each other,
// as a function from what was heard to what to say. Fences go through the FenceTree; a request for
// one rank's data (direct modex) goes to the shepherd of that rank's node and its answer comes
// back; names, events, signals and spawned ranks are the JobExchange's.
//
// Sans-I/O. The PMIx server is not trusted: ranks out of range are refused, and what waits is
// bounded. Messages to a peer may wait for its connection; they arrive in order or the peer is
// lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "executor/fence_tree.hpp"
#include "executor/job_exchange.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

class GangExchange {
 public:
  // `nodes[i]` is node i, and `self` this one.
  GangExchange(std::uint32_t self, std::vector<ExchangeNode> nodes);
  GangExchange(const GangExchange&) = delete;  // its parts refer to each other
  GangExchange& operator=(const GangExchange&) = delete;

  // A fence, a modex question or a modex answer of this node's server; others are ignored.
  [[nodiscard]] ExchangeActions on_pmix(const wire::FromPmix& message);
  [[nodiscard]] ExchangeActions on_peer(std::uint32_t from, const wire::Peer& message);
  // The shepherd of that node is gone: fences with it and questions to it fail.
  [[nodiscard]] ExchangeActions on_peer_lost(std::uint32_t node_index);

 private:
  struct Question {
    std::uint32_t node = 0;  // who is asked (asked_), or has asked (served_)
    std::uint64_t id = 0;    // the asking server's number
  };
  void tell(FenceActions from, ExchangeActions& actions);
  void ask(const wire::PmixModexAsk& question, ExchangeActions& actions);
  void serve(std::uint32_t from, const wire::ModexAsk& question, ExchangeActions& actions);

  std::uint32_t self_;
  std::vector<bool> lost_;  // by node
  FenceTree fences_;
  JobExchange job_;
  std::map<std::uint64_t, Question> asked_;   // by our server's number
  std::map<std::uint64_t, Question> served_;  // by the number we gave to our server
  std::uint64_t next_served_ = 1;
};

// Questions under way, of each direction.
inline constexpr std::size_t kMaxOpenModex = 1 << 16;

}  // namespace gangway::executor
