// kill -9 of daemons: no job is lost, none runs twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

class Crashes : public OnCluster<Crashes> {
 public:
  static ClusterOptions options() { return {.nodes = 4, .cores = 8}; }

 protected:
  // A loop of jsubmit in one shell; ids, one a line, in the file "ids".
  Background start_submitting(int count) {
    return cluster().start_as_user(
        {"sh", "-c",
         cat("i=0; while [ $i -lt ", count,
             " ]; do jsubmit --parsable --retry 60 -o /dev/null --mem=8M -- "
             "sh -c \"echo $i >> ran/$i\" >> ids || exit 1; i=$((i+1)); done")},
        directory());
  }
  int lines(const std::string& name) {
    const auto text = content(directory() + "/" + name);
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  // Each job has left one file with one line.
  void expect_each_ran_once(int count) {
    std::set<std::string> ids;
    const std::string text = content(directory() + "/ids");
    for (const auto id : split(trim(text), '\n')) ids.emplace(id);
    EXPECT_EQ(ids.size(), static_cast<std::size_t>(count));
    int once = 0;
    for (int i = 0; i < count; ++i) {
      if (content(cat(directory(), "/ran/", i)) == cat(i, '\n')) ++once;
    }
    EXPECT_EQ(once, count);
  }
  bool queue_is_empty() { return user({"jqueue", "--noheader"}).out.empty(); }
  void SetUp() override {
    OnCluster::SetUp();
    ASSERT_EQ(user({"mkdir", "ran"}).exit_code, 0);
  }
};

TEST_F(Crashes, AThousandJobsRunOnceEach) {
  Ran submitted = start_submitting(1000).finish();
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  ASSERT_TRUE(becomes_true([&] { return queue_is_empty(); }, seconds(120)));
  expect_each_ran_once(1000);
}

TEST_F(Crashes, AThousandJobsRunOnceEachThoughTheSchedulerIsKilledInTheMiddle) {
  Background submitting = start_submitting(1000);
  for (const int when : {200, 450, 700}) {
    ASSERT_TRUE(becomes_true([&] { return lines("ids") >= when; }, seconds(60)));
    cluster().kill_daemon("jschedd");
    cluster().bring_up_again();
  }
  const Ran submitted = submitting.finish();
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  ASSERT_TRUE(becomes_true([&] { return queue_is_empty(); }, seconds(120)));
  expect_each_ran_once(1000);
}

TEST_F(Crashes, JobsGoOnWithoutTheirExecutorAndAreReportedWhenItIsBack) {
  const std::string ends = submit(
      {"-w", "n01", "--wrap", "touch started; while [ ! -e go ]; do sleep 0.05; done; exit 7"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  cluster().kill_daemon("n01");
  write_as_user(cluster(), directory() + "/go", "");
  // It ends while nobody listens.
  ASSERT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
  cluster().bring_up_again();
  EXPECT_EQ(user({"jwait", ends}).exit_code, 7);
}

TEST_F(Crashes, AnAlteredJobIsStillWhatItWasToldToBe) {
  const std::string id = submit({"--hold", "--time=10", "--wrap", "true"});
  ASSERT_EQ(user({"jalter", "--time=20", id}).exit_code, 0);
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  EXPECT_EQ(user({"jqueue", "-h", "-o", "%l", "-j", id}).out, "20:00\n");
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
}

TEST_F(Crashes, ARunningJobSurvivesBothDaemons) {
  const std::string id =
      submit({"-w", "n02", "--wrap",
              "touch started; while [ ! -e go ]; do sleep 0.05; done; echo x >> end"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  cluster().kill_daemon("n02");
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_EQ(content(directory() + "/end"), "x\n");
}

}  // namespace
}  // namespace gangway::e2e
