#include "scheduler/policy/placement.hpp"

#include <algorithm>
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

// Tasks of the i-th node of a part: blocks that differ by one at most, the larger ones first.
std::int32_t tasks_on(const RequestPart& part, std::size_t i) {
  const std::int32_t base = part.tasks / part.nodes;
  return base + (static_cast<std::int32_t>(i) < part.tasks % part.nodes ? 1 : 0);
}

// Which nodes could serve each part at the moment of the walk.
class FitTable {
 public:
  FitTable(const Profile& profile, const Request& request, Profile::QueueNumber queue, Time now)
      : profile_(profile), request_(request), now_(now), parts_(request.parts.size()) {
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      parts_[p].fits.assign(profile.node_count(), Answer::Never);
      for (NodeIndex node = 0; node < profile.node_count(); ++node) {
        if (!profile.may_serve(node, queue, request.parts[p])) continue;
        parts_[p].fits[node] = Answer::No;
        look_again(p, node, now);
      }
    }
  }

  void look_again(NodeIndex node, Time at) {
    for (std::size_t p = 0; p < parts_.size(); ++p) look_again(p, node, at);
  }

  // Necessary, and for a single part sufficient: each part alone finds its nodes.
  [[nodiscard]] bool may_suffice() const {
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      if (parts_[p].count < request_.parts[p].nodes) return false;
    }
    return true;
  }

 private:
  enum class Answer : std::uint8_t { Never, No, Yes };
  struct Part {
    std::vector<Answer> fits;
    std::int32_t count = 0;
  };

  void look_again(std::size_t p, NodeIndex node, Time at) {
    Answer& answer = parts_[p].fits[node];
    if (answer == Answer::Never) return;
    const bool fits =
        profile_.is_free(node, request_.parts[p], at, end_of(at, request_.limit), now_);
    if (fits == (answer == Answer::Yes)) return;
    answer = fits ? Answer::Yes : Answer::No;
    parts_[p].count += fits ? 1 : -1;
  }

  const Profile& profile_;
  const Request& request_;
  Time now_;
  std::vector<Part> parts_;
};

}  // namespace

std::optional<Placement> place_now(const Profile& profile,
                                   const Request& request,
                                   Time now,
                                   const std::set<NodeIndex>& avoid) {
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return std::nullopt;
  const Time end = end_of(now, request.limit);
  // More than this many options of a part never matter: at most so many less one can be taken by
  // the others.
  const std::size_t enough = request.total_nodes();
  std::vector<GangPart> parts = empty_parts(request);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const RequestPart& part = request.parts[p];
    std::vector<NodeIndex> last;
    profile.visit_by_best_fit(part.per_node.cores(), [&](NodeIndex node) {
      if (!profile.may_serve(node, *queue, part)) return true;
      if (!profile.is_free(node, part, now, end, now)) return true;
      (avoid.contains(node) ? last : parts[p].options).push_back(node);
      return parts[p].options.size() < enough;
    });
    for (const NodeIndex node : last) {
      if (parts[p].options.size() == enough) break;
      parts[p].options.push_back(node);
    }
    if (parts[p].options.size() < static_cast<std::size_t>(part.nodes)) return std::nullopt;
  }
  return in_order_of_names(profile, assign_gang(parts));
}

std::optional<Placement> place_at(const Profile& profile,
                                  const Request& request,
                                  Time at,
                                  Time now) {
  const auto queue = profile.find_queue(request.queue);
  if (!queue) return std::nullopt;
  const Time end = end_of(at, request.limit);
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
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (!profile.may_serve(node, *queue, part)) continue;
      if (!profile.is_free(node, part, at, end, now)) continue;
      options.push_back({fits_in(profile.wanted_of(node, part), profile.free_at(node, now, now)),
                         profile.free_at(node, at, now).cores(), profile.rank_of(node), node});
    }
    std::sort(options.begin(), options.end(), [](const Option& a, const Option& b) {
      return std::tie(a.free_now, a.cores_left, a.rank) <
             std::tie(b.free_now, b.cores_left, b.rank);
    });
    for (const Option& option : options) parts[p].options.push_back(option.node);
  }
  return in_order_of_names(profile, assign_gang(parts));
}

std::optional<EarliestPlacement> place_earliest(const Profile& profile,
                                                const Request& request,
                                                Time now) {
  const auto queue = profile.find_queue(request.queue);
  if (!queue || !would_fit_empty(profile, request, false)) return std::nullopt;
  FitTable table(profile, request, *queue, now);
  std::vector<NodeIndex> with_reservations;  // what fits there depends on the window as it moves
  for (NodeIndex node = 0; node < profile.node_count(); ++node) {
    if (profile.is_reserved(node)) with_reservations.push_back(node);
  }
  const std::vector<Profile::End> ends = profile.ends_after(now);
  for (std::size_t i = 0; i < ends.size();) {
    const Time at = ends[i].at;
    if (at == Time::infinity()) break;
    // What ends together is free together.
    std::vector<NodeIndex> touched = with_reservations;
    for (; i < ends.size() && ends[i].at == at; ++i) {
      for (const NodeClaim& claim : profile.claims_of(ends[i].key)) touched.push_back(claim.node);
    }
    for (const NodeIndex node : touched) table.look_again(node, at);
    if (!table.may_suffice()) continue;
    if (auto placement = place_at(profile, request, at, now)) {
      return EarliestPlacement{at, *std::move(placement)};
    }
  }
  return std::nullopt;
}

bool would_fit_empty(const Profile& profile, const Request& request, bool even_unusable) {
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
      claim.amounts = profile.wanted_of(claim.node, part);
      if (starts_now) {
        // A node with fewer tasks than the fullest gets fewer cores. A reservation keeps room for
        // the fullest on each, because only at the start the tasks are dealt out.
        if (!part.exclusive) {
          claim.amounts.of[0] = std::int64_t{tasks_on(part, i)} * part.cpus_per_task;
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
      const std::int32_t tasks = tasks_on(request.parts[p], i);
      allocation.shares.push_back({.component = static_cast<std::uint32_t>(p),
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
