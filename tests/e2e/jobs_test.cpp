// Jobs without an image: output, exit codes, signals, limits, cancelling, whose rights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Jobs : public OnCluster<Jobs> {
 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // Submits a shell line, waits, gives jwait's result.
  Ran run_and_wait(std::vector<std::string> words) {
    words.insert(words.begin(), {"jsubmit", "--wait"});
    return user(words);
  }
};

TEST_F(Jobs, HelloWritesItsOutputWithTheUsersRights) {
  const Ran ran = run_and_wait({"-o", "hello-%j.out", "--wrap", "echo hello; id -u; id -g; pwd"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::string path;
  for (const auto& entry : std::filesystem::directory_iterator(directory())) {
    path = entry.path().string();
  }
  EXPECT_THAT(path, HasSubstr("hello-"));
  EXPECT_EQ(content(path), cat("hello\n", cluster().user().uid, '\n', cluster().user().gid, '\n',
                               directory(), '\n'));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, cluster().user().uid);
}

TEST_F(Jobs, ACommandGetsItsWordsAsTheyAre) {
  const Ran ran = run_and_wait({"-o", "out", "--", "printf", "<%s>", "a b", "", "$HOME", "*"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("out"), "<a b><><$HOME><*>");
}

TEST_F(Jobs, TheExitCodeIsTheJobsOwn) {
  EXPECT_EQ(run_and_wait({"--wrap", "exit 37"}).exit_code, 37);
}

TEST_F(Jobs, ASignalIs128AndItsNumber) {
  EXPECT_EQ(run_and_wait({"--wrap", "kill -SEGV $$"}).exit_code, 128 + 11);
}

TEST_F(Jobs, AProgramThatIsNotThereSaysSo) {
  const Ran ran = run_and_wait({"-o", "out", "--", "no-such-program-at-all"});
  EXPECT_EQ(ran.exit_code, 127) << ran.err;
}

TEST_F(Jobs, ErrorsGoToTheirOwnFileIfAskedFor) {
  ASSERT_EQ(run_and_wait({"-o", "out", "-e", "err", "--wrap", "echo a; echo b >&2"}).exit_code, 0);
  EXPECT_EQ(file("out"), "a\n");
  EXPECT_EQ(file("err"), "b\n");
}

TEST_F(Jobs, InputComesFromTheNamedFile) {
  write_as_user(cluster(), directory() + "/in", "from a file\n");
  ASSERT_EQ(run_and_wait({"-i", "in", "-o", "out", "--wrap", "cat"}).exit_code, 0);
  EXPECT_EQ(file("out"), "from a file\n");
}

TEST_F(Jobs, AnOutputFileThatCannotBeWrittenFailsTheJobWithTheReason) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a directory that is not the user's";
  const std::string id = submit({"-o", "/root/not-yours", "--wrap", "true"});
  const Ran ran = user({"jwait", id});
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists("/root/not-yours"));
}

TEST_F(Jobs, AScriptWithDirectivesRunsAsItIs) {
  write_as_user(cluster(), directory() + "/job.sh",
                "#!/bin/bash\n#SBATCH --job-name=mine\n#SBATCH --output=%x.out\n#SBATCH -n 2\n"
                "echo $SLURM_JOB_NAME $SLURM_NTASKS \"$1\"\n");
  ASSERT_EQ(run_and_wait({"job.sh", "an argument"}).exit_code, 0);
  EXPECT_EQ(file("mine.out"), "mine 2 an argument\n");
}

TEST_F(Jobs, TheDirectoryOfTheSubmissionIsKnown) {
  ASSERT_EQ(run_and_wait({"-D", "/", "-o", directory() + "/out", "--wrap",
                          "echo $(pwd) $SLURM_SUBMIT_DIR $JOB_SUBMIT_DIR"})
                .exit_code,
            0);
  EXPECT_EQ(file("out"), cat("/ ", directory(), " ", directory(), "\n"));
}

TEST_F(Jobs, AScriptForPbsRunsAsItIs) {
  write_as_user(cluster(), directory() + "/job.pbs",
                "#!/bin/sh\n#PBS -N mine\n#PBS -l nodes=2:ppn=2,walltime=0:10:00\n#PBS -j oe\n"
                "#PBS -o out\ncd $PBS_O_WORKDIR || exit 1\n"
                "echo $PBS_JOBNAME $PBS_NP $(sort -u $PBS_NODEFILE | wc -l) > said\n"
                "wc -l < $PBS_NODEFILE >> said\n");
  const Ran ran = run_and_wait({"-D", "/", "-o", directory() + "/out", "job.pbs"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_EQ(file("said"), "mine 4 2\n4\n");
}

TEST_F(Jobs, TheTimeLimitEndsAJobThatIgnoresTheHint) {
  const std::string id = submit({"-t", "1s", "--wrap",
                                 "trap 'echo asked > asked' TERM; "
                                 "while true; do sleep 0.1; done"});
  const Ran ran = user({"jwait", id});
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("TIMEOUT"));
  EXPECT_EQ(file("asked"), "asked\n");
}

TEST_F(Jobs, MoreMemoryThanAskedForEndsTheJob) {
  if (content(cluster().layout().config_file()).find("[cgroup-memory") != std::string::npos) {
    GTEST_SKIP() << "the kernel gives no control group for memory here";
  }
  // On the same node, and not to be disturbed.
  const std::string neighbour =
      submit({"-w", "n01", "--mem=64M", "--wrap",
              "touch started; while ! test -e go; do sleep 0.05; done; echo alive"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  const Ran ran = run_and_wait(
      {"-w", "n01", "--mem=64M", "--wrap", "x=$(head -c 200M /dev/zero | tr '\\0' x); echo ${#x}"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("OUT_OF_MEMORY"));
  const Ran piped = run_and_wait(
      {"-w", "n01", "--mem=64M", "--wrap", "head -c 200M /dev/zero | tail -c 150M | wc -c"});
  EXPECT_EQ(piped.exit_code, 1) << "the last of the pipe ended well";
  EXPECT_THAT(piped.err, HasSubstr("OUT_OF_MEMORY"));
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", neighbour}).exit_code, 0);
}

TEST_F(Jobs, CancellingARunningJobLeavesNoProcess) {
  const std::string id = submit({"--wrap", "touch started; sleep 1000 & sleep 1000"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

TEST_F(Jobs, CancellingAWaitingJobEndsItAtOnce) {
  const std::string id = submit({"--hold", "--wrap", "touch ran"});
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(directory() + "/ran"));
}

TEST_F(Jobs, NobodyCancelsAnothersJob) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs two users";
  const std::string id = submit({"--hold", "--wrap", "true"});
  const Ran other = run({std::string(GANGWAY_BINARY_DIR) + "/bin/jcancel", id},
                        {.user = RunAs{.uid = 23457, .gid = 23457},
                         .env = {{"GANGWAY_SOCKET", cluster().layout().socket()}}});
  EXPECT_EQ(other.exit_code, 77) << other.err;
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
}

TEST_F(Jobs, RootsJobsAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Ran ran = cluster().as_operator({"jsubmit", "--", "true"});
  EXPECT_EQ(ran.exit_code, 77) << ran.err;
}

TEST_F(Jobs, ANodeHasItsOwnHostName) {
  SKIP_WITHOUT_NETWORKS();
  ASSERT_EQ(run_and_wait({"-w", "n03", "-o", "out", "--", "hostname"}).exit_code, 0);
  EXPECT_EQ(file("out"), "n03\n");
}

TEST_F(Jobs, AJobHasNoCapabilitiesAndCannotGainAny) {
  ASSERT_EQ(
      run_and_wait({"-o", "out", "--", "grep", "-E", "^(CapEff|NoNewPrivs)", "/proc/self/status"})
          .exit_code,
      0);
  EXPECT_EQ(file("out"), "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_F(Jobs, AJobSeesOnlyItsOwnProcesses) {
  ASSERT_EQ(run_and_wait({"-o", "out", "--wrap", "ls /proc | grep -c '^[0-9]'"}).exit_code, 0);
  EXPECT_LE(parse_integer<int>(trim(file("out"))).value_or(999), 8);
}

TEST_F(Jobs, EveryTaskOfACommandRunsAndKnowsItsNumber) {
  const Ran ran =
      run_and_wait({"-N", "4", "-n", "8", "--mpi=none", "-o", "out", "--open-mode=append", "--",
                    "sh", "-c", "echo $SLURM_PROCID > task-$SLURM_PROCID"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (int task = 0; task < 8; ++task) EXPECT_EQ(file(cat("task-", task)), cat(task, '\n'));
}

TEST_F(Jobs, AfterokWaitsAndAfternotokOfASuccessNeverRuns) {
  const std::string first = submit({"--wrap", "sleep 0.3; echo 1 >> order"});
  const std::string second = submit({"-d", "afterok:" + first, "--wrap", "echo 2 >> order"});
  EXPECT_EQ(user({"jwait", second}).exit_code, 0);
  EXPECT_EQ(file("order"), "1\n2\n");
}

TEST_F(Jobs, MoreThanFitsWaitsWithAReason) {
  const std::string big =
      submit({"-N", "4", "--exclusive", "--wrap", "while [ ! -e go ]; do sleep 0.05; done"});
  ASSERT_TRUE(becomes_true([&] { return user({"jqueue"}).out.find(" R ") != std::string::npos; }));
  const std::string waiting = submit({"-N", "1", "--wrap", "true"});
  EXPECT_THAT(user({"jwhy", waiting}).out, HasSubstr(waiting));
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", big, waiting}).exit_code, 0);
}

}  // namespace
}  // namespace gangway::e2e
