// GPUs and their kin, posed by device nodes that are as harmless as /dev/null: which ones a job
// gets, and that it opens no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

std::string device(int number) { return cat("/dev/gangway-e2e-", getpid(), "-", number); }

class Devices : public OnCluster<Devices> {
 public:
  static ClusterOptions options() {
    ClusterOptions options{.nodes = 1, .cores = 4};
    options.more = {"--resource", "n01=gpu:a100:2,gpu:h100:1"};
    for (int i = 0; i < 3; ++i) {
      options.more.insert(options.more.end(), {"--device", cat("n01=gpu:", device(i))});
    }
    return options;
  }
  static void SetUpTestSuite() {
    if (::geteuid() != 0) return;
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(mknod(device(i).c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
      chmod(device(i).c_str(), 0666);
    }
    OnCluster::SetUpTestSuite();
  }
  static void TearDownTestSuite() {
    OnCluster::TearDownTestSuite();
    for (int i = 0; i < 3; ++i) unlink(device(i).c_str());
  }

 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make device nodes";
    OnCluster::SetUp();
  }
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // Prints which devices can be opened, then waits for a file `go`.
  static std::string look() {
    return cat("for i in 0 1 2; do (: < ", device(0).substr(0, device(0).size() - 1),
               "$i) 2>/dev/null && printf '%s ' $i; done; "
               "echo [$JOB_GPUS] [$CUDA_VISIBLE_DEVICES] [$ROCR_VISIBLE_DEVICES]");
  }
  void two_at_once(const std::vector<std::string>& more) {
    const auto start = [&](const std::string& out) {
      std::vector<std::string> words{"--gres", "gpu:a100:1", "-o", out};
      words.insert(words.end(), more.begin(), more.end());
      words.insert(words.end(),
                   {"--", "sh", "-c", look() + "; while ! test -e go; do sleep 0.05; done"});
      return submit(std::move(words));
    };
    const std::string first = start("first");
    const std::string second = start("second");
    EXPECT_TRUE(becomes_true(
        [&] { return file("first").ends_with('\n') && file("second").ends_with('\n'); }));
    EXPECT_EQ(file("first"), "0 [0] [0] [0]\n");
    EXPECT_EQ(file("second"), "1 [1] [0] [0]\n");
    write_as_user(cluster(), directory() + "/go", "");
    EXPECT_EQ(user({"jwait", first, second}).exit_code, 0);
  }
};

TEST_F(Devices, TwoJobsOnANodeNeverOpenEachOthers) { two_at_once({}); }

TEST_F(Devices, NorDoTheyInImages) {
  const std::string busybox = find_image("busybox.tar");
  if (busybox.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  two_at_once({"--image", busybox});
}

TEST_F(Devices, TypesAndCountsAreAsAskedFor) {
  const auto seen = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"jsubmit", "--wait", "-o", "out"});
    words.insert(words.end(), {"--", "sh", "-c", look()});
    const Ran ran = user(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return file("out");
  };
  EXPECT_EQ(seen({"--gres", "gpu:h100"}), "2 [2] [0] [0]\n");
  EXPECT_EQ(seen({"--gpus-per-node", "a100:2"}), "0 1 [0,1] [0,1] [0,1]\n");
  EXPECT_EQ(seen({"--gpus", "3"}), "0 1 2 [0,1,2] [0,1,2] [0,1,2]\n");
  // Without any, none.
  EXPECT_EQ(seen({}), "[] [] []\n");
  const Ran refused = user({"jsubmit", "--gres", "gpu:v100:1", "--", "true"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("gpu:v100"));
}

}  // namespace
}  // namespace gangway::e2e
