#include "containers/build/sandboxed_command.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "containers/namespaces.hpp"
#include "containers/program_exec.hpp"
#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_run.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

using namespace setup;  // NOLINT: the vocabulary of this file

constexpr std::array kDeviceNodes = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr int kSetUpFailed = 125;

// apt drops to a user of its own to fetch; here there is no other.
constexpr std::string_view kAptConfig = "/dev/.gangway-apt.conf";

bool exists(const std::string& path, bool& directory) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return false;
  directory = S_ISDIR(status.st_mode);
  return true;
}

// The places in the tree where something is mounted; those that were made are removed in the end.
class MountPoints {
 public:
  explicit MountPoints(Fd root) : root_(std::move(root)) {}
  MountPoints(const MountPoints&) = delete;
  MountPoints& operator=(const MountPoints&) = delete;
  ~MountPoints() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
      unlinkat(root_.get(), made->first.c_str(), made->second ? AT_REMOVEDIR : 0);
    }
  }

  // Errors: Invalid (something else is in the way).
  Result<void> make(const std::string& path, bool directory) {
    GANGWAY_ASSIGN(const WalkedPath way, walk_in_tree(root_.get(), path, true));
    std::string here = join(way.real, "/");
    for (std::size_t i = 0; i < way.missing.size(); ++i) {
      here += (here.empty() ? "" : "/") + way.missing[i];
      const bool last = i + 1 == way.missing.size();
      if (!last || directory) {
        if (mkdirat(root_.get(), here.c_str(), 0755) != 0) {
          return errno_error(cat("make mount point ", path), errno);
        }
        made_.emplace_back(here, true);
      } else {
        const Fd fd(openat(root_.get(), here.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
        if (!fd) return errno_error(cat("make mount point ", path), errno);
        made_.emplace_back(here, false);
      }
    }
    return {};
  }

 private:
  Fd root_;
  std::vector<std::pair<std::string, bool>> made_;
};

class PlanMaker {
 public:
  explicit PlanMaker(const TreeCommand& command) : command_(command) {}

  SandboxPlan make(bool has_hosts, bool has_resolv) {
    add(IsolateMounts{});
    add(BecomeUser{{command_.uid, command_.gid, {}}});
    const Slot tree = open(command_.tree, false);
    const Slot sys = open("/sys", true);
    std::vector<std::pair<Slot, std::string>> nodes;
    for (const char* name : kDeviceNodes) {
      const std::string path = cat("/dev/", name);
      nodes.emplace_back(open(path, false), path);
    }
    std::vector<std::pair<Slot, const TreeBind*>> binds;
    for (const TreeBind& bind : command_.binds) {
      binds.emplace_back(bind.source.empty() ? kNoSlot : open(bind.source, true), &bind);
    }
    const Slot hosts = has_hosts ? open("/etc/hosts", false) : kNoSlot;
    const Slot resolv = has_resolv ? open("/etc/resolv.conf", false) : kNoSlot;
    add(UseTree{tree, command_.tree});
    add(MountNew{.type = "proc", .path = "/proc", .no_exec = true});
    add(Attach{.slot = sys, .path = "/sys", .read_only = true});
    add_dev(nodes);
    if (hosts != kNoSlot) add(Attach{.slot = hosts, .path = "/etc/hosts", .read_only = true});
    if (resolv != kNoSlot) {
      add(Attach{.slot = resolv, .path = "/etc/resolv.conf", .read_only = true});
    }
    for (const auto& [slot, bind] : binds) {
      if (slot == kNoSlot) {
        add(MountNew{.type = "tmpfs", .path = bind->target, .options = {{"mode", "1777"}}});
      } else {
        add(Attach{.slot = slot,
                   .path = bind->target,
                   .read_only = bind->read_only,
                   .make_target = bind->target.starts_with("/dev/")});
      }
    }
    add(EnterRoot{});
    for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}) {
      add(Mask{path});
    }
    for (const char* path :
         {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
      add(Protect{path});
    }
    add(SetHostname{"build"});
    add(SetLimits{});
    add(LockDown{.keep = kBuildCapabilities, .for_build = true});
    return std::move(plan_);
  }

 private:
  template <typename Op>
  void add(Op op) {
    plan_.ops.emplace_back(std::move(op));
  }
  Slot open(std::string path, bool recursive) {
    const Slot slot = plan_.slots++;
    add(OpenSource{slot, std::move(path), recursive, false});
    return slot;
  }
  void add_dev(const std::vector<std::pair<Slot, std::string>>& nodes) {
    add(MountNew{.type = "tmpfs",
                 .path = "/dev",
                 .options = {{"mode", "755"}, {"size", "1m"}, {"nr_inodes", "4096"}},
                 .no_exec = true});
    for (const auto& [slot, path] : nodes) {
      add(Attach{.slot = slot, .path = path, .no_devices = false, .make_target = true});
    }
    for (const auto& [name, target] : {std::pair{"fd", "/proc/self/fd"},
                                       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"},
                                       {"stderr", "/proc/self/fd/2"}}) {
      add(MakeSymlink{cat("/dev/", name), target});
    }
    add(MakeDirectory{"/dev/shm", 0755});
    add(MountNew{.type = "tmpfs", .path = "/dev/shm", .options = {{"mode", "1777"}}});
    add(MakeFile{std::string(kAptConfig), "APT::Sandbox::User \"root\";\n", 0644});
  }

  const TreeCommand& command_;
  SandboxPlan plan_;
};

void write_text(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Process 1 of the sandbox: sets it up, starts the program, reaps whatever ends until that has.
int init_main(const TreeCommand& command, const SandboxPlan& plan, int out, int report) {
  if (const auto done = perform_plan(plan, {}); !done) {
    write_text(report, done.error().message());
    return kSetUpFailed;
  }
  const pid_t pid = fork();
  if (pid < 0) return kSetUpFailed;
  if (pid == 0) {
    if (command.body) {
      dup2(out, 2);
      _exit(command.body());
    }
    std::vector<std::string> env = command.env;
    bool has_apt = false;
    for (const std::string& variable : env) has_apt |= variable.starts_with("APT_CONFIG=");
    if (!has_apt) env.push_back(cat("APT_CONFIG=", kAptConfig));
    const std::vector<int> all_cores;
    ProgramArguments arguments(command.argv, env);
    const Error error = exec_program({.arguments = arguments,
                                      .workdir = command.workdir,
                                      .cores = all_cores,
                                      .out = out,
                                      .err = out});
    write_text(report, error.message());
    _exit(error.kind() == ErrorKind::NotFound ? 127 : 126);
  }
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended == pid) return code_of(status);
    if (ended < 0) return kSetUpFailed;
  }
}

Result<void> make_mount_points(const TreeCommand& command,
                               MountPoints& points,
                               bool& has_hosts,
                               bool& has_resolv) {
  for (const char* path : {"/proc", "/sys", "/dev"}) GANGWAY_TRY(points.make(path, true));
  bool directory = false;
  has_hosts = exists("/etc/hosts", directory) && !directory && points.make("/etc/hosts", false);
  has_resolv =
      exists("/etc/resolv.conf", directory) && !directory && points.make("/etc/resolv.conf", false);
  for (const TreeBind& bind : command.binds) {
    directory = true;
    if (!bind.source.empty() && !exists(bind.source, directory)) {
      return errno_error(cat("open ", bind.source), errno);
    }
    // /dev is made anew, with all that is in it.
    if (bind.target.starts_with("/dev/")) continue;
    GANGWAY_TRY(points.make(bind.target, directory));
  }
  return {};
}

}  // namespace

Result<CommandEnd> run_in_tree(const TreeCommand& command,
                               const std::function<void(std::string_view)>& on_output) {
  Fd root(open(command.tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error(cat("open ", command.tree), errno);
  MountPoints points(std::move(root));
  bool has_hosts = false;
  bool has_resolv = false;
  GANGWAY_TRY(make_mount_points(command, points, has_hosts, has_resolv));
  const SandboxPlan plan = PlanMaker(command).make(has_hosts, has_resolv);

  GANGWAY_ASSIGN(Pipe out, make_pipe());
  GANGWAY_ASSIGN(Pipe report, make_pipe());
  std::uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (!command.network) flags |= CLONE_NEWNET;
  GANGWAY_ASSIGN(HeldChild child, spawn_held(flags, [&] {
                   return init_main(command, plan, out.write.get(), report.write.get());
                 }));
  IdMaps maps;
  maps.uids.push_back({.inside = command.uid, .outside = geteuid()});
  maps.gids.push_back({.inside = command.gid, .outside = getegid()});
  maps.deny_setgroups = true;
  if (const auto mapped = child.write_maps(maps); !mapped) {
    child.abandon();
    return mapped.error();
  }
  out.write.reset();
  report.write.reset();
  child.release();
  std::string block(64 << 10, '\0');
  const auto drain = [&](int fd, const auto& take) {
    while (true) {
      const ssize_t got = read(fd, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      take(std::string_view(block).substr(0, static_cast<std::size_t>(got)));
    }
  };
  drain(out.read.get(), on_output);
  CommandEnd end;
  drain(report.read.get(), [&](std::string_view text) { end.message += text; });
  end.exit_code = code_of(reap(child.pid()));
  if (end.exit_code == kSetUpFailed && !end.message.empty()) {
    return Error(ErrorKind::Unsupported, cat("set up the sandbox: ", end.message));
  }
  return end;
}

}  // namespace gangway::containers::build
