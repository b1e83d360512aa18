// Open MPI ranks over four nodes, two on each, in an image that has neither mpirun nor orted nor
// ssh. examples/mpi_ring says on each rank who it is, sums over all, and sends a block round all
// ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Mpi : public OnCluster<Mpi> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 2}; }

 protected:
  void SetUp() override {
    OnCluster::SetUp();
    image_ = find_image("mpi.tar");
    if (image_.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  }
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // Eight ranks on four nodes; output in "out" and "err".
  Ran run_ring(std::vector<std::string> words, const std::string& image) {
    std::vector<std::string> argv{"jsubmit", "--wait", "-N", "4",   "-n", "8",
                                  "-t",      "2m",     "-o", "out", "-e", "err"};
    if (!image.empty()) argv.insert(argv.end(), {"--image", image});
    argv.insert(argv.end(), {"--", "/opt/mpi_ring/mpi_ring"});
    argv.insert(argv.end(), words.begin(), words.end());
    return user(argv);
  }
  Ran run_ring(std::vector<std::string> words) { return run_ring(std::move(words), image_); }
  bool no_rank_is_left() {
    return becomes_true([&] { return cluster().user_processes().empty(); });
  }
  std::string image_;
};

TEST_F(Mpi, RanksKnowWhoTheyAreAndTheRingIsRight) {
  const Ran ran = run_ring({});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out") << file("err");
  EXPECT_EQ(file("err"), "");
  for (int rank = 0; rank < 8; ++rank) {
    const std::string host = have_networks() ? cat("n0", rank / 2 + 1) : std::string();
    EXPECT_THAT(file("out"), HasSubstr(cat("rank ", rank, " of 8 on ", host)));
    if (have_networks()) {
      EXPECT_THAT(file("out"), HasSubstr(cat("rank ", rank, " of 8 on ", host, ", local rank ",
                                             rank % 2, " of 2, sum 36 right")));
    }
  }
  EXPECT_THAT(file("out"), HasSubstr("ring of 8 ranks, 1048576 bytes, 1 rounds: right"));
}

TEST_F(Mpi, TheBytesCrossTheNodesNetworks) {
  SKIP_WITHOUT_NETWORKS();
  std::map<std::string, std::int64_t> before;
  const std::vector<std::string> nodes{"n01", "n02", "n03", "n04"};
  for (const auto& node : nodes) before[node] = cluster().bytes_sent(node);
  constexpr std::int64_t kRounds = 4;
  ASSERT_EQ(run_ring({"--rounds", cat(kRounds)}).exit_code, 0) << file("err");
  // Of the two ranks of a node one sends to the next node: the block leaves it once in each round.
  for (const auto& node : nodes) {
    EXPECT_GE(cluster().bytes_sent(node) - before[node], kRounds << 20) << node;
  }
}

TEST_F(Mpi, AnAbortEndsAllRanksWithItsCode) {
  const Ran ran = run_ring({"--abort", "5:42", "--sleep", "600"});
  EXPECT_EQ(ran.exit_code, 42) << ran.err << file("err");
  EXPECT_TRUE(no_rank_is_left());
}

TEST_F(Mpi, ARankThatIsKilledEndsTheJobAndNoRankIsLeft) {
  const Ran ran = run_ring({"--kill", "3", "--sleep", "600"});
  EXPECT_EQ(ran.exit_code, 128 + 9) << ran.err << file("err");
  EXPECT_TRUE(no_rank_is_left());
}

TEST_F(Mpi, CancellingEndsAllRanks) {
  const std::string id = submit({"-N", "4", "-n", "8", "--image", image_, "-o", "out", "--",
                                 "/opt/mpi_ring/mpi_ring", "--sleep", "600"});
  ASSERT_TRUE(becomes_true([&] { return file("out").find("rank 7 of 8") != std::string::npos; }));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_TRUE(no_rank_is_left());
}

TEST_F(Mpi, TheImageHasNothingThatStartsRanks) {
  const Ran ran = user({"jsubmit", "--wait", "--image", image_, "-o", "out", "--", "sh", "-c",
                        "for p in mpirun mpiexec orterun orted prte prted ssh rsh; do "
                        "command -v $p; done; true"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("out"), "");
}

// Ranks of one node and of several give the same numbers as one program alone: the last job checks.
TEST_F(Mpi, TheHeatExampleIsRight) {
  const std::string source = std::string(GANGWAY_SOURCE_DIR) + "/examples/heat/workflow.yaml";
  std::string text = content(source);
  const std::string named = "../../build/images/mpi.tar";
  const auto at = text.find(named);
  ASSERT_NE(at, std::string::npos) << source;
  text.replace(at, named.size(), image_);
  write_as_user(cluster(), directory() + "/workflow.yaml", text);
  const Ran ran = user({"jsubmit", "--wait", "workflow.yaml"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("check.txt"), HasSubstr("the parallel solution is right"));
  EXPECT_TRUE(file("heat.png").starts_with("\x89PNG"));
  EXPECT_THAT(file("heat.txt"), testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace gangway::e2e
