// What the files of SqliteStore share: its statements, and how ids and errors are written.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queues/base/text.hpp"
#include "queues/store/sqlite.hpp"
#include "queues/store/sqlite_store.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::store {

inline std::int64_t to_sql(std::uint64_t value) { return static_cast<std::int64_t>(value); }
inline std::uint64_t from_sql(std::int64_t value) { return static_cast<std::uint64_t>(value); }

inline Error corrupt_row(std::string_view row, const Error& why) {
  return {ErrorKind::Corrupt, cat("store: ", row, ": ", why.message())};
}

struct SqliteStore::Impl {
  explicit Impl(Connection connection) : db(std::move(connection)) {}

  Result<void> set_up(const StoreOptions& options);
  Result<void> migrate();
  Result<void> prepare();

  Result<void> write(const Batch& batch);
  Result<void> write_next_ids(std::span<const Batch> batches);
  Result<std::int64_t> spec_id(const std::string& digest);
  Result<void> write_job(const Job& job);
  Result<void> write_event(const Event& event);

  // A row of job_state or job_history joined with its spec: job, idx, state, spec id, digest,
  // bytes.
  Result<Job> read_job(Statement& row);
  // A row of association: account, user, state.
  static Result<Association> read_association(Statement& row);
  // A row of service: uid, name, state.
  static Result<Service> read_service(Statement& row);

  Connection db;
  Statement begin, commit, rollback;
  Statement read_epoch, raise_epoch, put_next_job, put_next_workflow, get_meta;
  Statement put_spec, get_spec, get_spec_id;
  Statement update_job, update_spec, insert_job, delete_job, finish_job;
  Statement put_workflow, get_workflow;
  Statement put_node, put_association, delete_association, put_submission, put_event, get_events;
  Statement put_service, delete_service;
  Statement history_by_key, history_by_job, history_by_workflow, history_by_user, history_by_end;

  // Reused between rows, so that their buffers are.
  wire::JobState job_message;
  wire::Event event_message;
  std::string bytes;
  // Of the batch that is being written, sorted.
  std::vector<JobKey> new_jobs;
  std::vector<JobKey> altered_jobs;
  std::unordered_map<std::string, std::int64_t> spec_ids;  // the last ones asked for, by digest

  // Specs of the load or query under way by row id; many jobs share one.
  std::map<std::int64_t, std::pair<std::string, std::shared_ptr<const JobSpec>>> specs;
};

}  // namespace gangway::store
