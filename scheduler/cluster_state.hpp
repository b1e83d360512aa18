// ClusterState: jobs, workflows and nodes in memory; events in, no I/O out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/node.hpp"
#include "queues/model/workflow.hpp"
#include "queues/store/job_store.hpp"

namespace gangway::scheduler {

class ClusterState {
 public:
  ClusterState() = default;
  explicit ClusterState(store::LiveState loaded);

  [[nodiscard]] const std::map<JobKey, Job>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<WorkflowId, Workflow>& workflows() const { return workflows_; }
  [[nodiscard]] const std::map<NodeName, Node>& nodes() const { return nodes_; }
  [[nodiscard]] const Job* find_job(JobKey key) const;
  [[nodiscard]] const Node* find_node(const NodeName& name) const;

  // Applies the fact, appends it to `batch` with its row. CHECKs that it is possible: the caller has
  // asked apply() of job_machine.hpp first where it may be refused.
  void record(JobKey key, JobEvent what, Time at, store::Batch& batch);
  void record_submitted(JobKey key, const job_event::Submitted& what,
                        std::shared_ptr<const JobSpec> spec, Time at, store::Batch& batch);
  void record(WorkflowId id, WorkflowEvent what, Time at, store::Batch& batch);
  void record(const NodeName& name, NodeEvent what, Time at, store::Batch& batch);
  // Contact changes that are not worth an event (reached, suspect).
  void set_contact(const NodeName& name, Contact contact);

  [[nodiscard]] JobId take_job_id(store::Batch& batch);
  [[nodiscard]] WorkflowId take_workflow_id(store::Batch& batch);

  // Forgets a finished job (not the store's copy).
  void forget(JobKey key);
  void forget(WorkflowId id);

 private:
  std::map<JobKey, Job> jobs_;
  std::map<WorkflowId, Workflow> workflows_;
  std::map<NodeName, Node> nodes_;
  JobId next_job_{1};
  WorkflowId next_workflow_{1};
  std::uint64_t next_seq_ = 1;
};

}  // namespace gangway::scheduler
