// The examples do what their READMEs say. The MPI ones are in mpi_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

const std::string kExamples = GANGWAY_SOURCE_DIR "/examples";

class Examples : public OnCluster<Examples> {
 public:
  static ClusterOptions options() { return {.nodes = 2}; }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  bool exists(const std::string& name) { return std::filesystem::exists(directory() + "/" + name); }
  void copy(const std::string& example) {
    const std::string name = example.substr(example.rfind('/') + 1);
    const std::string text = content(kExamples + "/" + example);
    ASSERT_FALSE(text.empty()) << example;
    write_as_user(cluster(), directory() + "/" + name, text);
  }
};

TEST_F(Examples, HelloSaysWhereItRuns) {
  copy("hello/hello.sh");
  const Ran ran = user({"jsubmit", "--wait", "hello.sh"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("hello.out"), HasSubstr("Hello from job "));
  EXPECT_THAT(file("hello.out"), HasSubstr(directory()));
}

TEST_F(Examples, TheChainRunsInOrderAndNothingNeedsRepair) {
  copy("chain/workflow.yaml");
  (void)user({"jsubmit", "--wait", "workflow.yaml"});
  EXPECT_THAT(file("build.txt"), HasSubstr("built on "));
  EXPECT_THAT(file("build.txt"), HasSubstr("tests are over"));
  EXPECT_FALSE(exists("repair.txt"));
}

TEST_F(Examples, TheChainsRepairRunsIfATestFails) {
  copy("chain/workflow.yaml");
  std::string text = file("workflow.yaml");
  const std::string test = "test -s build.txt";
  ASSERT_NE(text.find(test), std::string::npos);
  text.replace(text.find(test), test.size(), "false");
  write_as_user(cluster(), directory() + "/workflow.yaml", text);
  EXPECT_NE(user({"jsubmit", "--wait", "workflow.yaml"}).exit_code, 0);
  EXPECT_TRUE(exists("repair.txt"));
  EXPECT_THAT(file("build.txt"), HasSubstr("tests are over"));
}

TEST_F(Examples, SingleJobsMakeAChainToo) {
  const std::string first = submit({"--", "sh", "-c", "echo one > chain.txt"});
  const std::string second =
      submit({cat("--dependency=afterok:", first), "--", "sh", "-c", "echo two >> chain.txt"});
  EXPECT_EQ(user({"jwait", second}).exit_code, 0);
  EXPECT_EQ(file("chain.txt"), "one\ntwo\n");
}

TEST_F(Examples, TheContainerIsTheImageAndTheWorkingDirectory) {
  const std::string image = find_image("busybox.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran ran = user({"jsubmit", "--wait", "--image", image, "-o", "inside.txt", "--", "sh", "-c",
                        "echo \"I am $(id -u) on $(hostname), process $$\"; ls /; ls -l \"$PWD\""});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("inside.txt"), HasSubstr(cat("I am ", cluster().user().uid, " on ")));
  EXPECT_THAT(file("inside.txt"), HasSubstr("inside.txt"));
}

}  // namespace
}  // namespace gangway::e2e
