// The programs as `cmake --install` puts them: each is there, finds its helpers, and has its page.
// In the build tree all programs lie beside each other, so that a helper in the wrong place or
// missing from the installation shows only here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/promises.hpp"

namespace gangway::e2e {
namespace {

using testing::StartsWith;
namespace om = one_machine;
namespace fs = std::filesystem;

std::string& prefix() {
  static std::string path;
  return path;
}

class Installed : public OnCluster<Installed> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 2}; }
  static void SetUpTestSuite() {
    std::string pattern = "/tmp/gangway-installed-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    prefix() = pattern;
    fs::permissions(prefix(), fs::perms(0755));
    const Ran ran =
        run({GANGWAY_CMAKE, "--install", GANGWAY_BINARY_DIR, "--prefix", prefix()}, {.env = {}});
    ASSERT_EQ(ran.exit_code, 0) << ran.out << ran.err;
    ::setenv("GANGWAY_BIN", (prefix() + "/bin").c_str(), 1);
    OnCluster::SetUpTestSuite();
  }
  static void TearDownTestSuite() {
    OnCluster::TearDownTestSuite();
    ::unsetenv("GANGWAY_BIN");
    fs::remove_all(prefix());
  }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // By its whole name, without our directory on the PATH: nothing may be found there by luck.
  Ran jsubmit(const std::vector<std::string>& words) {
    std::vector<std::string> argv{"env", "PATH=/usr/bin:/bin", prefix() + "/bin/jsubmit"};
    argv.insert(argv.end(), words.begin(), words.end());
    return user(argv);
  }
};

TEST_F(Installed, EveryProgramStartsAndHasAPage) {
  int programs = 0;
  for (const auto& [folder, section] : {std::pair("bin", 1), std::pair("sbin", 8)}) {
    for (const auto& entry : fs::directory_iterator(cat(prefix(), "/", folder))) {
      const std::string name = entry.path().filename();
      const Ran ran = user({entry.path(), "--version"});
      EXPECT_EQ(ran.exit_code, 0) << name;
      EXPECT_THAT(ran.out, StartsWith(name + " ")) << name;
      const std::string page = cat(prefix(), "/share/man/man", section, "/", name, ".", section);
      EXPECT_TRUE(fs::exists(page)) << page;
      ++programs;
    }
  }
  EXPECT_GE(programs, 15);
}

TEST_F(Installed, TheDaemonsAreTheInstalledOnes) {
  for (const char* daemon : {"jschedd", "n01"}) {
    const auto process = om::read_record(cluster().layout().record_file(daemon));
    ASSERT_TRUE(process) << daemon;
    if (::geteuid() != 0) continue;
    EXPECT_THAT(fs::read_symlink(cat("/proc/", process->pid, "/exe")).string(),
                StartsWith(prefix() + "/sbin/"));
  }
}

TEST_F(Installed, AScriptRuns) {
  write_as_user(cluster(), directory() + "/job.sh",
                "#!/bin/sh\n#SBATCH --output=out\necho hello from $SLURM_JOB_NODELIST\n");
  const Ran ran = jsubmit({"--wait", "job.sh"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("out"), StartsWith("hello from n0"));
}

TEST_F(Installed, CompletionKnowsOptionsJobsAndQueues) {
  const Ran submitted = jsubmit({"--parsable", "--hold", "--", "true"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id = submitted.out.substr(0, submitted.out.find('\n'));
  const auto complete = [&](const std::string& program, const std::string& words, int at) {
    const Ran ran =
        user({"bash", "-c",
              cat("PATH=", prefix(), "/bin:$PATH; . ", prefix(),
                  "/share/bash-completion/completions/", program, "; COMP_WORDS=(", program, " ",
                  words, "); COMP_CWORD=", at, "; _gangway; printf '%s\\n' \"${COMPREPLY[@]}\"")});
    EXPECT_EQ(ran.err, "");
    return ran.out;
  };
  EXPECT_EQ(complete("jsubmit", "--ntasks-per-no", 1), "--ntasks-per-node\n");
  EXPECT_EQ(complete("jqueue", "--foll", 1), "--follow\n");
  EXPECT_EQ(complete("jcancel", cat('\'', id, '\''), 1), id + "\n");
  EXPECT_EQ(complete("jsubmit", "--queue = ''", 3), complete("jsubmit", "-p ''", 2));
  EXPECT_NE(complete("jsubmit", "-p ''", 2), "\n");
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
}

TEST_F(Installed, TheUnitsLeaveShepherdsAloneAndStartTheInstalledDaemons) {
  const std::string executor = content(prefix() + "/lib/systemd/system/jexecd.service");
  EXPECT_NE(executor.find("\nKillMode=process\n"), std::string::npos);
  EXPECT_NE(content(prefix() + "/lib/systemd/system/jschedd.service").find("sbin/jschedd"),
            std::string::npos);
}

TEST_F(Installed, AWorkflowRunsInAnImage) {
  expect_workflow_in_image(cluster(), directory(),
                           [&](const auto& words) { return jsubmit(words); });
}

TEST_F(Installed, MpiRunsInAnImageOnFourNodes) {
  expect_mpi_in_image(directory(), [&](const auto& words) { return jsubmit(words); });
}

}  // namespace
}  // namespace gangway::e2e
