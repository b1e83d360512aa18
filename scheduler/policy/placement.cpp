#include "scheduler/policy/placement.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

namespace {

std::vector<GangPart> empty_parts(const Request& request) {
  std::vector<GangPart> parts(request.parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i].nodes = request.parts[i].nodes;
  return parts;
}

std::optional<Placement> in_order_of_names(const Profile& profile,
                                           std::optional<Placement> placement) {
  if (!placement) return placement;
  for (auto& nodes : *placement) {
    std::sort(nodes.begin(), nodes.end(),
              [&](NodeIndex a, NodeIndex b) { return profile.rank_of(a) < profile.rank_of(b); });
  }
  return placement;
}

// Nodes whose timelines are on their way from memory while those before are looked at.
class NextNodes {
 public:
  explicit NextNodes(const Profile& profile) : profile_(profile) {}
  // The one that came kLength before, if so many have come.
  std::optional<NodeIndex> push(NodeIndex node) {
    profile_.timeline_of(node).prefetch();
    const auto due = count_ - first_ == kLength ? pop() : std::nullopt;
    nodes_[count_++ % kLength] = node;
    return due;
  }
  std::optional<NodeIndex> pop() {
    if (first_ == count_) return std::nullopt;
    return nodes_[first_++ % kLength];
  }

 private:
  static constexpr std::size_t kLength = 8;
  const Profile& profile_;
  std::array<NodeIndex, kLength> nodes_{};
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

// For each part the nodes on which it is free now and `runs_on(node, part)` says that it may run to
// its end, best fit first, those with `is_last` last. nullopt: too few of some part.
// `found`: how many there are of the part that was looked at last, and whether there are more that
// are free now, and with them enough of each part.
template <typename RunsOn>
std::optional<std::vector<GangPart>> options_now(const Profile& profile,
                                                 const Request& request,
                                                 const NodeSet* is_last,
                                                 RunsOn runs_on,
                                                 PlacedNow* found = nullptr) {
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return std::nullopt;
  // More than this many options of a part never matter: at most so many less one can be taken by
  // the others.
  const std::size_t enough = request.total_nodes();
  std::vector<GangPart> parts = empty_parts(request);
  std::vector<NodeIndex> last;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const RequestPart& part = request.parts[p];
    std::vector<NodeIndex>& options = parts[p].options;
    last.clear();
    std::size_t reserved = 0;  // nodes that are free now and not long enough
    // Says whether more are looked for.
    const auto look_at = [&](NodeIndex node) {
      // What is free of it is enough, so all of it is.
      if (!profile.is_admitted(node, *queue, part)) return true;
      if (!runs_on(node, part)) {
        ++reserved;
      } else if (is_last == nullptr || !(*is_last)[node]) {
        options.push_back(node);
      } else if (last.size() < enough) {
        last.push_back(node);
      }
      return options.size() < enough;
    };
    NextNodes next(profile);
    profile.visit_by_best_fit(part, [&](NodeIndex node) {
      const auto due = next.push(node);
      return !due || look_at(*due);
    });
    while (options.size() < enough) {
      const auto due = next.pop();
      if (!due) break;
      look_at(*due);
    }
    for (const NodeIndex node : last) {
      if (options.size() == enough) break;
      options.push_back(node);
    }
    if (found != nullptr) found->nodes = options.size();
    if (options.size() + reserved < static_cast<std::size_t>(part.nodes)) return std::nullopt;
    if (found != nullptr) found->only_reservations_forbid |= reserved > 0;
  }
  return parts;
}

}  // namespace

PlacedNow place_now(const Profile& profile, const Request& request, Time now) {
  if (!request.choices.empty()) {
    PlacedNow none;
    for (const Request& choice : request.choices) {
      PlacedNow placed = place_now(profile, choice, now);
      if (placed.placement) return placed;
      none.only_reservations_forbid |= placed.only_reservations_forbid;
    }
    return none;
  }
  PlacedNow found;
  const Time end = end_of(now, request.limit);
  auto parts = options_now(
      profile, request, nullptr,
      [&](NodeIndex node, const RequestPart& part) {
        return !profile.is_reserved(node) || profile.is_free(node, part, now, end);
      },
      &found);
  if (!parts) return {.placement = std::nullopt, .nodes = found.nodes};
  found.placement = in_order_of_names(profile, assign_gang(*parts));
  if (found.placement) found.only_reservations_forbid = false;
  return found;
}

std::optional<Placement> place_now_avoiding(const Profile& profile,
                                            const Request& request,
                                            Time now,
                                            const NodeSet& is_last) {
  for (const Request& choice : request.choices) {
    if (auto placement = place_now_avoiding(profile, choice, now, is_last)) return placement;
  }
  if (!request.choices.empty()) return std::nullopt;
  const Time end = end_of(now, request.limit);
  const auto parts =
      options_now(profile, request, &is_last, [&](NodeIndex node, const RequestPart& part) {
        return !profile.is_reserved(node) || profile.is_free(node, part, now, end);
      });
  if (!parts) return std::nullopt;
  return in_order_of_names(profile, assign_gang(*parts));
}

std::optional<Placement> place_now_in_the_way(const Profile& profile,
                                              const Request& request,
                                              const NodeSet& is_last) {
  for (const Request& choice : request.choices) {
    if (auto placement = place_now_in_the_way(profile, choice, is_last)) return placement;
  }
  if (!request.choices.empty()) return std::nullopt;
  const auto parts =
      options_now(profile, request, &is_last, [](NodeIndex, const RequestPart&) { return true; });
  if (!parts) return std::nullopt;
  return in_order_of_names(profile, assign_gang(*parts));
}

std::optional<Placement> place_at(const Profile& profile, const Request& request, Time at) {
  for (const Request& choice : request.choices) {
    if (auto placement = place_at(profile, choice, at)) return placement;
  }
  if (!request.choices.empty()) return std::nullopt;
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return std::nullopt;
  const Time end = end_of(at, request.limit);
  std::vector<std::vector<NodeIndex>> open(request.parts.size());
  for (std::size_t p = 0; p < open.size(); ++p) {
    const RequestPart& part = request.parts[p];
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (!profile.may_serve(node, *queue, part)) continue;
      if (profile.is_free(node, part, at, end)) open[p].push_back(node);
    }
  }
  return place_among(profile, request, at, open);
}

std::optional<Placement> place_among(const Profile& profile,
                                     const Request& request,
                                     Time at,
                                     const std::vector<std::vector<NodeIndex>>& open) {
  std::vector<GangPart> parts = empty_parts(request);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const RequestPart& part = request.parts[p];
    struct Option {
      bool free_now;
      std::int64_t cores_left;
      std::uint32_t rank;
      NodeIndex node;
    };
    std::vector<Option> options;
    options.reserve(open[p].size());
    for (const NodeIndex node : open[p]) {
      options.push_back({profile.is_free_now(node, part), profile.timeline_of(node).cores_at(at),
                         profile.rank_of(node), node});
    }
    std::sort(options.begin(), options.end(), [](const Option& a, const Option& b) {
      return std::tie(a.free_now, a.cores_left, a.rank) <
             std::tie(b.free_now, b.cores_left, b.rank);
    });
    for (const Option& option : options) parts[p].options.push_back(option.node);
  }
  return in_order_of_names(profile, assign_gang(parts));
}

bool would_fit_empty(const Profile& profile, const Request& request, bool even_unusable) {
  if (!request.choices.empty()) {
    return std::ranges::any_of(request.choices, [&](const Request& choice) {
      return would_fit_empty(profile, choice, even_unusable);
    });
  }
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return false;
  const std::size_t enough = request.total_nodes();
  std::vector<GangPart> parts = empty_parts(request);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (parts[p].options.size() == enough) break;
      if (profile.may_serve(node, *queue, request.parts[p], even_unusable)) {
        parts[p].options.push_back(node);
      }
    }
  }
  return assign_gang(parts).has_value();
}

std::vector<NodeClaim> claims_of(const Profile& profile,
                                 const Request& request,
                                 const Placement& placement,
                                 bool starts_now) {
  std::vector<NodeClaim> claims;
  claims.reserve(request.total_nodes());
  for (std::size_t p = 0; p < placement.size(); ++p) {
    const RequestPart& part = request.parts[p];
    for (std::size_t i = 0; i < placement[p].size(); ++i) {
      NodeClaim claim;
      claim.node = placement[p][i];
      claim.amounts = profile.amounts_of(claim.node, part);
      if (starts_now) {
        // A node with fewer tasks than the fullest gets fewer cores. A reservation keeps room for
        // the fullest on each, because only at the start the tasks are dealt out.
        if (!part.exclusive && part.cores_per_node == 0) {
          claim.amounts.of[0] = std::int64_t{part.tasks_on(i)} * part.cpus_per_task;
        }
        claim.cores = profile.free_cores_of(claim.node).choose(claim.amounts.cores());
      }
      claims.push_back(std::move(claim));
    }
  }
  return claims;
}

std::vector<NodeClaim> claims_of(Profile& profile, const Allocation& allocation) {
  std::vector<NodeClaim> claims;
  claims.reserve(allocation.shares.size());
  for (const NodeShare& share : allocation.shares) {
    claims.push_back({.node = profile.index_of(share.node),
                      .amounts = profile.kinds().of_node(share.resources),
                      .cores = share.cores});
  }
  return claims;
}

Allocation make_allocation(const Profile& profile,
                           const Request& request,
                           const Placement& placement,
                           const std::vector<NodeClaim>& claims) {
  Allocation allocation;
  std::size_t next = 0;
  std::int32_t first_task = 0;
  for (std::size_t p = 0; p < placement.size(); ++p) {
    for (std::size_t i = 0; i < placement[p].size(); ++i) {
      const NodeClaim& claim = claims[next++];
      const std::int32_t tasks = request.parts[p].tasks_on(i);
      allocation.shares.push_back({.component = request.parts[p].component,
                                   .node = profile.name_of(claim.node),
                                   .resources = profile.kinds().to_resources(claim.amounts),
                                   .cores = claim.cores,
                                   .first_task = first_task,
                                   .tasks = tasks});
      first_task += tasks;
    }
  }
  CHECK(next == claims.size());
  return allocation;
}

}  // namespace gangway::scheduler
