// Placement: on which nodes a request goes, now or at a moment of the future.
//
// Now: best fit, so that large holes stay for large jobs. In the future: nodes that are busy now
// are taken first, so that those free now stay open for backfilling. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "scheduler/policy/gang.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

// For each part of the request its nodes, in the order of their names.
using Placement = std::vector<std::vector<NodeIndex>>;

// Nodes on which the request can start now and run to its end.
struct PlacedNow {
  std::optional<Placement> placement;
  bool only_reservations_forbid = false;  // enough would be free now, but for a reservation
  std::size_t nodes =
      0;  // of a request with one part that finds no placement: so many could run it
};
[[nodiscard]] PlacedNow place_now(const Profile& profile, const Request& request, Time now);

// The same, but nodes with `is_last` are taken last.
using NodeSet = std::vector<bool>;  // by NodeIndex
[[nodiscard]] std::optional<Placement> place_now_avoiding(const Profile& profile,
                                                          const Request& request,
                                                          Time now,
                                                          const NodeSet& is_last);

// Nodes on which it could start now if nothing were reserved; those with `is_last` are taken last.
[[nodiscard]] std::optional<Placement> place_now_in_the_way(const Profile& profile,
                                                            const Request& request,
                                                            const NodeSet& is_last);

// Nodes on which it can start at `at`, a later moment.
[[nodiscard]] std::optional<Placement> place_at(const Profile& profile,
                                                const Request& request,
                                                Time at);

// The same among nodes of which it is known that they are free for it, those of each part.
[[nodiscard]] std::optional<Placement> place_among(const Profile& profile,
                                                   const Request& request,
                                                   Time at,
                                                   const std::vector<std::vector<NodeIndex>>& open);

// The earliest moment, `after` or later, at which it can start, and where. nullopt: the usable
// nodes of its queue would not suffice if all were free, or something holds them for ever. Looks at
// nodes that may be free for it before that moment (outlook.hpp). `after` never goes back.
struct EarliestPlacement {
  Time at;
  Placement placement;
};
[[nodiscard]] std::optional<EarliestPlacement> place_earliest(const Profile& profile,
                                                              const Request& request,
                                                              Time after);

// Whether the nodes would suffice if all were free; `even_unusable` counts those that are down too.
[[nodiscard]] bool would_fit_empty(const Profile& profile,
                                   const Request& request,
                                   bool even_unusable);

// What the placement holds: of each node what its tasks need, with concrete cores if it starts now.
[[nodiscard]] std::vector<NodeClaim> claims_of(const Profile& profile,
                                               const Request& request,
                                               const Placement& placement,
                                               bool starts_now);

// What a job that runs holds.
[[nodiscard]] std::vector<NodeClaim> claims_of(Profile& profile, const Allocation& allocation);

// The allocation in rank order: parts as they were asked, nodes by name, blocks of ranks.
[[nodiscard]] Allocation make_allocation(const Profile& profile,
                                         const Request& request,
                                         const Placement& placement,
                                         const std::vector<NodeClaim>& claims);

}  // namespace gangway::scheduler
