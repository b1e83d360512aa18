// Steps: jrun in an allocation of several nodes, on the host and in an image, and jrun that makes
// its allocation itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "queues/base/text.hpp"
#include "queues/base/units.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Steps : public OnCluster<Steps> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 2}; }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  std::vector<std::string> lines(const std::string& name) {
    std::vector<std::string> found;
    std::istringstream text(file(name));
    for (std::string line; std::getline(text, line);) found.push_back(line);
    return found;
  }
  std::vector<std::string> sorted(const std::string& name) {
    std::vector<std::string> found = lines(name);
    std::sort(found.begin(), found.end());
    return found;
  }
  // The most memory that a shepherd of this cluster has ever had, in bytes.
  static std::int64_t largest_shepherd() {
    std::int64_t largest = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string command = content(entry.path().string() + "/cmdline");
      if (command.find("jshepherd") == std::string::npos ||
          command.find(cluster().layout().directory) == std::string::npos) {
        continue;
      }
      const std::string status = content(entry.path().string() + "/status");
      std::istringstream words(status.substr(std::min(status.find("VmHWM:"), status.size())));
      std::string name;
      std::int64_t kibibytes_had = 0;
      if (words >> name >> kibibytes_had) largest = std::max(largest, kibibytes_had << 10);
    }
    return largest;
  }
  // A script on four nodes with two cores each, to its end; output in "out".
  Ran script(const std::string& body, std::vector<std::string> more = {}) {
    write_as_user(cluster(), directory() + "/job.sh", "#!/bin/sh\n" + body);
    std::vector<std::string> argv{"jsubmit", "--wait", "-N", "4",  "-n",
                                  "8",       "-t",     "2m", "-o", "out"};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.emplace_back("job.sh");
    return user(argv);
  }
};

TEST_F(Steps, TasksRunOnAllNodesAndKnowWhoTheyAre) {
  const Ran ran = script(
      "jrun sh -c 'echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID "
      "$SLURMD_NODENAME $SLURM_NTASKS $SLURM_STEP_ID'\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_THAT(sorted("out"),
              ElementsAre("0 0 0 n01 8 0", "1 1 0 n01 8 0", "2 0 1 n02 8 0", "3 1 1 n02 8 0",
                          "4 0 2 n03 8 0", "5 1 2 n03 8 0", "6 0 3 n04 8 0", "7 1 3 n04 8 0"));
}

TEST_F(Steps, SubsetsOfNodesAndTasksAndDistributions) {
  const Ran ran = script(
      "jrun -N 1 -n 1 -w n03 sh -c 'echo a $SLURMD_NODENAME'\n"
      "jrun -N 2 -n 4 -x n01 -m cyclic --mpi=none sh -c 'echo b $SLURM_PROCID $SLURMD_NODENAME'\n"
      "jrun -N 2 -n 4 -m plane=2 sh -c 'echo c $SLURM_PROCID $SLURMD_NODENAME'\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_THAT(sorted("out"), ElementsAre("a n03", "b 0 n02", "b 1 n03", "b 2 n02", "b 3 n03",
                                         "c 0 n01", "c 1 n01", "c 2 n02", "c 3 n02"));
}

TEST_F(Steps, LabelledLinesAreWholeAndCarryTheirRank) {
  const Ran ran = script("jrun -l sh -c 'printf \"one \"; sleep 0.1; echo of $SLURM_PROCID'\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  std::vector<std::string> wanted;
  for (int rank = 0; rank < 8; ++rank) wanted.push_back(cat(rank, ": one of ", rank));
  EXPECT_EQ(sorted("out"), wanted);
}

// With --exact each of eight one-core steps has a core of its own, and the ninth waits for one.
TEST_F(Steps, ExactStepsHaveCoresOfTheirOwnAndWaitForThem) {
  const Ran ran = script(
      "for i in 1 2 3 4 5 6 7 8 9; do\n"
      "  jrun -n 1 -N 1 -c 1 --exact sh -c 'echo $SLURMD_NODENAME:$JOB_TASK_CPUS; "
      "until [ -e go ]; do sleep 0.05; done' &\n"
      "done\n"
      "until [ $(wc -l < out) -ge 8 ]; do sleep 0.05; done\n"
      "wc -l < out > early; touch go; wait\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  const std::vector<std::string> all = lines("out");
  std::set<std::string> cores;
  for (const std::string& line : all) {
    if (line.find(':') != std::string::npos && line.find(' ') == std::string::npos) {
      cores.insert(line);
    }
  }
  EXPECT_EQ(cores.size(), 8U) << file("out");
}

TEST_F(Steps, TheWorstRankDecidesAndIsNamedWithItsNode) {
  const Ran ran = script(
      "jrun -n 8 sh -c 'exit $SLURM_PROCID' 2> err\necho code $?\n"
      "jrun -n 8 sh -c '[ $SLURM_PROCID = 5 ] && kill -9 $$; true' 2>> err\n"
      "echo code $?\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(lines("out"), ElementsAre("code 7", "code 137"));
  EXPECT_THAT(file("err"), HasSubstr("task 7 on n04: exit code 7"));
  EXPECT_THAT(file("err"), HasSubstr("task 5 on n03: killed by signal 9 (SIGKILL)"));
}

TEST_F(Steps, KillOnBadExitEndsTheOthers) {
  const Ran ran = script(
      "jrun -K -n 8 sh -c '[ $SLURM_PROCID = 6 ] && exit 3; sleep 600'\n"
      "echo code $?\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("out"), HasSubstr("code 3"));
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

TEST_F(Steps, InputGoesToAllRanksToOneOrToNone) {
  const Ran ran = script(
      "echo hello | jrun -n 8 sh -c 'read x; echo all $SLURM_PROCID $x'\n"
      "echo hello | jrun -n 8 -i 3 sh -c 'read x; echo one $SLURM_PROCID $x'\n"
      "echo hello | jrun -n 2 -i none sh -c 'read x; echo none $SLURM_PROCID $x'\n"
      "head -c 3000000 /dev/zero | jrun -n 8 wc -c\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  const std::vector<std::string> found = lines("out");
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_THAT(found, testing::Contains(cat("all ", rank, " hello")));
  }
  EXPECT_THAT(found, testing::Contains("one 3 hello"));
  EXPECT_EQ(std::count(found.begin(), found.end(), "one 3 hello"), 1);
  EXPECT_THAT(found, testing::Contains("none 0"));
  EXPECT_EQ(std::count(found.begin(), found.end(), "3000000"), 8);
}

TEST_F(Steps, SeveralProgramsMakeOneStep) {
  write_as_user(cluster(), directory() + "/progs",
                "0 echo first %t %o\n1-2 echo middle %t %o\n* echo rest %t %o\n");
  const Ran ran = script(
      "jrun -n 1 sh -c 'echo m $SLURM_PROCID of $SLURM_NTASKS' : -n 2 sh -c 'echo w "
      "$SLURM_PROCID'\n"
      "jrun -n 4 --multi-prog progs\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_THAT(lines("out"), UnorderedElementsAre("m 0 of 3", "w 1", "w 2", "first 0 0",
                                                 "middle 1 0", "middle 2 1", "rest 3 0"));
}

TEST_F(Steps, FilesByPatternHoldOneRanksOutputEach) {
  const Ran ran = script("jrun -n 8 -o rank-%t-on-%N.txt sh -c 'echo $SLURM_PROCID'\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_EQ(file("rank-0-on-n01.txt"), "0\n");
  EXPECT_EQ(file("rank-7-on-n04.txt"), "7\n");
}

// A reader that stops stops the ranks: their shepherds stay small, and all comes in the end.
TEST_F(Steps, GigabytesPassWithoutGrowth) {
  const std::string id = submit({"-N", "4", "-n", "8", "-o", "out", "--wrap",
                                 ("jrun -l -n 8 --mpi=none head -c 150000000 /dev/zero | (until [ "
                                  "-e go ]; do sleep 0.1; done; "
                                  "wc -c)")});
  ASSERT_TRUE(becomes_true([&] { return cluster().user_processes().size() >= 16; }));
  write_as_user(cluster(), directory() + "/go", "");
  std::int64_t largest = 0;
  EXPECT_TRUE(becomes_true(
      [&] {
        largest = std::max(largest, largest_shepherd());
        return !file("out").empty();
      },
      seconds(200)));
  // 1.2 GB of zeros without a line end, in labelled pieces.
  EXPECT_GE(parse_integer<std::int64_t>(file("out").substr(0, file("out").find('\n'))).value_or(0),
            1'200'000'000)
      << file("out");
  EXPECT_GT(largest, 0);
  EXPECT_LT(largest, mebibytes(64).value * kSlowness);
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
}

TEST_F(Steps, StepsInAnImageWithoutAnyToolOfOurs) {
  const std::string image = find_image("tiny.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const Ran ran =
      script("jrun -l sh -c 'echo $SLURM_PROCID in $(ls /bin/busybox)'\n", {"--image", image});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_THAT(sorted("out").front(), "0: 0 in /bin/busybox");
  EXPECT_EQ(lines("out").size(), 8U);
}

TEST_F(Steps, OutsideOfAnAllocationJrunMakesOne) {
  const Ran ran = cluster().as_user({"jrun", "-N", "2", "-n", "4", "-l", "sh", "-c",
                                     ("cat; echo $SLURM_PROCID $SLURMD_NODENAME; exit "
                                      "$SLURM_PROCID")},
                                    directory(), "hello\n");
  EXPECT_EQ(ran.exit_code, 3) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("0: hello"));
  EXPECT_THAT(ran.out, HasSubstr("3: hello"));
  EXPECT_THAT(ran.err, HasSubstr("exit code 3"));
  // The allocation is given back.
  EXPECT_TRUE(becomes_true([&] { return user({"jqueue", "--noheader"}).out.empty(); }));
}

TEST_F(Steps, ATerminalForAShellHasASizeAndAnExitCode) {
  // script(1) gives jrun a terminal of its own.
  const Ran ran = cluster().as_user(
      {"script", "-qec",
       "stty rows 33 cols 77; jrun --pty sh -c 'tty; stty size; exit 5'; echo code $?",
       "/dev/null"},
      directory());
  EXPECT_THAT(ran.out, HasSubstr("/dev/pts/"));
  EXPECT_THAT(ran.out, HasSubstr("33 77"));
  EXPECT_THAT(ran.out, HasSubstr("code 5"));
}

TEST_F(Steps, JtailFollowsAJobThatRunsAndEndsWithIt) {
  const std::string id = submit({"-n", "1", "-o", "out", "--wrap",
                                 ("echo begin; until [ -e go ]; do sleep 0.1; done; "
                                  "echo end")});
  ASSERT_TRUE(becomes_true([&] { return file("out").find("begin") != std::string::npos; }));
  Background tail = cluster().start_as_user({"jtail", "-f", id}, directory());
  ASSERT_TRUE(becomes_true([&] { return !user({"jtail", id}).out.empty(); }));
  write_as_user(cluster(), directory() + "/go", "");
  const Ran ran = tail.finish();
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "begin\nend\n");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(user({"jtail", id}).out, "begin\nend\n");
}

TEST_F(Steps, WhoFollowsACancelledJobSeesItsLastWordsAndDoesNotHoldItUp) {
  const std::string id = submit({"-n", "1", "-o", "out", "--wrap",
                                 "trap 'echo bye; exit 3' TERM; echo begin; sleep 1000 & wait"});
  Background tail = cluster().start_as_user(
      {"sh", "-c", cat("jtail -f ", id, " > seen; echo code $? >> seen")}, directory());
  ASSERT_TRUE(becomes_true([&] { return file("seen") == "begin\n"; }));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_EQ(tail.finish().exit_code, 0);
  EXPECT_EQ(file("seen"), "begin\nbye\ncode 0\n");
  EXPECT_TRUE(becomes_true([&] { return user({"jqueue", "--noheader"}).out.empty(); }));
}

TEST_F(Steps, JattachShowsWhatAStepWritesFromNowOn) {
  const std::string id =
      submit({"-N", "2", "-n", "2", "-o", "out", "--wrap",
              "jrun -l sh -c 'until [ -e go ]; do echo tick; sleep 0.1; done; echo over'"});
  ASSERT_TRUE(becomes_true([&] { return file("out").find("tick") != std::string::npos; }));
  Background attached = cluster().start_as_user({"jattach", "-l", id + ".0"}, directory());
  write_as_user(cluster(), directory() + "/go", "");
  const Ran ran = attached.finish();
  if (ran.exit_code == 0) {
    EXPECT_THAT(ran.out, HasSubstr(": over"));
  }
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
}

// The warning reaches the ranks inside; the script goes on.
TEST_F(Steps, AWarningBeforeTheLimitReachesTheRanks) {
  const Ran ran = script(
      "jrun -N 2 -n 2 sh -c 'trap \"echo warned; exit 0\" USR1; while :; do sleep 0.1; done'\n"
      "echo script goes on\n",
      {"--signal=USR1@57", "-t", "1m"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  const std::vector<std::string> found = lines("out");
  EXPECT_EQ(std::count(found.begin(), found.end(), "warned"), 2) << file("out");
  EXPECT_EQ(found.back(), "script goes on");
}

TEST_F(Steps, AWarningForTheScriptAloneReachesIt) {
  const Ran ran = script("trap 'echo script warned; exit 4' USR1\nsleep 600 &\nwait\n",
                         {"--signal=B:USR1@57", "-t", "1m"});
  EXPECT_EQ(ran.exit_code, 4) << ran.err << file("out");
  EXPECT_THAT(file("out"), HasSubstr("script warned"));
}

// All ranks that ignore TERM are killed within a second of each other, on all nodes.
TEST_F(Steps, TheEndComesToAllNodesTogether) {
  const std::string id = submit({"-N", "4", "-n", "4", "-o", "out", "--wrap",
                                 ("trap '' TERM; jrun -n 4 sh -c 'trap \"\" TERM; n=$SLURM_PROCID; "
                                  "while :; do date +%s%N > new.$n; mv new.$n stamp.$n; "
                                  "sleep 0.02; done'")});
  ASSERT_TRUE(becomes_true([&] { return !file("stamp.3").empty() && !file("stamp.0").empty(); }));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
  std::vector<std::int64_t> stamps;
  for (int rank = 0; rank < 4; ++rank) {
    const std::string text = file(cat("stamp.", rank));
    const auto stamp = parse_integer<std::int64_t>(text.substr(0, text.find('\n')));
    if (stamp) stamps.push_back(*stamp);
  }
  ASSERT_GE(stamps.size(), 3U);
  EXPECT_LT(*std::max_element(stamps.begin(), stamps.end()) -
                *std::min_element(stamps.begin(), stamps.end()),
            seconds(1).ns * kSlowness);
}

TEST_F(Steps, JhistShowsWhatNodesAndStepsHaveUsed) {
  const std::string id =
      submit({"-N", "2", "-n", "2", "-o", "out", "--report-usage", "--wrap",
              "jrun -J burn sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'"});
  ASSERT_EQ(user({"jwait", id}).exit_code, 0);
  const Ran ran = user({"jhist", "--usage", "-j", id});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("n01"));
  EXPECT_THAT(ran.out, HasSubstr("n02"));
  EXPECT_THAT(ran.out, HasSubstr(id + ".0"));
  EXPECT_THAT(ran.out, HasSubstr("burn"));
  EXPECT_THAT(file("out"), HasSubstr("used "));
}

}  // namespace
}  // namespace gangway::e2e
