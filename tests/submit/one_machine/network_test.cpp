// What only root can try: networks of their own and processes in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/command.hpp"
#include "submit/one_machine/daemon_start.hpp"
#include "submit/one_machine/files.hpp"
#include "submit/one_machine/leftovers.hpp"
#include "submit/one_machine/node_network.hpp"

namespace gangway::one_machine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class RootsNetwork : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give nodes networks of their own";
    std::string pattern = testing::TempDir() + "network-XXXXXX";
    layout_ = *make_layout(::mkdtemp(pattern.data()));
    plan_ = plan_network(layout_, node_names(2));
    const auto made = make_network(layout_, plan_);
    ASSERT_TRUE(made) << made.error().message();
  }
  void TearDown() override {
    if (layout_.name.empty()) return;
    for (const auto& process : find_members(layout_, {})) terminate({process}, Duration{});
    EXPECT_TRUE(remove_network(layout_));
    EXPECT_THAT(find_namespaces(layout_), IsEmpty());
    std::filesystem::remove_all(layout_.directory);
  }
  ProcessId start(const std::string& script) {
    const auto started =
        start_daemon({.argv = {"/bin/sh", "-c", script},
                      .log_file = layout_.directory + "/log",
                      .record_file = layout_.directory + "/record",
                      .network_namespace = namespace_path(plan_.nodes[0].network_namespace),
                      .host_name = "n01"});
    EXPECT_TRUE(started) << started.error().message();
    return started.value_or({});
  }
  ClusterLayout layout_;
  NetworkPlan plan_;
};

TEST_F(RootsNetwork, IsThereOnceMade) {
  EXPECT_TRUE(network_exists(plan_));
  EXPECT_EQ(find_namespaces(layout_).size(), 3U);
}

TEST_F(RootsNetwork, ADaemonRunsInItWithItsOwnNameAndSession) {
  const auto process = start("hostname; ip -br address; ps -o sid= -p $$; sleep 1000");
  EXPECT_EQ(read_record(layout_.directory + "/record"), process);
  std::string log;
  for (int i = 0; i < 2000 && log.find('\n' + std::to_string(process.pid)) == std::string::npos;
       ++i) {
    ::usleep(1000);
    log = read_small_file(layout_.directory + "/log").value_or("");
    log.erase(std::remove(log.begin(), log.end(), ' '), log.end());
  }
  EXPECT_THAT(log, HasSubstr("n01\n"));
  EXPECT_THAT(log, HasSubstr(plan_.nodes[0].address + "/24"));
  EXPECT_THAT(log, HasSubstr(cat('\n', process.pid)));
  EXPECT_TRUE(terminate({process}, Duration{}).empty());
}

TEST_F(RootsNetwork, FindsWhoeverIsInIt) {
  const auto process = start("setsid sleep 1000 & sleep 1000");
  ASSERT_TRUE(is_alive(process));
  const auto found = find_members(layout_, {});
  EXPECT_THAT(found, testing::Contains(process));
  EXPECT_TRUE(terminate(find_members(layout_, {}), Duration{}).empty());
}

TEST_F(RootsNetwork, MakingItTwiceFailsAndLeavesNothing) {
  const auto again = make_network(layout_, plan_);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message(), HasSubstr("ip netns add"));
  EXPECT_THAT(find_namespaces(layout_), IsEmpty());
}

TEST(DaemonStart, AProgramThatIsNotThereIsAnErrorWithTheStep) {
  const std::string directory = testing::TempDir();
  const auto started = start_daemon({.argv = {"/no/such/program"},
                                     .log_file = directory + "/no-such-program.log",
                                     .record_file = directory + "/no-such-program.pid",
                                     .network_namespace = "",
                                     .host_name = ""});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), HasSubstr("execute the program"));
  ::unlink((directory + "/no-such-program.log").c_str());
}

}  // namespace
}  // namespace gangway::one_machine
