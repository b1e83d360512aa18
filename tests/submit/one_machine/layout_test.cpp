#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "queues/base/text.hpp"
#include "submit/one_machine/cluster_config.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/leftovers.hpp"
#include "submit/one_machine/node_network.hpp"

namespace gangway::one_machine {
namespace {

ClusterLayout layout_of(const std::string& directory) { return *make_layout(directory); }

TEST(ClusterLayout, TwoDirectoriesHaveNothingInCommon) {
  EXPECT_NE(layout_of("/tmp/a-cluster").name, layout_of("/tmp/b-cluster").name);
}

TEST(ClusterLayout, TheSameDirectoryHasTheSameName) {
  EXPECT_EQ(layout_of("/tmp/x/../a-cluster/").name, layout_of("/tmp/a-cluster").name);
}

TEST(ClusterLayout, ARelativeDirectoryIsRefused) {
  EXPECT_EQ(make_layout("cluster").error().kind(), ErrorKind::Invalid);
}

TEST(ClusterLayout, ADirectoryTooLongForASocketIsRefused) {
  EXPECT_EQ(make_layout("/" + std::string(90, 'd')).error().kind(), ErrorKind::Invalid);
  EXPECT_TRUE(make_layout("/" + std::string(80, 'd')));
}

TEST(ClusterLayout, NodesAreNumberedWithAsManyDigitsAsAllNeed) {
  EXPECT_EQ(node_names(4).back().value, "n04");
  EXPECT_EQ(node_names(120).front().value, "n001");
}

TEST(NodeNetwork, EveryNodeHasANamespaceAndAnAddressOfItsOwn) {
  const auto layout = layout_of("/tmp/a-cluster");
  const auto plan = plan_network(layout, node_names(3));
  ASSERT_EQ(plan.nodes.size(), 3U);
  EXPECT_EQ(plan.nodes[1].network_namespace, layout.name + "-n02");
  EXPECT_EQ(plan.nodes[1].address, cat("10.77.", layout.network, ".2"));
  EXPECT_EQ(plan.scheduler_address, cat("10.77.", layout.network, ".254"));
}

TEST(NodeNetwork, NoCommandTouchesTheMachinesOwnNetwork) {
  const auto layout = layout_of("/tmp/a-cluster");
  for (const auto& command : network_commands(plan_network(layout, node_names(4)))) {
    ASSERT_GE(command.size(), 4U);
    const bool adds_namespace = command[1] == "netns" && command[2] == "add";
    const bool works_inside = command[1] == "-n" && command[2].starts_with(layout.name);
    EXPECT_TRUE(adds_namespace || works_inside) << join(command, " ");
  }
}

TEST(NodeNetwork, InterfaceNamesFitTheKernelsFifteenBytes) {
  for (const auto& name : node_names(kMaxNodes)) EXPECT_LE(name.value.size(), 15U);
}

TEST(Leftovers, MountsBelowADirectoryComeDeepestFirst) {
  const std::string_view mountinfo =
      "22 1 0:1 / / rw - ext4 /dev/a rw\n"
      "23 22 0:2 / /c/n01/spool rw - tmpfs t rw\n"
      "24 23 0:3 / /c/n01/spool/a\\040b rw shared:1 - tmpfs t rw\n"
      "25 22 0:4 / /cc rw - tmpfs t rw\n";
  EXPECT_EQ(mounts_below(mountinfo, "/c"),
            (std::vector<std::string>{"/c/n01/spool/a b", "/c/n01/spool"}));
}

// The kernel lacks memory groups; a waiver exists for it.
const std::vector<containers::ProbeRow> kKernel{
    {.name = "memory", .ok = false, .detail = "no", .remedy = "boot", .waiver = "cgroup-memory"},
    {.name = "seccomp", .ok = true, .detail = "yes", .remedy = {}, .waiver = "seccomp"}};

class ClusterConfigTest : public testing::Test {
 protected:
  config::Config make(const ClusterWishes& wishes, config::Config before = {}) {
    return cluster_config(std::move(before), layout_, plan_, machine_, wishes, kKernel);
  }
  ClusterLayout layout_ = layout_of("/tmp/a-cluster");
  NetworkPlan plan_ = plan_network(layout_, node_names(4));
  Machine machine_{.cores = 64, .memory = gibibytes(128), .user = "ann", .own_networks = true};
};

TEST_F(ClusterConfigTest, NodesShareTheMachine) {
  const auto made = make({});
  EXPECT_EQ(made.executor.cores, 16);
  EXPECT_EQ(made.executor.memory, gibibytes(32));
}

TEST_F(ClusterConfigTest, ASmallMachineStillGivesTwoCoresANode) {
  machine_.cores = 2;
  EXPECT_EQ(make({}).executor.cores, 2);
}

TEST_F(ClusterConfigTest, WishesWinOverTheFileAndTheFileOverDefaults) {
  config::Config before;
  before.lease = seconds(7);
  before.heartbeat = seconds(1);
  ClusterWishes wishes;
  wishes.lease = seconds(9);
  const auto made = make(wishes, before);
  EXPECT_EQ(made.lease, seconds(9));
  EXPECT_EQ(made.heartbeat, seconds(1));
}

TEST_F(ClusterConfigTest, OnlyWhatTheKernelLacksIsWaived) {
  EXPECT_EQ(make({}).executor.waivers, std::set{Waiver::CgroupMemory});
  EXPECT_EQ(needed_waivers(kKernel), std::vector<std::string>{"cgroup-memory: no"});
}

TEST_F(ClusterConfigTest, WhoBringsItUpIsItsOperator) {
  EXPECT_EQ(make({}).operators, (std::vector<std::string>{"root", "ann"}));
  EXPECT_EQ(make({}, make({})).operators, (std::vector<std::string>{"root", "ann"}));
}

TEST_F(ClusterConfigTest, WithoutNetworksAllMeetAtTheLoopback) {
  machine_.own_networks = false;
  machine_.free_port = 4711;
  const auto made = make({});
  EXPECT_EQ(made.scheduler.listen, "127.0.0.1:4711");
  EXPECT_EQ(made.mpi.tcp_networks, "127.0.0.0/8");
  EXPECT_EQ(node_config(made, layout_, plan_.nodes[0], machine_).executor.address, "127.0.0.1");
}

TEST_F(ClusterConfigTest, NodesDifferInSpoolAddressAndControlGroup) {
  const auto made = make({});
  const auto first = node_config(made, layout_, plan_.nodes[0], machine_);
  const auto second = node_config(made, layout_, plan_.nodes[1], machine_);
  EXPECT_NE(first.executor.spool, second.executor.spool);
  EXPECT_NE(first.executor.address, second.executor.address);
  EXPECT_NE(first.executor.cgroup, second.executor.cgroup);
}

}  // namespace
}  // namespace gangway::one_machine
