#include "scheduler/policy/shadow.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

Shadow::Shadow(const Profile& profile, const Reserved& reserved)
    : profile_(profile),
      part_(reserved.request->parts.front()),
      start_(reserved.start),
      end_(end_of(reserved.start, reserved.request->limit)),
      has_(profile.node_count(), false),
      could_be_on_(profile.node_count(), false),
      wanted_(reserved.placement.front().size()) {
  for (const NodeIndex node : reserved.placement.front()) has_[node] = true;
  const auto queue = profile.find_queue(reserved.request->queue);
  CHECK(queue);
  for (NodeIndex node = 0; node < profile.node_count(); ++node) {
    if (!has_[node] && !(profile.may_serve(node, *queue, part_) && is_open(node))) continue;
    could_be_on_[node] = true;
    ++could_have_;
  }
}

bool Shadow::is_open(NodeIndex node) const { return profile_.is_free(node, part_, start_, end_); }

std::vector<NodeIndex> Shadow::lost_to(const std::vector<NodeClaim>& claims, Time end) const {
  std::vector<NodeIndex> lost;
  if (end <= start_) return lost;  // it is gone before
  for (const NodeClaim& claim : claims) {
    if (!could_be_on_[claim.node]) continue;
    Amounts together = claim.amounts;
    if (!has_[claim.node]) together += profile_.amounts_of(claim.node, part_);
    const Timeline& timeline = profile_.timeline_of(claim.node);
    if (!timeline.fits(together, start_, std::min(end, end_))) lost.push_back(claim.node);
  }
  return lost;
}

void Shadow::give_up(NodeIndex node) {
  if (!could_be_on_[node]) return;
  could_be_on_[node] = false;
  --could_have_;
}

void Shadow::on_started(const std::vector<NodeClaim>& claims) {
  for (const NodeClaim& claim : claims) {
    if (could_be_on_[claim.node] && !has_[claim.node] && !is_open(claim.node)) give_up(claim.node);
  }
}

std::vector<NodeIndex> Shadow::on_lost(const std::vector<NodeIndex>& lost) {
  std::size_t missing = 0;
  for (const NodeIndex node : lost) {
    give_up(node);
    if (has_[node]) ++missing;
    has_[node] = false;
  }
  std::vector<NodeIndex> spare;
  if (missing == 0) return spare;
  for (NodeIndex node = 0; node < profile_.node_count(); ++node) {
    if (could_be_on_[node] && !has_[node]) spare.push_back(node);
  }
  const auto busy_first = [&](NodeIndex node) {
    return std::tuple(profile_.is_free_now(node, part_),
                      profile_.timeline_of(node).cores_at(start_), profile_.rank_of(node));
  };
  std::partial_sort(spare.begin(), spare.begin() + static_cast<std::ptrdiff_t>(missing),
                    spare.end(),
                    [&](NodeIndex a, NodeIndex b) { return busy_first(a) < busy_first(b); });
  spare.resize(missing);
  for (const NodeIndex node : spare) has_[node] = true;
  return spare;
}

Placement Shadow::placement() const {
  Placement out(1);
  for (NodeIndex node = 0; node < profile_.node_count(); ++node) {
    if (has_[node]) out.front().push_back(node);
  }
  std::ranges::sort(out.front(), {}, [&](NodeIndex node) { return profile_.rank_of(node); });
  return out;
}

}  // namespace gangway::scheduler
