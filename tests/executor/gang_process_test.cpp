// MPI ranks on two nodes that are two real shepherds on this machine, with their real PMIx servers,
// on the host's file system. examples/mpi_ring is the program.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/executor/played_agents.hpp"

namespace gangway::executor {
namespace {

class GangProcessTest : public testing::PlayedAgents {
 protected:
  // As the scheduler does: the first failure ends the others; nobody is released before the end.
  void on_finished(Node& ended) override {
    if (!ended.outcome().is_success()) {
      for (const auto& node : nodes_) {
        if (!node->finished) stop(*node, ended.outcome(), false);
      }
    }
    if (!all([](const Node& n) { return n.finished.has_value(); })) return;
    for (const auto& node : nodes_) release(*node);
  }
  JobSpec ring(int nodes, int tasks, std::vector<std::string> words = {}) const {
    JobSpec s = spec("");
    s.argv = {std::string(GANGWAY_MPI_RING)};
    s.argv.insert(s.argv.end(), words.begin(), words.end());
    s.launch = LaunchMode::Tasks;
    s.mpi = MpiMode::Pmix;
    s.components[0].nodes = nodes;
    s.components[0].tasks = tasks;
    s.stdio.out = "out";
    s.stdio.err = "err";
    s.kill_grace = seconds(2);
    return s;
  }
};

TEST_F(GangProcessTest, RanksOnOneNodeFindEachOther) {
  run_job(ring(1, 2));
  EXPECT_EQ(nodes_[0]->outcome().kind, OutcomeKind::Completed) << nodes_[0]->outcome().detail;
  EXPECT_NE(read("out").find("rank 1 of 2 on n0, local rank 1 of 2"), std::string::npos)
      << read("out");
  EXPECT_EQ(read("err"), "");
}
TEST_F(GangProcessTest, RanksOnTwoNodesFindEachOther) {
  run_job(ring(2, 4));
  for (const auto& node : nodes_) {
    EXPECT_EQ(node->outcome().kind, OutcomeKind::Completed) << node->outcome().detail;
  }
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_NE(read("out").find(
                  cat("rank ", rank, " of 4 on n", rank / 2, ", local rank ", rank % 2, " of 2")),
              std::string::npos)
        << read("out");
  }
  EXPECT_NE(read("out").find("ring of 4 ranks, 1048576 bytes, 1 rounds: right"), std::string::npos);
  EXPECT_EQ(read("err"), "");
}
TEST_F(GangProcessTest, AnAbortsCodeIsTheJobs) {
  run_job(ring(2, 4, {"--abort", "3:42", "--sleep", "600"}));
  EXPECT_EQ(nodes_[1]->outcome().kind, OutcomeKind::Failed);
  EXPECT_EQ(nodes_[1]->outcome().exit_code, 42) << nodes_[1]->outcome().detail;
  EXPECT_EQ(nodes_[0]->outcome().exit_code, 42) << nodes_[0]->outcome().detail;
}
TEST_F(GangProcessTest, AKilledRankEndsAllOthers) {
  run_job(ring(2, 4, {"--kill", "0", "--sleep", "600"}));
  EXPECT_EQ(nodes_[0]->outcome().signal, SIGKILL) << nodes_[0]->outcome().detail;
  for (const auto& node : nodes_) EXPECT_EQ(node->exit_status, 0);
}

}  // namespace
}  // namespace gangway::executor
