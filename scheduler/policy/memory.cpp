#include "scheduler/policy/memory.hpp"

#include <algorithm>
#include <iterator>

namespace gangway::scheduler {

namespace {

// With so much news, looking at each costs as much as trying again.
constexpr std::size_t kMostFreed = 1'000;

// Beside the reservation. Where not all nodes of a part get the same, some would do with less.
bool can_run(const Profile& profile, NodeIndex node, const RequestPart& part, Time now, Time end) {
  if (!profile.is_free_now(node, part)) return false;
  return !part.is_even() || !profile.is_reserved(node) || profile.is_free(node, part, now, end);
}

}  // namespace

void Memory::on_freed(const std::vector<NodeClaim>& claims) {
  nothing_happened_ = false;
  for (const NodeClaim& claim : claims) freed_.push_back(claim.node);
}

void Memory::on_started(JobKey key, const Allocation& allocation) {
  const auto planned = planned_.find(key);
  if (planned != planned_.end() && planned->second == allocation) planned_.erase(planned);
}

void Memory::forget() {
  ++times_forgotten_;
  nothing_happened_ = false;
  freed_.clear();
  reservation_.reset();
}

void Memory::begin_pass() {
  const bool as_planned = planned_.empty();
  planned_.clear();
  const bool counted = reservation_ && as_planned && freed_.size() <= kMostFreed;
  if (!nothing_happened_ && !counted) forget();
  spare_.reset();
}

void Memory::on_reserved(const Reserved& reserved) {
  Reservation now{reserved.key, reserved.start, reserved.nodes()};
  std::ranges::sort(now.nodes);
  if (reservation_) {
    if (reservation_->key == now.key && now.start <= reservation_->start) {
      std::ranges::set_difference(reservation_->nodes, now.nodes, std::back_inserter(freed_));
    } else {
      forget();
    }
  }
  reservation_ = std::move(now);
}

void Memory::note(Failed& failed, std::optional<std::size_t> could_run) const {
  failed = {times_forgotten_, freed_.size(), could_run};
}

bool Memory::fails_again(Failed& failed,
                         const Request& request,
                         const Profile& profile,
                         Time now) const {
  if (failed.in != times_forgotten_) return false;
  if (nothing_happened_ && failed.freed == freed_.size()) return true;
  if (!failed.could_run || !spare_) return false;
  const RequestPart& part = request.parts.front();
  const Time end = end_of(now, request.limit);
  for (; failed.freed < freed_.size(); ++failed.freed) {
    if (can_run(profile, freed_[failed.freed], part, now, end)) ++*failed.could_run;
  }
  return *failed.could_run + *spare_ < static_cast<std::size_t>(part.nodes);
}

void Memory::end_pass(const BackfillResult& result) {
  // A pass that started something took nodes in an order of its own, and the next may find better
  // ones for those that failed.
  nothing_happened_ = !result.complete || result.starts.empty();
  if (!spare_ || result.reserved.size() != 1) reservation_.reset();
  if (!reservation_) return;
  for (const Start& start : result.starts) planned_.emplace(start.key, start.allocation);
}

}  // namespace gangway::scheduler
