// Shadow: where the only job with a reservation could run at its time: the nodes that it has, and
// those to spare. With it a job that would stand in its way is let pass or not by what it takes,
// without planning the reserved job anew.
//
// On equal nodes that are given as a whole this is the rule of extra nodes of EASY backfilling
// (backfill.hpp). A reserved job that is displaced from some of its nodes keeps the others, and in
// their place gets those to spare that are busy now, as in placement.hpp.
//
// Pure; the caller tells it every start and keeps `profile` as it says.
#pragma once

#include <cstddef>
#include <vector>

#include "queues/base/time.hpp"
#include "scheduler/policy/backfill.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/profile.hpp"

namespace gangway::scheduler {

class Shadow {
 public:
  // Those of gangs of unlike components, whose nodes are not exchanged one for one, are not.
  [[nodiscard]] static bool is_known_of(const Request& request) {
    return request.choices.empty() && request.parts.size() == 1;
  }
  // Looks at each node once. Requires: is_known_of(its request), and it is the only reservation.
  Shadow(const Profile& profile, const Reserved& reserved);

  [[nodiscard]] const NodeSet& nodes() const { return has_; }
  [[nodiscard]] Placement placement() const;
  // Of the nodes that the reserved job could have, those that it could not if a job held `claims`
  // from now to `end`; these are not held yet.
  [[nodiscard]] std::vector<NodeIndex> lost_to(const std::vector<NodeClaim>& claims,
                                               Time end) const;
  [[nodiscard]] bool can_lose(const std::vector<NodeIndex>& lost) const {
    return spare() >= lost.size();
  }
  // So many nodes more than it wants. Who starts on nodes that it has, and cannot run there beside
  // it, costs it one for each.
  [[nodiscard]] std::size_t spare() const { return could_have_ - wanted_; }

  // A job has started beside the reservation.
  void on_started(const std::vector<NodeClaim>& claims);
  // One has started in its way: the nodes are gone. Says which ones the reserved job gets for those
  // of them that it had. Requires: can_lose(lost).
  [[nodiscard]] std::vector<NodeIndex> on_lost(const std::vector<NodeIndex>& lost);

 private:
  [[nodiscard]] bool is_open(NodeIndex node) const;
  void give_up(NodeIndex node);

  const Profile& profile_;
  const RequestPart& part_;
  Time start_;
  Time end_;
  NodeSet has_;
  NodeSet could_be_on_;  // those it has, too
  std::size_t could_have_ = 0;
  std::size_t wanted_ = 0;
};

}  // namespace gangway::scheduler
