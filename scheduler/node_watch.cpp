#include "scheduler/node_watch.hpp"

#include <algorithm>

#include "queues/base/check.hpp"

namespace gangway::scheduler {

NodeWatch::NodeWatch(Duration suspect_after, Duration lost_after, BootTime none_lost_before)
    : suspect_after_(suspect_after), lost_after_(lost_after), none_lost_before_(none_lost_before) {
  CHECK(suspect_after <= lost_after);
}

BootTime NodeWatch::lost_at(const Watched& node) const {
  return std::max(node.last_heard + lost_after_, none_lost_before_);
}

std::optional<BootTime> NodeWatch::due_at(const Watched& node) const {
  if (node.contact == Contact::Lost) return std::nullopt;
  return node.contact == Contact::Reached ? node.last_heard + suspect_after_ : lost_at(node);
}

void NodeWatch::set(const NodeName& name, Watched to) {
  const auto [node, is_new] = nodes_.try_emplace(name, to);
  if (!is_new) {
    if (const auto at = due_at(node->second)) agenda_.erase({*at, name});
    node->second = to;
  }
  if (const auto at = due_at(to)) agenda_.emplace(*at, name);
}

void NodeWatch::heard(const NodeName& name, BootTime now) {
  set(name, {.last_heard = now, .contact = Contact::Reached});
}

void NodeWatch::closed(const NodeName& name) {
  const auto node = nodes_.find(name);
  if (node == nodes_.end() || node->second.contact != Contact::Reached) return;
  set(name, {.last_heard = node->second.last_heard, .contact = Contact::Suspect});
}

void NodeWatch::forget(const NodeName& name) {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return;
  if (const auto at = due_at(node->second)) agenda_.erase({*at, name});
  nodes_.erase(node);
}

std::vector<NodeWatch::Change> NodeWatch::due(BootTime now) {
  std::vector<Change> out;
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    const NodeName name = agenda_.begin()->second;
    const Watched before = nodes_.at(name);
    const bool lost = lost_at(before) <= now;
    const Contact contact = lost ? Contact::Lost : Contact::Suspect;
    set(name, {.last_heard = before.last_heard, .contact = contact});
    out.push_back({name, contact});
  }
  std::sort(out.begin(), out.end(),
            [](const Change& a, const Change& b) { return a.node < b.node; });
  return out;
}

std::optional<BootTime> NodeWatch::next_due() const {
  if (agenda_.empty()) return std::nullopt;
  return agenda_.begin()->first;
}

std::optional<Duration> NodeWatch::silence(const NodeName& name, BootTime now) const {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return std::nullopt;
  return now - node->second.last_heard;
}

}  // namespace gangway::scheduler
