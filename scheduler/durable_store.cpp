#include "scheduler/durable_store.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::scheduler {

namespace {

using store::Batch;
using store::CommitEnd;
using store::SqliteStore;
using OnDone = std::function<void(CommitEnd)>;

// 14 MiB: recovery after a crash reads the log, and moving it takes some tens of milliseconds, in
// which a submission may have to wait. Less than kLogReserve.
constexpr std::int64_t kMoveLogAbove = 3'500;
constexpr auto kIdleFor = std::chrono::milliseconds(200);
constexpr Duration kPruneEvery = hours(1);
constexpr std::size_t kPruneAtOnce = 10'000;

}  // namespace

struct DurableStore::Writer {
  struct Finished {
    OnDone on_done;
    CommitEnd end = CommitEnd::Durable;
  };

  Writer(std::unique_ptr<SqliteStore> opened, DurableStoreOptions chosen)
      : store(std::move(opened)),
        options(chosen),
        wake_loop(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~Writer() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    if (thread.joinable()) thread.join();
  }

  void start() {
    // Signals are the loop's matter.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    thread = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread.native_handle(), "store");
  }

  // The writing thread, until all is written after stopping.
  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      if (pending.empty()) {
        if (stopping) return;
        idle(lock);
        continue;
      }
      write_group(lock);
    }
  }

  void write_group(std::unique_lock<std::mutex>& lock) {
    // One transaction checks one epoch.
    const Epoch epoch = pending.front().expected;
    std::vector<Batch> batches;
    std::vector<Finished> ends;
    while (!pending.empty() && batches.size() < options.max_group &&
           pending.front().expected == epoch) {
      batches.push_back(std::move(pending.front().batch));
      ends.push_back({std::move(pending.front().on_done)});
      pending.pop_front();
    }
    ++transactions;
    lock.unlock();
    changed.notify_all();  // there is room
    if (!failed) {
      const CommitEnd end = store->apply_batches(batches, epoch);
      if (end != CommitEnd::Durable) failed = end;
      may_move_log = true;
    }
    for (Finished& end : ends) end.end = failed.value_or(CommitEnd::Durable);
    batches.clear();
    lock.lock();
    std::move(ends.begin(), ends.end(), std::back_inserter(finished));
    const std::uint64_t one = 1;
    // It cannot be full: the loop takes all at once.
    CHECK(::write(wake_loop.get(), &one, sizeof one) == sizeof one);
  }

  // Waits for work, and uses the time.
  void idle(std::unique_lock<std::mutex>& lock) {
    const auto has_work = [this] { return stopping || !pending.empty(); };
    const bool log_is_long = may_move_log && store->log_pages() > kMoveLogAbove;
    if (!log_is_long && !prune_at) {
      changed.wait(lock, [&] { return has_work() || prune_at.has_value(); });
      return;
    }
    if (changed.wait_for(lock, kIdleFor, has_work)) return;
    const std::optional<Time> prune = std::exchange(prune_at, std::nullopt);
    lock.unlock();
    bool prune_more = false;
    if (prune) {
      const auto pruned = store->prune_submissions(*prune, kPruneAtOnce);
      if (!pruned) log_warning("store_prune_failed", {{"why", pruned.error().message()}});
      prune_more = pruned && *pruned == kPruneAtOnce;
    }
    if (log_is_long) {
      const auto moved = store->checkpoint();
      if (!moved) log_warning("store_checkpoint_failed", {{"why", moved.error().message()}});
      may_move_log = moved.has_value();  // else not again before there is more to move
    }
    lock.lock();
    if (prune_more && !prune_at) prune_at = prune;
  }

  // The writing thread's alone, once it runs.
  std::unique_ptr<SqliteStore> store;
  std::optional<CommitEnd> failed;
  bool may_move_log = true;

  const DurableStoreOptions options;
  const Fd wake_loop;  // readable: `finished` has grown
  std::thread thread;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::deque<Pending> pending;
  std::vector<Finished> finished;
  std::optional<Time> prune_at;
  std::uint64_t transactions = 0;
  bool stopping = false;
};

Result<std::unique_ptr<DurableStore>> DurableStore::open(const std::string& path,
                                                         io::EventLoop& loop,
                                                         DurableStoreOptions options) {
  CHECK(options.max_group > 0 && options.max_queued > 0);
  GANGWAY_ASSIGN(auto writing, SqliteStore::open(path, options.store));
  store::StoreOptions for_reader = options.store;
  for_reader.log_reserve = {};
  GANGWAY_ASSIGN(auto reading, SqliteStore::open(path, for_reader));
  auto writer = std::make_unique<Writer>(std::move(writing), options);
  if (!writer->wake_loop) return errno_error("store: make an eventfd", errno);
  return std::unique_ptr<DurableStore>(
      new DurableStore(loop, std::move(reading), std::move(writer)));
}

DurableStore::DurableStore(io::EventLoop& loop,
                           std::unique_ptr<SqliteStore> reader,
                           std::unique_ptr<Writer> writer)
    : loop_(loop), reader_(std::move(reader)), writer_(std::move(writer)) {
  finished_watch_ = loop_.watch_readable(writer_->wake_loop.get(), [this] { deliver(); });
  arm_prune();
}

DurableStore::~DurableStore() {
  hand_over();
  loop_.unwatch(finished_watch_);
  loop_.cancel(prune_timer_);
}

Result<Epoch> DurableStore::open_epoch() {
  CHECK(!writer_->thread.joinable());  // the store is the writer's from here on
  GANGWAY_ASSIGN(const Epoch epoch, writer_->store->open_epoch());
  writer_->start();
  return epoch;
}

void DurableStore::commit(Batch batch, Epoch expected, OnDone on_done) {
  CHECK(writer_->thread.joinable());
  gathered_.push_back({std::move(batch), expected, std::move(on_done)});
  if (gathered_.size() >= writer_->options.max_queued) return hand_over();
  if (gathered_.size() > 1) return;
  loop_.post([this, token = std::weak_ptr(alive_)] {
    if (!token.expired()) hand_over();
  });
}

// What the callbacks of one round of the loop have gathered, so that it costs one waking.
void DurableStore::hand_over() {
  if (gathered_.empty()) return;
  {
    std::unique_lock lock(writer_->mutex);
    // The only back pressure that loses nothing: nobody is heard until the disk has caught up.
    writer_->changed.wait(lock,
                          [this] { return writer_->pending.size() < writer_->options.max_queued; });
    std::ranges::move(gathered_, std::back_inserter(writer_->pending));
  }
  gathered_.clear();
  writer_->changed.notify_all();
}

void DurableStore::deliver() {
  std::uint64_t count = 0;
  (void)!::read(writer_->wake_loop.get(), &count, sizeof count);
  std::vector<Writer::Finished> finished;
  {
    const std::lock_guard lock(writer_->mutex);
    finished.swap(writer_->finished);
  }
  for (const Writer::Finished& end : finished) end.on_done(end.end);
}

void DurableStore::arm_prune() {
  prune_timer_ = loop_.arm(loop_.now().boot + kPruneEvery, [this] {
    {
      const std::lock_guard lock(writer_->mutex);
      writer_->prune_at = loop_.now().wall;
    }
    writer_->changed.notify_all();
    arm_prune();
  });
}

Result<store::LiveState> DurableStore::load_live() { return reader_->load_live(loop_.now().wall); }

Result<std::string> DurableStore::find_spec(const std::string& digest) {
  return reader_->find_spec(digest);
}

Result<std::vector<Event>> DurableStore::read_events(std::uint64_t from_seq, std::size_t limit) {
  return reader_->read_events(from_seq, limit);
}

Result<std::vector<Job>> DurableStore::query_history(const store::HistoryQuery& query) {
  return reader_->query_history(query);
}

Result<std::optional<Workflow>> DurableStore::find_workflow(WorkflowId id) {
  return reader_->find_workflow(id);
}

std::uint64_t DurableStore::transactions() const {
  const std::lock_guard lock(writer_->mutex);
  return writer_->transactions;
}

}  // namespace gangway::scheduler
