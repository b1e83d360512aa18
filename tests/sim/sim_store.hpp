// A store in memory with a disk below it that takes time and loses what was not yet written.
//
// Disk outlives the scheduler's process; SimStore is one opening of it. A crash before a commit's
// end loses that batch and all after it; a crash after it loses nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "queues/store/job_store.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

struct Disk {
  Epoch epoch{0};
  std::map<JobKey, Job> jobs;
  std::map<WorkflowId, Workflow> workflows;
  std::map<NodeName, Node> nodes;
  std::map<AssociationKey, Association> associations;
  std::map<ServiceKey, Service> services;
  std::map<std::string, std::string> specs;
  std::map<std::string, store::SubmissionRecord> submissions;
  std::vector<Event> events;
  JobId next_job{1};
  WorkflowId next_workflow{1};
};

// The rows that replaying `events` gives, from nothing. CHECKs that every event is possible.
[[nodiscard]] Disk replay(const std::vector<Event>& events,
                          const std::map<std::string, std::string>& specs);

class SimStore final : public store::JobStore {
 public:
  SimStore(Process& process, Disk& disk) : process_(process), disk_(disk) {}

  Result<Epoch> open_epoch() override;
  Result<store::LiveState> load_live() override;
  void commit(store::Batch batch,
              Epoch expected,
              std::function<void(store::CommitEnd)> on_done) override;
  Result<std::string> find_spec(const std::string& digest) override;
  Result<std::vector<Event>> read_events(std::uint64_t from_seq, std::size_t limit) override;
  Result<std::vector<Job>> query_history(const store::HistoryQuery& query) override;
  Result<std::optional<Workflow>> find_workflow(WorkflowId id) override;

  Duration commit_min = microseconds(100);
  Duration commit_max = milliseconds(3);

 private:
  Process& process_;
  Disk& disk_;
  BootTime last_;
};

}  // namespace gangway::sim
