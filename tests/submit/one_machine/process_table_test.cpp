#include "submit/one_machine/process_table.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace gangway::one_machine {
namespace {

// A child that waits to be killed.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    while (true) ::pause();
  }
  ~Child() { reap(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  void reap() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

TEST(ProcessTable, ARecordReadsBackAsItself) {
  const ProcessId process{.pid = 77, .start_time = 123, .boot = "b-1"};
  EXPECT_EQ(parse_record(render_record(process)), process);
}

TEST(ProcessTable, ADamagedRecordIsNone) {
  EXPECT_FALSE(parse_record(""));
  EXPECT_FALSE(parse_record("77 123"));
  EXPECT_FALSE(parse_record("1 123 b-1"));  // nobody ends init by mistake
  EXPECT_FALSE(parse_record("-5 123 b-1"));
}

TEST(ProcessTable, AProcessOfAnotherStartTimeIsNotTheOneRecorded) {
  Child child;
  auto process = find_process(child.pid());
  ASSERT_TRUE(process);
  EXPECT_TRUE(is_alive(*process));
  ++process->start_time;
  EXPECT_FALSE(is_alive(*process));
  send_signal(*process, SIGKILL);
  EXPECT_TRUE(find_process(child.pid()));
}

TEST(ProcessTable, AZombieIsNotAlive) {
  Child child;
  const auto process = find_process(child.pid());
  ASSERT_TRUE(process);
  EXPECT_TRUE(terminate({*process}, Duration{}).empty());
  EXPECT_FALSE(is_alive(*process));
}

TEST(ProcessTable, FindsAChildByItsNamespace) {
  Child child;
  const auto ours = namespace_of(::getpid(), "net");
  ASSERT_TRUE(ours);
  const auto found = find_processes([&](pid_t pid) { return namespace_of(pid, "net") == ours; });
  EXPECT_TRUE(std::ranges::any_of(found, [&](const auto& p) { return p.pid == child.pid(); }));
  EXPECT_TRUE(std::ranges::none_of(found, [](const auto& p) { return p.pid == ::getpid(); }));
}

}  // namespace
}  // namespace gangway::one_machine
