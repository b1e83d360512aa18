#include "containers/sandbox_plan.hpp"

#include <gtest/gtest.h>

#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

SandboxRequest request() {
  SandboxRequest request;
  request.name = "42.1";
  request.user = {.uid = 1000,
                  .gid = 100,
                  .groups = {100, 27},
                  .name = "alice",
                  .home = "/home/alice",
                  .shell = "/bin/bash"};
  request.hostname = "n01";
  request.workdir = "/data/run";
  request.limits.memory = gibibytes(2);
  request.limits.cores = {0, 1};
  return request;
}

std::string rendered(const SandboxRequest& request, const NodeFacts& node = {}) {
  const Result<SandboxPlan> plan = make_sandbox_plan(request, node);
  return plan ? render_plan(*plan) : "error: " + plan.error().message();
}

TEST(SandboxPlan, WithoutAnImageIsTheNodesTreeWithOwnKernelInterfaces) {
  SandboxRequest asked = request();
  asked.files = {{"job.sh", "#!/bin/sh\n", true}};
  asked.binds = {{"/scratch/a", "/mnt", true}};
  EXPECT_EQ(rendered(asked),
            "isolate-mounts\n"
            "become-user uid=1000 gid=100 groups=100,27\n"
            "open-source 0 /scratch/a recursive\n"
            "mount tmpfs /dev/shm mode=1777 size=1073741824\n"
            "mkdir /dev/shm/.gangway 0755\n"
            "mount tmpfs /dev/shm/.gangway mode=755 size=68k\n"
            "make-file /dev/shm/.gangway/job.sh 0555 bytes=10\n"
            "remount-read-only /dev/shm/.gangway\n"
            "mount mqueue /dev/mqueue noexec if-present\n"
            "mount proc /proc noexec\n"
            "attach 0 /mnt read-only nodev\n"
            "hostname n01\n"
            "limits\n"
            "pin-cores 0,1\n"
            "lock-down\n");
}

// Anything later could be looked at with rights that are not the user's, or in a tree that is not.
TEST(SandboxPlan, AccessIsCheckedAndOutputsAreOpenedAsTheUserBeforeAnythingIsCovered) {
  SandboxRequest asked = request();
  asked.image = ImageSource{ImageSourceKind::OciLayout, "/images/a", "sha256:1"};
  asked.outputs = {{"/data/run/out", true}};
  asked.umask = 077;
  NodeFacts node;
  node.tree_by_slot = true;
  node.check_access = true;
  const std::string text = rendered(asked, node);
  const std::size_t user = text.find("become-user");
  const std::size_t access = text.find("check-access sha256:1 /images/a\n");
  const std::size_t output = text.find("open-output /data/run/out truncate umask=077\n");
  ASSERT_LT(user, access);
  ASSERT_LT(access, output);
  EXPECT_LT(output, text.find("stage "));
  // Who has other ids inside is looked after by a process that has the user's.
  node.inside = UserIdentity{};
  EXPECT_EQ(rendered(asked, node).find("check-access"), std::string::npos);
  EXPECT_EQ(rendered(asked, node).find("open-output"), std::string::npos);
}

TEST(SandboxPlan, WithAnImageIsAnOverlayWithMountPointsLaidIntoIt) {
  SandboxRequest asked = request();
  asked.image = ImageSource{};
  asked.binds = {{"/data", "/data", false}, {"/scratch/t", "/tmp/t", false}};
  NodeFacts node;
  node.tree_by_slot = true;
  node.devices = {"/dev/infiniband"};
  EXPECT_EQ(rendered(asked, node),
            "isolate-mounts\n"
            "become-user uid=1000 gid=100 groups=100,27\n"
            "open-source 1 /data recursive\n"
            "open-source 2 /scratch/t recursive\n"
            "open-source 3 /sys recursive\n"
            "open-source 4 /dev/null\n"
            "open-source 5 /dev/zero\n"
            "open-source 6 /dev/full\n"
            "open-source 7 /dev/random\n"
            "open-source 8 /dev/urandom\n"
            "open-source 9 /dev/tty\n"
            "open-source 10 /dev/infiniband recursive if-present\n"
            "stage /tmp size=1073741824\n"
            "attach-lower 0\n"
            "refuse-symlink /proc\n"
            "lay-directory /proc 0755\n"
            "refuse-symlink /sys\n"
            "lay-directory /sys 0755\n"
            "refuse-symlink /dev\n"
            "lay-directory /dev 0755\n"
            "lay-directory /tmp 01777\n"
            "lay-directory /etc 0755\n"
            "lay-accounts alice\n"
            "lay-file /etc/hosts 0644 bytes=48\n"
            "lay-file /etc/resolv.conf 0644 bytes=0\n"
            "lay-file /etc/hostname 0644 bytes=4\n"
            "lay-directory /home/alice 0700\n"
            "lay-directory /data 0755\n"
            "mount-overlay userxattr\n"
            "mount proc /proc noexec\n"
            "attach 3 /sys read-only nodev\n"
            "mount tmpfs /dev mode=755 size=1m nr_inodes=4096 noexec\n"
            "attach 4 /dev/null make-target\n"
            "attach 5 /dev/zero make-target\n"
            "attach 6 /dev/full make-target\n"
            "attach 7 /dev/random make-target\n"
            "attach 8 /dev/urandom make-target\n"
            "attach 9 /dev/tty make-target\n"
            "attach 10 /dev/infiniband make-target\n"
            "symlink /dev/ptmx -> pts/ptmx\n"
            "symlink /dev/fd -> /proc/self/fd\n"
            "symlink /dev/stdin -> /proc/self/fd/0\n"
            "symlink /dev/stdout -> /proc/self/fd/1\n"
            "symlink /dev/stderr -> /proc/self/fd/2\n"
            "mkdir /dev/pts 0755\n"
            "mount devpts /dev/pts newinstance ptmxmode=0666 mode=0620 noexec\n"
            "mkdir /dev/mqueue 0755\n"
            "mount mqueue /dev/mqueue noexec\n"
            "mkdir /dev/shm 0755\n"
            "mount tmpfs /dev/shm mode=1777 size=1073741824\n"
            "mount tmpfs /tmp mode=1777 size=1073741824\n"
            "attach 1 /data nodev\n"
            "attach 2 /tmp/t nodev make-target\n"
            "enter-root\n"
            "mask /proc/acpi\n"
            "mask /proc/asound\n"
            "mask /proc/interrupts\n"
            "mask /proc/kcore\n"
            "mask /proc/keys\n"
            "mask /proc/latency_stats\n"
            "mask /proc/timer_list\n"
            "mask /proc/timer_stats\n"
            "mask /proc/sched_debug\n"
            "mask /proc/scsi\n"
            "mask /sys/firmware\n"
            "mask /sys/devices/virtual/powercap\n"
            "protect /proc/bus\n"
            "protect /proc/fs\n"
            "protect /proc/irq\n"
            "protect /proc/sys\n"
            "protect /proc/sysrq-trigger\n"
            "hostname n01\n"
            "limits\n"
            "pin-cores 0,1\n"
            "lock-down\n");
}

TEST(SandboxPlan, WithoutAUserNamespaceTheUserComesLastButSourcesAreTheUsers) {
  NodeFacts node;
  node.user_namespace = false;
  SandboxRequest asked = request();
  asked.binds = {{"/a", "/b", false}};
  const std::string text = rendered(asked, node);
  EXPECT_EQ(text.find("become-user"), std::string::npos);
  EXPECT_LT(text.find("act-as-user uid=1000"), text.find("open-source 0 /a"));
  EXPECT_LT(text.find("open-source 0 /a"), text.find("act-as-self"));
  EXPECT_NE(text.find("lock-down uid=1000 gid=100 groups=100,27\n"), std::string::npos);
}

TEST(SandboxPlan, WorkingDirectoryIsBoundIntoImagesUnlessItIsTheSystems) {
  SandboxRequest asked = request();
  asked.image = ImageSource{};
  for (const auto& [directory, bound] :
       std::vector<std::pair<std::string, bool>>{{"/data/run", true},
                                                 {"/home/alice", true},
                                                 {"/", false},
                                                 {"/usr", false},
                                                 {"/usr/local/work", true},
                                                 {"/tmp", false},
                                                 {"/tmp/x", true},
                                                 {"/proc/self", false}}) {
    asked.workdir = directory;
    EXPECT_EQ(rendered(asked).find(cat("open-source 1 ", directory, " ")) != std::string::npos,
              bound)
        << directory;
  }
}

TEST(SandboxPlan, HomeDirectoryExistsInImagesAlsoWhenNothingIsBound) {
  SandboxRequest asked = request();
  asked.image = ImageSource{};
  EXPECT_NE(rendered(asked).find("lay-directory /home/alice 0700"), std::string::npos);
  asked.binds = {{"/home", "/home", false}};
  EXPECT_EQ(rendered(asked).find("lay-directory /home/alice"), std::string::npos);
  asked.user.home = "/";
  EXPECT_EQ(rendered(asked).find("lay-directory / "), std::string::npos);
}

TEST(SandboxPlan, PathsThatCannotBeMeantAreRefused) {
  const auto with_bind = [](std::string source, std::string destination) {
    SandboxRequest asked = request();
    asked.binds = {{std::move(source), std::move(destination), false}};
    return rendered(asked);
  };
  for (const auto& [source, destination] :
       std::vector<std::pair<std::string, std::string>>{{"relative", "/a"},
                                                        {"/a", "relative"},
                                                        {"/a", "/b/../c"},
                                                        {"/a/..", "/b"},
                                                        {"/a", "/"},
                                                        {"/a", "/proc"},
                                                        {"/a", "/proc/1"},
                                                        {"/a", "/dev/shm"},
                                                        {"/a", "/sys/x"}}) {
    EXPECT_TRUE(with_bind(source, destination).starts_with("error: "))
        << source << " " << destination;
  }
  EXPECT_FALSE(with_bind("/a", "/device").starts_with("error: "));
  for (const char* name : {"", ".", "..", "a/b"}) {
    SandboxRequest asked = request();
    asked.files = {{name, "x", false}};
    EXPECT_TRUE(rendered(asked).starts_with("error: ")) << name;
  }
}

TEST(SandboxPlan, WaiversMarkTheStepsThatMayBeMissing) {
  NodeFacts node;
  node.waivers = {Waiver::ProcMount, Waiver::Seccomp, Waiver::OverlayFs};
  SandboxRequest asked = request();
  asked.image = ImageSource{};
  const std::string text = rendered(asked, node);
  EXPECT_NE(text.find("mount proc /proc noexec waivable\n"), std::string::npos);
  EXPECT_NE(text.find("lock-down seccomp-waivable\n"), std::string::npos);
  EXPECT_NE(text.find("mount-overlay userxattr waivable\n"), std::string::npos);
}

}  // namespace
}  // namespace gangway::containers
