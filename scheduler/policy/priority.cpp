#include "scheduler/policy/priority.hpp"

#include <algorithm>
#include <cmath>

namespace gangway::scheduler {

namespace {

constexpr std::int64_t kHighest = 4'294'967'295;

double part_of(std::int64_t amount, std::int64_t all) {
  if (all <= 0) return 0;
  return std::min(1.0, static_cast<double>(amount) / static_cast<double>(all));
}

std::int64_t cores_of(const std::vector<Component>& components) {
  std::int64_t cores = 0;
  for (const Component& c : components) cores += c.total_cores();
  return cores;
}

}  // namespace

std::int64_t PriorityTerms::total() const {
  return static_cast<std::int64_t>(
      std::clamp(std::trunc(sum()), 1.0, static_cast<double>(kHighest)));
}

double size_factor(const std::vector<Component>& components, const ClusterSize& cluster) {
  std::int64_t nodes = 0;
  for (const Component& c : components) nodes += c.nodes;
  return (part_of(nodes, cluster.nodes) + part_of(cores_of(components), cluster.resources.cores)) /
         2;
}

double resource_points(const std::vector<Component>& components,
                       const ClusterSize& cluster,
                       const PriorityRules& rules) {
  double points = 0;
  for (const auto& [name, weight] : rules.resources) {
    double part = 0;
    if (name == "cores") {
      part = part_of(cores_of(components), cluster.resources.cores);
    } else if (name == "memory") {
      std::int64_t bytes = 0;
      for (const Component& c : components) bytes += c.memory_per_node.value * c.nodes;
      part = part_of(bytes, cluster.resources.memory.value);
    } else {
      std::int64_t amount = 0;
      for (const Component& c : components) amount += c.named_per_node.amount_of(name) * c.nodes;
      part = part_of(amount, cluster.resources.amount_of(name));
    }
    points += static_cast<double>(weight) * part;
  }
  return points;
}

double age_points(Time eligible, Time now, const PriorityRules& rules) {
  const Duration waited = now - eligible;
  const double age = static_cast<double>(waited.ns) / static_cast<double>(rules.max_age.ns);
  return static_cast<double>(rules.age) * std::clamp(age, 0.0, 1.0);
}

Place place_of(JobKey key,
               Time eligible,
               const PriorityTerms& fixed,
               Time reference,
               const PriorityRules& rules,
               const std::optional<DagPosition>& dag) {
  PriorityTerms terms = fixed;
  // The points of age that it would have had in 1970: the same way off for all that still age, so
  // that no clock is needed. Who has aged fully counts as just as old as that.
  const Time since = std::max(eligible, reference - rules.max_age);
  terms.age = -static_cast<double>(rules.age) *
              (static_cast<double>(since.ns) / static_cast<double>(rules.max_age.ns));
  // Far within what an integer holds: weights and nice are bounded, and max_age from below.
  return {-static_cast<std::int64_t>(std::llround(terms.sum() * 1000)), eligible,
          dag ? dag->first : key.job, dag ? -dag->path_length : 0, key};
}

}  // namespace gangway::scheduler
