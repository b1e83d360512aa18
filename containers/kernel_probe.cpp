#include "containers/kernel_probe.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "containers/cgroup.hpp"
#include "containers/cgroup_layout.hpp"
#include "containers/namespaces.hpp"
#include "containers/privileges.hpp"
#include "containers/seccomp_filter.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// "6.1.0-18-amd64" -> {6, 1}; {0, 0} if it does not begin with two numbers.
std::pair<int, int> release_numbers(std::string_view release) {
  const std::vector<std::string_view> parts = split(release, '.');
  if (parts.size() < 2) return {0, 0};
  const auto major = parse_integer<int>(parts[0]);
  const auto minor =
      parse_integer<int>(parts[1].substr(0, parts[1].find_first_not_of("0123456789")));
  if (!major || !minor) return {0, 0};
  return {*major, *minor};
}

constexpr uid_t kOrdinaryUid = 65534;

Feature from(const Result<void>& result, std::string detail = "") {
  if (result) return {true, std::move(detail)};
  return {false, result.error().message()};
}

Error failed(std::string what) { return errno_error(std::move(what), errno); }

// Runs `body` in a child with these namespaces and brings its error back.
Result<void> try_in_child(std::uint64_t flags,
                          const std::optional<IdMaps>& maps,
                          const std::function<Result<void>()>& body) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return failed("make pipe");
  const Fd in(pipe_ends[0]);
  Fd out(pipe_ends[1]);
  GANGWAY_ASSIGN(HeldChild child, spawn_held(flags, [&] {
                   const Result<void> result = body();
                   if (result) return 0;
                   const std::string& text = result.error().message();
                   [[maybe_unused]] const ssize_t written =
                       write(out.get(), text.data(), text.size());
                   return 1;
                 }));
  out.reset();
  if (maps) {
    if (auto mapped = child.write_maps(*maps); !mapped) {
      child.abandon();
      return mapped;
    }
  }
  child.release();
  char text[1024];
  const ssize_t got = read(in.get(), text, sizeof text);
  const int status = reap(child.pid());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error(ErrorKind::Unsupported,
               got > 0 ? std::string(text, static_cast<std::size_t>(got)) : "the try was killed");
}

IdMaps own_maps() { return identity_maps(geteuid(), getegid(), {}, geteuid() == 0); }

Result<void> try_user_namespace() {
  return try_in_child(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
                      own_maps(), []() -> Result<void> { return {}; });
}

Result<void> try_as_ordinary_user() {
  return try_in_child(0, std::nullopt, []() -> Result<void> {
    GANGWAY_TRY(become({kOrdinaryUid, kOrdinaryUid, {}}));
    if (unshare(CLONE_NEWUSER) != 0) return failed("make user namespace");
    if (unshare(CLONE_NEWNS) != 0) return failed("make mount namespace in it");
    return {};
  });
}

// What the distribution says about user namespaces, if it says anything.
std::string explain_user_namespaces() {
  std::string text;
  constexpr std::pair<const char*, std::string_view> kSwitches[] = {
      {"/proc/sys/kernel/unprivileged_userns_clone", "0"},
      {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
      {"/proc/sys/user/max_user_namespaces", "0"}};
  for (const auto& [path, bad] : kSwitches) {
    const std::string value(trim(read_small_file(path).value_or("")));
    if (value == bad) text += cat(text.empty() ? "" : "; ", path, " is ", value);
  }
  return text;
}

Result<Fd> mount_of(const char* type) {
  const Fd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context) return failed(cat("fsopen ", type));
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return failed(cat("make ", type));
  }
  Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID));
  if (!mount) return failed(cat("mount ", type));
  return mount;
}

Result<void> try_mount_api() {
  GANGWAY_ASSIGN(const Fd tmpfs, mount_of("tmpfs"));
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_RDONLY;
  if (mount_setattr(tmpfs.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
    return failed("mount_setattr");
  }
  const Fd target(open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!target) return failed("open /tmp");
  if (move_mount(tmpfs.get(), "", target.get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return failed("move_mount");
  }
  const Fd clone(open_tree(AT_FDCWD, "/tmp", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  return clone ? Result<void>() : failed("open_tree");
}

Result<void> try_overlay() {
  GANGWAY_ASSIGN(const Fd tmpfs, mount_of("tmpfs"));
  if (move_mount(tmpfs.get(), "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return failed("move_mount");
  }
  for (const char* name : {"/tmp/lower", "/tmp/upper", "/tmp/work"}) {
    if (mkdir(name, 0755) != 0) return failed(cat("make directory ", name));
  }
  if (mount("overlay", "/tmp", "overlay", 0,
            "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr") != 0) {
    return failed("mount overlay with userxattr");
  }
  return {};
}

Result<void> try_idmapped(const std::string& path) {
  GANGWAY_ASSIGN(const Fd map,
                 make_user_namespace({.uids = {{.inside = 1, .outside = 2, .count = 1}},
                                      .gids = {{.inside = 1, .outside = 2, .count = 1}}}));
  const Fd tree(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return failed(cat("open_tree ", path));
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<std::uint64_t>(map.get());
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
    return failed(cat("map owners of the file system at ", path));
  }
  return {};
}

Result<void> try_proc() {
  GANGWAY_ASSIGN(const Fd proc, mount_of("proc"));
  return {};
}

Result<void> try_seccomp() {
  return try_in_child(0, std::nullopt, []() -> Result<void> {
    GANGWAY_TRY(set_no_new_privileges());
    return load_seccomp(SeccompProfile::Job);
  });
}

Result<void> try_pidfd() {
  const Fd fd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  return fd ? Result<void>() : failed("pidfd_open");
}

Result<void> try_openat2() {
  GANGWAY_TRY(open_in_root(AT_FDCWD, ".", O_PATH | O_DIRECTORY));
  return {};
}

Result<void> try_clone_into_cgroup(const CgroupHierarchy& unified) {
  const std::string path = unified.mount + unified.own_group;
  const Fd group(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!group) return failed(cat("open ", path));
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<std::uint64_t>(group.get());
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  if (pid < 0) return failed("clone3 into a control group");
  reap(static_cast<pid_t>(pid));
  return {};
}

void probe_cgroups(KernelFeatures& features) {
  const CgroupLayout layout = read_cgroup_layout();
  const CgroupHierarchy* unified = layout.unified();
  const bool v1 = !layout.hierarchies.empty() && layout.hierarchies.front().version == 1;
  features.cgroup_kind = unified != nullptr && v1 ? CgroupKind::Hybrid
                         : unified != nullptr     ? CgroupKind::V2
                         : v1                     ? CgroupKind::V1
                                                  : CgroupKind::None;
  const auto probe = [&](const char* controller) {
    const CgroupHierarchy* hierarchy = layout.find(controller);
    return from(probe_cgroup_controller(layout, controller),
                hierarchy == nullptr ? "" : cat("v", hierarchy->version, " at ", hierarchy->mount));
  };
  features.cgroup_memory = probe("memory");
  features.cgroup_cpus = probe("cpuset");
  features.cgroup_pids = probe("pids");
  features.cgroup_devices = probe("devices");
  if (unified == nullptr) {
    features.cgroup_freezer = probe("freezer");
    features.cgroup_kill = {false, "no v2 hierarchy"};
    features.clone_into_cgroup = {false, "no v2 hierarchy"};
    return;
  }
  features.cgroup_freezer =
      layout.find("freezer") != nullptr ? probe("freezer") : Feature{true, "cgroup.freeze"};
  // The root group has no cgroup.kill; its existence came with Linux 5.14.
  const std::string own = unified->mount + unified->own_group + "/cgroup.kill";
  const bool kill =
      access(own.c_str(), F_OK) == 0 || release_numbers(features.release) >= std::pair(5, 14);
  features.cgroup_kill = {kill, kill ? "" : "needs Linux 5.14"};
  features.clone_into_cgroup = from(try_clone_into_cgroup(*unified));
}

}  // namespace

namespace {

// Whether the files have any; whose they are is seen when a job asks.
Feature probe_subordinate_ids(bool privileged) {
  for (const char* path : {"/etc/subuid", "/etc/subgid"}) {
    if (trim(read_small_file(path, std::size_t{4} << 20).value_or("")).empty()) {
      return {false, cat("nothing in ", path)};
    }
  }
  if (privileged) return {true, "mapped by the executor"};
  const char* const helper = "/usr/bin/newuidmap";
  if (access(helper, X_OK) != 0) return {false, cat("no ", helper)};
  return {true, cat("mapped by ", helper)};
}

}  // namespace

std::string_view to_string(CgroupKind kind) {
  switch (kind) {
    case CgroupKind::None:
      return "none";
    case CgroupKind::V1:
      return "v1";
    case CgroupKind::V2:
      return "v2";
    case CgroupKind::Hybrid:
      return "hybrid";
  }
  CHECK(false);
}

KernelFeatures probe_kernel() {
  KernelFeatures features;
  utsname names{};
  if (uname(&names) == 0) features.release = names.release;
  features.privileged = geteuid() == 0;
  features.user_namespaces = from(try_user_namespace());
  if (const std::string why = explain_user_namespaces();
      !features.user_namespaces.available && !why.empty()) {
    features.user_namespaces.detail += cat(" (", why, ")");
  }
  features.user_namespaces_ordinary =
      features.privileged ? from(try_as_ordinary_user()) : features.user_namespaces;

  constexpr std::uint64_t kMounting = CLONE_NEWUSER | CLONE_NEWNS;
  features.mount_api = from(try_in_child(kMounting, own_maps(), try_mount_api));
  features.overlay = from(try_in_child(kMounting, own_maps(), try_overlay));
  features.proc_mount = from(try_in_child(kMounting | CLONE_NEWPID, own_maps(), try_proc));
  features.idmapped_mounts =
      features.privileged ? from(try_idmapped("/"), "at /")
                          : Feature{true, "not needed: images belong to the executor's user"};
  features.openat2 = from(try_openat2());
  features.seccomp = from(try_seccomp());
  features.pidfd = from(try_pidfd());
  features.subordinate_ids = probe_subordinate_ids(features.privileged);
  probe_cgroups(features);
  return features;
}

std::vector<ProbeRow> render_rows(const KernelFeatures& features) {
  std::vector<ProbeRow> rows;
  const auto add = [&](std::string name, const Feature& feature, std::string remedy,
                       std::string waiver = "") {
    ProbeRow row{.name = std::move(name),
                 .ok = feature.available,
                 .detail = feature.detail,
                 .remedy = feature.available ? "" : std::move(remedy),
                 .waiver = feature.available ? "" : std::move(waiver)};
    rows.push_back(std::move(row));
  };
  const auto not_needed = [&] { rows.back().needed = false; };
  const std::string delegate =
      features.privileged ? "mount the control group file system, or run outside of a container"
                          : "run the executor as root, or as a service with Delegate=yes";
  add("user namespaces", features.user_namespaces,
      "sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
      "user.max_user_namespaces=10000, or run the executor as root",
      features.privileged ? "user-namespace" : "");
  add("user namespaces for ordinary users", features.user_namespaces_ordinary,
      "not needed by an executor that runs as root");
  not_needed();
  add("mount calls by descriptor", features.mount_api, "Linux 5.12 or newer is needed");
  add("openat2", features.openat2, "Linux 5.6 or newer is needed");
  add("pidfd", features.pidfd, "Linux 5.4 or newer is needed");
  add("overlay in user namespaces", features.overlay,
      "Linux 5.11 or newer with overlay: modprobe overlay", "overlay-fs");
  add("own /proc", features.proc_mount,
      "something is mounted over parts of /proc (an outer container does that); unmount it",
      "proc-mount");
  add("mapped owners", features.idmapped_mounts,
      "Linux 5.12 or newer, and a file system that supports it (ext4, xfs, btrfs); without it the "
      "files of images are not the job's own and cannot be changed in the sandbox");
  not_needed();
  add("system call filter", features.seccomp, "a kernel with CONFIG_SECCOMP_FILTER", "seccomp");
  add(cat("control groups (", to_string(features.cgroup_kind), "): memory"), features.cgroup_memory,
      delegate, "cgroup-memory");
  add(cat("control groups (", to_string(features.cgroup_kind), "): cores"), features.cgroup_cpus,
      delegate, "cgroup-cpus");
  add(cat("control groups (", to_string(features.cgroup_kind), "): processes"),
      features.cgroup_pids, delegate, "cgroup-pids");
  add(cat("control groups (", to_string(features.cgroup_kind), "): freezer"),
      features.cgroup_freezer, delegate);
  not_needed();
  add(cat("control groups (", to_string(features.cgroup_kind), "): devices"),
      features.cgroup_devices,
      "not needed: other jobs' devices are not in a job's images, and closed by mounts elsewhere");
  not_needed();
  add("subordinate ids", features.subordinate_ids,
      "for --user image and --user root: usermod --add-subuids 100000-165535 --add-subgids "
      "100000-165535 NAME, and the package uidmap for executors of ordinary users");
  not_needed();
  add("kill of a control group", features.cgroup_kill,
      "not needed: processes are killed with their process namespace");
  not_needed();
  add("start in a control group", features.clone_into_cgroup, "not needed: processes are moved");
  not_needed();
  return rows;
}

}  // namespace gangway::containers
