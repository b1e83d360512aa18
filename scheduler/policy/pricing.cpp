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

namespace {

double weighted(std::int64_t weight, double factor) { return static_cast<double>(weight) * factor; }

}  // namespace

PriorityTerms Pricing::terms_of(const Candidate& job, std::optional<Time> now) const {
  PriorityTerms terms = with_payer(terms_of_request(job.queue, job.components), payer_of(job));
  if (now) terms.age = age_points(job.eligible, *now, rules_);
  return terms;
}

PriorityTerms Pricing::terms_of_request(const QueueName& queue,
                                        const std::vector<Component>& components) const {
  PriorityTerms terms;
  if (rules_.size != 0) terms.size = weighted(rules_.size, size_factor(components, settled_));
  if (const auto found = queue_factors_.find(queue); found != queue_factors_.end()) {
    terms.queue = weighted(rules_.queue, found->second);
  }
  if (!rules_.resources.empty()) {
    terms.resources = resource_points(components, settled_, rules_);
  }
  return terms;
}

PriorityTerms Pricing::with_payer(PriorityTerms terms, const Payer& payer) const {
  if (payer.user < fair_.factors.size()) {
    terms.fair_share = weighted(rules_.fair_share, fair_.factors[payer.user]);
  }
  terms.qos = weighted(rules_.qos, payer.qos);
  terms.nice = payer.nice;
  return terms;
}

std::int64_t Pricing::lateness_of(const PriorityTerms& of_request,
                                  const Payer& payer,
                                  Time eligible) const {
  return scheduler::place_of({}, eligible, with_payer(of_request, payer), fair_.at, rules_)
      .lateness;
}

Place Pricing::place_of(const Candidate& job) const {
  return scheduler::place_of(job.key, job.eligible, terms_of(job), fair_.at, rules_, job.dag);
}

}  // namespace gangway::scheduler
