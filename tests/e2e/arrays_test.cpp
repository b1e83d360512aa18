// Arrays, dependencies and what is changed of waiting jobs, with real daemons.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Arrays : public OnCluster<Arrays> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 2}; }
  // With a sendmail of ours.
  static void SetUpTestSuite() {
    std::string top = "/tmp/gangway-mails-XXXXXX";
    ASSERT_NE(::mkdtemp(top.data()), nullptr);
    mails_ = top;
    std::ofstream(top + "/sendmail")
        << "#!/bin/sh\n[ \"$*\" = '-i -t' ] && cat >> " << top << "/mails\n";
    ::chmod((top + "/sendmail").c_str(), 0755);
    ::setenv("GANGWAY_SENDMAIL", (top + "/sendmail").c_str(), 1);
    OnCluster<Arrays>::SetUpTestSuite();
  }
  static void TearDownTestSuite() {
    OnCluster<Arrays>::TearDownTestSuite();
    ::unsetenv("GANGWAY_SENDMAIL");
    std::filesystem::remove_all(mails_);
  }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  static inline std::string mails_;  // NOLINT(readability-identifier-naming): of the suite
  std::string shown(const std::string& id, const std::string& format = "%i %t") {
    return user({"jqueue", "-h", "-o", format, "-j", id}).out;
  }
};

TEST_F(Arrays, ElementsRunWithTheirIndexInVariablesAndFileNames) {
  const Ran ran = user({"jsubmit", "--wait", "--array=1-5:2,10%2", "-o", "out-%A_%3a", "--wrap",
                        ("echo $SLURM_ARRAY_TASK_ID of $JOB_ARRAY_TASK_COUNT up to "
                         "$SLURM_ARRAY_TASK_MAX > in-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID")});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const std::string id =
      ran.out.substr(ran.out.rfind(' ') + 1, ran.out.find('\n') - ran.out.rfind(' ') - 1);
  for (const char* const index : {"1", "3", "5", "10"}) {
    EXPECT_EQ(file(cat("in-", id, "-", index)), cat(index, " of 4 up to 10\n"));
  }
  EXPECT_TRUE(std::filesystem::exists(cat(directory(), "/out-", id, "_010")));
  const std::string history = user({"jhist", "--noheader", id}).out;
  EXPECT_THAT(history, HasSubstr(cat(id, "_10 ")));
  EXPECT_THAT(history, HasSubstr("COMPLETED"));
}

TEST_F(Arrays, WaitingElementsAreOneLineAndManyAreOneRecord) {
  const std::string id = submit({"--hold", "--array=0-99999%4", "--wrap", "true"});
  EXPECT_EQ(shown(id), cat(id, "_[0-99999%4] PD\n"));
  EXPECT_EQ(user({"jqueue", "-h", "-r", "-o", "%i", "-j", cat(id, "_[7,9]")}).out,
            cat(id, "_7\n", id, "_9\n"));
  EXPECT_EQ(user({"jcancel", cat(id, "_[10-99999]")}).exit_code, 0);
  EXPECT_EQ(shown(id), cat(id, "_[0-9%4] PD\n"));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_EQ(user({"jwait", "-Q", id}).exit_code, 1);
  EXPECT_THAT(user({"jhist", "--noheader", id}).out, HasSubstr(cat(id, "_[0-99999]")));
}

TEST_F(Arrays, AnElementIsToldAsItEndedAndOneThatNeverWasIsNotThere) {
  const std::string id = submit({"--hold", "--array=1-3", "--wrap", "exit 1"});
  EXPECT_EQ(user({"jcancel", cat(id, "_3")}).exit_code, 0);
  EXPECT_EQ(user({"jrelease", id}).exit_code, 0);
  EXPECT_EQ(user({"jwait", "-Q", id}).exit_code, 1);
  EXPECT_EQ(user({"jhist", "--noheader", "-t", "CA", "-o", "%i %T", id}).out,
            cat(id, "_[3] CANCELLED\n"));
  for (const char* const program : {"jcancel", "jwhy", "jhist", "jwait"}) {
    const Ran ran = user({program, cat(id, "_77")});
    EXPECT_EQ(ran.exit_code, 66) << program << ": " << ran.err;
  }
}

TEST_F(Arrays, OneElementIsHeldAndTheSchedulerMayDieMeanwhile) {
  const std::string id =
      submit({"--array=0-3", "--wrap", "echo $JOB_ARRAY_TASK_ID >> ran", "--hold"});
  EXPECT_EQ(user({"jhold", cat(id, "_2")}).exit_code, 0);
  EXPECT_EQ(shown(cat(id, "_2")), cat(id, "_2 PD\n"));
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  EXPECT_EQ(user({"jrelease", id}).exit_code, 0);
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(file("ran").size(), 8U);
}

TEST_F(Arrays, AfterCorrGoesElementByElement) {
  const std::string first = submit({"--array=1-2", "--wrap", "test $JOB_ARRAY_TASK_ID = 1"});
  const std::string second =
      submit({"--array=1-2", "-d", cat("aftercorr:", first), "--kill-on-invalid-dep=yes", "--wrap",
              "touch second-$JOB_ARRAY_TASK_ID"});
  EXPECT_NE(user({"jwait", "-Q", second}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(directory() + "/second-1"));
  EXPECT_FALSE(std::filesystem::exists(directory() + "/second-2"));
}

TEST_F(Arrays, OneOfTwoDependenciesIsEnoughWithAQuestionMark) {
  const std::string good = submit({"--wrap", "true"});
  const std::string held = submit({"--hold", "--wrap", "true"});
  const std::string after =
      submit({"-d", cat("afterok:", held, "?afterok:", good), "--wrap", "true"});
  EXPECT_EQ(user({"jwait", after}).exit_code, 0);
  EXPECT_EQ(user({"jcancel", held}).exit_code, 0);
}

TEST_F(Arrays, AWaitingJobIsAlteredAndThenRuns) {
  const std::string id = submit({"--hold", "--time=10", "--wrap", "true"});
  EXPECT_EQ(user({"jalter", "--time=20", "--job-name=other", "--nice=7", id}).exit_code, 0);
  EXPECT_EQ(shown(id, "%j %l %y"), "other 20:00 7\n");
  const Ran refused = user({"jalter", "--nodes=77", id});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("77"));
  EXPECT_EQ(user({"jrelease", id}).exit_code, 0);
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_THAT(user({"jalter", "--time=20", id}).err, HasSubstr("does not wait any more"));
}

TEST_F(Arrays, ADeadlineEndsWhatDidNotStartAndCutsWhatRuns) {
  const std::string late = submit({"--hold", "--deadline=now+2", "--wrap", "true"});
  const std::string cut = submit({"--deadline=now+3", "--time=10", "--wrap", "sleep 100"});
  EXPECT_EQ(user({"jwait", "-Q", late, cut}).exit_code, 1);
  EXPECT_THAT(user({"jhist", "--noheader", late}).out, HasSubstr("its deadline came"));
  EXPECT_THAT(user({"jhist", "--noheader", cut}).out, HasSubstr("TIMEOUT"));
}

TEST_F(Arrays, MailGoesThroughSendmail) {
  const std::string id = submit({"--mail-type=END,FAIL", "--mail-user=ann@example.org",
                                 "--job-name=letter", "--wrap", "exit 4"});
  EXPECT_EQ(user({"jwait", "-Q", id}).exit_code, 4);
  EXPECT_TRUE(becomes_true([&] {
    const std::string text = content(mails_ + "/mails");
    return text.find("To: ann@example.org\n") != std::string::npos &&
           text.find(cat("Job_id=", id, " Name=letter Failed")) != std::string::npos &&
           text.find("ExitCode 4") != std::string::npos;
  }));
}

TEST_F(Arrays, AJobIsTriedAgainAsOftenAsItAsked) {
  const std::string id =
      submit({"--retries=2", "--wrap", "echo x >> tries; test $(wc -l < tries) = 3"});
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(file("tries"), "x\nx\nx\n");
}

}  // namespace
}  // namespace gangway::e2e
