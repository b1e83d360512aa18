#include "scheduler/policy/pricing.hpp"

#include <algorithm>
#include <cstdlib>

namespace gangway::scheduler {

void Pricing::set_queues(const std::vector<Queue>& queues) {
  std::int64_t highest = 1;
  for (const Queue& queue : queues) highest = std::max(highest, std::abs(queue.priority));
  queue_factors_.clear();
  for (const Queue& queue : queues) {
    queue_factors_[queue.name] = static_cast<double>(queue.priority) / static_cast<double>(highest);
  }
}

bool Pricing::set_node(const NodeName& name, const Resources& capacity) {
  const auto [known, is_new] = nodes_.try_emplace(name);
  if (!is_new && known->second == capacity) return false;
  if (is_new) ++cluster_.nodes;
  cluster_.resources = cluster_.resources - known->second + capacity;
  known->second = capacity;
  return uses_size();
}

bool Pricing::drop_node(const NodeName& name) {
  const auto known = nodes_.find(name);
  if (known == nodes_.end()) return false;
  --cluster_.nodes;
  cluster_.resources = cluster_.resources - known->second;
  nodes_.erase(known);
  return uses_size();
}

PriorityTerms Pricing::terms_of(const Candidate& job, std::optional<Time> now) const {
  const auto weighted = [](std::int64_t weight, double factor) {
    return static_cast<double>(weight) * factor;
  };
  PriorityTerms terms;
  if (now) terms.age = age_points(job.eligible, *now, rules_);
  if (job.user < fair_.factors.size()) {
    terms.fair_share = weighted(rules_.fair_share, fair_.factors[job.user]);
  }
  if (rules_.size != 0) {
    terms.size = weighted(rules_.size, size_factor(job.components, cluster_));
  }
  if (const auto queue = queue_factors_.find(job.queue); queue != queue_factors_.end()) {
    terms.queue = weighted(rules_.queue, queue->second);
  }
  terms.qos = weighted(rules_.qos, job.qos);
  if (!rules_.resources.empty()) {
    terms.resources = resource_points(job.components, cluster_, rules_);
  }
  terms.nice = job.nice;
  return terms;
}

Place Pricing::place_of(const Candidate& job) const {
  return scheduler::place_of(job.key, job.eligible, terms_of(job), fair_.at, rules_, job.dag);
}

}  // namespace gangway::scheduler
