// Who you are inside an image, its files, and the devices and networks there are, on the real
// kernel.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "tests/containers/image_sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

using testing::HasSubstr;

class Identity : public ImageSandbox {
 protected:
  // This process sees `text` as /etc/subuid and /etc/subgid, and the test's user among the
  // accounts, as newuidmap wants it. Requires: root.
  static bool give_subordinate_ids(const std::string& text) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return false;
    }
    const TemporaryDirectory directory(0, "/tmp");
    write_test_file(directory / "ids", text, 0644);
    for (const char* path : {"/etc/subuid", "/etc/subgid"}) {
      if (mount((directory / "ids").c_str(), path, nullptr, MS_BIND, nullptr) != 0) return false;
    }
    const std::string accounts = read_small_file("/etc/passwd").value_or("");
    write_test_file(directory / "accounts",
                    cat("tester:x:", kTestUid, ":", kTestUid, "::/:/bin/sh\n", accounts), 0644);
    return mount((directory / "accounts").c_str(), "/etc/passwd", nullptr, MS_BIND, nullptr) == 0;
  }
  // In a child of root's with subordinate ids for the test's user.
  void with_ids(InsideUser inside, const std::string& image_user, const Body& body) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to give subordinate ids";
    if (access("/etc/subuid", F_OK) != 0) GTEST_SKIP() << "this machine has no /etc/subuid";
    if (busybox_members().empty()) GTEST_SKIP() << "this machine has no busybox";
    if (!GetParam() && access("/usr/bin/newuidmap", X_OK) != 0) {
      GTEST_SKIP() << "this machine has no newuidmap";
    }
    as_user(0, [&] {
      ASSERT_TRUE(give_subordinate_ids("tester:200000:65536\n"));
      with_sandbox(
          {file("etc/passwd", "root:x:0:0::/root:/bin/sh\ndb:x:70:71::/db:/bin/sh\n"),
           file("etc/group", "root:x:0:\ndb:x:71:\n"), file("etc/owned", "by root\n", 0644)},
          [&](TestSandbox& sandbox) {
            sandbox.request.inside = inside;
            sandbox.request.user.groups = {kTestUid, 23456};
          },
          [&](TestSandbox& sandbox) {
            const Result<SandboxReady> ready = sandbox.prepare();
            ASSERT_TRUE(ready) << ready.error().message();
            body(sandbox);
          },
          cat("\"User\":\"", image_user, "\""));
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Executor, Identity, testing::Bool(), executor_name);
class RangedIdentity : public Identity {};
INSTANTIATE_TEST_SUITE_P(Executor, RangedIdentity, testing::Bool(), executor_name);

constexpr const char* kWriteOwned = "echo mine > /etc/owned && cat /etc/owned; id -u; id -g";

TEST_P(Identity, FilesOfRootInTheImageCanBeWrittenByYourself) {
  each({file("etc/owned", "by root\n", 0644)}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of(kWriteOwned), cat("mine\n", kTestUid, "\n", kTestUid, "\n"));
  });
}

TEST_P(RangedIdentity, RootInsideIsYouAndHasOtherUsersBesideIt) {
  with_ids(InsideUser::Root, "db", [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of(kWriteOwned), "mine\n0\n0\n");
    EXPECT_EQ(sandbox.output_of("touch /f && chown 70:71 /f && stat -c %u:%g /f; umask"),
              "70:71\n0022\n");
    EXPECT_THAT(sandbox.output_of("echo x > made; grep Cap /proc/self/status"),
                HasSubstr("CapEff:\t00000000000000fb"));
    struct stat status {};
    ASSERT_EQ(stat((sandbox.home / "made").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, kTestUid);
    // Rights over the node it has none.
    EXPECT_THAT(sandbox.output_of("mount -t tmpfs x /tmp; mknod /tmp/n c 1 3; chroot / true"),
                testing::Not(HasSubstr("ok")));
    EXPECT_EQ(sandbox.output_of("cat /proc/1/mem 2>&1 | wc -c; test -e /tmp/n || echo none"),
              sandbox.output_of("cat /proc/1/mem 2>&1 | wc -c; echo none"));
  });
}

TEST_P(RangedIdentity, TheImagesUserIsYou) {
  with_ids(InsideUser::Image, "db", [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of(kWriteOwned), "mine\n70\n71\n");
    EXPECT_EQ(sandbox.output_of("id -un; id -g; grep CapEff /proc/self/status"),
              "db\n71\nCapEff:\t0000000000000000\n");
    // An ordinary user's executor has no right to give groups a number inside.
    if (geteuid() == 0) {
      EXPECT_EQ(sandbox.output_of("id -G"), "71 23456\n");
    }
    EXPECT_EQ(sandbox.output_of("echo x > made; stat -c %u made"), "70\n");
    struct stat status {};
    ASSERT_EQ(stat((sandbox.home / "made").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, kTestUid);
  });
}

TEST_P(Identity, WithoutSubordinateIdsItSaysWhatIsMissing) {
  if (geteuid() != 0 || access("/etc/subuid", F_OK) != 0)
    GTEST_SKIP() << "needs root and /etc/subuid";
  as_user(0, [&] {
    ASSERT_TRUE(give_subordinate_ids("other:200000:65536\n"));
    refused({}, "usermod --add-subuids",
            [](TestSandbox& sandbox) { sandbox.request.inside = InsideUser::Root; });
  });
}

TEST_P(Identity, AFileThatOnlyASecondaryGroupMayReadIsRead) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a file of a group";
  const TemporaryDirectory project;
  ASSERT_EQ(chmod(project.path().c_str(), 0755), 0);
  write_test_file(project / "shared", "for the group\n", 0640);
  write_test_file(project / "closed", "for others\n", 0640);
  ASSERT_EQ(chown((project / "shared").c_str(), 0, 23456), 0);
  ASSERT_EQ(chown((project / "closed").c_str(), 0, 23457), 0);
  groups_ = {23456};
  each(
      {},
      [](TestSandbox& sandbox) {
        EXPECT_EQ(sandbox.output_of("cd /project; cat shared; cat closed 2>&1 | grep -o denied"),
                  "for the group\ndenied\n");
      },
      [&](TestSandbox& sandbox) {
        sandbox.request.user.groups = {kTestUid, 23456};
        sandbox.request.binds = {{project.path(), "/project", true}};
      });
}

TEST_P(Identity, ANetworkOfItsOwnHasALoopbackAndNothingElse) {
  each(
      {},
      [](TestSandbox& sandbox) {
        EXPECT_EQ(sandbox.output_of("ls /sys/class/net; cat /sys/class/net/lo/flags; "
                                    "touch /sys/class/net/lo/mtu 2>&1 | grep -c Read-only"),
                  "lo\n0x9\n1\n");
      },
      [](TestSandbox& sandbox) { sandbox.request.private_network = true; });
}

// A device node of ours in the node's /dev.
class FakeDevice {
 public:
  FakeDevice(std::string path, unsigned major_number, unsigned minor_number)
      : path_(std::move(path)) {
    EXPECT_EQ(mknod(path_.c_str(), S_IFCHR | 0666, makedev(major_number, minor_number)), 0);
    chmod(path_.c_str(), 0666);
  }
  ~FakeDevice() { unlink(path_.c_str()); }
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;

 private:
  std::string path_;
};

class Devices : public ImageSandbox {};
INSTANTIATE_TEST_SUITE_P(Executor, Devices, testing::Bool(), executor_name);

TEST_P(Devices, ItsOwnCanBeOpenedAndOthersCannotWithAndWithoutAnImage) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to make device nodes";
  const std::string own = cat("/dev/gangway-own-", getpid());
  const std::string other = cat("/dev/gangway-other-", getpid());
  const FakeDevice first(own, 1, 3);
  const FakeDevice second(other, 1, 3);
  const std::string look =
      cat("(echo x > ", own, ") && echo own; (cat ", other, ") 2>/dev/null || echo closed");
  const auto give = [&](TestSandbox& sandbox) {
    sandbox.request.devices = {{own, own}};
    sandbox.request.closed_devices = {other};
  };
  each(
      {}, [&](TestSandbox& sandbox) { EXPECT_EQ(sandbox.output_of(look), "own\nclosed\n"); }, give);
  for_executor([&] {
    TestSandbox sandbox;
    give(sandbox);
    const Result<SandboxReady> ready = sandbox.prepare();
    ASSERT_TRUE(ready) << ready.error().message();
    EXPECT_EQ(sandbox.output_of(look), "own\nclosed\n");
    EXPECT_THAT(sandbox.output_of(cat("cat ", other, " 2>&1")), HasSubstr("Permission denied"));
  });
}

TEST(DevicesOfRoot, AClosedOneIsClosedUnderEveryName) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to make device nodes";
  if (access("/sys/fs/cgroup/devices/devices.allow", F_OK) != 0) {
    GTEST_SKIP() << "this kernel has no devices control group of version 1";
  }
  constexpr unsigned kMisc = 10;
  constexpr unsigned kAutofs = 235;
  const std::string listed = cat("/dev/gangway-listed-", getpid());
  const FakeDevice first(listed, kMisc, kAutofs);
  const std::string alias = cat("/dev/gangway-alias-", getpid());
  const FakeDevice second(alias, kMisc, kAutofs);
  TestSandbox sandbox;
  sandbox.request.closed_devices = {listed};
  ASSERT_TRUE(sandbox.prepare());
  EXPECT_THAT(sandbox.output_of(cat("cat ", alias, " 2>&1")), HasSubstr("not permitted"));
}

}  // namespace
}  // namespace gangway::containers
