// The real host of shepherds, with shell scripts for shepherds.
#include "executor/process_host.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "executor/inventory.hpp"
#include "queues/base/process.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {
namespace {

namespace fs = std::filesystem;
constexpr AttemptKey kFirst{{JobId{42}}, 1};

class ProcessHostTest : public ::testing::Test {
 protected:
  struct Gone {
    AttemptKey key;
    std::string why;
    std::optional<wire::StepFinished> finished;
  };

  void SetUp() override {
    char pattern[] = "/tmp/gangway-host-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    host_.reset();
    if (launcher_pid_ > 0) ::waitpid(launcher_pid_, nullptr, 0);  // it ends with its socket
    for (const pid_t pid : strays_) ::kill(pid, SIGKILL);
    fs::remove_all(directory_);
  }
  // A shepherd whose body is `script`; $1 is its attempt directory.
  void make_host(const std::string& script, Spares spares = Spares::None) {
    const std::string program = directory_ + "/shepherd";
    std::ofstream(program) << "#!/bin/sh\n" << script;
    ::chmod(program.c_str(), 0755);
    if (!spool_) {
      Result<Spool> spool = Spool::open(directory_ + "/spool");
      ASSERT_TRUE(spool);
      spool_.emplace(*std::move(spool));
    }
    host_.reset();
    if (launcher_pid_ > 0) ::waitpid(launcher_pid_, nullptr, 0);
    Result<LauncherProcess> launcher = fork_launcher(&find_user, spares);
    ASSERT_TRUE(launcher);
    launcher_pid_ = launcher->pid;
    host_.emplace(loop_, *spool_,
                  ProcessHostConfig{program,
                                    *read_boot_id(),
                                    {},
                                    [this](const std::string& name) { cleaned_.push_back(name); }},
                  std::move(launcher->socket), [this](const Error&) {
                    launcher_lost_ = true;
                    loop_.stop();
                  });
    host_->set_on_gone(
        [this](AttemptKey key, std::string why, std::optional<wire::StepFinished> finished) {
          gone_.push_back({key, std::move(why), std::move(finished)});
          loop_.stop();
        });
  }
  void spawn(std::uint32_t uid = ::getuid()) {
    wire::Prepare order;
    order.mutable_owner()->set_uid(uid);
    host_->spawn(kFirst, order, BootTime{1});
  }
  // Until something ends; a minute at most.
  void run() {
    const io::TimerId limit = loop_.arm(loop_.now().boot + minutes(1), [this] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
  }
  void until(const std::function<bool()>& holds) {
    std::function<void()> look = [&] {
      if (holds()) {
        loop_.stop();
      } else {
        loop_.arm(loop_.now().boot + milliseconds(1), look);
      }
    };
    look();
    run();
    EXPECT_TRUE(holds());
  }
  std::string attempt() const { return directory_ + "/spool/jobs/42.1"; }

  std::string directory_;
  io::AsioLoop loop_;
  std::optional<Spool> spool_;
  std::optional<ProcessHost> host_;
  pid_t launcher_pid_ = 0;
  std::vector<std::string> cleaned_;
  std::vector<Gone> gone_;
  std::vector<pid_t> strays_;
  bool launcher_lost_ = false;
};

TEST_F(ProcessHostTest, AShepherdFindsItsOrderAndItsEndIsTold) {
  make_host("test -s \"$1/order\" && test -d \"$1/sandbox\" && exit 7; exit 1");
  spawn();
  run();
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_EQ(gone_[0].key, kFirst);
  EXPECT_EQ(gone_[0].why, "exit code 7");
  EXPECT_FALSE(gone_[0].finished.has_value());
  EXPECT_EQ(cleaned_, std::vector<std::string>{"42.1"});
  EXPECT_FALSE(spool_->attempt(kFirst).read_order()->start().user_name().empty());
  host_->forget(kFirst);
  EXPECT_FALSE(fs::exists(attempt()));
  EXPECT_TRUE(spool_->list_attempts().empty());
  until([&] { return spool_->list_forgotten().empty(); });
}
TEST_F(ProcessHostTest, WhatWasForgottenInAnEarlierLifeIsRemoved) {
  make_host("exit 0");
  ASSERT_TRUE(spool_->attempt(kFirst).create({}));
  ASSERT_TRUE(spool_->forget(kFirst));
  EXPECT_TRUE(host_->recover().empty());
  until([&] { return spool_->list_forgotten().empty(); });
}
TEST_F(ProcessHostTest, AShepherdIsInASessionOfItsOwnWithoutOurDescriptors) {
  make_host(R"(ps -o sid= -p $$ | tr -d ' ' > "$1/sid"; ls /proc/self/fd | wc -l > "$1/fds"
echo $$ > "$1/pid")");
  spawn();
  run();
  const auto word = [&](const char* name) {
    std::string text;
    std::ifstream(attempt() + "/" + name) >> text;
    return text;
  };
  EXPECT_EQ(word("sid"), word("pid"));
  EXPECT_EQ(word("fds"), "4");  // 0, 1, 2 and the one that lists them
}
TEST_F(ProcessHostTest, TheSecondShepherdHasBegunBeforeItIsAskedFor) {
  make_host("spares=" + directory_ + R"(/spares
if [ "$1" = --spare ]; then
  echo $$ >> "$spares"
  read directory || { echo unused >> "$spares"; exit 0; }
else
  directory=$1
fi
echo $$ > "$directory/pid"
exit 7)",
            Spares::Keep);
  const auto words = [](const std::string& path) {
    std::ifstream in(path);
    return std::vector<std::string>(std::istream_iterator<std::string>(in), {});
  };
  spawn();
  run();
  until([&] { return words(directory_ + "/spares").size() == 1; });
  const std::vector<std::string> first = words(directory_ + "/spares");
  EXPECT_NE(words(attempt() + "/pid"), first);
  spawn();
  run();
  ASSERT_EQ(gone_.size(), 2U);
  EXPECT_EQ(gone_[1].why, "exit code 7");
  EXPECT_EQ(words(attempt() + "/pid"), first);
  until([&] { return words(directory_ + "/spares").size() == 2; });
  // An update in place is not passed over for one that has begun before it.
  fs::copy_file(directory_ + "/shepherd", directory_ + "/new");
  fs::rename(directory_ + "/new", directory_ + "/shepherd");
  spawn();
  run();
  const std::vector<std::string> spares = words(directory_ + "/spares");
  ASSERT_GE(spares.size(), 2U);
  EXPECT_NE(words(attempt() + "/pid"), std::vector<std::string>{spares[1]});
}
TEST_F(ProcessHostTest, AShepherdThatIsNotNeededEndsWithTheLauncher) {
  make_host("echo $$ >> " + directory_ + R"(/pids; [ "$1" != --spare ] || read nothing)",
            Spares::Keep);
  spawn();
  run();
  std::vector<pid_t> pids;
  until([&] {
    std::ifstream in(directory_ + "/pids");
    pids.assign(std::istream_iterator<pid_t>(in), {});
    return pids.size() == 2;
  });
  host_.reset();
  ::waitpid(launcher_pid_, nullptr, 0);
  launcher_pid_ = 0;
  EXPECT_NE(::kill(pids[1], 0), 0);
}
TEST_F(ProcessHostTest, TheRecordOfTheEndIsHandedOn) {
  make_host("exit 0");
  wire::StepFinished finished;
  finished.mutable_outcome()->set_exit_code(3);
  std::ofstream(directory_ + "/record") << finished.SerializeAsString();
  make_host("cp " + directory_ + "/record \"$1/finished\"");
  spawn();
  run();
  ASSERT_EQ(gone_.size(), 1U);
  ASSERT_TRUE(gone_[0].finished.has_value());
  EXPECT_EQ(gone_[0].finished->outcome().exit_code(), 3);
}
TEST_F(ProcessHostTest, AKilledShepherdIsNamedSo) {
  make_host("kill -9 $$");
  spawn();
  run();
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_EQ(gone_[0].why, "killed by signal 9 (SIGKILL)");
}
TEST_F(ProcessHostTest, AProgramThatIsNotThereIsTold) {
  make_host("exit 0");
  fs::remove(directory_ + "/shepherd");
  spawn();
  run();
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_NE(gone_[0].why.find("No such file"), std::string::npos);
}
TEST_F(ProcessHostTest, AUserWithoutAnEntryRunsWithTheNumberAlone) {
  make_host("exit 3");
  spawn(0x7ffffffe);
  run();
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_EQ(gone_[0].why.find("user database"), std::string::npos) << gone_[0].why;
  EXPECT_TRUE(fs::exists(attempt()));
}
// A user database that does not answer for one user, as behind a network that is down.
Result<wire::UserRecord> find_but_one(std::uint32_t uid) {
  if (uid == 5) {
    for (;;) ::pause();
  }
  wire::UserRecord user;
  user.set_name(std::to_string(uid));
  return user;
}
TEST_F(ProcessHostTest, ALookUpThatHangsHoldsUpNobodyElse) {
  Result<LauncherProcess> launcher = fork_launcher(&find_but_one);
  ASSERT_TRUE(launcher);
  launcher_pid_ = launcher->pid;
  int lost = 0;
  int ended = 0;
  {
    LauncherLink link(
        loop_, std::move(launcher->socket), [&](pid_t, int) { ++ended; },
        [&](const Error&) { ++lost; });
    int of_five = 0;
    for (int i = 0; i < 2000; ++i) {
      link.find_user(5, [&](const Result<wire::UserRecord>&) { ++of_five; });
    }
    int of_six = 0;
    for (int i = 0; i < 2000; ++i) {
      link.find_user(6, [&](const Result<wire::UserRecord>& user) {
        if (user && user->name() == "6") ++of_six;
      });
    }
    pid_t spawned = 0;
    link.spawn("/bin/true", "/", [&](Result<pid_t> pid) { spawned = pid.value_or(-1); });
    until([&] { return of_six == 2000 && spawned > 0 && ended == 1; });
    EXPECT_EQ(of_five, 0);
  }
  EXPECT_EQ(lost, 0);
}
TEST_F(ProcessHostTest, ALostLauncherIsNoticed) {
  make_host("exit 0");
  ::kill(launcher_pid_, SIGKILL);
  run();
  EXPECT_TRUE(launcher_lost_);
}
// The shepherd writes its record as the real one does, and lives on.
TEST_F(ProcessHostTest, ARunningShepherdIsFoundAgain) {
  make_host("echo $$ > \"$1/pid.new\"; mv \"$1/pid.new\" \"$1/pid\"; exec sleep 60");
  spawn();
  const std::string pid_file = attempt() + "/pid";
  until([&] { return fs::exists(pid_file); });
  pid_t pid = 0;
  std::ifstream(pid_file) >> pid;
  ASSERT_GT(pid, 1);
  strays_.push_back(pid);
  wire::AttemptRecord record;
  record.set_boot_id(*read_boot_id());
  record.set_shepherd_pid(pid);
  record.set_shepherd_start_time(*find_start_time(pid));
  ASSERT_TRUE(spool_->attempt(kFirst).write_shepherd(record));

  make_host("exit 0");  // jexecd and its launcher are new; the shepherd is not their child
  const auto recovered = host_->recover();
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_TRUE(recovered[0].shepherd_alive);
  EXPECT_TRUE(cleaned_.empty());
  ::kill(pid, SIGKILL);
  run();
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_EQ(gone_[0].key, kFirst);
}
TEST_F(ProcessHostTest, AnotherProcessWithTheSameNumberIsNotTheShepherd) {
  make_host("exit 0");
  wire::AttemptRecord order;
  order.set_boot_id(*read_boot_id());
  ASSERT_TRUE(spool_->attempt(kFirst).create(order));
  wire::AttemptRecord record;
  record.set_boot_id(*read_boot_id());
  record.set_shepherd_pid(::getpid());
  record.set_shepherd_start_time(1);
  ASSERT_TRUE(spool_->attempt(kFirst).write_shepherd(record));
  const auto recovered = host_->recover();
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_FALSE(recovered[0].shepherd_alive);
  EXPECT_EQ(cleaned_, std::vector<std::string>{"42.1"});
}
TEST_F(ProcessHostTest, AShepherdOfAnEarlierBootIsGone) {
  make_host("exit 0");
  wire::AttemptRecord order;
  order.set_boot_id("another boot");
  ASSERT_TRUE(spool_->attempt(kFirst).create(order));
  wire::AttemptRecord record;
  record.set_boot_id("another boot");
  record.set_shepherd_pid(::getpid());
  record.set_shepherd_start_time(*find_start_time(::getpid()));
  ASSERT_TRUE(spool_->attempt(kFirst).write_shepherd(record));
  EXPECT_FALSE(host_->recover()[0].shepherd_alive);
}

// ---- users and machine -------------------------------------------------------------------------

TEST(FindUser, RootIsKnownEverywhere) {
  const auto root = find_user(0);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->name(), "root");
  EXPECT_FALSE(root->home().empty());
  EXPECT_GE(root->groups_size(), 1);
}
TEST(FindUser, AStrangerIsNotFound) {
  EXPECT_EQ(find_user(0x7ffffffe).error().kind(), ErrorKind::NotFound);
}
TEST(Inventory, TheMachineHasCoresAndMemory) {
  const auto machine = read_machine();
  ASSERT_TRUE(machine);
  EXPECT_FALSE(machine->cores.empty());
  EXPECT_GT(machine->memory.value, 0);
}
TEST(Inventory, TheOperatorsNumbersStand) {
  MachineFacts machine;
  machine.cores = {0, 1};
  machine.memory = gibibytes(4);
  EXPECT_EQ(plan_capacity(machine, {}, {}, {}).cores, 2);
  const Resources said = plan_capacity(machine, 8, gibibytes(1), {{"gpu", 2}});
  EXPECT_EQ(said.cores, 8);
  EXPECT_EQ(said.memory, gibibytes(1));
  EXPECT_EQ(said.amount_of("gpu"), 2);
}
TEST(Inventory, LoopbackIsSeenFromLoopback) {
  EXPECT_EQ(*find_own_address("127.0.0.1:9"), "127.0.0.1");
}

}  // namespace
}  // namespace gangway::executor
