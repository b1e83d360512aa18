#include "scheduler/policy/gang.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <numeric>
#include <unordered_map>

namespace gangway::scheduler {

namespace {

constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

// One assignment under construction.
class Seats {
 public:
  explicit Seats(const std::vector<GangPart>& parts) : parts_(parts), taken_(parts.size()) {}

  [[nodiscard]] bool is_full(std::size_t part) const {
    return taken_[part].size() >= static_cast<std::size_t>(parts_[part].nodes);
  }

  void take_free_options(std::size_t part) {
    for (const NodeIndex node : parts_[part].options) {
      if (is_full(part)) return;
      if (owner_.try_emplace(node, part).second) taken_[part].push_back(node);
    }
  }

  // Finds a chain part -> node of another part -> ... -> free node and shifts all along it.
  bool augment(std::size_t start) {
    struct Step {
      std::size_t from = kNobody;  // the part that would get `node` from this one
      NodeIndex node = 0;
    };
    std::vector<Step> reached(parts_.size());
    std::vector<bool> seen(parts_.size(), false);
    std::deque<std::size_t> frontier{start};
    seen[start] = true;
    while (!frontier.empty()) {
      const std::size_t part = frontier.front();
      frontier.pop_front();
      for (const NodeIndex node : parts_[part].options) {
        const auto owner = owner_.find(node);
        if (owner == owner_.end()) {
          give(node, part);
          for (std::size_t at = part; at != start; at = reached[at].from) {
            take_away(reached[at].node, at);
            give(reached[at].node, reached[at].from);
          }
          return true;
        }
        if (seen[owner->second]) continue;
        seen[owner->second] = true;
        reached[owner->second] = {part, node};
        frontier.push_back(owner->second);
      }
    }
    return false;
  }

  [[nodiscard]] std::vector<std::vector<NodeIndex>> result() && { return std::move(taken_); }

 private:
  void give(NodeIndex node, std::size_t part) {
    owner_[node] = part;
    taken_[part].push_back(node);
  }
  void take_away(NodeIndex node, std::size_t part) { std::erase(taken_[part], node); }

  const std::vector<GangPart>& parts_;
  std::vector<std::vector<NodeIndex>> taken_;
  std::unordered_map<NodeIndex, std::size_t> owner_;
};

}  // namespace

std::optional<std::vector<std::vector<NodeIndex>>> assign_gang(const std::vector<GangPart>& parts) {
  for (const GangPart& part : parts) {
    if (part.options.size() < static_cast<std::size_t>(part.nodes)) return std::nullopt;
  }
  if (parts.size() == 1) {  // the common case needs no bookkeeping
    const auto& options = parts[0].options;
    std::vector<std::vector<NodeIndex>> taken;
    taken.emplace_back(options.begin(), options.begin() + parts[0].nodes);
    return taken;
  }
  // Those with the least choice choose first.
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return parts[a].options.size() < parts[b].options.size();
  });
  Seats seats(parts);
  for (const std::size_t part : order) seats.take_free_options(part);
  for (const std::size_t part : order) {
    while (!seats.is_full(part)) {
      if (!seats.augment(part)) return std::nullopt;
    }
  }
  return std::move(seats).result();
}

}  // namespace gangway::scheduler
