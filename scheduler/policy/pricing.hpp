// Pricing: what decides the order of the line beside the jobs themselves, and the place that a job
// gets by it; shared by the planner and its reference.
//
// Pure.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/priority.hpp"

namespace gangway::scheduler {

class Pricing {
 public:
  void set_rules(const PriorityRules& rules) { rules_ = rules; }
  void set_queues(const std::vector<Queue>& queues);
  void set_fair_shares(const delta::FairSharesAre& shares) { fair_ = shares; }
  // Nodes that are down count: a job's size does not change with them. True: places may have
  // changed.
  bool set_node(const NodeName& name, const Resources& capacity);
  bool drop_node(const NodeName& name);

  // Its age included, if `now` is given.
  [[nodiscard]] PriorityTerms terms_of(const Candidate& job,
                                       std::optional<Time> now = std::nullopt) const;
  [[nodiscard]] Place place_of(const Candidate& job) const;

 private:
  [[nodiscard]] bool uses_size() const { return rules_.size != 0 || !rules_.resources.empty(); }

  PriorityRules rules_;
  std::map<QueueName, double> queue_factors_;
  delta::FairSharesAre fair_;
  ClusterSize cluster_;
  std::map<NodeName, Resources> nodes_;
};

}  // namespace gangway::scheduler
