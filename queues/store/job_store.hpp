// JobStore: where jobs are durable; the fourth of the five faces.
//
// A turn of the scheduler makes one batch: its events and the state rows that follow from them,
// which are written in the same transaction. `commit` is asynchronous; what must not be seen before
// it is durable (replies, orders) waits for `on_done`. Batches become durable in the order of the
// calls, and several may share one transaction (group commit).
//
// The rows are what a restart loads; replaying the events gives the same rows (tests, `jschedd
// --check-store`).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/model/account.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"

namespace gangway::store {

// The answer that a submission's key was given, kept with it.
struct SubmissionRecord {
  std::string key;  // "<uid>:<client's key>"
  std::vector<JobId> jobs;
  std::optional<WorkflowId> workflow;
  Time at;
  friend bool operator==(const SubmissionRecord&, const SubmissionRecord&) = default;
};

struct Batch {
  std::vector<Event> events;  // seq rising by one
  std::vector<Job> jobs;      // rows after these events
  std::vector<Workflow> workflows;
  std::vector<Node> nodes;
  std::vector<Association> associations;
  std::vector<AssociationKey> removed_associations;
  std::vector<Service> services;
  std::vector<ServiceKey> removed_services;
  std::vector<std::pair<std::string, std::string>> specs;  // digest, bytes; known digests are kept
  std::vector<SubmissionRecord> submissions;
  std::optional<JobId> next_job;  // ids below are used up
  std::optional<WorkflowId> next_workflow;
  [[nodiscard]] bool empty() const {
    return events.empty() && jobs.empty() && workflows.empty() && nodes.empty() && specs.empty() &&
           submissions.empty() && associations.empty() && removed_associations.empty() &&
           services.empty() && removed_services.empty() && !next_job && !next_workflow;
  }
};

enum class CommitEnd {
  Durable,
  Fenced,  // another scheduler has opened the store since: this one must stop
  Full,    // no room or an I/O error: nothing of the batch is stored
};

// What a restart needs: all that is not finished, and what unfinished things may refer to.
struct LiveState {
  // Unfinished jobs, and the members of unfinished workflows. As the scheduler keeps them: there
  // may be a million, and to move each would take a good part of a restart.
  std::map<JobKey, Job> jobs;
  std::vector<Workflow> workflows;  // unfinished
  std::vector<Node> nodes;
  std::vector<Association> associations;
  std::vector<Service> services;
  std::vector<SubmissionRecord> submissions;  // of the last kSubmissionMemory
  JobId next_job{1};
  WorkflowId next_workflow{1};
  std::uint64_t next_seq = 1;
};

// For how long a submission's key is remembered.
inline constexpr Duration kSubmissionMemory = hours(48);

struct HistoryQuery {
  // Empty: any. Without an index all elements of an array are meant, unless `only_whole`.
  std::vector<JobKey> keys{};
  bool only_whole = false;
  std::vector<WorkflowId> workflows{};  // empty: any
  std::vector<std::string> users{};     // empty: any
  std::optional<Time> ended_since{};
  std::size_t limit = 1000;
};

class JobStore {
 public:
  virtual ~JobStore() = default;
  // Starts a new life: no older epoch can commit after it. Call first.
  virtual Result<Epoch> open_epoch() = 0;
  virtual Result<LiveState> load_live() = 0;
  virtual void commit(Batch batch, Epoch expected, std::function<void(CommitEnd)> on_done) = 0;
  virtual Result<std::string> find_spec(const std::string& digest) = 0;  // NotFound
  virtual Result<std::vector<Event>> read_events(std::uint64_t from_seq, std::size_t limit) = 0;
  // Finished jobs, newest end first.
  virtual Result<std::vector<Job>> query_history(const HistoryQuery& query) = 0;
  virtual Result<std::optional<Workflow>> find_workflow(WorkflowId id) = 0;
};

}  // namespace gangway::store
