// Control groups: what a node's mounts mean; v2 on a directory that looks like one; v1 (or whatever
// this kernel has) for real.
#include "containers/cgroup.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "containers/device_program.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 /docker/x /sys/fs/cgroup/memory\\040here rw,relatime - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

TEST(CgroupLayout, HybridNodesHaveControllersInManyPlaces) {
  const CgroupLayout layout = parse_cgroup_layout(
      kHybrid, "5:cpuset:/\n4:memory:/docker/x/job\n3:cpu,cpuacct:/a\n1:name=systemd:/s\n0::/u\n",
      "");
  ASSERT_EQ(layout.hierarchies.size(), 4U);
  EXPECT_EQ(layout.find("cpuacct")->mount, "/sys/fs/cgroup/cpu");
  EXPECT_EQ(layout.find("cpuacct")->own_group, "/a");
  EXPECT_EQ(layout.find("cpuset")->own_group, "");
  EXPECT_EQ(layout.find("memory")->mount, "/sys/fs/cgroup/memory here");
  EXPECT_EQ(layout.find("memory")->own_group, "/job");
  EXPECT_EQ(layout.find("pids"), nullptr);
  EXPECT_EQ(layout.unified()->own_group, "/u");
  EXPECT_TRUE(layout.unified()->controllers.empty());
}

TEST(CgroupLayout, PureV2HasEverythingInOne) {
  const CgroupLayout layout =
      parse_cgroup_layout("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
                          "0::/user.slice/session-1.scope\n", "cpuset cpu io memory pids\n");
  ASSERT_EQ(layout.hierarchies.size(), 1U);
  EXPECT_EQ(layout.find("memory"), layout.unified());
  EXPECT_EQ(layout.find("memory")->version, 2);
}

TEST(CoreLists, AreReadAndWrittenAsTheKernelDoes) {
  EXPECT_EQ(render_core_list({3, 0, 1, 2, 8}), "0-3,8");
  EXPECT_EQ(render_core_list({}), "");
  EXPECT_EQ(parse_core_list("0-3,8\n"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_core_list(""), std::vector<int>{});
  for (const char* text : {"x", "3-1", "-1", "1,,2", "0-99999999"}) {
    EXPECT_EQ(parse_core_list(text), std::nullopt) << text;
  }
}

// A directory with the files of a v2 group that were put there.
class FakeV2 : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text = "") {
    const Fd fd(open((place_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
    EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] CgroupLayout layout() const {
    return {{{.version = 2,
              .mount = place_.path(),
              .controllers = {"memory", "pids", "cpuset", "cpu"},
              .own_group = ""}}};
  }
  TemporaryDirectory place_{geteuid(), fast_directory()};
};

TEST_F(FakeV2, LimitsThatHaveNoFileFailWithTheWaiversName) {
  std::vector<std::string> waived;
  const auto made = Cgroup::make(
      layout(), {.parent = "g/n01", .name = "1.1", .cores = {}, .memory = mebibytes(1), .pids = {}},
      {}, waived);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind(), ErrorKind::Unsupported);
  EXPECT_NE(made.error().message().find("waiver cgroup-memory"), std::string::npos);
  EXPECT_NE(access((place_ / "g/n01/1.1").c_str(), F_OK), 0) << "left behind";
}

TEST_F(FakeV2, WaivedLimitsAreToldWithTheReason) {
  std::vector<std::string> waived;
  auto made = Cgroup::make(
      layout(), {.parent = "g", .name = "1.1", .cores = {0}, .memory = mebibytes(1), .pids = 5},
      {Waiver::CgroupMemory, Waiver::CgroupCpus, Waiver::CgroupPids}, waived);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_EQ(waived.size(), 3U);
  EXPECT_TRUE(waived[0].starts_with("cgroup-memory: open "));
  EXPECT_TRUE(made->remove());
}

// A directory of an ordinary file system takes no program.
TEST_F(FakeV2, DevicesThatRootCannotCloseFail) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  std::vector<std::string> waived;
  CgroupRequest request{.parent = "g", .name = "1.1", .cores = {}, .memory = {}, .pids = {}};
  request.closed_devices = {makedev(10, 235)};
  const auto made = Cgroup::make(layout(), request, {}, waived);
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().message().starts_with("close devices: ")) << made.error().message();
  EXPECT_NE(access((place_ / "g/1.1").c_str(), F_OK), 0) << "left behind";
}

TEST_F(FakeV2, UsageIsReadFromTheGroupsFiles) {
  std::vector<std::string> waived;
  auto made = Cgroup::make(
      layout(), {.parent = "g", .name = "1.1", .cores = {}, .memory = {}, .pids = {}}, {}, waived);
  ASSERT_TRUE(made);
  put("g/1.1/cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
  put("g/1.1/memory.peak", "4096\n");
  put("g/1.1/memory.events", "low 0\noom 1\noom_kill 2\noom_group_kill 1\n");
  const CgroupUsage usage = made->usage();
  EXPECT_EQ(usage.cpu, microseconds(1500));
  EXPECT_EQ(usage.peak_memory, Bytes{4096});
  EXPECT_TRUE(usage.out_of_memory);
}

class RealCgroup : public testing::Test {
 protected:
  ~RealCgroup() override {
    for (const CgroupHierarchy& hierarchy : layout_.hierarchies) {
      rmdir((hierarchy.mount + "/" + request_.parent).c_str());
    }
  }
  CgroupLayout layout_ = read_cgroup_layout();
  CgroupRequest request_{.parent = cat("gangway-test-", getpid()),
                         .name = "group",
                         .cores = {},
                         .memory = {},
                         .pids = {}};
  std::vector<std::string> waived_;
};

TEST_F(RealCgroup, ProcessesEnterAreKilledAndTheGroupGoes) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  request_.memory = mebibytes(64);
  request_.cores = {0};
  request_.pids = 10;
  auto group = Cgroup::make(layout_, request_, {}, waived_);
  if (!group) GTEST_SKIP() << "this kernel cannot: " << group.error().message();
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  ASSERT_TRUE(group->add(pid));
  const std::string memory = layout_.find("memory")->mount + "/" + request_.parent + "/group";
  EXPECT_EQ(trim(read_small_file(memory + "/cgroup.procs").value_or("")), cat(pid));
  // The same name again, while it is in use.
  std::vector<std::string> ignored;
  const auto again = Cgroup::make(layout_, request_, {}, ignored);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind(), ErrorKind::Conflict);
  group->kill_all();
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  const Result<void> removed = group->remove();
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_NE(access(memory.c_str(), F_OK), 0);
}

TEST_F(RealCgroup, EmptyGroupLeftBehindIsReplaced) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  if (layout_.hierarchies.empty()) GTEST_SKIP() << "this kernel has no control groups";
  auto left = Cgroup::make(layout_, request_, {}, waived_);
  ASSERT_TRUE(left) << left.error().message();
  auto group = Cgroup::make(layout_, request_, {}, waived_);
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_TRUE(group->remove());
}

TEST(DeviceProgram, HasAQuestionForEachDeviceAndOneAnswerForAllOthers) {
  EXPECT_EQ(make_device_program({}).size(), 6U);
  const std::vector<bpf_insn> program = make_device_program({makedev(195, 0), makedev(195, 1000)});
  ASSERT_EQ(program.size(), 16U);
  EXPECT_EQ(program[5].imm, 195);
  EXPECT_EQ(program[11].imm, 1000);
  // Whoever is not meant goes on with the next device, or to the end.
  for (const std::size_t at : {4U, 5U, 6U}) {
    EXPECT_EQ(at + 1 + static_cast<std::size_t>(program[at].off), 9U);
  }
}

TEST_F(RealCgroup, OnVersion2ADeviceIsClosedByAProgram) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  std::erase_if(layout_.hierarchies, [](const CgroupHierarchy& h) { return h.version != 2; });
  if (layout_.hierarchies.empty() || !probe_cgroup_controller(layout_, "devices")) {
    GTEST_SKIP() << "this kernel has no control groups of version 2 with programs for devices";
  }
  const TemporaryDirectory place(geteuid(), "/dev");  // other places may be mounted without devices
  const dev_t closed = makedev(10, 235);
  ASSERT_EQ(mknod((place / "closed").c_str(), S_IFCHR | 0666, closed), 0);
  ASSERT_EQ(mknod((place / "open").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
  request_.closed_devices = {makedev(1, 5), closed, makedev(10, 254)};  // the first is everybody's
  auto group = Cgroup::make(layout_, request_, {}, waived_);
  ASSERT_TRUE(group) << group.error().message();
  const pid_t pid = fork();
  if (pid == 0) {
    raise(SIGSTOP);  // until it is in the group
    const int refused = open((place / "closed").c_str(), O_RDONLY) < 0 ? errno : 0;
    const int given = open((place / "open").c_str(), O_RDONLY) < 0 ? errno : 0;
    _exit(refused == EPERM && given == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
  ASSERT_TRUE(group->add(pid));
  kill(pid, SIGCONT);
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(group->remove());
}

TEST_F(RealCgroup, ParentsThatClimbAreRefused) {
  request_.parent = "../x";
  EXPECT_FALSE(Cgroup::make(layout_, request_, {}, waived_));
}

}  // namespace
}  // namespace gangway::containers
