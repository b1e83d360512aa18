// The store by itself: what is durable is there again, and nothing else.
#include "queues/store/sqlite_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "tests/queues/store/ledger.hpp"

namespace gangway::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() {
    // In memory where that is possible: these tests kill processes, not machines.
    directory_ = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    directory_ += "/gangway_store_XXXXXX";
    CHECK(::mkdtemp(directory_.data()) != nullptr);
    path_ = directory_ + "/spool/store.sqlite";
    open();
    epoch_ = *store_->open_epoch();
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(directory_); }

  void open(StoreOptions options = {}) {
    store_.reset();
    auto opened = SqliteStore::open(path_, options);
    CHECK(opened.has_value());
    store_ = *std::move(opened);
  }
  CommitEnd commit(const Batch& batch) { return store_->apply_batches({&batch, 1}, epoch_); }
  LiveState load() {
    auto live = store_->load_live(ledger_.now);
    CHECK(live.has_value());
    return *std::move(live);
  }
  std::vector<JobKey> loaded_keys() {
    std::vector<JobKey> keys;
    const LiveState live = load();
    for (const auto& [key, job] : live.jobs) keys.push_back(key);
    return keys;
  }
  // Past the store's back.
  void execute(const char* sql) {
    sqlite3* handle = nullptr;
    CHECK(sqlite3_open(path_.c_str(), &handle) == SQLITE_OK);
    char* why = nullptr;
    const int done = sqlite3_exec(handle, sql, nullptr, nullptr, &why);
    EXPECT_EQ(done, SQLITE_OK) << why;
    sqlite3_close(handle);
  }

  std::string directory_;
  std::string path_;
  std::unique_ptr<SqliteStore> store_;
  Epoch epoch_;
  Ledger ledger_;
};

JobKey key(std::uint64_t job) { return JobKey{JobId{job}}; }

TEST_F(SqliteStoreTest, NewStoreIsEmptyAndPrivate) {
  const LiveState live = load();
  EXPECT_THAT(live.jobs, IsEmpty());
  EXPECT_EQ(live.next_job, JobId{1});
  EXPECT_EQ(live.next_workflow, WorkflowId{1});
  EXPECT_EQ(live.next_seq, 1u);
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((directory_ + "/spool").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((path_ + "-wal").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

TEST_F(SqliteStoreTest, JobComesBackAsItWas) {
  Batch batch;
  const JobKey waiting = ledger_.submit(batch, "ada", std::nullopt, "first");
  const JobKey running = ledger_.submit(batch, "bob", std::nullopt, "second");
  ledger_.happen(batch, running, job_event::Allocated{1, {}});
  ledger_.happen(batch, running, job_event::Launched{});
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  open();
  const LiveState live = load();
  ASSERT_EQ(live.jobs.size(), 2u);
  EXPECT_TRUE(same_state(live.jobs.at(waiting), ledger_.jobs[waiting]));
  EXPECT_TRUE(same_state(live.jobs.at(running), ledger_.jobs[running]));
  EXPECT_EQ(*live.jobs.at(waiting).spec, Ledger::spec("first"));
  EXPECT_EQ(live.jobs.at(running).spec_digest, ledger_.jobs[running].spec_digest);
  EXPECT_EQ(live.next_job, JobId{3});
  EXPECT_EQ(live.next_seq, ledger_.next_seq);
}

TEST_F(SqliteStoreTest, EqualSpecsAreStoredAndLoadedOnce) {
  Batch batch;
  for (int i = 0; i < 3; ++i) ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  const LiveState live = load();
  EXPECT_EQ(live.jobs.at(key(1)).spec, live.jobs.at(key(3)).spec);
  EXPECT_EQ(store_->check()->specs, 1u);
}

TEST_F(SqliteStoreTest, AnAlteredJobComesBackWithItsNewSpec) {
  Batch batch;
  const JobKey job = ledger_.submit(batch);
  const JobKey altered_at_once = ledger_.submit(batch);
  ledger_.alter(batch, altered_at_once, "other");
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  Batch second;
  ledger_.alter(second, job, "other");
  ASSERT_EQ(commit(second), CommitEnd::Durable);
  open();
  const LiveState live = load();
  for (const auto& [key, loaded] : live.jobs) EXPECT_EQ(loaded.spec->name, "other");
  EXPECT_THAT(store_->check()->problems, IsEmpty());
  Batch end;
  ledger_.run(end, job);
  ASSERT_EQ(commit(end), CommitEnd::Durable);
  EXPECT_EQ(store_->query_history({})->front().spec->name, "other");
}

TEST_F(SqliteStoreTest, AJobThatWasSuspendedWhileTheClockWasSetBackComesBack) {
  Batch batch;
  const JobKey job = ledger_.submit(batch);
  ledger_.happen(batch, job, job_event::Allocated{1, {}});
  ledger_.happen(batch, job, job_event::Launched{});
  ledger_.now = ledger_.now - hours(1);
  ledger_.happen(batch, job, job_event::Suspended{});
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  open();
  EXPECT_THAT(loaded_keys(), ElementsAre(job));
}

TEST_F(SqliteStoreTest, FinishedJobMovesToTheHistory) {
  Batch batch;
  ledger_.submit(batch);
  ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  Batch end;
  ledger_.run(end, key(1), 3);
  ASSERT_EQ(commit(end), CommitEnd::Durable);
  EXPECT_THAT(loaded_keys(), ElementsAre(key(2)));
  const auto history = store_->query_history({});
  ASSERT_EQ(history->size(), 1u);
  EXPECT_TRUE(same_state(history->front(), ledger_.jobs[key(1)]));
}

TEST_F(SqliteStoreTest, FinishedMembersOfALiveWorkflowAreLoadedWithIt) {
  const WorkflowId id{1};
  Batch batch;
  ledger_.submit(batch, "ada", Membership{id, "a"});
  ledger_.submit(batch, "ada", Membership{id, "b"});
  const Need need{.member = "a", .outcome = NeedOutcome::Success};
  ledger_.submit_workflow(batch, id,
                          {{.name = "a", .job = JobId{1}, .needs = {}}, {"b", JobId{2}, {need}}});
  ledger_.run(batch, key(1));
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_THAT(loaded_keys(), ElementsAre(key(1), key(2)));
  EXPECT_THAT(load().workflows, ElementsAre(ledger_.workflows[id]));

  Batch end;
  ledger_.run(end, key(2));
  ledger_.finish_workflow(end, id);
  ASSERT_EQ(commit(end), CommitEnd::Durable);
  EXPECT_THAT(load().jobs, IsEmpty());
  EXPECT_THAT(load().workflows, IsEmpty());
  EXPECT_EQ(store_->find_workflow(id)->value(), ledger_.workflows[id]);
  EXPECT_EQ(*store_->find_workflow(WorkflowId{9}), std::nullopt);
  EXPECT_EQ(load().next_workflow, WorkflowId{2});
}

TEST_F(SqliteStoreTest, NodesComeBackAsTheyWere) {
  const NodeName name("n01");
  Batch batch;
  ledger_.happen(
      batch, name,
      node_event::Registered{
          {.cores = 4, .memory = gibibytes(8), .named = {{"gpu", 1}}}, "boot", "10.0.0.1"});
  ledger_.happen(batch, name, node_event::Drained{true, "new disk", "root"});
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_THAT(load().nodes, ElementsAre(ledger_.nodes[name]));
}

TEST_F(SqliteStoreTest, AccountsAndTheirUsageComeBackAsTheyWere) {
  const AssociationKey physics{AccountName("physics"), ""};
  const AssociationKey ann{AccountName("physics"), "ann"};
  const AssociationKey art{AccountName("art"), ""};
  Batch batch;
  ledger_.happen(batch, physics, account_event::Set{{}, 30});
  ledger_.happen(batch, ann, account_event::Set{{}, 7});
  ledger_.happen(batch, art, account_event::Set{AccountName("physics"), 1});
  ledger_.happen(batch, ann, account_event::Charged{JobKey{JobId{3}}, 1, 12.5, 1.0 / 3});
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  Batch later;
  ledger_.happen(later, art, account_event::Removed{});
  ASSERT_EQ(commit(later), CommitEnd::Durable);
  open();
  EXPECT_THAT(load().associations,
              ElementsAre(ledger_.associations.at(physics), ledger_.associations.at(ann)));
  const auto report = store_->check();
  ASSERT_TRUE(report.has_value());
  EXPECT_THAT(report->problems, IsEmpty());
  execute("DELETE FROM association WHERE user = 'ann'");
  EXPECT_THAT(store_->check()->problems, ElementsAre("accounts have events and no row"));
}

TEST_F(SqliteStoreTest, ServicesComeBackAsTheyWereAndGoWithTheirLastReplica) {
  const Owner ada{.uid = 1000, .gid = 100, .user = "ada"};
  const ServiceKey web{1000, "web"};
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = 2;
  Batch batch;
  ledger_.happen(batch, web, service_event::Applied{ada, spec, Ledger::spec("web")});
  ledger_.happen(batch, web, service_event::Started{1, 1, JobId{7}});
  ledger_.happen(batch, web, service_event::Phased{1, ReplicaPhase::Ready});
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  open();
  ASSERT_EQ(load().services.size(), 1u);
  EXPECT_EQ(load().services.front(), ledger_.services.at(web));
  EXPECT_THAT(store_->check()->problems, IsEmpty());

  Batch end;
  ledger_.happen(end, web, service_event::Deleted{});
  ledger_.happen(end, web, service_event::Forgotten{1});
  ledger_.happen(end, web, service_event::Removed{});
  ASSERT_EQ(commit(end), CommitEnd::Durable);
  EXPECT_THAT(load().services, IsEmpty());
  EXPECT_THAT(store_->check()->problems, IsEmpty());
}

TEST_F(SqliteStoreTest, TablesOfTheFirstVersionAreBroughtUpToDate) {
  Batch batch;
  const JobKey key = ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  store_.reset();
  execute(
      "DROP TABLE association; DROP TABLE submission_log; DROP TABLE service;"
      "CREATE TABLE submission (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
      " at_ns INTEGER NOT NULL, answer BLOB NOT NULL) STRICT;"
      "CREATE INDEX submission_age ON submission (at_ns);"
      "INSERT INTO submission VALUES (4, '1000:known', 1, x'0a0105'); PRAGMA user_version = 1");
  ledger_.now = Time{2};
  open();
  EXPECT_THAT(loaded_keys(), ElementsAre(key));
  EXPECT_THAT(load().associations, IsEmpty());
  const SubmissionRecord known{
      .key = "1000:known", .jobs = {JobId{5}}, .workflow = {}, .at = Time{1}};
  EXPECT_THAT(load().submissions, ElementsAre(known));
}

TEST_F(SqliteStoreTest, ATransactionThatFailedLeavesNoTraceInTheNext) {
  Batch first;
  const JobKey job = ledger_.submit(first);
  Batch broken = first;
  broken.events.push_back(first.events.front());  // its number is taken
  ASSERT_EQ(commit(broken), CommitEnd::Full);
  // The spec's number of the first try is nobody's.
  ASSERT_EQ(commit(first), CommitEnd::Durable);
  EXPECT_THAT(loaded_keys(), ElementsAre(job));
  EXPECT_THAT(store_->check()->problems, IsEmpty());
}

TEST_F(SqliteStoreTest, SubmissionsAreRememberedForTheirTime) {
  SubmissionRecord old{
      .key = "1000:old-key", .jobs = {JobId{1}, JobId{2}}, .workflow = {}, .at = {}};
  old.at = ledger_.now;
  SubmissionRecord young{
      .key = "1000:new", .jobs = {JobId{3}}, .workflow = WorkflowId{7}, .at = {}};
  young.at = ledger_.now + hours(1);
  Batch batch;
  batch.submissions = {old, young};
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_THAT(load().submissions, ElementsAre(old, young));
  ledger_.now = old.at + kSubmissionMemory + seconds(1);
  EXPECT_THAT(load().submissions, ElementsAre(young));
  EXPECT_EQ(*store_->prune_submissions(ledger_.now, 10), 1u);
  EXPECT_EQ(*store_->prune_submissions(ledger_.now, 10), 0u);
}

TEST_F(SqliteStoreTest, SpecIsFoundByItsDigest) {
  Batch batch;
  const JobKey job = ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_EQ(*wire::decode_spec(*store_->find_spec(ledger_.jobs[job].spec_digest)),
            Ledger::spec("job"));
  EXPECT_EQ(store_->find_spec("none").error().kind(), ErrorKind::NotFound);
}

TEST_F(SqliteStoreTest, EventsAreReadInSlices) {
  Batch batch;
  ledger_.submit(batch);
  ledger_.run(batch, key(1));
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  const auto slice = store_->read_events(2, 3);
  ASSERT_EQ(slice->size(), 3u);
  EXPECT_EQ(slice->front().seq, 2u);
  EXPECT_EQ(slice->front().version, 2u);
  const auto& allocated = std::get<Event::OfJob>(slice->front().subject);
  EXPECT_EQ(event_name(allocated.what), "Allocated");
  EXPECT_THAT(*store_->read_events(ledger_.next_seq, 3), IsEmpty());
}

// Jobs 1..6 of ada, bob, ada, bob, …; each ends later than the one before.
class HistoryTest : public SqliteStoreTest {
 protected:
  HistoryTest() {
    Batch batch;
    for (std::uint64_t i = 1; i <= 6; ++i) {
      std::optional<Membership> membership;
      if (i <= 2) membership = Membership{WorkflowId{1}, cat("m", i)};
      ledger_.submit(batch, i % 2 == 1 ? "ada" : "bob", membership);
      ledger_.run(batch, key(i));
    }
    CHECK(commit(batch) == CommitEnd::Durable);
  }
  std::vector<std::uint64_t> ask(const HistoryQuery& query) {
    std::vector<std::uint64_t> ids;
    const auto found = store_->query_history(query);
    for (const Job& job : *found) ids.push_back(job.key.job.value);
    return ids;
  }
};

TEST_F(HistoryTest, NewestEndComesFirst) { EXPECT_THAT(ask({}), ElementsAre(6, 5, 4, 3, 2, 1)); }

TEST_F(HistoryTest, AsksByUserKeyAndWorkflow) {
  EXPECT_THAT(ask({.users = {"bob"}}), ElementsAre(6, 4, 2));
  EXPECT_THAT(ask({.keys = {key(5), key(1), key(5), key(99)}}), ElementsAre(5, 1));
  EXPECT_THAT(ask({.workflows = {WorkflowId{1}}}), ElementsAre(2, 1));
  EXPECT_THAT(ask({.keys = {key(1), key(2)}, .workflows = {WorkflowId{1}}, .users = {"bob"}}),
              ElementsAre(2));
}

TEST_F(HistoryTest, LimitKeepsTheNewest) {
  EXPECT_THAT(ask({.ended_since = {}, .limit = 2}), ElementsAre(6, 5));
  EXPECT_THAT(ask({.users = {"ada", "bob"}, .limit = 3}), ElementsAre(6, 5, 4));
}

TEST_F(HistoryTest, SinceIsInclusive) {
  const Time since = *ledger_.jobs[key(5)].ended;
  EXPECT_THAT(ask({.ended_since = since}), ElementsAre(6, 5));
}

TEST_F(HistoryTest, KeyWithoutIndexMeansAllElements) {
  Batch batch;
  Job element = ledger_.jobs[key(1)];
  for (std::uint32_t index : {3u, 4u}) {
    element.key = JobKey{JobId{50}, index};
    batch.jobs.push_back(element);
  }
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_THAT(ask({.keys = {key(50)}}), ElementsAre(50, 50));
  EXPECT_THAT(ask({.keys = {{JobId{50}, 4}}}), ElementsAre(50));
}

TEST_F(SqliteStoreTest, OlderEpochIsFencedAndWritesNothing) {
  open();
  const Epoch newer = *store_->open_epoch();
  EXPECT_GT(newer, epoch_);
  Batch batch;
  ledger_.submit(batch);
  EXPECT_EQ(commit(batch), CommitEnd::Fenced);
  EXPECT_THAT(load().jobs, IsEmpty());
  epoch_ = newer;
  EXPECT_EQ(commit(batch), CommitEnd::Durable);
}

TEST_F(SqliteStoreTest, FencingHoldsAcrossConnections) {
  auto other = *SqliteStore::open(path_);
  ASSERT_TRUE(other->open_epoch().has_value());
  Batch batch;
  ledger_.submit(batch);
  EXPECT_EQ(commit(batch), CommitEnd::Fenced);
}

TEST_F(SqliteStoreTest, FullDiskStoresNothingOfTheGroupAndGoesOnAfterwards) {
  open({.cache = mebibytes(1), .max_pages = 60});
  std::vector<Batch> batches(2);
  ledger_.submit(batches[0]);
  batches[1].specs.emplace_back("large", std::string(1 << 20, 'x'));
  const Batch small = batches[0];
  EXPECT_EQ(store_->apply_batches(batches, epoch_), CommitEnd::Full);
  EXPECT_THAT(load().jobs, IsEmpty());
  EXPECT_EQ(commit(small), CommitEnd::Durable);
  EXPECT_THAT(loaded_keys(), ElementsAre(key(1)));
}

TEST_F(SqliteStoreTest, EventsWhoseNumberIsTakenAreRefusedWhole) {
  Batch batch;
  ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  Batch again;
  ledger_.next_seq = 1;
  ledger_.submit(again);
  EXPECT_EQ(commit(again), CommitEnd::Full);
  EXPECT_THAT(loaded_keys(), ElementsAre(key(1)));
}

TEST_F(SqliteStoreTest, UndecodableRowIsNamed) {
  Batch batch;
  ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  execute("UPDATE job_state SET state = x'ff'");
  const auto live = store_->load_live(ledger_.now);
  ASSERT_FALSE(live.has_value());
  EXPECT_EQ(live.error().kind(), ErrorKind::Corrupt);
  EXPECT_EQ(live.error().message(), "store: job 1: its state cannot be parsed");
}

TEST_F(SqliteStoreTest, UndecodableSpecIsNamedWithItsJob) {
  Batch batch;
  const JobKey job = ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  execute("UPDATE spec SET bytes = x'ff'");
  EXPECT_THAT(store_->load_live(ledger_.now).error().message(),
              HasSubstr("store: job 1: spec " + ledger_.jobs[job].spec_digest));
}

TEST_F(SqliteStoreTest, FileOfAnotherProgramIsLeftAlone) {
  const std::string other = directory_ + "/other.sqlite";
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(other.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE t (a)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
  const auto opened = SqliteStore::open(other);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().message(), "store " + other + ": a database of another program");
}

TEST_F(SqliteStoreTest, FileThatIsNoDatabaseIsCorrupt) {
  const std::string other = directory_ + "/text";
  { std::ofstream(other) << std::string(5000, 'x'); }
  EXPECT_EQ(SqliteStore::open(other).error().kind(), ErrorKind::Corrupt);
}

TEST_F(SqliteStoreTest, NewerTablesAreRefused) {
  execute("PRAGMA user_version = 99");
  const auto opened = SqliteStore::open(path_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().kind(), ErrorKind::Unsupported);
}

TEST_F(SqliteStoreTest, DirectoryThatCannotBeMadeIsSaidWithItsPath) {
  EXPECT_THAT(SqliteStore::open("/proc/none/store.sqlite").error().message(),
              HasSubstr("store /proc/none/store.sqlite: make directory /proc/none"));
}

TEST_F(SqliteStoreTest, LogIsMovedIntoTheStoreWhenAsked) {
  Batch batch;
  ledger_.submit(batch);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  EXPECT_GT(store_->log_pages(), 0);
  EXPECT_TRUE(store_->checkpoint().has_value());
  EXPECT_EQ(store_->log_pages(), 0);
}

// A seeded walk through jobs' lives, committed in pieces.
TEST_F(SqliteStoreTest, LogHasItsRoomAtOnceAndKeepsItAcrossOpenings) {
  const std::string log = path_ + "-wal";
  open({.log_reserve = mebibytes(2)});
  EXPECT_EQ(std::filesystem::file_size(log), 2U << 20);
  Batch batch;
  const JobKey job = ledger_.submit(batch);
  EXPECT_EQ(commit(batch), CommitEnd::Durable);
  store_.reset();
  EXPECT_EQ(std::filesystem::file_size(log), 2U << 20);
  open({.log_reserve = mebibytes(2)});
  EXPECT_THAT(loaded_keys(), ElementsAre(job));
  EXPECT_EQ(std::filesystem::file_size(log), 2U << 20);
}

TEST_F(SqliteStoreTest, ReplayOfTheEventsGivesTheRows) {
  Rng rng(7);
  std::vector<JobKey> jobs;
  for (int turn = 0; turn < 200; ++turn) {
    Batch batch;
    for (std::int64_t i = rng.between(1, 4); i > 0; --i) {
      if (jobs.empty() || rng.chance(300)) {
        jobs.push_back(ledger_.submit(batch, "ada", std::nullopt, cat("job", rng.between(1, 5))));
        continue;
      }
      const JobKey job = jobs[static_cast<std::size_t>(
          rng.between(0, static_cast<std::int64_t>(jobs.size()) - 1))];
      const Job& state = ledger_.jobs[job];
      const auto attempt = state.attempt;
      switch (state.phase.index()) {
        case 0:
          if (rng.chance(200)) {
            ledger_.happen(batch, job, job_event::Held{rng.chance(500)});
          } else if (rng.chance(200)) {
            ledger_.happen(batch, job, job_event::ReasonChanged{PendingReason::Resources});
          } else {
            ledger_.happen(batch, job, job_event::Allocated{attempt + 1, {}});
          }
          break;
        case 1:
          ledger_.happen(batch, job, job_event::Launched{});
          break;
        case 2:
          ledger_.happen(batch, job, job_event::Ended{attempt, Outcome{}, rng.chance(300)});
          break;
        case 4:
          ledger_.happen(batch, job, job_event::Cleaned{attempt});
          break;
        default:
          break;
      }
    }
    if (rng.chance(100)) {
      ledger_.happen(batch, NodeName(cat("n", rng.between(1, 3))), node_event::Lost{});
    }
    ASSERT_EQ(commit(batch), CommitEnd::Durable);
  }
  open();
  const auto report = store_->check();
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_EQ(report->jobs, jobs.size());
  EXPECT_EQ(report->events, ledger_.next_seq - 1);
}

TEST_F(SqliteStoreTest, ReplayOfAnArrayItsElementsAndAResumedWorkflowGivesTheRows) {
  Batch batch;
  const JobKey array = ledger_.submit_array(batch, 10);
  ledger_.run(batch, ledger_.split(batch, array, 0));
  ledger_.run(batch, ledger_.split(batch, array, 4), 3);
  job_event::Dropped dropped{.positions = {}, .outcome = {.kind = OutcomeKind::Cancelled}};
  dropped.positions.add({5, 9});
  ledger_.happen(batch, array, dropped);
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  Batch second;
  for (const std::uint32_t position : {1U, 2U, 3U}) {
    ledger_.run(second, ledger_.split(second, array, position));
  }
  ledger_.happen(second, array, job_event::ArrayEnded{});
  const JobKey member = ledger_.submit(second, "ada", Membership{WorkflowId{1}, "a"});
  ledger_.submit_workflow(second, WorkflowId{1}, {{.name = "a", .job = member.job}});
  ledger_.run(second, member, 1);
  ledger_.finish_workflow(second, WorkflowId{1});
  const JobKey again = ledger_.submit(second, "ada", Membership{WorkflowId{1}, "a"});
  ledger_.resume_workflow(second, WorkflowId{1}, 0, again.job);
  ASSERT_EQ(commit(second), CommitEnd::Durable);
  open();
  const auto report = store_->check();
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_THAT(report->problems, IsEmpty());
  const auto whole = store_->query_history({.keys = {array}, .only_whole = true});
  ASSERT_EQ(whole->size(), 1U);
  EXPECT_EQ(whole->front().outcome()->exit_code, 3);
  EXPECT_EQ(whole->front().array->succeeded.size(), 4U);
}

TEST_F(SqliteStoreTest, CheckFindsWhatTheRowsAndTheLogDisagreeOn) {
  Batch batch;
  for (int i = 0; i < 3; ++i) ledger_.submit(batch, "ada", std::nullopt, cat("job", i));
  ledger_.run(batch, key(3));
  ASSERT_EQ(commit(batch), CommitEnd::Durable);
  execute(
      "UPDATE job_state SET state = (SELECT state FROM job_history) WHERE job = 1;"
      "DELETE FROM event WHERE seq = 2;"
      "UPDATE meta SET next_job = 2;"
      "UPDATE spec SET bytes = (SELECT bytes FROM spec WHERE id = 2) WHERE id = 3;");
  const auto report = store_->check();
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_THAT(report->problems,
              ElementsAre(HasSubstr("its bytes have another digest"), "event 3: follows 1",
                          HasSubstr("its state is that of 3"), "job 2: has a row and no events",
                          "the next job would be 2, which exists"));
}

// A child commits one job after the other and says so; it is killed in the middle. Whatever it has
// said must be there, in a store without a scratch.
TEST_F(SqliteStoreTest, WhatWasAcknowledgedSurvivesAKillInTheMiddle) {
  Rng rng(11);
  store_.reset();
  for (int round = 0; round < 5; ++round) {
    int said[2];
    ASSERT_EQ(::pipe(said), 0);
    const std::uint64_t first = ledger_.next_job.value;
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(said[0]);
      auto store = *SqliteStore::open(path_, {.log_reserve = mebibytes(round % 2)});
      const Epoch epoch = *store->open_epoch();
      for (;;) {
        Batch batch;
        const JobKey job = ledger_.submit(batch, "ada", std::nullopt, cat("job", ledger_.next_seq));
        if (job.job.value % 3 == 0) ledger_.run(batch, job);
        if (store->apply_batches({&batch, 1}, epoch) != CommitEnd::Durable) ::_exit(1);
        if (::write(said[1], &job.job.value, sizeof job.job.value) < 0) ::_exit(2);
      }
    }
    ::close(said[1]);
    std::uint64_t last = 0;
    const auto enough = first + static_cast<std::uint64_t>(rng.between(5, 60));
    std::uint64_t id = 0;
    while (last < enough && ::read(said[0], &id, sizeof id) == sizeof id) last = id;
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (::read(said[0], &id, sizeof id) == sizeof id) last = id;
    ::close(said[0]);

    open();
    const LiveState live = load();
    const auto report = store_->check();
    store_.reset();
    EXPECT_THAT(report->problems, IsEmpty());
    // One more may have become durable without having been said.
    EXPECT_GE(live.next_job.value, last + 1);
    EXPECT_LE(live.next_job.value, last + 2);
    EXPECT_EQ(report->jobs, live.next_job.value - 1);
    // The next child goes on from what is there.
    ledger_ = Ledger();
    ledger_.next_job = live.next_job;
    ledger_.next_seq = live.next_seq;
  }
}

}  // namespace
}  // namespace gangway::store
