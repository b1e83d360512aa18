#include "containers/namespaces.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "containers/program_exec.hpp"
#include "queues/base/check.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

Result<void> write_proc_file(const std::string& path, const std::string& text) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  // One write: the kernel takes a map only whole.
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno_error(cat("write ", path), errno);
  }
  return {};
}

}  // namespace

IdMaps identity_maps(uid_t uid, gid_t gid, const std::vector<gid_t>& groups, bool privileged) {
  IdMaps maps;
  maps.uids.push_back({.inside = uid, .outside = uid});
  maps.gids.push_back({.inside = gid, .outside = gid});
  maps.deny_setgroups = !privileged;
  if (!privileged) return maps;
  constexpr std::size_t kMaxRanges = 340;  // what the kernel takes, user_namespaces(7)
  for (const gid_t group : groups) {
    const IdRange range{.inside = group, .outside = group};
    if (std::ranges::find(maps.gids, range) != maps.gids.end()) continue;
    if (maps.gids.size() == kMaxRanges) break;
    maps.gids.push_back(range);
  }
  return maps;
}

std::string render_id_map(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) {
    text += cat(range.inside, ' ', range.outside, ' ', range.count, '\n');
  }
  return text;
}

namespace {

// newuidmap PID INSIDE OUTSIDE COUNT...
Result<void> run_map_helper(const std::string& program,
                            pid_t pid,
                            const std::vector<IdRange>& ranges) {
  std::vector<std::string> words{program, cat(pid)};
  for (const IdRange& range : ranges) {
    words.insert(words.end(), {cat(range.inside), cat(range.outside), cat(range.count)});
  }
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t helper = fork();
  if (helper < 0) return errno_error("fork", errno);
  if (helper == 0) {
    reset_signals();
    char path[] = "PATH=/usr/bin:/bin";
    char* const env[] = {path, nullptr};
    execve(program.c_str(), argv.data(), env);
    _exit(127);
  }
  const int status = reap(helper);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error(ErrorKind::Denied, cat(program, " refuses to map ", ranges.size(),
                                      " ranges of ids; its reason is in the executor's log"));
}

}  // namespace

Result<void> HeldChild::write_maps(const IdMaps& maps) {
  if (maps.by_helper) {
    GANGWAY_TRY(run_map_helper("/usr/bin/newuidmap", pid_, maps.uids));
    return run_map_helper("/usr/bin/newgidmap", pid_, maps.gids);
  }
  const std::string directory = cat("/proc/", pid_, "/");
  if (maps.deny_setgroups) GANGWAY_TRY(write_proc_file(directory + "setgroups", "deny"));
  GANGWAY_TRY(write_proc_file(directory + "gid_map", render_id_map(maps.gids)));
  return write_proc_file(directory + "uid_map", render_id_map(maps.uids));
}

Result<Fd> HeldChild::open_namespace(const std::string& which) const {
  const std::string path = cat("/proc/", pid_, "/ns/", which);
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  return fd;
}

void renounce_memory_protection(pid_t pid) {
  const Result<std::string> own = read_small_file("/proc/self/oom_score_adj");
  if (!own || !own->starts_with('-')) return;
  // To raise it is always allowed; a child that is gone needs nothing.
  [[maybe_unused]] const Result<void> raised =
      write_proc_file(cat("/proc/", pid, "/oom_score_adj"), "0");
}

void HeldChild::release() {
  CHECK(gate_);
  renounce_memory_protection(pid_);
  // The reader may be gone already; its end is seen through the pidfd.
  [[maybe_unused]] const ssize_t written = write(gate_.get(), "g", 1);
  gate_.reset();
}

void HeldChild::abandon() {
  gate_.reset();
  pidfd_.reset();
  reap(pid_);
}

namespace {

// Those that a process like ours ignores or blocks.
void heed_signals() {
  for (const int number : {SIGPIPE, SIGCHLD}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In our own memory, beside us: it does nothing but wait.
int hold(void* gate) {
  const auto* ends = static_cast<const int*>(gate);
  close(ends[1]);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char ignored = 0;
  while (read(ends[0], &ignored, 1) < 0 && errno == EINTR) {
  }
  return 0;
}

}  // namespace

Result<HeldChild> spawn_held(std::uint64_t flags, const std::function<int()>& body) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return errno_error("make pipe", errno);
  HeldChild child;
  Fd gate_in(gate[0]);
  child.gate_ = Fd(gate[1]);

  int pidfd = -1;
  clone_args arguments{};
  // Handlers are ours; who runs another program sees to what is ignored (exec_program()).
  arguments.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  // Raw, because the C library has no wrapper; it keeps nothing about processes that would go stale
  // in a child with one thread.
  const long result = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (result < 0) return errno_error("make namespaces", errno);
  if (result == 0) {
    child.gate_.reset();
    heed_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    char go = 0;
    ssize_t got = 0;
    do {
      got = read(gate_in.get(), &go, 1);
    } while (got < 0 && errno == EINTR);
    // The end of the pipe without a byte: the parent gave up, or is gone.
    if (got != 1) _exit(0);
    gate_in.reset();
    _exit(body());
  }
  child.pid_ = static_cast<pid_t>(result);
  child.pidfd_ = Fd(pidfd);
  return child;
}

// A namespace is there as long as a process is in it, or a descriptor of it is open; it needs no
// memory of its own, which would cost more than all else here.
Result<Fd> make_user_namespace(const IdMaps& maps) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return errno_error("make pipe", errno);
  const Fd gate_in(gate[0]);
  HeldChild child;
  child.gate_ = Fd(gate[1]);
  alignas(16) char stack[16 << 10];
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);  // no handler of ours runs there
  child.pid_ = clone(hold, stack + sizeof stack, CLONE_NEWUSER | CLONE_VM | SIGCHLD, gate);
  const int error = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child.pid_ < 0) return errno_error("make namespaces", error);
  Result<void> mapped = child.write_maps(maps);
  Result<Fd> fd = mapped ? child.open_namespace("user") : Result<Fd>(mapped.error());
  child.abandon();
  return fd;
}

int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

}  // namespace gangway::containers
