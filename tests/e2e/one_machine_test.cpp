// `gangway up`, `down`, `status`, `doctor`: the cluster as a thing that comes and goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "submit/one_machine/leftovers.hpp"
#include "submit/one_machine/node_network.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
namespace om = one_machine;

class OneMachine : public OnCluster<OneMachine> {
 public:
  static ClusterOptions options() { return {.nodes = 3}; }

 protected:
  std::vector<std::string> gangway(const std::string& verb) {
    return {"gangway", verb, "--dir", cluster().layout().directory};
  }
};

TEST_F(OneMachine, StatusNamesEveryNode) {
  const Ran ran = cluster().as_operator(gangway("status"));
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("node n01   up"));
  EXPECT_THAT(ran.out, HasSubstr("node n03   up"));
}

TEST_F(OneMachine, UpOnARunningClusterChangesNothing) {
  const auto before = om::read_record(cluster().layout().record_file("jschedd"));
  const Ran ran = cluster().as_operator(gangway("up"));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("already running"));
  EXPECT_EQ(om::read_record(cluster().layout().record_file("jschedd")), before);
}

TEST_F(OneMachine, UpStartsAgainWhatHasDied) {
  cluster().kill_daemon("n02");
  EXPECT_EQ(cluster().as_operator(gangway("status")).exit_code, 69);
  const Ran ran = cluster().as_operator(gangway("up"));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("started again: n02"));
  EXPECT_EQ(cluster().as_operator(gangway("status")).exit_code, 0);
}

TEST_F(OneMachine, TheKeyIsForTheDaemonsAlone) {
  const Ran ran = user({"cat", cluster().layout().key_file()});
  if (::geteuid() != 0) GTEST_SKIP() << "the test's user is the one who runs the cluster";
  EXPECT_NE(ran.exit_code, 0);
}

TEST_F(OneMachine, ItNeedsNothingOfTheMachinesOwnNetwork) {
  SKIP_WITHOUT_NETWORKS();
  const Ran links = run({"ip", "-br", "link"});
  EXPECT_THAT(links.out,
              testing::Not(AnyOf(HasSubstr("veth"), HasSubstr("br0"), HasSubstr("n01"))));
  const Ran routes = run({"ip", "route"});
  EXPECT_THAT(routes.out, testing::Not(HasSubstr("10.77.")));
}

TEST_F(OneMachine, NodesReachEachOtherAndTheScheduler) {
  SKIP_WITHOUT_NETWORKS();
  const auto plan = om::plan_network(cluster().layout(), om::node_names(3));
  for (const auto& address : {plan.nodes[2].address, plan.scheduler_address}) {
    // A closed port answers by refusing: that takes a round trip.
    const Ran ran = cluster().in_network(
        "n01", {"timeout", "5", "bash", "-c", "echo > /dev/tcp/" + address + "/9"});
    EXPECT_THAT(ran.err, HasSubstr("Connection refused")) << ran.err;
  }
}

TEST(OneMachineEnd, DownLeavesNothingAfterEverythingWasKilled) {
  Cluster cluster({.nodes = 2});
  for (const char* daemon : {"n01", "n02", "jschedd"}) cluster.kill_daemon(daemon);
  const Ran down = cluster.as_operator({"gangway", "down", "--dir", cluster.layout().directory});
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_THAT(find_leftovers(cluster.layout()), IsEmpty());
}

TEST(OneMachineEnd, DownLeavesNothingWhileJobsRun) {
  Cluster cluster({.nodes = 2});
  const std::string directory = cluster.make_work_directory();
  const Ran submitted = cluster.as_user(
      {"jsubmit", "-N", "2", "--wrap", "touch started; trap '' TERM; sleep 1000 & sleep 1000"},
      directory);
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory + "/started"); }));
  const Ran down = cluster.as_operator({"gangway", "down", "--dir", cluster.layout().directory});
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_THAT(find_leftovers(cluster.layout()), IsEmpty());
}

TEST(OneMachineEnd, DownTwiceIsRight) {
  Cluster cluster({.nodes = 1});
  const std::vector<std::string> down{"gangway", "down", "--dir", cluster.layout().directory};
  EXPECT_EQ(cluster.as_operator(down).exit_code, 0);
  const Ran again = cluster.as_operator(down);
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("was not running"));
}

TEST(OneMachineEnd, UpAfterDownKeepsTheIdsGoing) {
  Cluster cluster({.nodes = 1});
  const std::string directory = cluster.make_work_directory();
  EXPECT_EQ(cluster.as_user({"jsubmit", "--parsable", "--wait", "--", "true"}, directory).out,
            "1\n");
  ASSERT_EQ(cluster.as_operator({"gangway", "down", "--dir", cluster.layout().directory}).exit_code,
            0);
  cluster.bring_up_again();
  EXPECT_EQ(cluster.as_user({"jsubmit", "--parsable", "--wait", "--", "true"}, directory).out,
            "2\n");
}

TEST(OneMachineEnd, NodesInWhichNothingCouldRunAreRefused) {
  const Ran ran = run({"gangway", "up", "--memory", "1", "--dir", "/nonexistent/cluster"},
                      {.env = {{"PATH", std::string(GANGWAY_BINARY_DIR) + "/bin"}}});
  EXPECT_EQ(ran.exit_code, 64);
  EXPECT_THAT(ran.err, HasSubstr("'1' is not a size of at least 64M"));
}

// With a tmpfs below it, if we are root.
class ForeignDirectory : public testing::Test {
 protected:
  ForeignDirectory() {
    std::string pattern = "/tmp/gw-foreign-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(path_ + "/run");
    std::filesystem::create_directory(path_ + "/mounted");
    std::ofstream(path_ + "/run/file") << "kept";
    std::ofstream(path_ + "/thesis") << "kept";
    mounted_ = ::geteuid() == 0 &&
               ::mount("test", (path_ + "/mounted").c_str(), "tmpfs", 0, "size=64k") == 0;
    ::chmod(path_.c_str(), 01777);
  }
  ~ForeignDirectory() override {
    if (mounted_) ::umount2((path_ + "/mounted").c_str(), MNT_DETACH);
    std::filesystem::remove_all(path_);
  }
  [[nodiscard]] static std::string look(const std::string& path) {
    std::string text;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      text += entry.path().string() + content(entry.path().string()) + "\n";
    }
    struct stat file {};
    EXPECT_EQ(::stat(path.c_str(), &file), 0);
    return text + std::to_string(file.st_mode) + content("/proc/self/mountinfo");
  }
  std::string path_;
  bool mounted_ = false;
};

TEST_F(ForeignDirectory, NeitherUpNorDownTouchesIt) {
  const std::string before = look(path_);
  const std::vector<std::vector<std::string>> verbs{
      {"up", "--nodes", "1"}, {"down"}, {"down", "--purge"}};
  for (const std::vector<std::string>& words : verbs) {
    std::vector<std::string> command{"gangway"};
    command.insert(command.end(), words.begin(), words.end());
    command.insert(command.end(), {"--dir", path_});
    const Ran ran = run(command, {.env = {{"PATH", std::string(GANGWAY_BINARY_DIR) + "/bin"}}});
    EXPECT_EQ(ran.exit_code, 77) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("directory " + path_ + ": holds"));
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_EQ(look(path_), before) << words[0];
  }
}

TEST(OneMachineEnd, AFailingIpIsToldInTheForegroundToo) {
  SKIP_WITHOUT_NETWORKS();
  std::string pattern = "/tmp/gw-ip-XXXXXX";
  const std::string top = ::mkdtemp(pattern.data());
  std::ofstream(top + "/ip") << "#!/bin/sh\necho no network today >&2; exit 1\n";
  ::chmod((top + "/ip").c_str(), 0755);
  const Ran ran = run(
      {"timeout", "60", "gangway", "up", "--foreground", "--nodes", "1", "--dir", top + "/cluster"},
      {.env = {{"PATH", top + ":" GANGWAY_BINARY_DIR "/bin:/usr/bin:/bin"}}});
  EXPECT_EQ(ran.exit_code, 70) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("no network today"));
  std::filesystem::remove_all(top);
}

TEST(OneMachineEnd, StatusOfNothingSaysHowToStart) {
  const Ran ran = run({"gangway", "status", "--dir", "/nonexistent/cluster"},
                      {.env = {{"PATH", std::string(GANGWAY_BINARY_DIR) + "/bin"}}});
  EXPECT_EQ(ran.exit_code, 69);
  EXPECT_THAT(ran.err, HasSubstr("gangway up"));
}

TEST(Doctor, SaysWhatTheKernelAllows) {
  const Ran ran =
      run({"gangway", "doctor"}, {.env = {{"PATH", std::string(GANGWAY_BINARY_DIR) + "/bin"}}});
  EXPECT_THAT(ran.exit_code, AnyOf(0, 1));
  EXPECT_THAT(ran.out, HasSubstr("kernel "));
  EXPECT_EQ(ran.exit_code == 0, ran.out.find("jobs can run here") != std::string::npos);
}

}  // namespace
}  // namespace gangway::e2e
