// The store with its writing thread: order, groups, fencing, bounds. Run under the thread sanitizer
// too.
#include "scheduler/durable_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"
#include "tests/queues/store/ledger.hpp"

namespace gangway::scheduler {
namespace {

using store::Batch;
using store::CommitEnd;
using ::testing::Each;
using ::testing::SizeIs;

class DurableStoreTest : public ::testing::Test {
 protected:
  DurableStoreTest() {
    // In memory where that is possible: no test here cuts the power.
    directory_ = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    directory_ += "/gangway_durable_XXXXXX";
    CHECK(::mkdtemp(directory_.data()) != nullptr);
    path_ = directory_ + "/store.sqlite";
  }
  ~DurableStoreTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<DurableStore> open(DurableStoreOptions options = {}) {
    auto opened = DurableStore::open(path_, loop_, options);
    CHECK(opened.has_value());
    epoch_ = *(*opened)->open_epoch();
    return *std::move(opened);
  }
  Batch one_job() {
    Batch batch;
    ledger_.submit(batch);
    return batch;
  }
  // Commits `count` batches and runs the loop until the last has ended.
  void commit(DurableStore& durable, int count) {
    for (int i = 0; i < count; ++i) {
      durable.commit(one_job(), epoch_, [this, i, count](CommitEnd end) {
        order_.push_back(i);
        ends_.push_back(end);
        if (i == count - 1) loop_.stop();
      });
    }
  }
  void run() {
    bool in_time = true;
    const io::TimerId guard = loop_.arm(loop_.now().boot + seconds(30), [&] {
      in_time = false;
      loop_.stop();
    });
    loop_.run();
    loop_.cancel(guard);
    ASSERT_TRUE(in_time) << "the commit did not end";
  }

  io::AsioLoop loop_;
  std::string directory_;
  std::string path_;
  Epoch epoch_;
  store::Ledger ledger_;
  std::vector<int> order_;
  std::vector<CommitEnd> ends_;
};

// Keeps everybody else from writing to the store.
class WriteLock {
 public:
  explicit WriteLock(const std::string& path) {
    CHECK(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK);
    CHECK(sqlite3_exec(handle_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~WriteLock() { release(); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  void release() {
    if (handle_ != nullptr) sqlite3_close(handle_);
    handle_ = nullptr;
  }

 private:
  sqlite3* handle_ = nullptr;
};

TEST_F(DurableStoreTest, EndsComeInOrderOnTheLoopsThread) {
  const auto durable = open();
  const auto here = std::this_thread::get_id();
  durable->commit(one_job(), epoch_,
                  [&](CommitEnd) { EXPECT_EQ(std::this_thread::get_id(), here); });
  commit(*durable, 500);
  EXPECT_TRUE(order_.empty());
  run();
  ASSERT_THAT(order_, SizeIs(500));
  EXPECT_TRUE(std::ranges::is_sorted(order_));
  EXPECT_THAT(ends_, Each(CommitEnd::Durable));
  EXPECT_THAT(durable->load_live()->jobs, SizeIs(501));
}

TEST_F(DurableStoreTest, WhatQueuesUpWhileTheDiskIsBusySharesATransaction) {
  const auto durable = open();
  WriteLock lock(path_);
  commit(*durable, 200);
  lock.release();
  run();
  EXPECT_THAT(ends_, Each(CommitEnd::Durable));
  // Those that the writer met before it had to wait, and all the others.
  EXPECT_LE(durable->transactions(), 2u);
}

TEST_F(DurableStoreTest, GroupsAreBounded) {
  const auto durable = open({.max_group = 10});
  WriteLock lock(path_);
  commit(*durable, 100);
  lock.release();
  run();
  EXPECT_GE(durable->transactions(), 10u);
  EXPECT_LE(durable->transactions(), 11u);
}

TEST_F(DurableStoreTest, CommitWaitsWhileTheQueueIsFull) {
  const auto durable = open({.max_group = 2, .max_queued = 3});
  commit(*durable, 100);
  run();
  EXPECT_THAT(ends_, SizeIs(100));
  EXPECT_THAT(ends_, Each(CommitEnd::Durable));
}

TEST_F(DurableStoreTest, CommitMayBeMadeFromTheEndOfAnother) {
  const auto durable = open();
  durable->commit(one_job(), epoch_, [&](CommitEnd) {
    durable->commit(one_job(), epoch_, [&](CommitEnd end) {
      EXPECT_EQ(end, CommitEnd::Durable);
      loop_.stop();
    });
  });
  run();
  EXPECT_THAT(durable->load_live()->jobs, SizeIs(2));
}

TEST_F(DurableStoreTest, NewerSchedulerFencesThisOneForGood) {
  const auto old = open();
  const Epoch old_epoch = epoch_;
  const auto young = open();
  EXPECT_GT(epoch_, old_epoch);
  epoch_ = old_epoch;
  commit(*old, 20);
  run();
  EXPECT_THAT(ends_, SizeIs(20));
  EXPECT_THAT(ends_, Each(CommitEnd::Fenced));
  EXPECT_THAT(young->load_live()->jobs, SizeIs(0));
}

TEST_F(DurableStoreTest, NothingIsTriedAfterAFullDisk) {
  const auto durable = open({.max_group = 1, .store = {.max_pages = 60}});
  Batch large;
  large.specs.emplace_back("large", std::string(1 << 20, 'x'));
  durable->commit(std::move(large), epoch_,
                  [&](CommitEnd end) { EXPECT_EQ(end, CommitEnd::Full); });
  commit(*durable, 3);
  run();
  EXPECT_THAT(ends_, Each(CommitEnd::Full));
  EXPECT_THAT(durable->load_live()->jobs, SizeIs(0));
}

TEST_F(DurableStoreTest, WhatIsQueuedIsWrittenBeforeTheStoreGoes) {
  auto durable = open();
  bool told = false;
  for (int i = 0; i < 50; ++i) {
    durable->commit(one_job(), epoch_, [&](CommitEnd) { told = true; });
  }
  durable.reset();
  EXPECT_FALSE(told);
  EXPECT_THAT(open()->load_live()->jobs, SizeIs(50));
}

TEST_F(DurableStoreTest, QueriesSeeWhatIsDurable) {
  const auto durable = open();
  Batch batch = one_job();
  const std::string digest = batch.specs.front().first;
  ledger_.run(batch, JobKey{JobId{1}});
  durable->commit(std::move(batch), epoch_, [&](CommitEnd) { loop_.stop(); });
  run();
  EXPECT_TRUE(durable->find_spec(digest).has_value());
  EXPECT_THAT(*durable->query_history({}), SizeIs(1));
  EXPECT_THAT(*durable->read_events(1, 100), SizeIs(5));
  EXPECT_EQ(*durable->find_workflow(WorkflowId{1}), std::nullopt);
}

}  // namespace
}  // namespace gangway::scheduler
