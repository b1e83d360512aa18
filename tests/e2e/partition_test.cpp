// A node that cannot be reached: what runs there ends by itself at the end of its lease, and only
// then runs again elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

class Partition : public OnCluster<Partition> {
 public:
  static ClusterOptions options() {
    return {.nodes = 2, .cores = 2, .lease = "4s", .heartbeat = "500ms"};
  }

 protected:
  void cut(const std::string& node, const char* state) {
    const Ran ran = cluster().in_network(node, {"ip", "link", "set", "eth0", state});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  // Writes "<node> <seconds since boot>" lines until it is ended.
  const std::string kTicker =
      "while true; do echo $(hostname) $(cut -d' ' -f1 /proc/uptime) >> ticks; sleep 0.1; done";
};

TEST_F(Partition, AJobEndsWithItsLeaseBeforeItRunsAgainElsewhere) {
  SKIP_WITHOUT_NETWORKS();
  const std::string id = submit({"--requeue", "--wrap", kTicker});
  const auto ticks = [&] { return content(directory() + "/ticks"); };
  ASSERT_TRUE(becomes_true([&] { return !ticks().empty(); }));
  const std::string first = ticks().substr(0, 3);
  cut(first, "down");
  const std::string second = first == "n01" ? "n02" : "n01";
  EXPECT_TRUE(becomes_true([&] { return ticks().find(second) != std::string::npos; }));
  cut(first, "up");
  // One node after the other, never both at once.
  double last_of_first = 0;
  double first_of_second = 1e18;
  const std::string all_ticks = ticks();
  for (const auto line : split(trim(all_ticks), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() != 2) continue;  // ended in the middle of a line
    const double when = std::stod(std::string(fields[1]));
    if (fields[0] == first) last_of_first = std::max(last_of_first, when);
    if (fields[0] == second) first_of_second = std::min(first_of_second, when);
  }
  EXPECT_LT(last_of_first, first_of_second);
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

TEST_F(Partition, RanksThatLoseANodeInTheMiddleOfAnExchangeEndOnAllNodes) {
  SKIP_WITHOUT_NETWORKS();
  const std::string program = GANGWAY_BINARY_DIR "/tests/e2e/mpi_programs/mpi_check_openmpi";
  if (!std::filesystem::exists(program)) GTEST_SKIP() << "no mpicc.openmpi when it was built";
  const std::string copy = directory() + "/mpi_check";
  std::filesystem::copy_file(program, copy);
  const std::string id =
      submit({"--requeue", "-N", "2", "-n", "4", "-o", "out", "--", copy, "wait"});
  ASSERT_TRUE(becomes_true([&] { return content(directory() + "/out") == "wait: right\n"; }));
  cut("n02", "down");
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
  const Ran why = user({"jwhy", id});
  EXPECT_NE(why.out.find("lost"), std::string::npos) << why.out << why.err;  // it waits for n02
  cut("n02", "up");
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

TEST_F(Partition, AShortAbsenceEndsNothing) {
  SKIP_WITHOUT_NETWORKS();
  const std::string id = submit({"--requeue", "-w", "n02", "--wrap",
                                 "echo start >> starts; while [ ! -e go ]; do sleep 0.05; done"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/starts"); }));
  cut("n02", "down");
  const BootTime until = SystemClock().now().boot + milliseconds(1500);
  EXPECT_TRUE(becomes_true([&] { return SystemClock().now().boot > until; }));
  cut("n02", "up");
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(content(directory() + "/starts"), "start\n");
}

TEST_F(Partition, AJobThatMustNotRunTwiceWaitsForItsNode) {
  SKIP_WITHOUT_NETWORKS();
  const std::string id = submit({"--no-requeue", "-w", "n01", "--wrap",
                                 "echo start >> starts; while [ ! -e go ]; do sleep 0.05; done"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/starts"); }));
  cut("n01", "down");
  // Longer than lease and drift: the scheduler calls the node lost, the job goes on.
  ASSERT_TRUE(becomes_true([&] {
    return user({"jnodes"}).out.find("lost") != std::string::npos ||
           user({"jnodes"}).out.find("down") != std::string::npos;
  }));
  write_as_user(cluster(), directory() + "/go", "");
  cut("n01", "up");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(content(directory() + "/starts"), "start\n");
}

}  // namespace
}  // namespace gangway::e2e
