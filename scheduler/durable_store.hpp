// DurableStore: the JobStore of jschedd, SQLite behind one writing thread with group commit.
//
// commit() hands its batch to the thread, which takes all that has queued up while the disk was
// busy, writes it in one transaction, and so pays for one flush to the disk where the load is
// highest. It never waits for more to come. The ends of the commits come back to the event loop's
// thread, in the order of the calls. Loads and queries run at once on a connection of their own and
// see what is durable.
//
// This is the one place of the code base with a thread and a mutex: a flush takes as long as the
// disk likes, and the loop must go on meanwhile. Everything but the writer's own work happens on
// the thread of the loop.
//
// After a commit that was Fenced or Full every later one ends the same way without being tried: it
// builds on what is not stored. Submissions older than kSubmissionMemory are forgotten, and the
// write-ahead log is moved into the store, when the writer has nothing else to do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "queues/io/event_loop.hpp"
#include "queues/store/job_store.hpp"
#include "queues/store/sqlite_store.hpp"

namespace gangway::scheduler {

struct DurableStoreOptions {
  std::size_t max_group = 1000;     // batches in one transaction
  std::size_t max_queued = 10'000;  // batches waiting; at the bound commit() waits for the writer
  store::StoreOptions store{};
};
// What a scheduler that stays gives its log.
constexpr Bytes kLogReserve = mebibytes(16);

class DurableStore final : public store::JobStore {
 public:
  // `path` of the store's file; what is missing is made. `loop` outlives the store. Errors: as
  // SqliteStore::open().
  [[nodiscard]] static Result<std::unique_ptr<DurableStore>> open(const std::string& path,
                                                                  io::EventLoop& loop,
                                                                  DurableStoreOptions options = {});
  // Waits until what is queued is durable; its on_done is not called any more.
  ~DurableStore() override;
  DurableStore(const DurableStore&) = delete;
  DurableStore& operator=(const DurableStore&) = delete;

  Result<Epoch> open_epoch() override;  // once, before the first commit()
  Result<store::LiveState> load_live() override;
  void commit(store::Batch batch,
              Epoch expected,
              std::function<void(store::CommitEnd)> on_done) override;
  Result<std::string> find_spec(const std::string& digest) override;
  Result<std::vector<Event>> read_events(std::uint64_t from_seq, std::size_t limit) override;
  Result<std::vector<Job>> query_history(const store::HistoryQuery& query) override;
  Result<std::optional<Workflow>> find_workflow(WorkflowId id) override;

  // Transactions that were tried since the start: with the count of commits, the size of groups.
  [[nodiscard]] std::uint64_t transactions() const;

 private:
  struct Writer;  // what the two threads share
  DurableStore(io::EventLoop& loop,
               std::unique_ptr<store::SqliteStore> reader,
               std::unique_ptr<Writer> writer);
  struct Pending {
    store::Batch batch;
    Epoch expected;
    std::function<void(store::CommitEnd)> on_done;
  };
  void hand_over();
  void deliver();
  void arm_prune();

  io::EventLoop& loop_;
  std::unique_ptr<store::SqliteStore> reader_;
  std::unique_ptr<Writer> writer_;
  std::vector<Pending> gathered_;  // for the writer, not yet handed over
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  io::WatchId finished_watch_;
  io::TimerId prune_timer_;
};

}  // namespace gangway::scheduler
