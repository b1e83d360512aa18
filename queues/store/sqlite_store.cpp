#include "queues/store/sqlite_store.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "queues/base/log.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/store/sqlite_store_impl.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::store {

namespace {

constexpr std::int64_t kSchemaVersion = 4;
constexpr std::int64_t kApplicationId = 0x67776179;  // "gway", as file(1) shows it

std::string subject_of(const Event& event) {
  return std::visit(
      overloaded{
          [](const Event::OfJob& s) { return to_string(s.key); },
          [](const Event::OfWorkflow& s) { return to_string(s.id); },
          [](const Event::OfNode& s) { return cat("node ", s.name.value); },
          [](const Event::OfAccount& s) { return cat("account ", to_string(s.key)); },
          [](const Event::OfService& s) { return cat("service ", s.key.uid, '/', s.key.name); },
      },
      event.subject);
}

std::string_view kind_of(const Event& event) {
  return std::visit(
      overloaded{
          [](const Event::OfJob& s) { return event_name(s.what); },
          [](const Event::OfWorkflow& s) -> std::string_view {
            return std::visit(
                overloaded{[](const workflow_event::Submitted&) { return "Submitted"; },
                           [](const workflow_event::Finished&) { return "Finished"; },
                           [](const workflow_event::Resumed&) { return "Resumed"; }},
                s.what);
          },
          [](const Event::OfNode& s) -> std::string_view {
            return std::visit(
                overloaded{[](const node_event::Registered&) { return "Registered"; },
                           [](const node_event::Drained&) { return "Drained"; },
                           [](const node_event::Lost&) { return "Lost"; },
                           [](const node_event::ConfirmedDown&) { return "ConfirmedDown"; }},
                s.what);
          },
          [](const Event::OfAccount& s) { return event_name(s.what); },
          [](const Event::OfService& s) { return event_name(s.what); },
      },
      event.subject);
}

// The section of schema.sql that leads to `version`.
std::string_view schema_section(std::int64_t version) {
  const std::string_view all = kSchemaSql;
  const std::string heading = cat("\n-- version ", version, "\n");
  const std::size_t begin = all.find(heading);
  CHECK(begin != std::string_view::npos);
  const std::size_t end = all.find("\n-- version ", begin + heading.size());
  return all.substr(begin, end == std::string_view::npos ? end : end - begin);
}

Result<void> make_directory(const std::filesystem::path& directory) {
  std::error_code failed;
  if (directory.empty() || std::filesystem::exists(directory, failed)) return {};
  if (!std::filesystem::create_directories(directory, failed) || failed) {
    return errno_error(cat("make directory ", directory.string()), failed.value());
  }
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
  if (failed) return errno_error(cat("set mode of ", directory.string()), failed.value());
  return {};
}

}  // namespace

// ---- opening -----------------------------------------------------------------------------------

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path,
                                                       StoreOptions options) {
  const std::string clause = cat("store ", path);
  GANGWAY_TRY_CONTEXT(make_directory(std::filesystem::path(path).parent_path()), clause);
  auto connection = Connection::open(path);
  if (!connection) return connection.error().with_context(clause);
  auto impl = std::make_unique<Impl>(*std::move(connection));
  GANGWAY_TRY_CONTEXT(impl->set_up(options), clause);
  GANGWAY_TRY_CONTEXT(impl->migrate(), clause);
  GANGWAY_TRY_CONTEXT(impl->prepare(), clause);
  if (options.log_reserve.value > 0) {
    // It goes without, only slower.
    if (const auto reserved = impl->db.reserve_log(options.log_reserve); !reserved) {
      log_warning("store_log_not_reserved", {{"why", reserved.error().message()}});
    }
  }
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
}

Result<void> SqliteStore::Impl::set_up(const StoreOptions& options) {
  GANGWAY_TRY(
      db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"));
  // Negative: in KiB instead of pages.
  GANGWAY_TRY(db.execute(cat("PRAGMA cache_size = -", options.cache.value / 1024)));
  if (options.max_pages > 0) {
    GANGWAY_TRY(db.execute(cat("PRAGMA max_page_count = ", options.max_pages)));
  }
  return {};
}

Result<void> SqliteStore::Impl::migrate() {
  GANGWAY_ASSIGN(const std::int64_t here, db.query_integer("PRAGMA user_version"));
  const bool is_current = here == kSchemaVersion;
  // One transaction, so that of two programs that open a new store one makes it. Where nothing is
  // to be made, nobody waits for a writer.
  GANGWAY_TRY(db.execute(is_current ? "BEGIN" : "BEGIN IMMEDIATE"));
  GANGWAY_ASSIGN(const std::int64_t application, db.query_integer("PRAGMA application_id"));
  GANGWAY_ASSIGN(const std::int64_t version, db.query_integer("PRAGMA user_version"));
  GANGWAY_ASSIGN(const std::int64_t tables, db.query_integer("SELECT count(*) FROM sqlite_schema"));
  if (application != kApplicationId && tables > 0) {
    return Error(ErrorKind::Corrupt, "a database of another program");
  }
  if (version > kSchemaVersion) {
    return Error(ErrorKind::Unsupported, cat("written by a newer version (tables ", version,
                                             ", this program knows ", kSchemaVersion, ")"));
  }
  for (std::int64_t next = version + 1; next <= kSchemaVersion; ++next) {
    GANGWAY_TRY(db.execute(std::string(schema_section(next))));
  }
  if (version < kSchemaVersion) {
    GANGWAY_TRY(db.execute(cat("PRAGMA application_id = ", kApplicationId)));
    GANGWAY_TRY(db.execute(cat("PRAGMA user_version = ", kSchemaVersion)));
  }
  return db.execute("COMMIT");
}

Result<void> SqliteStore::Impl::prepare() {
  static constexpr std::string_view kHistory =
      "SELECT h.job, h.idx, h.state, s.id, s.digest, s.bytes FROM job_history h "
      "JOIN spec s ON s.id = h.spec ";
  const std::pair<Statement*, std::string> all[] = {
      {&begin, "BEGIN IMMEDIATE"},
      {&commit, "COMMIT"},
      {&rollback, "ROLLBACK"},
      {&read_epoch, "SELECT epoch FROM meta"},
      {&raise_epoch, "UPDATE meta SET epoch = epoch + 1 RETURNING epoch"},
      {&put_next_job, "UPDATE meta SET next_job = ?1"},
      {&put_next_workflow, "UPDATE meta SET next_workflow = ?1"},
      {&get_meta,
       "SELECT next_job, next_workflow, (SELECT coalesce(max(seq), 0) FROM event) FROM meta"},
      {&put_spec, "INSERT INTO spec (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING"},
      {&get_spec, "SELECT bytes FROM spec WHERE digest = ?1"},
      {&update_job, "UPDATE job_state SET phase = ?3, state = ?4 WHERE job = ?1 AND idx = ?2"},
      {&update_spec, "UPDATE job_state SET spec = ?3 WHERE job = ?1 AND idx = ?2"},
      {&insert_job,
       "INSERT INTO job_state (job, idx, phase, state, workflow, spec) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
      {&get_spec_id, "SELECT id FROM spec WHERE digest = ?1"},
      {&delete_job, "DELETE FROM job_state WHERE job = ?1 AND idx = ?2"},
      {&finish_job,
       "INSERT INTO job_history (job, idx, user, ended_at, state, workflow, spec) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM spec WHERE digest = ?7)) "
       "ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, state = excluded.state, "
       "spec = excluded.spec"},
      {&put_workflow,
       "INSERT INTO workflow (id, ended_at, state) VALUES (?1, ?2, ?3) "
       "ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, state = excluded.state"},
      {&get_workflow, "SELECT state FROM workflow WHERE id = ?1"},
      {&put_node,
       "INSERT INTO node (name, state) VALUES (?1, ?2) "
       "ON CONFLICT DO UPDATE SET state = excluded.state"},
      {&put_association,
       "INSERT INTO association (account, user, state) VALUES (?1, ?2, ?3) "
       "ON CONFLICT DO UPDATE SET state = excluded.state"},
      {&delete_association, "DELETE FROM association WHERE account = ?1 AND user = ?2"},
      {&put_service,
       "INSERT INTO service (uid, name, state) VALUES (?1, ?2, ?3) "
       "ON CONFLICT DO UPDATE SET state = excluded.state"},
      {&delete_service, "DELETE FROM service WHERE uid = ?1 AND name = ?2"},
      {&put_submission, "INSERT INTO submission_log (key, at_ns, answer) VALUES (?1, ?2, ?3)"},
      {&put_event,
       "INSERT INTO event (seq, at_ns, version, subject, kind, payload) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
      {&get_events, "SELECT seq, payload FROM event WHERE seq >= ?1 ORDER BY seq LIMIT ?2"},
      {&history_by_key, cat(kHistory, "WHERE h.job = ?1 AND h.idx = ?2")},
      {&history_by_job, cat(kHistory, "WHERE h.job = ?1 ORDER BY h.idx DESC LIMIT ?2")},
      {&history_by_workflow, cat(kHistory, "WHERE h.workflow = ?1")},
      {&history_by_user,
       cat(kHistory, "WHERE h.user = ?1 AND h.ended_at >= ?2 ORDER BY h.ended_at DESC LIMIT ?3")},
      {&history_by_end, cat(kHistory, "WHERE h.ended_at >= ?1 ORDER BY h.ended_at DESC LIMIT ?2")},
  };
  for (const auto& [statement, sql] : all) {
    GANGWAY_ASSIGN(*statement, db.prepare(sql));
  }
  return {};
}

// ---- writing -----------------------------------------------------------------------------------

Result<Epoch> SqliteStore::open_epoch() {
  // One statement: of two stores that are opened at the same time neither reads the other's epoch.
  Query query(impl_->raise_epoch);
  const auto has_row = query->step();
  if (!has_row) return has_row.error().with_context("store: open an epoch");
  CHECK(*has_row);
  const Epoch epoch{from_sql(query->integer(0))};
  // The statement ends, and is committed, with its last row.
  GANGWAY_TRY_CONTEXT(query->step(), "store: open an epoch");
  return epoch;
}

CommitEnd SqliteStore::apply_batches(std::span<const Batch> batches, Epoch expected) {
  Impl& impl = *impl_;
  const auto fail = [&](const Error& why) {
    log_error("store_commit_failed", {{"why", why.message()}});
    // Without a transaction (it could not begin, or SQLite has ended it) this fails, and may.
    (void)impl.rollback.run();
    impl.spec_ids.clear();
    return CommitEnd::Full;
  };
  if (const auto begun = impl.begin.run(); !begun) return fail(begun.error());
  {
    Query query(impl.read_epoch);
    const auto has_row = query->step();
    if (!has_row) return fail(has_row.error());
    const Epoch found{from_sql(query->integer(0))};
    if (found != expected) {
      query->reset();
      log_error("store_fenced",
                {{"epoch", cat(expected.value)}, {"newer_epoch", cat(found.value)}});
      (void)impl.rollback.run();
      return CommitEnd::Fenced;
    }
  }
  for (const Batch& batch : batches) {
    if (const auto written = impl.write(batch); !written) return fail(written.error());
  }
  if (const auto written = impl.write_next_ids(batches); !written) return fail(written.error());
  if (const auto committed = impl.commit.run(); !committed) return fail(committed.error());
  // A busy store finds no idle moment; its log must not grow without bound all the same.
  if (impl.db.log_pages() > kMaxLogPages) {
    if (const auto moved = impl.db.checkpoint(); !moved) {
      log_warning("store_checkpoint_failed", {{"why", moved.error().message()}});
    }
  }
  return CommitEnd::Durable;
}

Result<void> SqliteStore::Impl::write(const Batch& batch) {
  for (const auto& [digest, spec] : batch.specs) {
    GANGWAY_TRY(put_spec.bind_text(1, digest).bind_blob(2, spec).run());
  }
  new_jobs.clear();
  altered_jobs.clear();
  for (const Event& event : batch.events) {
    GANGWAY_TRY(write_event(event));
    const auto* const of_job = std::get_if<Event::OfJob>(&event.subject);
    if (of_job == nullptr) continue;
    if (std::holds_alternative<job_event::Submitted>(of_job->what)) {
      new_jobs.push_back(of_job->key);
    } else if (std::holds_alternative<job_event::Altered>(of_job->what)) {
      altered_jobs.push_back(of_job->key);
    }
  }
  std::ranges::sort(new_jobs);
  std::ranges::sort(altered_jobs);
  for (const Job& job : batch.jobs) GANGWAY_TRY(write_job(job));
  for (const Workflow& workflow : batch.workflows) {
    wire::WorkflowState message;
    to_wire(workflow, &message);
    message.SerializeToString(&bytes);
    put_workflow.bind(1, to_sql(workflow.id.value)).bind_blob(3, bytes);
    if (workflow.ended) {
      put_workflow.bind(2, workflow.ended->ns);
    } else {
      put_workflow.bind_null(2);
    }
    GANGWAY_TRY(put_workflow.run());
  }
  for (const Node& node : batch.nodes) {
    wire::NodeState message;
    to_wire(node, &message);
    message.SerializeToString(&bytes);
    GANGWAY_TRY(put_node.bind_text(1, node.name.value).bind_blob(2, bytes).run());
  }
  for (const AssociationKey& key : batch.removed_associations) {
    GANGWAY_TRY(delete_association.bind_text(1, key.account.value).bind_text(2, key.user).run());
  }
  for (const Association& association : batch.associations) {
    wire::AssociationState message;
    to_wire(association, &message);
    message.SerializeToString(&bytes);
    put_association.bind_text(1, association.key.account.value);
    put_association.bind_text(2, association.key.user).bind_blob(3, bytes);
    GANGWAY_TRY(put_association.run());
  }
  for (const ServiceKey& key : batch.removed_services) {
    GANGWAY_TRY(delete_service.bind(1, key.uid).bind_text(2, key.name).run());
  }
  for (const Service& service : batch.services) {
    wire::ServiceState message;
    to_wire(service, &message);
    message.SerializeToString(&bytes);
    put_service.bind(1, service.owner.uid).bind_text(2, service.spec.name).bind_blob(3, bytes);
    GANGWAY_TRY(put_service.run());
  }
  for (const SubmissionRecord& submission : batch.submissions) {
    wire::Submitted message;
    for (const JobId job : submission.jobs) message.add_jobs(job.value);
    if (submission.workflow) message.set_workflow(submission.workflow->value);
    message.SerializeToString(&bytes);
    put_submission.bind_text(1, submission.key).bind(2, submission.at.ns).bind_blob(3, bytes);
    GANGWAY_TRY(put_submission.run());
  }
  return {};
}

// Once for all of a transaction: they only rise.
Result<void> SqliteStore::Impl::write_next_ids(std::span<const Batch> batches) {
  std::optional<JobId> job;
  std::optional<WorkflowId> workflow;
  for (const Batch& batch : batches) {
    if (batch.next_job) job = batch.next_job;
    if (batch.next_workflow) workflow = batch.next_workflow;
  }
  if (job) GANGWAY_TRY(put_next_job.bind(1, to_sql(job->value)).run());
  if (workflow) GANGWAY_TRY(put_next_workflow.bind(1, to_sql(workflow->value)).run());
  return {};
}

// Specs are never removed, so what was found once stays true, unless its transaction does not.
Result<std::int64_t> SqliteStore::Impl::spec_id(const std::string& digest) {
  constexpr std::size_t kMaxKnown = 10'000;
  if (const auto known = spec_ids.find(digest); known != spec_ids.end()) return known->second;
  Query query(get_spec_id);
  query->bind_text(1, digest);
  GANGWAY_ASSIGN(const bool has_row, query->step());
  if (!has_row) return Error(ErrorKind::Internal, cat("no spec ", digest, " is stored"));
  if (spec_ids.size() >= kMaxKnown) spec_ids.clear();
  return spec_ids.emplace(digest, query->integer(0)).first->second;
}

Result<void> SqliteStore::Impl::write_job(const Job& job) {
  to_wire(job, &job_message);
  job_message.clear_spec_digest();  // the row names its spec by number
  job_message.SerializeToString(&bytes);
  const std::int64_t id = to_sql(job.key.job.value);
  const std::int64_t index = job.key.index;
  // Of an array in a workflow only the whole is its member.
  const auto bind_workflow = [&](Statement& statement, int place) {
    if (job.membership && !job.is_element()) {
      statement.bind(place, to_sql(job.membership->workflow.value));
    } else {
      statement.bind_null(place);
    }
  };
  if (job.is_finished()) {
    GANGWAY_TRY(delete_job.bind(1, id).bind(2, index).run());
    finish_job.bind(1, id).bind(2, index).bind_text(3, job.owner.user);
    finish_job.bind(4, job.ended.value_or(job.submitted).ns).bind_blob(5, bytes);
    bind_workflow(finish_job, 6);
    finish_job.bind_text(7, job.spec_digest);
    return finish_job.run();
  }
  const auto phase = static_cast<std::int64_t>(job.phase.index());
  if (!std::ranges::binary_search(new_jobs, job.key)) {
    // Nearly always it is there already, and then its spec need not be looked up.
    GANGWAY_TRY(update_job.bind(1, id).bind(2, index).bind(3, phase).bind_blob(4, bytes).run());
    if (db.changes() == 1) {
      if (!std::ranges::binary_search(altered_jobs, job.key)) return {};
      GANGWAY_ASSIGN(const std::int64_t other, spec_id(job.spec_digest));
      return update_spec.bind(1, id).bind(2, index).bind(3, other).run();
    }
  }
  GANGWAY_ASSIGN(const std::int64_t spec, spec_id(job.spec_digest));
  insert_job.bind(1, id).bind(2, index).bind(3, phase).bind_blob(4, bytes);
  bind_workflow(insert_job, 5);
  insert_job.bind(6, spec);
  return insert_job.run();
}

Result<void> SqliteStore::Impl::write_event(const Event& event) {
  to_wire(event, &event_message);
  event_message.SerializeToString(&bytes);
  const std::string subject = subject_of(event);
  put_event.bind(1, to_sql(event.seq)).bind(2, event.time.ns).bind(3, to_sql(event.version));
  put_event.bind_text(4, subject).bind_text(5, kind_of(event)).bind_blob(6, bytes);
  return put_event.run();
}

Result<std::size_t> SqliteStore::prune_submissions(Time now, std::size_t limit) {
  GANGWAY_ASSIGN(Statement prune,
                 // The oldest first; where the clock was set back some stay until it has caught up.
                 impl_->db.prepare("DELETE FROM submission_log WHERE at_ns < ?1 AND id IN "
                                   "(SELECT id FROM submission_log ORDER BY id LIMIT ?2)"));
  prune.bind(1, (now - kSubmissionMemory).ns).bind(2, static_cast<std::int64_t>(limit));
  GANGWAY_TRY_CONTEXT(prune.run(), "store: forget old submissions");
  return static_cast<std::size_t>(impl_->db.changes());
}

std::int64_t SqliteStore::log_pages() const { return impl_->db.log_pages(); }
Result<void> SqliteStore::checkpoint() { return impl_->db.checkpoint(); }

}  // namespace gangway::store
