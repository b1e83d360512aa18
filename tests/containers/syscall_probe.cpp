// A static program that sandbox tests run inside: it tries what its arguments name and prints, for
// each, "name ok" or "name <errno name>".
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

namespace {

// A sibling to look into.
pid_t sleeping_child() {
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  return pid;
}

long with_sibling(long (*what)(pid_t)) {
  const pid_t pid = sleeping_child();
  const long result = what(pid);
  const int error = errno;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  errno = error;
  return result;
}

long rewrite_map() {
  const int fd = open("/proc/self/uid_map", O_WRONLY);
  return write(fd, "0 0 1\n", 6);
}

long read_some(const char* path) {
  char byte = 0;
  return read(open(path, O_RDONLY), &byte, 1) == 1 ? 0 : -1;
}

// The test has made it on the node.
constexpr key_t kSharedMemoryKey = 0x47574f54;

char shared_text[] = "same address in both";

long attempt(const std::string& name) {
  if (name == "unshare-user") return unshare(CLONE_NEWUSER);
  if (name == "unshare-net") return unshare(CLONE_NEWNET);
  if (name == "clone-newuser") {
    return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  }
  if (name == "clone3") {
    clone_args arguments{};
    return syscall(SYS_clone3, &arguments, sizeof arguments);
  }
  if (name == "mount") return mount("none", "/tmp", "tmpfs", 0, nullptr);
  if (name == "umount") return umount2("/proc", MNT_DETACH);
  if (name == "setns") return setns(open("/proc/self/ns/net", O_RDONLY), 0);
  if (name == "io_uring") return syscall(SYS_io_uring_setup, 4, nullptr);
  if (name == "bpf") return syscall(SYS_bpf, 0, nullptr, 0);
  if (name == "keyctl") return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
  if (name == "userfaultfd") return syscall(SYS_userfaultfd, 0);
  if (name == "perf") return syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0);
  if (name == "tiocsti") return ioctl(0, TIOCSTI, "x");
  if (name == "tiocsti-high") return syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, "x");
  if (name == "vsock") return socket(AF_VSOCK, SOCK_STREAM, 0);
  if (name == "socket") return socket(AF_INET, SOCK_STREAM, 0);
  if (name == "unknown-call") return syscall(9999);
  if (name == "x32") return syscall(0x40000000 | SYS_getpid);
  if (name == "mknod-null") return mknod("/tmp/node", S_IFCHR | 0666, makedev(1, 3));
  if (name == "chroot") return chroot("/tmp");
  if (name == "sethostname") return sethostname("x", 1);
  if (name == "setuid0") return setuid(0);
  if (name == "personality") return personality(0xffffffff);
  if (name == "personality-odd") return personality(0x1234);
  if (name == "get_mempolicy") return syscall(SYS_get_mempolicy, nullptr, nullptr, 0, nullptr, 0);
  if (name == "kcmp") {
    return with_sibling(+[](pid_t pid) { return syscall(SYS_kcmp, getpid(), pid, 0, 0, 0); });
  }
  if (name == "process_vm_readv") {
    return with_sibling(+[](pid_t pid) -> long {
      char buffer[sizeof shared_text] = {};
      const iovec local{.iov_base = buffer, .iov_len = sizeof buffer};
      const iovec remote{.iov_base = shared_text, .iov_len = sizeof shared_text};
      const long got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
      return got == sizeof buffer && std::strcmp(buffer, shared_text) == 0 ? 0 : -1;
    });
  }
  if (name == "ptrace") {
    return with_sibling(+[](pid_t pid) { return ptrace(PTRACE_ATTACH, pid, nullptr, nullptr); });
  }
  if (name.starts_with("ptrace-") && name != "ptrace-init") {
    return ptrace(PTRACE_ATTACH, std::stoi(std::string(name.substr(7))), nullptr, nullptr);
  }
  if (name == "ptrace-init") return ptrace(PTRACE_ATTACH, 1, nullptr, nullptr);
  if (name == "kill-init") return kill(1, SIGKILL);
  if (name == "open-init-mem") return open("/proc/1/mem", O_RDONLY);
  if (name == "open-init-exe") return open("/proc/1/exe", O_RDONLY);
  if (name == "write-proc-sys") return open("/proc/sys/kernel/core_pattern", O_WRONLY);
  if (name == "open-init-root") return open("/proc/1/root/", O_RDONLY | O_DIRECTORY);
  if (name == "open-init-cwd") return open("/proc/1/cwd/", O_RDONLY | O_DIRECTORY);
  if (name == "open-init-fd") return open("/proc/1/fd/0", O_RDONLY);
  if (name == "open-init-environ") return open("/proc/1/environ", O_RDONLY);
  if (name == "write-own-program") return open("/proc/self/exe", O_WRONLY);
  if (name == "write-sysrq") return open("/proc/sysrq-trigger", O_WRONLY);
  if (name == "write-release-agent")
    return open("/sys/fs/cgroup/release_agent", O_WRONLY | O_CREAT);
  if (name == "write-own-maps")
    return open("/proc/self/uid_map", O_WRONLY) < 0 ? -1 : rewrite_map();
  if (name == "open-memory") return open("/dev/mem", O_RDONLY);
  if (name == "open-kmsg") return open("/dev/kmsg", O_RDONLY);
  if (name == "open-kcore") return read_some("/proc/kcore");
  if (name == "pivot_root") return syscall(SYS_pivot_root, ".", ".");
  if (name == "fsopen") return syscall(SYS_fsopen, "tmpfs", 0);
  if (name == "open_tree") return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */);
  if (name == "mount_setattr") return syscall(SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, "", 0);
  if (name == "remount") return mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND, nullptr);
  if (name == "open_by_handle_at") {
    struct {
      unsigned bytes = 8;
      int type = 1;
      unsigned char handle[8] = {2};  // of the root directory on many file systems
    } handle;
    return syscall(SYS_open_by_handle_at, open("/", O_RDONLY), &handle, O_RDONLY);
  }
  if (name == "init_module") return syscall(SYS_init_module, nullptr, 0, "");
  if (name == "kexec_load") return syscall(SYS_kexec_load, 0, 0, nullptr, 0);
  if (name == "reboot") return syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0, nullptr);
  if (name == "swapoff") return syscall(SYS_swapoff, "/none");
  if (name == "clock_settime") {
    const timespec now{.tv_sec = 1, .tv_nsec = 0};
    return clock_settime(CLOCK_REALTIME, &now);
  }
  if (name == "quotactl") return syscall(SYS_quotactl, 0, nullptr, 0, nullptr);
  if (name == "setgroups") {
    const gid_t root = 0;
    return syscall(SYS_setgroups, 1, &root);
  }
  if (name == "chown-root") return chown("/tmp", 0, 0);
  if (name == "set-file-capability") {
    close(open("/tmp/capable", O_WRONLY | O_CREAT, 0755));
    const unsigned capability[5] = {0x02000001, 0xffffffff, 0, 0xffffffff, 0};
    return setxattr("/tmp/capable", "security.capability", capability, sizeof capability, 0);
  }
  if (name == "nodes-shared-memory") return shmget(kSharedMemoryKey, 0, 0);
  if (name == "another-session") return ioctl(0, TIOCSCTTY, 1);
  if (name == "write-sys") return open("/sys/kernel/uevent_helper", O_WRONLY);
  if (name == "open-fds") {
    // Anything beyond 0, 1, 2 would have been left open for us.
    for (int fd = 3; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) {
        errno = EBADF;
        return -1;
      }
    }
    return 0;
  }
  errno = EINVAL;
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    errno = 0;
    const long result = attempt(argv[i]);
    std::printf("%s %s\n", argv[i], result >= 0 ? "ok" : strerrorname_np(errno));
    std::fflush(stdout);
  }
  return 0;
}
