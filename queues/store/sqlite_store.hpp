// SqliteStore: jobs, their specs and their events in one SQLite file; plain and synchronous.
//
// Write-ahead log, synchronous=FULL: what apply_batches() called Durable survives any crash and a
// loss of power. The tables are in schema.sql. Who drives it from an event loop is DurableStore
// (scheduler/durable_store.hpp): one instance belongs to one thread at a time, and several may be
// open on the same file, each seeing what the others have committed.
//
// Errors: Denied and NotFound (the file or its directory), Corrupt (naming the row), Unsupported
// (written by a newer version), Exhausted (no room), Unavailable (locked by another process).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "queues/store/job_store.hpp"

namespace gangway::store {

struct StoreOptions {
  Bytes cache = mebibytes(64);
  std::int64_t max_pages = 0;  // bound of the file, for tests; 0: the disk's
  // Room that the write-ahead log is given at once and keeps: commits that find room are several
  // times faster than commits that make a file grow. 0: none.
  Bytes log_reserve{};
};

// What check() found.
struct CheckReport {
  std::uint64_t events = 0;
  std::uint64_t jobs = 0;
  std::uint64_t specs = 0;
  std::vector<std::string> problems;  // the first kMaxProblems; empty: all is well
  static constexpr std::size_t kMaxProblems = 100;
};

class SqliteStore {
 public:
  // Makes what is missing: the directory (0700), the file (0600), the tables; brings older tables
  // up to date.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const std::string& path,
                                                                 StoreOptions options = {});
  ~SqliteStore();
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  // As in JobStore.
  [[nodiscard]] Result<Epoch> open_epoch();
  // All of them in one transaction, in order, or none. What went wrong is logged.
  [[nodiscard]] CommitEnd apply_batches(std::span<const Batch> batches, Epoch expected);
  // Submissions older than kSubmissionMemory before `now` are left out.
  [[nodiscard]] Result<LiveState> load_live(Time now);
  [[nodiscard]] Result<std::string> find_spec(const std::string& digest);
  [[nodiscard]] Result<std::vector<Event>> read_events(std::uint64_t from_seq, std::size_t limit);
  [[nodiscard]] Result<std::vector<Job>> query_history(const HistoryQuery& query);
  [[nodiscard]] Result<std::optional<Workflow>> find_workflow(WorkflowId id);

  // Forgets submissions older than kSubmissionMemory before `now`, at most `limit` of them; returns
  // how many.
  [[nodiscard]] Result<std::size_t> prune_submissions(Time now, std::size_t limit);
  // Pages waiting in the write-ahead log, and the work of moving them; for idle moments. Without it
  // apply_batches() does it when the log has grown past kMaxLogPages.
  [[nodiscard]] std::int64_t log_pages() const;
  [[nodiscard]] Result<void> checkpoint();
  static constexpr std::int64_t kMaxLogPages = 20'000;

  // Reads everything: the file's own structure, digests of specs, and whether replaying the events
  // gives the rows. Takes memory for all jobs there ever were.
  [[nodiscard]] Result<CheckReport> check();

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The text of schema.sql.
extern const char* const kSchemaSql;

}  // namespace gangway::store
