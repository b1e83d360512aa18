// Ways out of a sandbox that others have found, tried from inside: none of them leads anywhere. The
// sandboxes are made by both executors, with and without root; what lies outside is writable by the
// job's user, so that only the sandbox is in the way.
#include <gmock/gmock.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "containers/tree_listing.hpp"
#include "tests/containers/image_sandbox_fixture.hpp"

namespace gangway::containers {
namespace {

using testing::HasSubstr;

class Escape : public ImageSandbox {
 protected:
  Escape() : outside_(geteuid() == 0 ? kTestUid : geteuid()) {
    chmod(outside_.path().c_str(), 0777);
    write_test_file(outside_ / "canary", "alive", 0666);
    before_ = outside();
  }
  ~Escape() override { EXPECT_EQ(outside(), before_); }

  [[nodiscard]] std::string outside() const {
    const Fd root(open(outside_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return list_tree(root.get()).value_or("unreadable");
  }
  static Member probe() {
    const std::string program =
        read_small_file(GANGWAY_BINARY_DIR "/bin/containers_syscall_probe", 64 << 20).value_or("");
    return file("probe", program, 0755);
  }

  TemporaryDirectory outside_;
  std::string before_;
};
INSTANTIATE_TEST_SUITE_P(Executor, Escape, testing::Bool(), executor_name);

TEST_P(Escape, NoCallLeadsOut) {
  constexpr key_t kKey = 0x47574f54;
  const int segment = shmget(kKey, 4096, IPC_CREAT | 0666);
  ASSERT_GE(segment, 0);
  const std::vector<std::string> attempts = {
      // other namespaces, and more rights
      "unshare-user", "unshare-net", "clone-newuser", "clone3", "setns", "setuid0", "setgroups",
      "write-own-maps", "set-file-capability", "chown-root", "sethostname", "keyctl",
      // other mounts
      "mount", "remount", "umount", "pivot_root", "chroot", "fsopen", "open_tree", "mount_setattr",
      "open_by_handle_at",
      // other processes: init is the only one there is that is not the job's
      "ptrace-init", "open-init-mem", "open-init-exe", "open-init-root", "open-init-cwd",
      "open-init-fd", "open-init-environ", "nodes-shared-memory", "another-session", "tiocsti",
      "tiocsti-high",
      // the kernel
      "write-proc-sys", "write-sys", "write-sysrq", "write-release-agent", "write-own-program",
      "open-memory", "open-kmsg", "open-kcore", "init_module", "kexec_load", "reboot", "swapoff",
      "clock_settime", "quotactl", "bpf", "io_uring", "userfaultfd", "perf", "mknod-null", "vsock"};
  each({probe()}, [&](TestSandbox& sandbox) {
    std::vector<std::string> argv{"/probe"};
    argv.insert(argv.end(), attempts.begin(), attempts.end());
    const ProgramRequest program = sandbox.program(argv);
    const ProgramEnd end = sandbox.run(program);
    EXPECT_EQ(end.wait_status, 0) << end.message;
    const std::string text = "\n" + read_small_file(program.out.path).value_or("");
    for (const std::string& name : attempts) {
      EXPECT_THAT(text, HasSubstr(cat("\n", name, " E"))) << "it is refused, and with a reason";
    }
  });
  shmctl(segment, IPC_RMID, nullptr);
}

TEST_P(Escape, NoPathLeadsOut) {
  const std::string canary = outside_ / "canary";
  each({}, [&](TestSandbox& sandbox) {
    // What the user has laid into his own directory leads to the image's files, if anywhere.
    ASSERT_EQ(symlink(outside_.path().c_str(), (sandbox.home / "link").c_str()), 0);
    ASSERT_EQ(symlink("/proc/1/root", (sandbox.home / "init").c_str()), 0);
    for (const std::string& path :
         {canary, "/../../.." + canary, "/proc/1/root" + canary, "/proc/self/root" + canary,
          "/proc/1/cwd" + canary, "/proc/self/cwd/../../../../.." + canary,
          "/proc/self/fd/0/../.." + canary, std::string("link/canary"), "init" + canary,
          "/dev/fd/3" + canary}) {
      EXPECT_EQ(sandbox.output_of(cat("(echo x > ", path, ") 2> /dev/null && echo written; cat ",
                                      path, " 2> /dev/null")),
                "")
          << path;
    }
    // Made inside, at the same place: it is another one.
    EXPECT_EQ(sandbox.output_of(cat("mkdir -p ", outside_.path(), " && echo mine > ", canary,
                                    " && cat ", canary)),
              "mine\n");
    EXPECT_EQ(read_small_file(canary).value_or(""), "alive");
  });
}

// A program of ours that sees the node's files runs beside the job, in the user's name: readers of
// files, PMIx servers.
TEST_P(Escape, ProgramsWithTheNodesFilesAreNoWayOut) {
  const std::string canary = outside_ / "canary";
  each({probe()}, [&](TestSandbox& sandbox) {
    ProgramRequest ours = sandbox.program({"/bin/sleep", "1000"});
    ours.host_files = true;
    ours.workdir = outside_.path();
    sandbox.start({ours});
    // Until it sleeps: before, it is not the program yet. Its name is that of its copy: a number,
    // or "memfd:sleep".
    const std::string find =
        "for i in $(seq 500); do p=$(grep -lsE '^Name:.(memfd:sleep|[0-9]+)$' "
        "/proc/[0-9]*/status) && break; sleep 0.01; done; p=${p%/status}; p=${p#/proc/}; ";
    EXPECT_EQ(sandbox.output_of(cat(find, "test -n \"$p\" && echo seen")), "seen\n");
    for (const std::string& attempt :
         {cat("cat /proc/$p/root", canary), std::string("cat /proc/$p/cwd/canary"),
          std::string("ls /proc/$p/root/"), std::string("ls /proc/$p/fd/"),
          std::string("readlink /proc/$p/exe"), std::string("cat /proc/$p/environ"),
          std::string("cat /proc/$p/maps"), std::string("dd if=/proc/$p/mem bs=1 count=1"),
          cat("echo x > /proc/$p/root", canary)}) {
      EXPECT_EQ(sandbox.output_of(cat(find, "(", attempt, ") 2> /dev/null")), "") << attempt;
    }
    EXPECT_THAT(sandbox.output_of(find + "/probe ptrace-$p"), HasSubstr(" E"));
    EXPECT_FALSE(sandbox.find_end(ours.id).has_value()) << "it runs";
  });
}

TEST_P(Escape, NoForeignProcessIsSeenOrReached) {
  // One of the same user's, outside.
  for_executor([&] {
    const pid_t other = fork();
    if (other == 0) {
      if (geteuid() == 0 && setresuid(kTestUid, kTestUid, kTestUid) != 0) _exit(1);
      pause();
      _exit(0);
    }
    each({}, [&](TestSandbox& sandbox) {
      EXPECT_EQ(sandbox.output_of("set -- /proc/[0-9]*; echo $#"), "2\n");
      EXPECT_EQ(sandbox.output_of(cat("kill -9 ", other, " 2> /dev/null || echo none")), "none\n");
      sandbox.output_of("kill -9 -1");  // all that it may
    });
    EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0) << "it still runs";
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
  });
}

TEST_P(Escape, SetIdProgramsGainNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a program of root's";
  each({}, [](TestSandbox& sandbox) {
    if (geteuid() != 0) return;  // an executor without root has nobody else's files to offer
    const std::string program = sandbox.home / "busybox";
    write_test_file(program, read_small_file("/usr/bin/busybox", 16 << 20).value_or(""), 0755);
    ASSERT_EQ(chown(program.c_str(), 0, 0), 0);
    ASSERT_EQ(chmod(program.c_str(), 06755), 0);
    const std::string text = sandbox.output_of(
        cat("cp /bin/busybox /tmp/busybox && chmod 6755 /tmp/busybox; /tmp/busybox id -u; ",
            program, " id -u 2>&1"));
    EXPECT_EQ(text.find("0\n"), std::string::npos) << text;
    EXPECT_THAT(text, HasSubstr(cat(kTestUid, "\n", kTestUid, "\n")));
  });
}

TEST_P(Escape, NothingOfTheExecutorIsOpen) {
  const Fd secret(memfd_create("secret", 0));  // as if it had been forgotten
  each({probe()}, [](TestSandbox& sandbox) {
    EXPECT_EQ(sandbox.output_of("/probe open-fds"), "open-fds ok\n");
    EXPECT_EQ(sandbox.output_of("ls /proc/self/fd"), "0\n1\n2\n3\n");  // ls's own is the last
  });
}

}  // namespace
}  // namespace gangway::containers
