// What MPI programs do, with each library that Debian has: Open MPI (PMIx), MPICH (PMI-1), a client
// of libpmi2 (PMI-2) and one of libpmix; as an ordinary user on four nodes with networks of their
// own, in an image that has both MPIs, and with the host's files. And ranks that never meet: they
// fail loudly. tests/e2e/mpi_programs has the programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

const std::string kPrograms = GANGWAY_BINARY_DIR "/tests/e2e/mpi_programs/";

class MpiLibraries : public OnCluster<MpiLibraries> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 16}; }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // A copy that the test's user can reach.
  std::string copied(const std::string& program) {
    const std::string copy = directory() + "/" + program;
    std::filesystem::copy_file(kPrograms + program, copy,
                               std::filesystem::copy_options::overwrite_existing);
    return copy;
  }
  // A script of four nodes with two tasks each, to its end; output in "out" and "err". Debian's
  // MPICH tells on its standard output, through UCX, when a rank that finalizes late finds another
  // gone.
  Ran script(const std::string& body, std::vector<std::string> options = {}) {
    write_as_user(cluster(), directory() + "/job.sh",
                  "#!/bin/sh\nexport UCX_LOG_LEVEL=fatal\n" + body);
    std::vector<std::string> argv{"jsubmit", "--wait", "-N", "4",   "-n", "8",
                                  "-t",      "2m",     "-o", "out", "-e", "err"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.emplace_back("job.sh");
    return user(argv);
  }
  // Eight ranks on four nodes.
  Ran run_ranks(const std::string& program,
                std::vector<std::string> options = {},
                const std::vector<std::string>& words = {}) {
    const std::string copy = copied(program);
    std::vector<std::string> argv{"jsubmit", "--wait", "-N", "4",   "-n", "8",
                                  "-t",      "2m",     "-o", "out", "-e", "err"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {"--", copy});
    argv.insert(argv.end(), words.begin(), words.end());
    return user(argv);
  }
};
#define SKIP_WITHOUT(program)                                              \
  if (!std::filesystem::exists(kPrograms + (program))) {                   \
    GTEST_SKIP() << (program) << " was not compiled: its MPI is not here"; \
  }                                                                        \
  static_assert(true)

// ---- one program, compiled with each MPI -------------------------------------------------------

class WithEach : public MpiLibraries, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    MpiLibraries::SetUp();
    SKIP_WITHOUT(program());
  }
  static std::string program() { return cat("mpi_check_", GetParam()); }
  // In containers, where there are images.
  void expect_right(const std::string& what, std::vector<std::string> options = {}) {
    const std::string image = find_image("launchers.tar");
    if (!image.empty()) options.insert(options.end(), {"--image", image});
    const Ran ran = run_ranks(program(), options, {what, directory() + "/data"});
    EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
    EXPECT_EQ(file("out"), what + ": right\n") << file("err");
  }
};
INSTANTIATE_TEST_SUITE_P(Libraries, WithEach, testing::Values("openmpi", "mpich"));

TEST_P(WithEach, AllCollectivesAreRight) {
  expect_right("collectives", {"--env", "RANKS_OF_NODE=2"});
}
TEST_P(WithEach, OneSidedIsRight) { expect_right("onesided"); }
TEST_P(WithEach, AFileWrittenByAllIsRight) { expect_right("io"); }
// Sixty-four, if there is time for them: each looks for news all the time.
TEST_P(WithEach, ManyRanksOnFewCoresAreRight) {
  const bool is_long = std::getenv("GANGWAY_LONG_TESTS") != nullptr;
  expect_right("many", {"-n", is_long ? "64" : "20", "--mem=1G"});
}
TEST_P(WithEach, AnAbortEndsAllRanksWithItsCode) {
  const Ran ran = run_ranks(program(), {}, {"abort"});
  EXPECT_EQ(ran.exit_code, 42) << ran.err << file("err");
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

// By jrun in a script, by the library's own launcher, and in containers: the same.
TEST_P(WithEach, StepsOfAScriptAreRight) {
  const Ran ran = script("jrun " + copied(program()) + " where; jrun -N 2 -n 2 " +
                         copied(program()) + " ring\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
  EXPECT_EQ(file("out"), "n01 n01 n02 n02 n03 n03 n04 n04\nring: right\n") << file("err");
}
TEST_P(WithEach, ItsOwnLauncherUsesTheAllocation) {
  SKIP_WITHOUT_NETWORKS();
  const std::string launcher =
      std::string(GetParam()) == "mpich" ? "mpiexec.hydra" : "mpirun.openmpi";
  const Ran ran = script(launcher + " " + copied(program()) + " where\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
  EXPECT_EQ(file("out"), "n01 n01 n02 n02 n03 n03 n04 n04\n") << file("err");
}
TEST_P(WithEach, ItsOwnLauncherUsesTheAllocationInAContainerToo) {
  SKIP_WITHOUT_NETWORKS();
  const std::string image = find_image("launchers.tar");
  if (image.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  const std::string launcher = std::string(GetParam()) == "mpich" ? "mpiexec.hydra" : "mpirun";
  const Ran ran = script(
      launcher + " " + copied(program()) + " where\n" + "jrun " + copied(program()) + " where\n",
      {"--image", image});
  EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
  const std::string nodes = "n01 n01 n02 n02 n03 n03 n04 n04\n";
  EXPECT_EQ(file("out"), nodes + nodes) << file("err");
}
// ---- what only some can ------------------------------------------------------------------------

// Debian's MPICH cannot, under its own mpiexec either.
TEST_F(MpiLibraries, RanksSpawnOthersInsideTheAllocation) {
  SKIP_WITHOUT("mpi_check_openmpi");
  const Ran ran = run_ranks("mpi_check_openmpi", {}, {"spawn"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
  EXPECT_EQ(file("out"), "spawn: right\n");
  const Ran step = script("jrun " + copied("mpi_check_openmpi") + " spawn\n");
  EXPECT_EQ(step.exit_code, 0) << step.err << file("err");
  EXPECT_EQ(file("out"), "spawn: right\n");
}

TEST_F(MpiLibraries, PmixIsMoreThanFences) {
  SKIP_WITHOUT("pmix_check");
  const Ran ran = run_ranks("pmix_check");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("err");
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_THAT(file("out"), HasSubstr(cat("rank ", rank, ": right\n")));
  }
}

// The server's port is open to everybody on the node; the name of the job's name space is not.
TEST_F(MpiLibraries, AnotherUserOfTheNodeIsKeptAwayFromAJobsServer) {
  SKIP_WITHOUT("pmix_check");
  SKIP_WITHOUT("mpi_check_openmpi");
  SKIP_WITHOUT_NETWORKS();
  const std::string id =
      submit({"-N", "2", "-n", "4", "-o", "out", "--", copied("mpi_check_openmpi"), "wait"});
  ASSERT_TRUE(becomes_true([&] { return file("out") == "wait: right\n"; }));
  const Ran tried = cluster().in_network(
      "n01", {"sh", "-c",
              cat("for p in $(awk '$4 == \"0A\" && $2 ~ /^0100007F/ { print substr($2, 10) }' "
                  "/proc/net/tcp); do "
                  "uri=\"pmix-server.1;tcp4://127.0.0.1:$((0x$p))\"; "
                  "setpriv --reuid 54321 --regid 54321 --clear-groups env PMIX_NAMESPACE=gangway.",
                  id, ".1 PMIX_RANK=0 PMIX_SERVER_URI4=\"$uri\" PMIX_SERVER_URI41=\"$uri\" ",
                  copied("pmix_check"), " stranger; done 2>/dev/null")});
  EXPECT_THAT(tried.out, HasSubstr("refused\n"));
  EXPECT_THAT(tried.out, testing::Not(HasSubstr("let in")));
  EXPECT_TRUE(user({"jqueue"}).out.find(id) != std::string::npos);  // it is none the worse for it
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
}

TEST_F(MpiLibraries, AClientOfPmi2FindsWhatOthersPut) {
  SKIP_WITHOUT("pmi2_check");
  const Ran ran = run_ranks("pmi2_check");
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("err");
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_THAT(file("out"), HasSubstr(cat("rank ", rank, " of 8: right\n")));
  }
}

// ---- whatever else starts programs -----------------------------------------------------------

TEST_F(MpiLibraries, AHostFileAndARemoteShellAreThereForAllOthers) {
  SKIP_WITHOUT_NETWORKS();
  const Ran ran = script(
      "uniq -c $JOB_HOSTFILE | sed 's/^ *//'\n"
      "for n in $(uniq $JOB_HOSTFILE); do jrsh -x $n echo '$SLURMD_NODENAME' is $n; done\n"
      "jrsh n02 exit 7; echo $?\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err << file("err");
  EXPECT_EQ(file("out"),
            "2 n01\n2 n02\n2 n03\n2 n04\n"
            "n01 is n01\nn02 is n02\nn03 is n03\nn04 is n04\n7\n")
      << file("err");
}

// ---- ranks that never meet ---------------------------------------------------------------------

TEST_F(MpiLibraries, RanksThatMeetNobodyFailLoudlyWithTheRemedy) {
  SKIP_WITHOUT("mpi_check_mpich");
  // It speaks PMI-1 and is offered PMIx: each rank takes itself for the only one, and comes
  // through.
  const Ran ran = run_ranks("mpi_check_mpich", {"--mpi=pmix"}, {"hello"});
  EXPECT_EQ(ran.exit_code, 76);
  EXPECT_THAT(ran.err, HasSubstr("ended without having met the other ranks, of 8 in all, by pmix"));
  EXPECT_THAT(ran.err, HasSubstr("--mpi=none"));
}

TEST_F(MpiLibraries, RanksOfAStepThatMeetNobodyFailItLoudlyToo) {
  SKIP_WITHOUT("mpi_check_mpich");
  const Ran ran = script("jrun --mpi=pmix " + copied("mpi_check_mpich") + " hello\n");
  EXPECT_EQ(ran.exit_code, 76) << ran.err << file("err");
  EXPECT_THAT(file("err"), HasSubstr("ended without having met the other ranks, of 8 in all"));
}

TEST_F(MpiLibraries, ProgramsWithoutMpiNeedNotMeet) {
  EXPECT_EQ(
      user({"jsubmit", "--wait", "-N", "2", "-n", "4", "-o", "out", "--", "sh", "-c", "hostname"})
          .exit_code,
      0);
  EXPECT_THAT(file("out"), HasSubstr("n02"));
  EXPECT_EQ(
      user({"jsubmit", "--wait", "-N", "2", "-n", "4", "--mpi=pmix", "--", "hostname"}).exit_code,
      76);
}

// ---- faults ------------------------------------------------------------------------------------

class WhateverIsKilled : public MpiLibraries, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Programs, WhateverIsKilled, testing::Values("jpmixd", "jshepherd"));

TEST_P(WhateverIsKilled, TheJobEndsEverywhereAndTheReasonNamesTheNode) {
  SKIP_WITHOUT("mpi_check_openmpi");
  SKIP_WITHOUT_NETWORKS();
  const std::string id = submit({"-N", "4", "-n", "8", "--no-requeue", "-o", "out", "--",
                                 copied("mpi_check_openmpi"), "wait"});
  ASSERT_TRUE(becomes_true([&] { return file("out") == "wait: right\n"; }));
  const std::string node = "n03";
  const Ran killed = cluster().in_network(
      node, {"sh", "-c",
             cat("for p in /proc/[0-9]*; do "
                 // By its name: what it runs is a copy in memory that nobody can read.
                 "grep -qzx " GANGWAY_BINARY_DIR "/bin/",
                 GetParam(),
                 " $p/cmdline 2> /dev/null || continue; "
                 "[ \"$(readlink $p/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ] || continue; "
                 "kill -KILL ${p#/proc/} && echo killed; done")});
  ASSERT_THAT(killed.out, HasSubstr("killed"));
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_THAT(user({"jhist", id}).out + user({"jwhy", id}).out, HasSubstr(node));
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

TEST_F(MpiLibraries, ARankThatIsKilledIsNamedWithItsNode) {
  SKIP_WITHOUT("mpi_check_openmpi");
  const Ran ran = run_ranks("mpi_check_openmpi", {}, {"killed"});
  EXPECT_EQ(ran.exit_code, 128 + 9);
  EXPECT_THAT(ran.err, HasSubstr("task 7 on n04: "));
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

}  // namespace
}  // namespace gangway::e2e
