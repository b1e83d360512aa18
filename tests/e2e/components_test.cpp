// Nodes that are not alike: features and named resources of some of them, jobs that ask for these,
// gangs whose components have different shapes, and what people are told about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class Components : public OnCluster<Components> {
 public:
  static ClusterOptions options() {
    return {
        .nodes = 4,
        .cores = 2,
        .more = {"--feature", "n[02-04]=ib", "--feature", "n04=big,ib", "--resource", "n01=gpu:2"}};
  }

 protected:
  const std::string kUntilGo = "while [ ! -e go ]; do sleep 0.05; done";

  void TearDown() override {
    write_as_user(cluster(), directory() + "/go", "");
    EXPECT_EQ(user({"jcancel", "--me", "--quiet"}).exit_code, 0);
    EXPECT_TRUE(becomes_true([&] { return user({"jqueue", "--noheader"}).out.empty(); }));
    OnCluster::TearDown();
  }
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  std::string shown(const std::string& id, const std::string& format) {
    return std::string(trim(user({"jqueue", "--noheader", "--all", "-o", format, id}).out));
  }
  bool runs(const std::string& id) {
    return becomes_true([&] { return shown(id, "%t") == "R"; });
  }
  // Where it ran; "" and a failure if it did not end well.
  std::string nodes_of(std::vector<std::string> options) {
    options.insert(options.end(), {"--wrap", "true"});
    const std::string id = submit(std::move(options));
    EXPECT_EQ(user({"jwait", id}).exit_code, 0) << user({"jwhy", id}).out;
    return shown(id, "%N");
  }
};

TEST_F(Components, NodesShowTheirFeaturesAndResources) {
  const std::string table = user({"jnodes"}).out;
  EXPECT_THAT(table, HasSubstr("gpu:0/2"));
  EXPECT_THAT(table, HasSubstr("big,ib"));
  const std::string json = user({"jnodes", "--json", "n04"}).out;
  EXPECT_THAT(json, testing::ContainsRegex(R"("features": ?\["big", ?"ib"\])"));
}

TEST_F(Components, AJobGetsNodesWithItsFeatures) {
  EXPECT_EQ(nodes_of({"-C", "big"}), "n04");
  EXPECT_EQ(nodes_of({"-C", "!ib"}), "n01");
  EXPECT_EQ(nodes_of({"-N3", "-C", "ib"}), "n[02-04]");
  EXPECT_EQ(nodes_of({"-N2", "-C", "big*1&!ib*1"}), "n[01,04]");
  write_as_user(cluster(), directory() + "/job.sh", "#!/bin/sh\n#SBATCH -C big\nhostname\n");
  const std::string id = submit({"job.sh"});
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(shown(id, "%N %f"), "n04 big");
}

TEST_F(Components, WhatNoNodeHasIsRefusedAtOnce) {
  const Ran missing = user({"jsubmit", "-C", "gpu", "--wrap", "true"});
  EXPECT_EQ(missing.exit_code, 65);
  EXPECT_EQ(missing.err,
            "jsubmit: no node of queue batch has the features gpu; there are: big, ib\n");
  const Ran many = user({"jsubmit", "-N2", "-C", "big", "--wrap", "true"});
  EXPECT_EQ(many.exit_code, 65);
  EXPECT_THAT(many.err, HasSubstr("queue batch has 1 such node"));
  const Ran wrong = user({"jsubmit", "-C", "a&", "--wrap", "true"});
  EXPECT_EQ(wrong.exit_code, 64);
  const Ran gpus = user({"jsubmit", "--gres=gpu:3", "--wrap", "true"});
  EXPECT_EQ(gpus.exit_code, 65);
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

TEST_F(Components, NamedResourcesAreGivenOutAndWaitedFor) {
  const std::string first = submit({"--gres=gpu:1", "-t5", "--wrap", kUntilGo});
  const std::string second = submit({"--gpus=1", "-t5", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(first));
  ASSERT_TRUE(runs(second));
  EXPECT_EQ(shown(first, "%N") + shown(second, "%N"), "n01n01");
  EXPECT_THAT(user({"jnodes", "n01"}).out, HasSubstr("gpu:2/2"));
  const std::string third = submit({"--gres=gpu:1", "-t5", "--wrap", "true"});
  EXPECT_TRUE(becomes_true([&] { return shown(third, "%t %r") == "PD Resources"; }));
  const std::string why = user({"jwhy", third}).out;
  EXPECT_THAT(why, HasSubstr("expected start: "));
  EXPECT_THAT(why, HasSubstr(", on n01, when job"));
  // Cores of that node are free: who needs no GPU does not wait.
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", first, second, third}).exit_code, 0);
  EXPECT_THAT(user({"jnodes", "n01"}).out, HasSubstr("gpu:0/2"));
}

TEST_F(Components, AGangOfUnlikeComponentsStartsWhole) {
  const std::string id =
      submit({"-t5", "-N1", "--gres=gpu:1", ":", "-N2", "-n4", "-C", "ib", "--mpi=none", "-o",
              "out-%t", "--", "/bin/sh", "-c",
              "echo $JOB_PROCID $JOB_COMPONENT/$JOB_COMPONENTS $JOB_COMPONENT_1_NTASKS "
              "$SLURM_HET_SIZE $(hostname)"});
  ASSERT_EQ(user({"jwait", id}).exit_code, 0) << user({"jwhy", id}).out;
  std::string all;
  for (int rank = 0; rank < 5; ++rank) all += file(cat("out-", rank));
  if (have_networks()) {
    EXPECT_EQ(all, "0 0/2 4 2 n01\n1 1/2 4 2 n02\n2 1/2 4 2 n02\n3 1/2 4 2 n03\n4 1/2 4 2 n03\n");
  }
  EXPECT_THAT(user({"jqueue", "--all", "--json", id}).out, HasSubstr("\"constraint\":\"ib\""));
  EXPECT_EQ(shown(id, "%D %N"), "3 n[01-03]");
}

TEST_F(Components, OneComponentThatHasToWaitKeepsTheOthersWaiting) {
  const std::string holder = submit({"-C", "big", "-n2", "-N1", "-t5", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(holder));
  const std::string gang = submit({"-t5", "-N1", ":", "-N1", "-C", "big", "-c2", "--mpi=none", "-o",
                                   "gang-%t", "--", "/bin/true"});
  EXPECT_TRUE(becomes_true([&] { return shown(gang, "%t %r") == "PD Resources"; }));
  EXPECT_THAT(user({"jnodes", "n[01-03]"}).out, Not(HasSubstr("mixed")));
  const std::string why = user({"jwhy", gang}).out;
  EXPECT_THAT(why, HasSubstr("1 node with"));
  EXPECT_THAT(why, HasSubstr("features big"));
  EXPECT_THAT(why, HasSubstr(cat("when job ", holder, " reaches its time limit")));
  EXPECT_THAT(why, HasSubstr("without --constraint=big in component 1 it would start"));
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", holder, gang}).exit_code, 0);
}

TEST_F(Components, ScriptsPartTheirComponentsByHetjob) {
  write_as_user(
      cluster(), directory() + "/het.sh",
      "#!/bin/sh\n#SBATCH -N1 -C big -t 5\n#SBATCH hetjob\n#SBATCH -N2\n"
      "echo $SLURM_JOB_NODELIST_HET_GROUP_0 $SLURM_JOB_NUM_NODES_HET_GROUP_1 $JOB_COMPONENT\n");
  const std::string id = submit({"-o", "het-out", "het.sh"});
  ASSERT_EQ(user({"jwait", id}).exit_code, 0) << user({"jwhy", id}).out;
  EXPECT_EQ(file("het-out"), "n04 2 0\n");
}

TEST_F(Components, WorkflowFilesHaveComponents) {
  write_as_user(cluster(), directory() + "/flow.yaml", R"(version: 1
jobs:
  coupled:
    command: [/bin/sh, -c, "echo $JOB_PROCID $JOB_COMPONENT >> ranks"]
    mpi: none
    time: 5
    components:
      - {nodes: 1, gres: gpu:1}
      - {nodes: 1, tasks: 2, constraint: big}
)");
  const Ran tested = user({"jsubmit", "--test-only", "flow.yaml"});
  EXPECT_EQ(tested.exit_code, 0) << tested.err;
  EXPECT_THAT(tested.out, HasSubstr("Job coupled would start at once, on n[01,04]"));
  const Ran ran = user({"jsubmit", "--wait", "flow.yaml"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const std::string ranks = file("ranks");
  std::vector<std::string_view> lines = split(trim(ranks), '\n');
  std::ranges::sort(lines);
  EXPECT_EQ(join(std::vector<std::string>(lines.begin(), lines.end()), ","), "0 0,1 1,2 1");
}

TEST_F(Components, MpiRanksCountThroughTheComponents) {
  const std::string image = find_image("mpi.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran ran =
      user({"jsubmit", "--wait", "-t", "2m", "-o", "out", "-e", "err", "--image", image, "-N1",
            "--gres=gpu:1", ":", "-N2", "-n4", "-C", "ib", "--", "/opt/mpi_ring/mpi_ring"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out") << file("err");
  EXPECT_EQ(file("err"), "");
  for (int rank = 0; rank < 5; ++rank) {
    EXPECT_THAT(file("out"), HasSubstr(cat("rank ", rank, " of 5 on ")));
  }
  EXPECT_THAT(file("out"), HasSubstr("ring of 5 ranks, 1048576 bytes, 1 rounds: right"));
}

TEST_F(Components, TestOnlySaysWhenAndWhatWouldBeSooner) {
  const std::string holder = submit({"-C", "big", "-n2", "-N1", "-t5", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(holder));
  const Ran now = user({"jsubmit", "--test-only", "-N2", "-C", "ib", "-t1", "--wrap", "true"});
  EXPECT_EQ(now.exit_code, 0) << now.err;
  EXPECT_EQ(now.out, "The job would start at once, on n[02-03]\n");
  const Ran later = user({"jsubmit", "--test-only", "-N4", "-n8", "-t1", "--wrap", "true"});
  EXPECT_EQ(later.exit_code, 0) << later.err;
  EXPECT_THAT(later.out, HasSubstr("The job would start at 20"));
  EXPECT_THAT(later.out, HasSubstr(cat(", when job ", holder, " reaches its time limit\n")));
  EXPECT_THAT(later.out, HasSubstr("  with 3 nodes instead of 4 it would start at once\n"));
  const Ran json =
      user({"jsubmit", "--test-only", "--json", "-N4", "-n8", "-t1", "--wrap", "true"});
  EXPECT_THAT(json.out, HasSubstr("with 3 nodes instead of 4"));
  const Ran refused = user({"jsubmit", "--test-only", "-N9", "--wrap", "true"});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("9 nodes asked, queue batch has 4"));
  // Nothing of it is in the queue.
  EXPECT_EQ(trim(user({"jqueue", "--noheader", "-o", "%i"}).out), holder);
}

}  // namespace
}  // namespace gangway::e2e
