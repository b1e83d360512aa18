// Jobs in container images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

class Images : public OnCluster<Images> {
 protected:
  void SetUp() override {
    OnCluster::SetUp();
    busybox_ = find_image("busybox.tar");
    if (busybox_.empty()) GTEST_SKIP() << "no build/images: run examples/images/make-images.sh";
  }
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  std::string busybox_;
};

TEST_F(Images, AJobSeesTheImageAndNotTheHost) {
  const Ran ran = user({"jsubmit", "--wait", "--image", busybox_, "-o", "out", "--", "sh", "-c",
                        "busybox | head -1; test -e /usr/bin/apt-get || echo no apt; id -u"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << file("out");
  EXPECT_THAT(file("out"), HasSubstr("BusyBox"));
  EXPECT_THAT(file("out"), HasSubstr("no apt"));
  EXPECT_THAT(file("out"), HasSubstr(cat(cluster().user().uid)));
}

TEST_F(Images, TheWorkingDirectoryIsThereInside) {
  const Ran ran = user({"jsubmit", "--wait", "--image", busybox_, "--", "sh", "-c", "pwd > here"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("here"), directory() + "\n");
}

TEST_F(Images, ChangesToTheImageEndWithTheJob) {
  const Ran first = user({"jsubmit", "--wait", "-w", "n01", "--image", busybox_, "--", "sh", "-c",
                          "mkdir -p /tmp/x && echo 1 > /etc/mark || true; exit 0"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Ran second = user({"jsubmit", "--wait", "-w", "n01", "--image", busybox_, "--", "sh", "-c",
                           "test ! -e /tmp/x && test ! -e /etc/mark"});
  EXPECT_EQ(second.exit_code, 0) << second.err;
}

TEST_F(Images, FilesOfRootInTheImageCanBeWritten) {
  const Ran ran = user({"jsubmit", "--wait", "--image", busybox_, "-o", "out", "--", "sh", "-c",
                        "echo mine > /etc/passwd && cat /etc/passwd && rm /bin/ls"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("out"), "mine\n");
}

TEST_F(Images, OtherUsersInsideNeedSubordinateIds) {
  const Ran ran = user({"jsubmit", "--wait", "--image", busybox_, "--user", "root", "--", "true"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("usermod --add-subuids"));
  const Ran mpi = user({"jsubmit", "-n", "2", "--image", busybox_, "--user", "root", "--", "true"});
  EXPECT_EQ(mpi.exit_code, 64);
  EXPECT_THAT(mpi.err, HasSubstr("--user"));
}

TEST_F(Images, WithoutANetworkThereIsALoopbackAlone) {
  const Ran ran = user({"jsubmit", "--wait", "--image", busybox_, "--network", "none", "-o", "out",
                        "--", "ls", "/sys/class/net"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(file("out"), "lo\n");
}

TEST_F(Images, ADryRunPrintsTheOperationsThatSetTheSandboxUp) {
  if (::geteuid() != 0) GTEST_SKIP() << "looks into the executor's spool";
  const std::string id = submit({"-w", "n01", "--image", busybox_, "--network", "none", "--", "sh",
                                 "-c", "touch started; while ! test -e go; do sleep 0.05; done"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  const std::string attempt = cluster().layout().directory + "/n01/spool/jobs/" + id + ".1";
  const Ran ran = cluster().as_operator({"jshepherd", "--dry-run", attempt});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* operation : {"become-user uid=", "stage /tmp", "mount-overlay userxattr",
                                "mount proc /proc noexec", "mount sysfs /sys", "enter-root",
                                "mask /proc/kcore", "protect /proc/sys", "loopback", "lock-down"}) {
    EXPECT_THAT(ran.out, HasSubstr(cat("\n", operation)));
  }
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
}

TEST_F(Images, AScriptRunsInside) {
  write_as_user(cluster(), directory() + "/job.sh", "#!/bin/sh\n#JOB -o out\ncat /etc/passwd\n");
  ASSERT_EQ(user({"jsubmit", "--wait", "--image", busybox_, "job.sh"}).exit_code, 0);
  EXPECT_THAT(file("out"), testing::Not(HasSubstr("postgres")));
}

TEST_F(Images, EveryKindOfImageRuns) {
  for (const char* name : {"busybox", "busybox-zstd", "busybox.tar", "busybox.docker.tar"}) {
    const std::string image = find_image(name);
    ASSERT_NE(image, "") << name;
    const Ran ran = user({"jsubmit", "--wait", "--image", image, "-o", "out", "--", "sh", "-c",
                          "busybox | head -1"});
    EXPECT_EQ(ran.exit_code, 0) << name << ": " << ran.err;
    EXPECT_THAT(file("out"), HasSubstr("BusyBox")) << name;
  }
}

TEST_F(Images, AnExportedImageRunsAndIsTheSame) {
  const Ran exported = user({"jimage", "export", busybox_, "copy.tar"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::string digest = exported.out.substr(0, exported.out.find('\n'));
  EXPECT_THAT(user({"jimage", "resolve", busybox_}).out, HasSubstr("\n" + digest + "\n"));
  const Ran ran = user({"jsubmit", "--wait", "--image", "copy.tar", "-o", "out", "--", "sh", "-c",
                        "busybox | head -1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(file("out"), HasSubstr("BusyBox"));
}

TEST_F(Images, AnImageThatTheUserMayNotReadIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs an image that is not the user's";
  const std::string copy = directory() + "/private.tar";
  std::filesystem::copy_file(busybox_, copy);
  std::filesystem::permissions(copy, std::filesystem::perms(0600));
  const Ran ran = user({"jsubmit", "--image", copy, "--", "true"});
  EXPECT_EQ(ran.exit_code, 77);
  EXPECT_EQ(ran.err, cat("jsubmit: image ", copy, ": Permission denied\n"));
  EXPECT_EQ(user({"jqueue", "--noheader"}).out, "");
}

// All nodes prepare, then all launch: one that cannot releases the others, and nothing has run.
TEST_F(Images, ANodeThatCannotPrepareReleasesTheGang) {
  if (::geteuid() != 0) GTEST_SKIP() << "breaks an executor's store";
  const std::string store = cluster().layout().directory + "/n03/spool/images";
  std::filesystem::remove_all(store);
  std::ofstream(store) << "in the way\n";
  const std::vector<std::string> gang{"jsubmit", "--wait", "-N", "4",     "--mpi=none",
                                      "--image", busybox_, "--", "touch", "ran"};
  const Ran ran = user(gang);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("LAUNCH_FAILED, prepare on n03: "));
  EXPECT_FALSE(std::filesystem::exists(directory() + "/ran"));
  EXPECT_TRUE(becomes_true([&] {
    const std::string nodes = user({"jnodes", "--noheader"}).out;
    return nodes.find("mixed") == std::string::npos &&
           nodes.find("allocated") == std::string::npos && cluster().user_processes().empty();
  }));
  std::filesystem::remove(store);
  EXPECT_EQ(user(gang).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(directory() + "/ran"));
}

TEST_F(Images, AnImageInWhichAJobRunsIsNotTakenFromTheStore) {
  if (::geteuid() != 0) GTEST_SKIP() << "looks into the executor's store";
  const std::string store = cluster().layout().directory + "/n03/spool/images";
  const std::vector<std::string> gc{"jimage", "gc", "--store", store, "--unused-for", "0s"};
  const std::string id =
      submit({"-w", "n03", "--image", busybox_, "-o", "out", "--", "sh", "-c",
              "touch started; while ! test -e go; do sleep 0.05; done; busybox | head -1"});
  ASSERT_TRUE(becomes_true([&] { return std::filesystem::exists(directory() + "/started"); }));
  const Ran while_used = cluster().as_operator(gc);
  EXPECT_EQ(while_used.out, "0 images removed, 0\n") << while_used.err;
  write_as_user(cluster(), directory() + "/go", "");
  EXPECT_EQ(user({"jwait", id}).exit_code, 0);
  EXPECT_THAT(file("out"), HasSubstr("BusyBox"));
  EXPECT_TRUE(becomes_true(
      [&] { return cluster().as_operator(gc).out.find("1 image removed") != std::string::npos; }));
}

TEST_F(Images, AJobStartsItsContainerAsDockerDoes) {
  const auto output = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"jsubmit", "--wait", "--image", busybox_, "-o", "out"});
    const Ran ran = user(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.err << file("out");
    return file("out");
  };
  EXPECT_EQ(output({"--entrypoint", "/bin/echo", "--", "one", "two"}), "one two\n");
  EXPECT_EQ(output({"--workdir", "/etc", "--", "pwd"}), "/etc\n");
  EXPECT_EQ(output({"--env", "COLOUR=blue", "--", "sh", "-c", "echo $COLOUR"}), "blue\n");
  EXPECT_EQ(output({"--", "sh", "-c", "echo ${GANGWAY_SOCKET:-only what is named}"}),
            "only what is named\n");
  EXPECT_EQ(output({"--export", "ALL", "--", "sh", "-c", "test -n \"$GANGWAY_SOCKET\""}), "");
  EXPECT_EQ(output({"--read-only", "--", "sh", "-c",
                    "touch /etc/x 2>&1 | grep -o Read-only; touch /tmp/x here && echo still"}),
            "Read-only\nstill\n");
  // busybox has a shell for a command, and no input: it ends at once.
  EXPECT_EQ(output({"--"}), "");
  const Ran host = user({"jsubmit", "--entrypoint", "x", "--", "true"});
  EXPECT_EQ(host.exit_code, 64);
  EXPECT_EQ(host.err,
            "jsubmit: --entrypoint: it is for a container image, and there is no --image\n");
}

TEST_F(Images, TheImageIsUnpackedOncePerNode) {
  if (::geteuid() != 0) GTEST_SKIP() << "looks into the executor's store";
  const auto run_it = [&] {
    return user({"jsubmit", "--wait", "-w", "n02", "--image", busybox_, "--", "true"}).exit_code;
  };
  const auto trees = [&] {  // their inodes: another unpacking would give others
    const std::string below = cluster().layout().directory + "/n02/spool/images/trees/sha256";
    return run({"sh", "-c", "ls -id " + below + "/*"}).out;
  };
  ASSERT_EQ(run_it(), 0);
  const std::string before = trees();
  ASSERT_NE(before, "");
  ASSERT_EQ(run_it(), 0);
  EXPECT_EQ(trees(), before);
}

}  // namespace
}  // namespace gangway::e2e
