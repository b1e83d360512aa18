#include "scheduler/cluster_state.hpp"

#include <utility>

#include "queues/base/check.hpp"
#include "queues/model/account_machine.hpp"
#include "queues/model/job_machine.hpp"
#include "queues/model/node_machine.hpp"
#include "queues/model/service_machine.hpp"
#include "queues/model/workflow_machine.hpp"

namespace gangway::scheduler {

ClusterState::ClusterState(store::LiveState loaded)
    : jobs_(std::move(loaded.jobs)),
      next_job_(loaded.next_job),
      next_workflow_(loaded.next_workflow),
      next_seq_(loaded.next_seq) {
  const Job* last = nullptr;  // jobs in a row are often of one user
  KeyList* of_user = nullptr;
  for (const auto& [key, job] : jobs_) {
    if (job.is_element()) continue;
    if (last == nullptr || last->owner.user != job.owner.user) {
      of_user = &of_user_[job.owner.user];
    }
    of_user->add(key);
    last = &job;
  }
  for (Workflow& workflow : loaded.workflows) {
    const WorkflowId id = workflow.id;
    workflows_.insert_or_assign(id, std::move(workflow));
  }
  for (Node& node : loaded.nodes) {
    if (node.contact != Contact::Lost) node.contact = Contact::Unknown;
    const NodeName name = node.name;
    nodes_.insert_or_assign(name, std::move(node));
  }
  for (Association& association : loaded.associations) {
    const AssociationKey key = association.key;
    associations_.insert_or_assign(key, std::move(association));
  }
  for (Service& service : loaded.services) {
    const ServiceKey key = service.key();
    services_.insert_or_assign(key, std::move(service));
  }
}

const Service* ClusterState::find_service(const ServiceKey& key) const {
  const auto found = services_.find(key);
  return found == services_.end() ? nullptr : &found->second;
}

const Association* ClusterState::find_association(const AssociationKey& key) const {
  const auto found = associations_.find(key);
  return found == associations_.end() ? nullptr : &found->second;
}

const Job* ClusterState::find_job(JobKey key) const {
  const auto found = jobs_.find(key);
  return found == jobs_.end() ? nullptr : &found->second;
}

const Workflow* ClusterState::find_workflow(WorkflowId id) const {
  const auto found = workflows_.find(id);
  return found == workflows_.end() ? nullptr : &found->second;
}

const Node* ClusterState::find_node(const NodeName& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<JobKey> ClusterState::jobs_of_user(const std::string& user) const {
  const auto found = of_user_.find(user);
  if (found == of_user_.end()) return {};
  std::vector<JobKey> keys = found->second.keys();
  std::erase_if(keys, [this](JobKey key) { return !jobs_.contains(key); });
  return keys;
}

void ClusterState::note_owner(const Job& job) {
  if (!job.is_element()) of_user_[job.owner.user].add(job.key);
}

const Job& ClusterState::get_job(JobKey key) const {
  const Job* const job = find_job(key);
  CHECK(job != nullptr);
  return *job;
}

template <typename Subject>
void ClusterState::append(Subject subject, std::uint64_t version, Time at, store::Batch& batch) {
  batch.events.push_back(
      {.seq = next_seq_++, .time = at, .version = version, .subject = std::move(subject)});
}

const Job& ClusterState::record(JobKey key, JobEvent what, Time at, store::Batch& batch) {
  const auto job = jobs_.find(key);
  CHECK(job != jobs_.end());
  Result<Job> next = apply(job->second, what, at);
  CHECK(next.has_value());
  const bool ran = std::holds_alternative<phase::Running>(job->second.phase);
  job->second = *std::move(next);
  const bool runs = std::holds_alternative<phase::Running>(job->second.phase);
  if (ran != runs) run_changes_.push_back({key, job->second.attempt, runs, at});
  append(Event::OfJob{key, std::move(what)}, job->second.version, at, batch);
  changed_jobs_.insert(key);
  if (job->second.spec->kind == JobKind::Service) changed_replicas_.insert(key);
  if (job->second.is_element() && job->second.is_finished()) {
    const auto array = jobs_.find({key.job});
    CHECK(array != jobs_.end());
    tally(array->second, job->second);
    changed_jobs_.insert({key.job});
  }
  return job->second;
}

const Job& ClusterState::record_split(JobKey key, Time at, store::Batch& batch) {
  const auto array = jobs_.find({key.job});
  CHECK(array != jobs_.end() && array->second.spec->array);
  const auto position = array->second.spec->array->indexes.position_of(key.index);
  CHECK(position);
  Result<Job> element = split_element(array->second, key, *position);
  CHECK(element.has_value());
  const auto [job, is_new] = jobs_.try_emplace(key, *std::move(element));
  CHECK(is_new);
  append(Event::OfJob{key, job_event::Split{*position}}, job->second.version, at, batch);
  changed_jobs_.insert(key);
  changed_jobs_.insert({key.job});
  return job->second;
}

const Job& ClusterState::record_altered(JobKey key,
                                        const std::string& digest,
                                        std::shared_ptr<const JobSpec> spec,
                                        Time at,
                                        store::Batch& batch) {
  record(key, job_event::Altered{digest}, at, batch);
  Job& job = jobs_.at(key);
  job.spec = std::move(spec);
  return job;
}

const Job& ClusterState::record_submitted(JobKey key,
                                          job_event::Submitted what,
                                          std::shared_ptr<const JobSpec> spec,
                                          Time at,
                                          store::Batch& batch) {
  const std::size_t before = jobs_.size();
  // Ids rise: it comes at the end.
  const auto job = jobs_.try_emplace(jobs_.end(), key, make_job(key, what, std::move(spec), at));
  CHECK(jobs_.size() == before + 1);
  note_owner(job->second);
  append(Event::OfJob{key, std::move(what)}, job->second.version, at, batch);
  changed_jobs_.insert(key);
  return job->second;
}

void ClusterState::record(WorkflowId id, WorkflowEvent what, Time at, store::Batch& batch) {
  if (const auto* submitted = std::get_if<workflow_event::Submitted>(&what)) {
    CHECK(workflows_.try_emplace(id, make_workflow(id, *submitted, at)).second);
  } else {
    const auto workflow = workflows_.find(id);
    CHECK(workflow != workflows_.end());
    Result<Workflow> next = apply(workflow->second, what, at);
    CHECK(next.has_value());
    workflow->second = *std::move(next);
  }
  append(Event::OfWorkflow{id, std::move(what)}, workflows_.at(id).version, at, batch);
  changed_workflows_.insert(id);
}

void ClusterState::record(const NodeName& name, NodeEvent what, Time at, store::Batch& batch) {
  Node& node = nodes_.try_emplace(name, Node{.name = name}).first->second;
  node = gangway::apply(node, what);  // qualified: std::apply would be a better match
  append(Event::OfNode{name, std::move(what)}, node.version, at, batch);
  ++surroundings_;
  changed_nodes_.insert(name);
}

void ClusterState::record(const AssociationKey& key,
                          AccountEvent what,
                          Time at,
                          store::Batch& batch) {
  const bool is_set = std::holds_alternative<account_event::Set>(what);
  const auto known = associations_.find(key);
  CHECK(known != associations_.end() || is_set);
  const Association before = known == associations_.end() ? Association{.key = key} : known->second;
  Association next = gangway::apply(before, what, at);
  const std::uint64_t version = next.version;
  if (std::holds_alternative<account_event::Removed>(what)) {
    associations_.erase(known);
  } else {
    associations_.insert_or_assign(key, std::move(next));
  }
  if (!std::holds_alternative<account_event::Charged>(what)) ++surroundings_;
  append(Event::OfAccount{key, std::move(what)}, version, at, batch);
  changed_associations_.insert(key);
}

void ClusterState::record(const ServiceKey& key, ServiceEvent what, Time at, store::Batch& batch) {
  const auto known = services_.find(key);
  Result<Service> next =
      gangway::apply(known == services_.end() ? Service{} : known->second, what, at);
  CHECK(next.has_value());
  const std::uint64_t version = next->version;
  if (std::holds_alternative<service_event::Removed>(what)) {
    services_.erase(known);
  } else {
    services_.insert_or_assign(key, *std::move(next));
  }
  append(Event::OfService{key, std::move(what)}, version, at, batch);
  changed_services_.insert(key);
}

std::set<JobKey> ClusterState::take_changed_replicas() {
  return std::exchange(changed_replicas_, {});
}

std::vector<ClusterState::RunChange> ClusterState::take_run_changes() {
  return std::exchange(run_changes_, {});
}

void ClusterState::write_rows(store::Batch& batch) {
  for (const JobKey key : changed_jobs_) batch.jobs.push_back(get_job(key));
  for (const WorkflowId id : changed_workflows_) batch.workflows.push_back(workflows_.at(id));
  for (const NodeName& name : changed_nodes_) batch.nodes.push_back(nodes_.at(name));
  for (const AssociationKey& key : changed_associations_) {
    if (const Association* const association = find_association(key)) {
      batch.associations.push_back(*association);
    } else {
      batch.removed_associations.push_back(key);
    }
  }
  for (const ServiceKey& key : changed_services_) {
    if (const Service* const service = find_service(key)) {
      batch.services.push_back(*service);
    } else {
      batch.removed_services.push_back(key);
    }
  }
  changed_services_.clear();
  changed_associations_.clear();
  changed_jobs_.clear();
  changed_workflows_.clear();
  changed_nodes_.clear();
}

void ClusterState::set_contact(const NodeName& name, Contact contact) {
  const auto node = nodes_.find(name);
  CHECK(node != nodes_.end());
  node->second.contact = contact;
}

JobId ClusterState::take_job_id(store::Batch& batch) {
  const JobId id = next_job_;
  ++next_job_.value;
  batch.next_job = next_job_;
  return id;
}

WorkflowId ClusterState::take_workflow_id(store::Batch& batch) {
  const WorkflowId id = next_workflow_;
  ++next_workflow_.value;
  batch.next_workflow = next_workflow_;
  return id;
}

void ClusterState::recall(const Workflow& workflow) {
  workflows_.try_emplace(workflow.id, workflow);
}

void ClusterState::recall(const Job& job) {
  const auto [there, is_new] = jobs_.try_emplace(job.key, job);
  if (is_new) note_owner(there->second);
}

void ClusterState::forget(JobKey key) {
  const auto job = jobs_.find(key);
  CHECK(job != jobs_.end() && job->second.is_finished() && !changed_jobs_.contains(key));
  const std::string user = job->second.owner.user;
  const bool is_listed = !job->second.is_element();
  jobs_.erase(job);
  if (!is_listed) return;
  const auto list = of_user_.find(user);
  list->second.remove_one([this](JobKey other) { return jobs_.contains(other); });
  if (list->second.empty()) of_user_.erase(list);
}

void ClusterState::forget(WorkflowId id) {
  const auto workflow = workflows_.find(id);
  CHECK(workflow != workflows_.end() && workflow->second.ended && !changed_workflows_.contains(id));
  workflows_.erase(workflow);
}

}  // namespace gangway::scheduler
