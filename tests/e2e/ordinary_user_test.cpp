// `gangway up` by an ordinary user: no root, no networks, no control groups. The nodes share the
// loopback interface; everything else is as on a cluster of root. When the tests run as root, they
// take a user without an entry in any database for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/promises.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
namespace om = one_machine;
namespace fs = std::filesystem;

class OrdinaryUser : public OnCluster<OrdinaryUser> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 2, .owner = unused_user()}; }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  Ran jsubmit(std::vector<std::string> words) {
    words.insert(words.begin(), "jsubmit");
    return user(words);
  }
};

TEST_F(OrdinaryUser, JobsRunOnNodesOfTheirOwnNames) {
  const Ran ran = user({"jsubmit", "--wait", "-N", "4", "--mpi=none", "-o", "out-%t", "--", "sh",
                        "-c", "hostname; id -u; grep CapEff /proc/self/status"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (int task = 0; task < 4; ++task) {
    EXPECT_EQ(file(cat("out-", task)),
              cat("n0", task + 1, '\n', cluster().user().uid, "\nCapEff:\t0000000000000000\n"));
  }
}

TEST_F(OrdinaryUser, AWorkflowRunsInAnImage) {
  expect_workflow_in_image(cluster(), directory(),
                           [&](const auto& words) { return jsubmit(words); });
}

TEST_F(OrdinaryUser, MpiRunsOverNodesThatShareOneHost) {
  expect_mpi_in_image(directory(), [&](const auto& words) { return jsubmit(words); });
}

TEST_F(OrdinaryUser, ALimitInTimeHoldsWithoutControlGroups) {
  const Ran ran = user({"jsubmit", "--wait", "-t", "1s", "--wrap", "trap '' TERM; sleep 600"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("TIMEOUT"));
}

TEST_F(OrdinaryUser, TheJobsOfOthersAreNotTheirs) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs two users";
  const Ran ran = run({std::string(GANGWAY_BINARY_DIR) + "/bin/jsubmit", "--wait", "--", "true"},
                      {.user = RunAs{.uid = 23457, .gid = 23457},
                       .env = {{"GANGWAY_SOCKET", cluster().layout().socket()}}});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("can start only that user's jobs"));
}

TEST_F(OrdinaryUser, AKilledExecutorFindsItsJobAgain) {
  const std::string id = submit(
      {"-w", "n01", "--wrap", "touch started; while [ ! -e go ]; do sleep 0.05; done; exit 7"});
  ASSERT_TRUE(becomes_true([&] { return fs::exists(directory() + "/started"); }));
  cluster().kill_daemon("n01");
  cluster().bring_up_again();
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 7);
}

TEST_F(OrdinaryUser, DoctorTellsTheDifferences) {
  const Ran ran = cluster().as_operator({"gangway", "doctor"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("as an ordinary user"));
  EXPECT_THAT(ran.out, HasSubstr("networks of their own               for root only"));
  EXPECT_THAT(ran.out, HasSubstr("jobs can run here"));
}

// What cannot be enforced is waived by name, in the configuration and in front of the user, and is
// what doctor calls waived.
TEST(OrdinaryUserWaivers, AreWrittenAndPrinted) {
  std::string top = "/tmp/gangway-e2e-waivers-XXXXXX";
  ASSERT_NE(::mkdtemp(top.data()), nullptr);
  RunOptions options{
      .env = {{"PATH", std::string(GANGWAY_BINARY_DIR) + "/bin:/usr/bin:/bin"}, {"HOME", top}}};
  if (::geteuid() == 0) {
    options.user = unused_user();
    ASSERT_EQ(::chown(top.c_str(), unused_user().uid, unused_user().gid), 0);
  }
  // No --dir: an ordinary user's cluster lives in the home directory.
  const Ran up = run({"gangway", "up", "--nodes", "1"}, options);
  EXPECT_EQ(up.exit_code, 0) << up.err;
  const std::string directory = top + "/.local/state/gangway";
  const std::string config = content(directory + "/gangway.yaml");
  const Ran doctor = run({"gangway", "doctor"}, options);
  for (const std::string waiver : {"cgroup-memory", "cgroup-cpus", "cgroup-pids"}) {
    const bool is_waived = doctor.out.find("the waiver " + waiver) != std::string::npos;
    EXPECT_EQ(up.out.find("  " + waiver + ": ") != std::string::npos, is_waived) << waiver;
    EXPECT_EQ(config.find(waiver) != std::string::npos, is_waived) << waiver;
  }
  const Ran down = run({"gangway", "down", "--purge"}, options);
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_FALSE(fs::exists(directory));
  fs::remove_all(top);
}

TEST(OrdinaryUserEnd, DownLeavesNothingOfTheUserWhileJobsRun) {
  ClusterOptions options{.nodes = 2, .cores = 2};
  options.owner = unused_user();
  Cluster cluster(options);
  const std::string directory = cluster.make_work_directory();
  ASSERT_EQ(cluster
                .as_user({"jsubmit", "-N", "2", "--wrap",
                          "touch started; trap '' TERM; sleep 1000 & sleep 1000"},
                         directory)
                .exit_code,
            0);
  ASSERT_TRUE(becomes_true([&] { return fs::exists(directory + "/started"); }));
  const Ran down = cluster.as_operator({"gangway", "down", "--dir", cluster.layout().directory});
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_THAT(find_leftovers(cluster.layout()), IsEmpty());
  if (::geteuid() != 0) return;
  // The user is ours alone: nothing at all may run in its name.
  EXPECT_THAT(om::find_processes([](pid_t pid) {
                struct stat status {};
                return ::stat(cat("/proc/", pid).c_str(), &status) == 0 &&
                       status.st_uid == unused_user().uid;
              }),
              IsEmpty());
}

}  // namespace
}  // namespace gangway::e2e
