// ClusterState: jobs, workflows and nodes in memory; events in, rows and events for the store out.
// No I/O.
//
// record() is the only way to change it, so that memory, rows and events always agree. Rows are
// collected: however often a turn changes a job, its row is written once, by write_rows().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/model/account.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"
#include "queues/store/job_store.hpp"
#include "scheduler/key_list.hpp"

namespace gangway::scheduler {

class ClusterState {
 public:
  ClusterState() = default;
  // Nodes of whom nothing is known yet are Unknown, but for those that are Lost.
  explicit ClusterState(store::LiveState loaded);

  // The number that the next event will have.
  [[nodiscard]] std::uint64_t next_seq() const { return next_seq_; }
  [[nodiscard]] const std::map<JobKey, Job>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<WorkflowId, Workflow>& workflows() const { return workflows_; }
  [[nodiscard]] const std::map<NodeName, Node>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<AssociationKey, Association>& associations() const {
    return associations_;
  }
  [[nodiscard]] const std::map<ServiceKey, Service>& services() const { return services_; }
  [[nodiscard]] const Service* find_service(const ServiceKey& key) const;
  [[nodiscard]] const Association* find_association(const AssociationKey& key) const;
  [[nodiscard]] const Job* find_job(JobKey key) const;
  [[nodiscard]] const Workflow* find_workflow(WorkflowId id) const;
  [[nodiscard]] const Node* find_node(const NodeName& name) const;
  // Requires: it is there.
  [[nodiscard]] const Job& get_job(JobKey key) const;
  // Jobs of this user that are in memory, finished ones too, elements of arrays not; in order.
  [[nodiscard]] std::vector<JobKey> jobs_of_user(const std::string& user) const;
  // Rises whenever something changes of which a submission's checks depend: nodes, accounts.
  [[nodiscard]] std::uint64_t surroundings() const { return surroundings_; }

  // Applies the fact and appends it to `batch`. CHECKs that it is possible: the caller has asked
  // apply() of job_machine.hpp first where it may be refused. Returns the job after it.
  const Job& record(JobKey key, JobEvent what, Time at, store::Batch& batch);
  const Job& record_submitted(JobKey key,
                              job_event::Submitted what,
                              std::shared_ptr<const JobSpec> spec,
                              Time at,
                              store::Batch& batch);
  // An element becomes a job of its own. Requires: its array's record holds it.
  const Job& record_split(JobKey key, Time at, store::Batch& batch);
  // A waiting job, or what waits of an array, has another spec from now on.
  const Job& record_altered(JobKey key,
                            const std::string& digest,
                            std::shared_ptr<const JobSpec> spec,
                            Time at,
                            store::Batch& batch);
  void record(WorkflowId id, WorkflowEvent what, Time at, store::Batch& batch);
  void record(const NodeName& name, NodeEvent what, Time at, store::Batch& batch);
  // A removed association is not there afterwards. Requires: it is there, or is Set.
  void record(const AssociationKey& key, AccountEvent what, Time at, store::Batch& batch);
  // A removed service is not there afterwards. Requires: it is there, or is Applied.
  void record(const ServiceKey& key, ServiceEvent what, Time at, store::Batch& batch);
  // Appends the rows of what record() has changed since the last call.
  void write_rows(store::Batch& batch);

  // Jobs that have begun to run or have stopped running (paused, ended) since the last call, as
  // often as they did, in that order: what there is to be charged follows from it.
  struct RunChange {
    JobKey job;
    Attempt attempt = 0;
    bool runs = false;
    Time at;
  };
  [[nodiscard]] std::vector<RunChange> take_run_changes();
  // Jobs of kind Service to which something has happened since the last call.
  [[nodiscard]] std::set<JobKey> take_changed_replicas();
  [[nodiscard]] bool has_changed_replicas() const { return !changed_replicas_.empty(); }

  // Contact changes that are not worth an event (reached, suspect).
  void set_contact(const NodeName& name, Contact contact);

  [[nodiscard]] JobId take_job_id(store::Batch& batch);
  [[nodiscard]] WorkflowId take_workflow_id(store::Batch& batch);
  // Whether `id` was ever given to a job.
  [[nodiscard]] bool is_given(JobId id) const { return id.value != 0 && id < next_job_; }
  [[nodiscard]] bool is_given(WorkflowId id) const { return id.value != 0 && id < next_workflow_; }

  // Puts back what the store knew of a finished workflow, which is to go on.
  void recall(const Workflow& workflow);
  void recall(const Job& job);
  // Forgets a finished job or workflow (not the store's copy).
  void forget(JobKey key);
  void forget(WorkflowId id);

 private:
  template <typename Subject>
  void append(Subject subject, std::uint64_t version, Time at, store::Batch& batch);

  void note_owner(const Job& job);

  std::map<JobKey, Job> jobs_;
  std::unordered_map<std::string, KeyList> of_user_;
  std::uint64_t surroundings_ = 1;
  std::map<WorkflowId, Workflow> workflows_;
  std::map<NodeName, Node> nodes_;
  std::map<AssociationKey, Association> associations_;
  std::vector<RunChange> run_changes_;
  std::set<JobKey> changed_jobs_;
  std::set<WorkflowId> changed_workflows_;
  std::set<NodeName> changed_nodes_;
  std::set<AssociationKey> changed_associations_;
  std::map<ServiceKey, Service> services_;
  std::set<ServiceKey> changed_services_;
  std::set<JobKey> changed_replicas_;
  JobId next_job_{1};
  WorkflowId next_workflow_{1};
  std::uint64_t next_seq_ = 1;
};

}  // namespace gangway::scheduler
