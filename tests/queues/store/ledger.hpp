// A small bookkeeper for tests of stores: what it is told becomes batches of events and the rows
// that follow, as the scheduler makes them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"
#include "queues/model/account_machine.hpp"
#include "queues/model/job_machine.hpp"
#include "queues/model/node_machine.hpp"
#include "queues/model/service_machine.hpp"
#include "queues/model/workflow_machine.hpp"
#include "queues/store/job_store.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::store {

class Ledger {
 public:
  static JobSpec spec(const std::string& name) {
    JobSpec spec;
    spec.name = name;
    spec.components = {Component{}};
    spec.script = "#!/bin/sh\nexit 0\n";
    spec.workdir = "/home/ada";
    return spec;
  }

  JobKey submit(Batch& batch,
                const std::string& user = "ada",
                std::optional<Membership> membership = std::nullopt,
                const std::string& name = "job") {
    const JobSpec job_spec = spec(name);
    const std::string bytes = wire::encode_spec(job_spec);
    const std::string digest = sha256_hex(bytes);
    batch.specs.emplace_back(digest, bytes);
    const JobKey key{next_job};
    ++next_job.value;
    batch.next_job = next_job;
    const job_event::Submitted event{.owner = Owner{.uid = 1000, .gid = 100, .user = user},
                                     .spec_digest = digest,
                                     .membership = std::move(membership),
                                     .held = false};
    jobs[key] = make_job(key, event, std::make_shared<const JobSpec>(job_spec), tick());
    note(batch, Event::OfJob{key, event}, jobs[key].version);
    put(batch.jobs, jobs[key], [&](const Job& job) { return job.key == key; });
    return key;
  }

  JobKey submit_array(Batch& batch, std::uint32_t elements) {
    JobSpec job_spec = spec("array");
    job_spec.array = *parse_array(cat("0-", elements - 1));
    const std::string bytes = wire::encode_spec(job_spec);
    const std::string digest = sha256_hex(bytes);
    batch.specs.emplace_back(digest, bytes);
    const JobKey key{next_job};
    ++next_job.value;
    batch.next_job = next_job;
    const job_event::Submitted event{.owner = Owner{.uid = 1000, .gid = 100, .user = "ada"},
                                     .spec_digest = digest,
                                     .membership = std::nullopt,
                                     .held = false,
                                     .elements = elements};
    jobs[key] = make_job(key, event, std::make_shared<const JobSpec>(job_spec), tick());
    note(batch, Event::OfJob{key, event}, jobs[key].version);
    put(batch.jobs, jobs[key], [&](const Job& job) { return job.key == key; });
    return key;
  }
  JobKey split(Batch& batch, JobKey array, std::uint32_t position) {
    const JobKey key{array.job, position};
    jobs[key] = *split_element(jobs.at(array), key, position);
    tick();
    note(batch, Event::OfJob{key, job_event::Split{position}}, jobs[key].version);
    put(batch.jobs, jobs[key], [&](const Job& job) { return job.key == key; });
    put(batch.jobs, jobs[array], [&](const Job& job) { return job.key == array; });
    return key;
  }

  void happen(Batch& batch, JobKey key, const JobEvent& what) {
    auto next = gangway::apply(jobs.at(key), what, tick());
    CHECK(next.has_value());
    jobs[key] = *std::move(next);
    if (jobs[key].is_element() && jobs[key].is_finished()) {
      const JobKey array{key.job};
      tally(jobs.at(array), jobs[key]);
      put(batch.jobs, jobs[array], [&](const Job& job) { return job.key == array; });
    }
    note(batch, Event::OfJob{key, what}, jobs[key].version);
    put(batch.jobs, jobs[key], [&](const Job& job) { return job.key == key; });
  }

  void alter(Batch& batch, JobKey key, const std::string& name) {
    const JobSpec job_spec = spec(name);
    const std::string bytes = wire::encode_spec(job_spec);
    const std::string digest = sha256_hex(bytes);
    batch.specs.emplace_back(digest, bytes);
    jobs.at(key).spec = std::make_shared<const JobSpec>(job_spec);
    happen(batch, key, job_event::Altered{digest});
  }

  // Through its whole life.
  void run(Batch& batch, JobKey key, int exit_code = 0) {
    Allocation allocation;
    allocation.shares.push_back(NodeShare{.component = 0,
                                          .node = NodeName("n01"),
                                          .resources = {.cores = 1, .memory = {}, .named = {}},
                                          .cores = {0},
                                          .first_task = 0,
                                          .tasks = 1});
    happen(batch, key, job_event::Allocated{1, allocation});
    happen(batch, key, job_event::Launched{});
    const Outcome outcome{.kind = exit_code == 0 ? OutcomeKind::Completed : OutcomeKind::Failed,
                          .exit_code = exit_code,
                          .signal = 0,
                          .detail = {}};
    happen(batch, key, job_event::Ended{1, outcome, false});
    happen(batch, key, job_event::Cleaned{1});
  }

  void submit_workflow(Batch& batch, WorkflowId id, std::vector<WorkflowMember> members) {
    const workflow_event::Submitted event{.name = "dag",
                                          .owner = {.uid = 1000, .gid = 100, .user = "ada"},
                                          .members = std::move(members)};
    workflows[id] = make_workflow(id, event, tick());
    note(batch, Event::OfWorkflow{id, event}, 1);
    put(batch.workflows, workflows[id], [&](const Workflow& w) { return w.id == id; });
    next_workflow = WorkflowId{id.value + 1};
    batch.next_workflow = next_workflow;
  }
  void resume_workflow(Batch& batch, WorkflowId id, std::uint32_t number, JobId job) {
    const workflow_event::Resumed event{{{number, job}}};
    workflows[id] = *gangway::apply(workflows[id], WorkflowEvent(event), tick());
    note(batch, Event::OfWorkflow{id, event}, workflows[id].version);
    put(batch.workflows, workflows[id], [&](const Workflow& w) { return w.id == id; });
  }
  void finish_workflow(Batch& batch, WorkflowId id) {
    const workflow_event::Finished event{OutcomeKind::Completed};
    workflows[id] = *gangway::apply(workflows[id], WorkflowEvent(event), tick());
    note(batch, Event::OfWorkflow{id, event}, workflows[id].version);
    put(batch.workflows, workflows[id], [&](const Workflow& w) { return w.id == id; });
  }

  void happen(Batch& batch, const NodeName& name, const NodeEvent& what) {
    Node& node = nodes[name];
    node.name = name;
    node = gangway::apply(node, what);
    tick();
    note(batch, Event::OfNode{name, what}, node.version);
    put(batch.nodes, node, [&](const Node& n) { return n.name == name; });
  }

  void happen(Batch& batch, const AssociationKey& key, const AccountEvent& what) {
    Association& association = associations[key];
    association.key = key;
    association = gangway::apply(association, what, tick());
    note(batch, Event::OfAccount{key, what}, association.version);
    const auto same = [&](const Association& a) { return a.key == key; };
    if (std::holds_alternative<account_event::Removed>(what)) {
      std::erase_if(batch.associations, same);
      batch.removed_associations.push_back(key);
      associations.erase(key);
    } else {
      put(batch.associations, association, same);
    }
  }

  void happen(Batch& batch, const ServiceKey& key, const ServiceEvent& what) {
    auto next = gangway::apply(services[key], what, tick());
    CHECK(next.has_value());
    services[key] = *std::move(next);
    note(batch, Event::OfService{key, what}, services[key].version);
    const auto same = [&](const Service& s) { return s.key() == key; };
    if (std::holds_alternative<service_event::Removed>(what)) {
      std::erase_if(batch.services, same);
      batch.removed_services.push_back(key);
      services.erase(key);
    } else {
      put(batch.services, services[key], same);
    }
  }

  Time tick() { return now = now + seconds(1); }

  std::map<JobKey, Job> jobs;
  std::map<WorkflowId, Workflow> workflows;
  std::map<NodeName, Node> nodes;
  std::map<AssociationKey, Association> associations;
  std::map<ServiceKey, Service> services;
  JobId next_job{1};
  WorkflowId next_workflow{1};
  std::uint64_t next_seq = 1;
  Time now{1'700'000'000'000'000'000};

 private:
  void note(Batch& batch, decltype(Event::subject) subject, std::uint64_t version) {
    batch.events.push_back(
        {.seq = next_seq++, .time = now, .version = version, .subject = std::move(subject)});
  }
  // One row for each subject: the last.
  template <typename Row, typename Same>
  static void put(std::vector<Row>& rows, const Row& row, const Same& same) {
    for (Row& known : rows) {
      if (same(known)) {
        known = row;
        return;
      }
    }
    rows.push_back(row);
  }
};

}  // namespace gangway::store
