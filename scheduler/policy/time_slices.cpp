#include "scheduler/policy/time_slices.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

// What a request gets of a node in one row.
struct TimeSlices::Seat {
  NodeIndex node = 0;
  std::vector<std::int32_t> shared;  // cores of gangs in other rows, those held longest first
  std::int64_t fresh = 0;            // cores that nobody has
  std::int64_t left = 0;             // cores of other rows that stay open in this one
};

void TimeSlices::set_queues(const std::vector<Queue>& queues) {
  for (auto& [name, queue] : queues_) queue.most_rows = 1;  // those that are there take turns on
  for (const Queue& queue : queues) {
    if (!queue.time_slicing) continue;
    queues_[queue.name].most_rows = static_cast<std::size_t>(queue.time_slicing->gangs);
  }
}

std::optional<Duration> TimeSlices::stretched(const QueueName& queue,
                                              std::optional<Duration> limit) const {
  const auto found = queues_.find(queue);
  if (found == queues_.end() || !limit) return limit;
  const auto rows = static_cast<std::int64_t>(found->second.most_rows);
  return *limit > kMaxDuration / rows ? kMaxDuration : *limit * rows;
}

const SliceMatrix* TimeSlices::find(const QueueName& queue) const {
  const auto found = queues_.find(queue);
  return found == queues_.end() ? nullptr : &found->second.matrix;
}

// ---- what is held ------------------------------------------------------------------------------

std::set<JobKey> TimeSlices::neighbours(const SlicedQueue& queue,
                                        const std::vector<NodeClaim>& claims) {
  std::set<JobKey> out;
  for (const NodeClaim& claim : claims) {
    if (const auto there = queue.on_node.find(claim.node); there != queue.on_node.end()) {
      out.insert(there->second.begin(), there->second.end());
    }
  }
  return out;
}

void TimeSlices::start(Profile& profile,
                       JobKey gang,
                       const QueueName& queue,
                       Time end_at,
                       std::vector<NodeClaim> claims) {
  SlicedQueue& sliced = queues_.at(queue);
  std::set<JobKey> changed;
  // It is not taken out first: it would lose its row.
  if (const auto known = gangs_.find(gang); known != gangs_.end()) {
    changed = neighbours(sliced, known->second.claims);
    leave_nodes(sliced, gang);
    profile.end(gang);
  }
  SliceMatrix::Cells cells;
  for (const NodeClaim& claim : claims) {
    cells.push_back({claim.node, claim.cores});
    sliced.on_node[claim.node].insert(gang);
  }
  sliced.matrix.put(gang, std::move(cells));
  changed.merge(neighbours(sliced, claims));
  changed.insert(gang);
  gangs_.insert_or_assign(gang, Gang{queue, end_at, std::move(claims), {}});
  tell(profile, sliced, changed);
}

void TimeSlices::leave_nodes(SlicedQueue& queue, JobKey gang) {
  for (const NodeClaim& claim : gangs_.at(gang).claims) {
    const auto there = queue.on_node.find(claim.node);
    if (there == queue.on_node.end()) continue;
    there->second.erase(gang);
    if (there->second.empty()) queue.on_node.erase(there);
  }
}

void TimeSlices::end(Profile& profile, JobKey gang) {
  const auto found = gangs_.find(gang);
  if (found == gangs_.end()) return;
  SlicedQueue& sliced = queues_.at(found->second.queue);
  sliced.matrix.take(gang);
  leave_nodes(sliced, gang);
  const std::set<JobKey> changed = neighbours(sliced, found->second.claims);
  profile.end(gang);
  gangs_.erase(found);
  tell(profile, sliced, changed);
}

// Its claims, without the cores that another is expected to hold longer.
std::vector<NodeClaim> TimeSlices::held_by(const SlicedQueue& queue, JobKey gang) const {
  const Gang& self = gangs_.at(gang);
  std::vector<NodeClaim> held = self.claims;
  for (NodeClaim& claim : held) {
    const SliceMatrix::Holders& there = queue.matrix.holders_on(claim.node);
    const auto is_anothers = [&](std::int32_t core) {
      return std::ranges::any_of(there.at(core), [&](const JobKey other) {
        return std::pair(gangs_.at(other).end, other) > std::pair(self.end, gang);
      });
    };
    claim.amounts.of[0] -= static_cast<std::int64_t>(std::erase_if(claim.cores, is_anothers));
  }
  return held;
}

void TimeSlices::tell(Profile& profile, const SlicedQueue& queue, const std::set<JobKey>& gangs) {
  const auto same = [](const NodeClaim& a, const NodeClaim& b) {
    return a.node == b.node && a.amounts == b.amounts && a.cores == b.cores;
  };
  std::vector<JobKey> changed;
  for (const JobKey key : gangs) {
    Gang& gang = gangs_.at(key);
    std::vector<NodeClaim> held = held_by(queue, key);
    if (profile.is_claimed_by(key) && std::ranges::equal(held, gang.held, same)) continue;
    profile.end(key);  // first all, so that no core is held twice in between
    gang.held = std::move(held);
    changed.push_back(key);
  }
  for (const JobKey key : changed) {
    const Gang& gang = gangs_.at(key);
    profile.start(key, gang.end, gang.held);
  }
}

// ---- where a new one may go --------------------------------------------------------------------

std::optional<TimeSlices::Placed> TimeSlices::place(const Profile& profile,
                                                    const Request& request,
                                                    Time now) const {
  for (const Request& choice : request.choices) {
    if (auto placed = place(profile, choice, now)) return placed;
  }
  if (!request.choices.empty()) return std::nullopt;
  const auto found = queues_.find(request.queue);
  if (found == queues_.end()) return std::nullopt;
  const SlicedQueue& queue = found->second;
  const std::size_t rows = std::min(queue.matrix.rows().size() + 1, queue.most_rows);
  for (std::size_t row = 0; row < rows; ++row) {
    if (auto placed = place_in_row(profile, request, now, queue, row)) return placed;
  }
  return std::nullopt;
}

std::optional<TimeSlices::Placed> TimeSlices::place_in_row(const Profile& profile,
                                                           const Request& request,
                                                           Time now,
                                                           const SlicedQueue& queue,
                                                           std::size_t row) const {
  const auto number = profile.find_queue(request.queue);
  if (!number) return std::nullopt;
  const Time end = end_of(now, request.limit);
  std::vector<GangPart> parts(request.parts.size());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const RequestPart& part = request.parts[p];
    parts[p].nodes = part.nodes;
    std::vector<Seat> seats;
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (!profile.may_serve(node, *number, part)) continue;
      auto seat = seat_on(profile, queue, row, node, profile.amounts_of(node, part), now, end);
      if (seat) seats.push_back(*std::move(seat));
    }
    // Best fit: what this row leaves open is taken before what stands open in all rows, and small
    // holes before large ones.
    std::ranges::sort(seats, [&](const Seat& a, const Seat& b) {
      const std::uint32_t rank_a = profile.rank_of(a.node);
      const std::uint32_t rank_b = profile.rank_of(b.node);
      return std::tie(a.fresh, a.left, rank_a) < std::tie(b.fresh, b.left, rank_b);
    });
    for (const Seat& seat : seats) parts[p].options.push_back(seat.node);
  }
  std::optional<Placement> placement = assign_gang(parts);
  if (!placement) return std::nullopt;
  for (auto& nodes : *placement) {
    std::ranges::sort(nodes, {}, [&](NodeIndex node) { return profile.rank_of(node); });
  }
  std::vector<NodeClaim> claims =
      gangway::scheduler::claims_of(profile, request, *placement, false);
  std::size_t next = 0;
  for (std::size_t p = 0; p < placement->size(); ++p) {
    const RequestPart& part = request.parts[p];
    for (std::size_t i = 0; i < (*placement)[p].size(); ++i) {
      NodeClaim& claim = claims[next++];
      if (!part.exclusive && part.cores_per_node == 0) {
        claim.amounts.of[0] = std::int64_t{part.tasks_on(i)} * part.cpus_per_task;
      }
      const auto seat = seat_on(profile, queue, row, claim.node, claim.amounts, now, end);
      CHECK(seat.has_value());
      claim.cores = profile.free_cores_of(claim.node).choose(seat->fresh);
      claim.cores.insert(claim.cores.end(), seat->shared.begin(), seat->shared.end());
      std::ranges::sort(claim.cores);
    }
  }
  return Placed{*std::move(placement), std::move(claims)};
}

std::optional<TimeSlices::Seat> TimeSlices::seat_on(const Profile& profile,
                                                    const SlicedQueue& queue,
                                                    std::size_t row,
                                                    NodeIndex node,
                                                    const Amounts& wanted,
                                                    Time now,
                                                    Time end) const {
  // Cores that other rows hold, with the time until which the profile counts them as held.
  std::vector<std::pair<Time, std::int32_t>> open;
  for (const auto& [core, holders] : queue.matrix.holders_on(node)) {
    if (row < queue.matrix.rows().size() && queue.matrix.is_used(row, node, core)) continue;
    Time until = now + kOverrun;
    for (const JobKey holder : holders) until = std::max(until, gangs_.at(holder).end);
    open.emplace_back(until, core);
  }
  std::ranges::sort(open, [](const auto& a, const auto& b) {
    return std::tie(b.first, a.second) < std::tie(a.first, b.second);
  });
  Seat seat{.node = node, .shared = {}, .fresh = 0, .left = 0};
  const auto count = std::min(open.size(), static_cast<std::size_t>(wanted.cores()));
  seat.fresh = wanted.cores() - static_cast<std::int64_t>(count);
  seat.left = static_cast<std::int64_t>(open.size() - count);

  // When those who hold a shared core leave, the newcomer holds it alone: that must be in nobody's
  // way, a reservation's for example.
  const Timeline& timeline = profile.timeline_of(node);
  Amounts takes = wanted;
  takes.of[0] = seat.fresh;
  if (!timeline.fits(takes, now, end)) return std::nullopt;
  for (std::size_t i = count; i-- > 0;) {
    const auto& [until, core] = open[i];
    seat.shared.push_back(core);
    ++takes.of[0];
    if (until < end && !timeline.fits(takes, until, end)) return std::nullopt;
  }
  return seat;
}

}  // namespace gangway::scheduler
