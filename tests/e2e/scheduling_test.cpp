// Which job starts, and what the others are told: backfill beside one reservation, memory as well
// as cores, and dependencies that cannot come true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Scheduling : public OnCluster<Scheduling> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 2, .memory = "1G"}; }

 protected:
  // Runs until the test lets it go.
  const std::string kUntilGo = "while [ ! -e go ]; do sleep 0.05; done";

  void TearDown() override {
    write_as_user(cluster(), directory() + "/go", "");
    EXPECT_EQ(user({"jcancel", "--me", "--quiet"}).exit_code, 0);
    EXPECT_TRUE(becomes_true([&] { return user({"jqueue", "--noheader"}).out.empty(); }));
    OnCluster::TearDown();
  }
  // "R n01", "PD (Resources)"
  std::string shown(const std::string& id) {
    return std::string(trim(user({"jqueue", "--noheader", "-o", "%t %R", id}).out));
  }
  bool runs(const std::string& id) {
    return becomes_true([&] { return shown(id).starts_with("R "); });
  }
};

//        now            10m              20m
//  n01   | long ........|  head ........|
//  n02   | short | late would be here: |  head ........|  so late has to wait
TEST_F(Scheduling, AShortJobIsBackfilledAndALongOneIsNot) {
  const std::string lasting = submit({"-N", "1", "-n", "2", "-t", "10", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(lasting));
  const std::string head = submit({"-N", "2", "-n", "4", "-t", "10", "--wrap", "true"});
  const std::string late = submit({"-N", "1", "-n", "2", "-t", "20", "--wrap", "true"});
  const std::string brief = submit({"-N", "1", "-n", "2", "-t", "5", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(brief)) << shown(brief);
  EXPECT_EQ(shown(head), "PD (Resources)");
  EXPECT_EQ(shown(late), "PD (Priority)");

  const std::string why_head = user({"jwhy", head}).out;
  EXPECT_THAT(why_head, HasSubstr("expected start: "));
  EXPECT_THAT(why_head, HasSubstr("promised on n[01-02] at the latest at "));
  const std::string why_late = user({"jwhy", late}).out;
  EXPECT_THAT(why_late, HasSubstr("waits: Priority"));
  EXPECT_THAT(why_late, HasSubstr("place in line: 2"));

  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", lasting, brief, head, late}).exit_code, 0);
}

TEST_F(Scheduling, MemoryIsGivenOutAsCoresAre) {
  const std::string first = submit({"-w", "n01", "--mem=700M", "--wrap", kUntilGo});
  ASSERT_TRUE(runs(first));
  EXPECT_THAT(user({"jnodes", "--noheader", "n01"}).out, HasSubstr("700M/1G"));
  const std::string second = submit({"-w", "n01", "--mem=700M", "--wrap", "true"});
  EXPECT_TRUE(becomes_true([&] { return shown(second) == "PD (Resources)"; })) << shown(second);
  const std::string small = submit({"-w", "n01", "--mem=100M", "-t", "1", "--wrap", "true"});
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", first, second, small}).exit_code, 0);
}

TEST_F(Scheduling, ADrainedNodeGetsNothingUntilItIsResumed) {
  ASSERT_EQ(
      cluster().as_operator({"jctl", "node", "n01", "--drain", "--reason", "a fan"}).exit_code, 0);
  EXPECT_THAT(user({"jnodes", "n01"}).out, HasSubstr("a fan"));
  const std::string there = submit({"-w", "n01", "--wrap", "true"});
  EXPECT_TRUE(becomes_true([&] { return shown(there).find("NodesUnavailable") < 100; }))
      << shown(there);
  const Ran elsewhere = user({"jsubmit", "--wait", "-o", "out", "--wrap", "echo $SLURM_NODELIST"});
  EXPECT_EQ(elsewhere.exit_code, 0) << elsewhere.err;
  EXPECT_EQ(content(directory() + "/out"), "n02\n");
  ASSERT_EQ(cluster().as_operator({"jctl", "node", "n01", "--resume"}).exit_code, 0);
  EXPECT_EQ(user({"jwait", there}).exit_code, 0);
}

TEST_F(Scheduling, ADependencyThatCannotComeTrueIsToldAndMayEndTheJob) {
  const std::string fails = submit({"--wrap", "exit 3"});
  EXPECT_EQ(user({"jwait", fails}).exit_code, 3);
  const std::string stays = submit({"-d", "afterok:" + fails, "--wrap", "touch ran"});
  EXPECT_TRUE(becomes_true([&] { return shown(stays) == "PD (DependencyNeverSatisfied)"; }))
      << shown(stays);
  EXPECT_THAT(user({"jwhy", stays}).out, HasSubstr("the success of job " + fails));
  const std::string goes =
      submit({"-d", "afterok:" + fails, "--kill-on-invalid-dep=yes", "--wrap", "touch ran"});
  EXPECT_EQ(user({"jwait", goes}).exit_code, 1);
  EXPECT_THAT(user({"jhist", "--noheader", goes}).out, HasSubstr("CANCELLED"));
  EXPECT_EQ(user({"jsubmit", "--wait", "-d", "afternotok:" + fails, "--", "true"}).exit_code, 0);
  EXPECT_EQ(user({"jcancel", stays}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(directory() + "/ran"));
}

TEST_F(Scheduling, HoldReleaseAndRequeueDoWhatTheySay) {
  const std::string id = submit({"--hold", "--wrap", "echo run >> runs; " + kUntilGo});
  EXPECT_EQ(shown(id), "PD (JobHeldUser)");
  EXPECT_EQ(user({"jrelease", id}).exit_code, 0);
  ASSERT_TRUE(becomes_true([&] { return content(directory() + "/runs") == "run\n"; }));
  EXPECT_EQ(user({"jhold", id}).exit_code, 0);
  EXPECT_EQ(user({"jrequeue", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return shown(id) == "PD (JobHeldUser)"; })) << shown(id);
  EXPECT_EQ(user({"jrelease", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return content(directory() + "/runs") == "run\nrun\n"; }));
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
}

TEST_F(Scheduling, ListsAreSortedAndFormattedAndSayWhenJobsAreExpectedToStart) {
  const std::string first =
      submit({"-c", "2", "-N", "2", "-t", "5", "-J", "b", "--", "sh", "-c", kUntilGo});
  ASSERT_TRUE(runs(first));
  const std::string second = submit({"-N", "2", "-t", "5", "-J", "a", "--", "true"});
  EXPECT_EQ(user({"jqueue", "-h", "--sort", "name", "--format", "jobid:4,name,state"}).out,
            cat(second, std::string(5 - second.size(), ' '), "a PENDING\n", first,
                std::string(5 - first.size(), ' '), "b RUNNING\n"));
  EXPECT_EQ(user({"jqueue", "-h", "-S", "-i", "-o", "%i"}).out, cat(second, "\n", first, "\n"));
  const std::string starts = user({"jqueue", "--start", "--noheader"}).out;
  EXPECT_THAT(starts, HasSubstr(second));
  EXPECT_THAT(starts, HasSubstr(" n[01-02] "));
  EXPECT_THAT(starts, testing::Not(HasSubstr("N/A")));
  EXPECT_EQ(user({"jqueue", "-h", "--nodelist", "n02", "-o", "%i"}).out, cat(first, "\n"));
  EXPECT_EQ(user({"jnodes", "-h", "--states", "idle", "--format", "node"}).out, "");
  EXPECT_EQ(user({"jnodes", "-h", "--sort", "-node", "-o", "%n %C"}).out,
            "n02 2/0/0/2\nn01 2/0/0/2\n");
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", second}).exit_code, 0);
  EXPECT_EQ(user({"jhist", "--noheader", "--starttime", "now-10minutes", "--sort", "jobid",
                  "--format", "jobid,exitcode", "-j", cat(first, ",", second)})
                .out,
            cat(first, " 0:0\n", second, " 0:0\n"));
  EXPECT_EQ(user({"jqueue", "--sort", "nmae"}).exit_code, 64);
}

TEST_F(Scheduling, TheHistoryTellsWhereAJobRan) {
  const std::string both = submit({"-N", "2", "--wrap", "true"});
  const std::string one = submit({"-w", "n02", "--wrap", "exit 3"});
  EXPECT_EQ(user({"jwait", both, one}).exit_code, 3);
  EXPECT_EQ(user({"jqueue", "--noheader", "-a", "-o", "%i %t %N", both}).out,
            both + " CD n[01-02]\n");
  EXPECT_EQ(user({"jqueue", "--noheader", "-a", "-o", "%t %R", one}).out,
            "F n02 (failed with exit code 3)\n");
  EXPECT_THAT(user({"jhist", "--noheader", both}).out, HasSubstr(" n[01-02] "));
  EXPECT_THAT(user({"jhist", "--json", one}).out, HasSubstr(R"("node_list":"n02")"));
  EXPECT_THAT(user({"jwhy", one}).out, HasSubstr("FAILED with exit code 3, on n02"));
  // Also after the scheduler has forgotten everything but its store.
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  EXPECT_THAT(user({"jhist", "--noheader", both}).out, HasSubstr(" n[01-02] "));
}

}  // namespace
}  // namespace gangway::e2e
