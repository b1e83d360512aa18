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

// What decides a job's price beside its request and its age.
struct Payer {
  UserNumber user = 0;
  double qos = 0;
  std::int64_t nice = 0;
};
[[nodiscard]] inline Payer payer_of(const Candidate& job) { return {job.user, job.qos, job.nice}; }

class Pricing {
 public:
  void set_rules(const PriorityRules& rules) { rules_ = rules; }
  void set_queues(const std::vector<Queue>& queues);
  void set_fair_shares(const delta::FairSharesAre& shares) { fair_ = shares; }
  // Nodes that are down count: a job's size does not change with them. True: places will change,
  // but not before settle().
  bool set_node(const NodeName& name, const Resources& capacity);
  bool drop_node(const NodeName& name);
  void settle() { settled_ = cluster_; }

  // Its age included, if `now` is given.
  [[nodiscard]] PriorityTerms terms_of(const Candidate& job,
                                       std::optional<Time> now = std::nullopt) const;
  [[nodiscard]] Place place_of(const Candidate& job) const;
  // What jobs with equal requests have in common, and what one of them has by it.
  [[nodiscard]] PriorityTerms terms_of_request(const QueueName& queue,
                                               const std::vector<Component>& components) const;
  [[nodiscard]] std::int64_t lateness_of(const PriorityTerms& of_request,
                                         const Payer& payer,
                                         Time eligible) const;

 private:
  [[nodiscard]] PriorityTerms with_payer(PriorityTerms terms, const Payer& payer) const;
  [[nodiscard]] bool uses_size() const { return rules_.size != 0 || !rules_.resources.empty(); }

  PriorityRules rules_;
  std::map<QueueName, double> queue_factors_;
  delta::FairSharesAre fair_;
  ClusterSize cluster_;
  ClusterSize settled_;
  std::map<NodeName, Resources> nodes_;
};

}  // namespace gangway::scheduler
