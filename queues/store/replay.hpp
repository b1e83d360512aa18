// Replay: the state that a log of events gives, for comparing it with the rows (`--check-store`,
// tests, the simulator's invariant). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "queues/base/result.hpp"
#include "queues/model/account.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"

namespace gangway::store {

class Replay {
 public:
  // Events in the order of their seq, from 1. Errors: Corrupt, naming the event: a version that
  // does not follow, an event that cannot happen to its subject (it has no effect then), a gap
  // before it (it counts all the same, so that one lost event is not told a thousand times).
  [[nodiscard]] Result<void> add(const Event& event);

  // Their `spec` is an empty one: the log knows specs by digest.
  [[nodiscard]] const std::map<JobKey, Job>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<WorkflowId, Workflow>& workflows() const { return workflows_; }
  // Their contact is what events say of it: see model/node_machine.hpp.
  [[nodiscard]] const std::map<NodeName, Node>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<AssociationKey, Association>& associations() const {
    return associations_;
  }
  [[nodiscard]] const std::map<ServiceKey, Service>& services() const { return services_; }
  [[nodiscard]] std::uint64_t last_seq() const { return last_seq_; }

 private:
  Result<void> add_to_job(const Event& event, const Event::OfJob& subject);
  Result<void> add_to_workflow(const Event& event, const Event::OfWorkflow& subject);
  Result<void> add_to_node(const Event& event, const Event::OfNode& subject);
  Result<void> add_to_account(const Event& event, const Event::OfAccount& subject);
  Result<void> add_to_service(const Event& event, const Event::OfService& subject);

  std::map<JobKey, Job> jobs_;
  std::map<WorkflowId, Workflow> workflows_;
  std::map<NodeName, Node> nodes_;
  std::map<AssociationKey, Association> associations_;
  std::map<ServiceKey, Service> services_;
  std::uint64_t last_seq_ = 0;
  std::shared_ptr<const JobSpec> no_spec_ = std::make_shared<const JobSpec>();
};

}  // namespace gangway::store
