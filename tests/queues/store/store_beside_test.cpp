// The store beside other processes that read it.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "queues/base/check.hpp"
#include "queues/store/sqlite_store.hpp"
#include "tests/queues/store/ledger.hpp"

namespace gangway::store {
namespace {

// With a connection that knows nothing of us.
int count_events(const std::string& path) {
  sqlite3* handle = nullptr;
  int events = -1;
  CHECK(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  sqlite3_exec(
      handle, "SELECT count(*) FROM event",
      [](void* out, int, char** values, char**) {
        *static_cast<int*>(out) = std::stoi(values[0]);
        return 0;
      },
      &events, nullptr);
  sqlite3_close(handle);
  return events;
}

// Whoever reads the store from another process and is done with it must not believe itself the
// last, and remove the log that the scheduler goes on writing.
TEST(StoreBeside, AnotherProcessThatClosesTheStoreLeavesItsLog) {
  std::string directory = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  directory += "/gangway_beside_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/jobs.sqlite";
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  // Before this process has any connection: locks are not inherited, and SQLite would not know.
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::_exit(::read(go[0], &byte, 1) == 1 && count_events(path) == 1 ? 0 : 1);
  }
  // As a scheduler has it: one that writes, one that reads.
  auto writer = *SqliteStore::open(path);
  auto reader = *SqliteStore::open(path);
  const Epoch epoch = *writer->open_epoch();
  Ledger ledger;
  ASSERT_TRUE(reader->load_live(ledger.now).has_value());
  Batch batch;
  ledger.submit(batch);
  ASSERT_EQ(writer->apply_batches({&batch, 1}, epoch), CommitEnd::Durable);
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(std::filesystem::exists(path + "-wal"));
  ::close(go[0]);
  ::close(go[1]);
  writer.reset();
  reader.reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace gangway::store
