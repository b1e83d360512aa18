#include "containers/sandbox_run.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "containers/accounts.hpp"
#include "containers/image_access.hpp"
#include "containers/seccomp_filter.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

using namespace setup;  // NOLINT: the vocabulary of this file

constexpr std::size_t kMaxAccountsBytes = 1 << 20;

Error failed(std::string what) { return errno_error(std::move(what), errno); }

Result<Fd> open_path(const std::string& path, int flags = O_PATH | O_DIRECTORY) {
  Fd fd(open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) return failed(cat("open ", path));
  return fd;
}

Result<Fd> clone_mount(int directory, const char* path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                         (*path == '\0' ? static_cast<unsigned>(AT_EMPTY_PATH) : 0U) |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  Fd fd(open_tree(directory, path, flags));
  if (!fd) return failed(cat("open ", path));
  return fd;
}

Result<void> set_attributes(int mount, std::uint64_t attributes, bool recursive) {
  mount_attr change{};
  change.attr_set = attributes;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  if (mount_setattr(mount, "", flags, &change, sizeof change) != 0) {
    return failed("set mount attributes");
  }
  return {};
}

Result<void> attach_at(int mount, int target) {
  if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return failed("attach mount");
  }
  return {};
}

constexpr int kListenBacklog = 1024;

bool is_directory(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// What the kernel has to say about a refused mount, beyond its errno.
std::string context_log(int context) {
  std::string text;
  char line[512];
  ssize_t got = 0;
  while ((got = read(context, line, sizeof line)) > 0) {
    std::string_view message(line, static_cast<std::size_t>(got));
    if (message.size() > 2 && message[1] == ' ') message.remove_prefix(2);
    while (message.ends_with('\n')) message.remove_suffix(1);
    text += text.empty() ? " (" : "; ";
    text += message;
  }
  return text.empty() ? text : text + ")";
}

using MountOptions = std::vector<std::pair<std::string, std::string>>;

// A new file system that is not attached anywhere yet.
Result<Fd> new_mount(const std::string& type, const MountOptions& options, unsigned attributes) {
  const Fd context(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context) return failed(cat("make file system ", type));
  for (const auto& [key, value] : options) {
    const int result =
        value.empty() ? fsconfig(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                      : fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
    if (result != 0) {
      const int error = errno;
      return errno_error(cat(type, " option ", key, "=", value, context_log(context.get())), error);
    }
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    const int error = errno;
    return errno_error(cat("make file system ", type, context_log(context.get())), error);
  }
  Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount) {
    const int error = errno;
    return errno_error(cat("mount ", type, context_log(context.get())), error);
  }
  return mount;
}

Result<void> write_new_file(int directory,
                            const std::string& name,
                            const std::string& text,
                            mode_t mode) {
  const Fd fd(
      openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return failed(cat("make file ", name));
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(fd.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed(cat("write file ", name));
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fchmod(fd.get(), mode) != 0) return failed(cat("set mode of ", name));
  return {};
}

// A path as directory and last component.
std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  CHECK(slash != std::string::npos);
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

class Performer {
 public:
  explicit Performer(std::vector<Fd> slots) : slots_(std::move(slots)) {}

  Result<PerformedPlan> run(const SandboxPlan& plan) {
    umask(0);
    slots_.resize(static_cast<std::size_t>(plan.slots));
    GANGWAY_ASSIGN(root_, open_path("/"));
    for (const SetupOp& op : plan.ops) {
      GANGWAY_TRY(std::visit([&](const auto& step) { return perform(step); }, op));
    }
    truncate_outputs();
    return PerformedPlan{std::move(waived_), access_checked_, std::move(outputs_)};
  }

 private:
  Result<void> perform(const BecomeUser& op) {
    return op.keep_groups ? become_with_own_groups(op.who) : become(op.who);
  }
  Result<void> perform(const ActAsUser& op) {
    acting_.emplace(op.who);
    return {};
  }
  Result<void> perform(const ActAsSelf&) {
    acting_.reset();
    return {};
  }

  Result<void> perform(const CheckAccess& op) {
    access_checked_ = static_cast<bool>(check_access(op.image));
    return {};
  }

  // Not truncated before all else is done. As user_files.cpp does it otherwise.
  Result<void> perform(const OpenOutput& op) {
    if (outputs_failed_) return {};
    umask(op.umask);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY;
    Result<Fd> fd = open_in_root(root_.get(), op.output.path, kFlags, 0666);
    umask(0);
    if (!fd || is_directory(fd->get())) {
      fail_outputs();
      return {};
    }
    if (op.output.truncate) to_truncate_.push_back(fd->get());
    outputs_.push_back(*std::move(fd));
    return {};
  }

  void fail_outputs() {
    outputs_failed_ = true;
    outputs_.clear();
    to_truncate_.clear();
  }

  void truncate_outputs() {
    for (const int fd : to_truncate_) {
      struct stat status {};
      if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) continue;
      if (ftruncate(fd, 0) != 0) {
        fail_outputs();
        return;
      }
    }
  }

  Result<void> perform(const IsolateMounts&) {
    if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
      return failed("take the node's mounts out of common propagation");
    }
    return {};
  }

  Result<void> perform(const OpenSource& op) {
    Result<Fd> source = clone_mount(AT_FDCWD, op.path.c_str(), op.recursive);
    if (!source) {
      if (op.if_present && source.error().kind() == ErrorKind::NotFound) return {};
      return source.error();
    }
    slot(op.slot) = *std::move(source);
    return {};
  }

  Result<void> perform(const Stage& op) {
    stage_ = op.path;
    GANGWAY_ASSIGN(const Fd target, open_path(op.path));
    GANGWAY_ASSIGN(const Fd mount, new_mount("tmpfs", {{"mode", "755"}, {"size", op.size}},
                                             MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    GANGWAY_TRY(attach_at(mount.get(), target.get()));
    for (const char* name : {"lower", "upper", "work", "root"}) {
      if (mkdirat(mount.get(), name, 0755) != 0) return failed(cat("make directory ", name));
    }
    GANGWAY_ASSIGN(upper_, open_path(op.path + "/upper"));
    return {};
  }

  Result<void> perform(const AttachLower& op) {
    GANGWAY_ASSIGN(const Fd target, open_path(stage_ + "/lower"));
    const Fd& tree = slot(op.slot);
    GANGWAY_TRY(set_attributes(tree.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                               false));
    GANGWAY_TRY_CONTEXT(attach_at(tree.get(), target.get()), "image tree");
    GANGWAY_ASSIGN(lower_, open_path(stage_ + "/lower"));
    return {};
  }

  Result<void> perform(const RefuseSymlink& op) {
    struct stat status {};
    const std::string name = op.path.substr(1);
    if (fstatat(lower_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode)) {
      return Error(ErrorKind::Invalid, cat("the image has a symlink at ", op.path));
    }
    return {};
  }

  // The directory `path` of the upper layer, made at the place where the image's own symlinks lead.
  Result<Fd> lay_directories(const std::string& path, mode_t mode) {
    WalkedPath way;
    Result<WalkedPath> walked = walk_in_tree(lower_.get(), path);
    if (walked) {
      way = *std::move(walked);
    } else if (walked.error().kind() == ErrorKind::Conflict) {
      // Something else in the way: covered by our directories.
      way.missing = path_components(path);
    } else {
      return walked.error();
    }
    std::string inside;
    GANGWAY_ASSIGN(Fd here, open_path(stage_ + "/upper"));
    const auto enter = [&](const std::string& name, mode_t new_mode) -> Result<void> {
      if (mkdirat(here.get(), name.c_str(), new_mode) != 0 && errno != EEXIST) {
        return failed(cat("make directory ", path));
      }
      Fd next(openat(here.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!next) return failed(cat("open ", path));
      here = std::move(next);
      return {};
    };
    for (const std::string& name : way.real) {
      inside += (inside.empty() ? "" : "/") + name;
      struct stat status {};
      if (fstatat(lower_.get(), inside.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return failed(cat("look up ", path));
      }
      GANGWAY_TRY(enter(name, (status.st_mode & 01777) | 0700));
    }
    for (std::size_t i = 0; i < way.missing.size(); ++i) {
      GANGWAY_TRY(enter(way.missing[i], i + 1 == way.missing.size() ? mode : 0755));
    }
    return here;
  }

  Result<void> perform(const LayDirectory& op) {
    GANGWAY_TRY(lay_directories(op.path, op.mode));
    return {};
  }

  Result<void> lay_file(const std::string& path, const std::string& text, mode_t mode) {
    const auto [directory, name] = split_path(path);
    GANGWAY_ASSIGN(const Fd parent, lay_directories(directory, 0755));
    return write_new_file(parent.get(), name, text, mode);
  }

  Result<void> perform(const LayFile& op) { return lay_file(op.path, op.text, op.mode); }

  Result<void> perform(const LayAccounts& op) {
    const auto image_file = [&](const char* path) {
      return read_file_in_tree(lower_.get(), path, kMaxAccountsBytes);
    };
    GANGWAY_TRY(lay_file("/etc/passwd", merge_passwd(image_file("/etc/passwd"), op.user), 0644));
    return lay_file("/etc/group", merge_group(image_file("/etc/group"), op.user), 0644);
  }

  Result<void> perform(const MountOverlay& op) {
    MountOptions options{{"lowerdir", stage_ + "/lower"},
                         {"upperdir", stage_ + "/upper"},
                         {"workdir", stage_ + "/work"}};
    if (op.user_namespace) {
      options.emplace_back("userxattr", "");
    } else {
      // An image's files must not redirect into others by their extended attributes.
      options.emplace_back("redirect_dir", "nofollow");
      options.emplace_back("metacopy", "off");
    }
    GANGWAY_ASSIGN(const Fd target, open_path(stage_ + "/root"));
    Result<Fd> mount = new_mount("overlay", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (!mount && op.waivable) {
      waived_.push_back(render_waived(Waiver::OverlayFs,
                                      cat("the image is read-only: ", mount.error().message())));
      mount = clone_mount(lower_.get(), "", false);
    }
    if (!mount) return mount.error().with_context("overlay of the image");
    GANGWAY_TRY(attach_at(mount->get(), target.get()));
    GANGWAY_ASSIGN(root_, open_path(stage_ + "/root"));
    return {};
  }

  Result<void> perform(const UseTree& op) {
    GANGWAY_ASSIGN(const Fd target, open_path(op.path));
    const Fd& tree = slot(op.slot);
    GANGWAY_TRY(set_attributes(tree.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, false));
    GANGWAY_TRY_CONTEXT(attach_at(tree.get(), target.get()), "tree");
    GANGWAY_ASSIGN(root_, open_path(op.path));
    return {};
  }

  Result<void> perform(const MountNew& op) {
    Result<Fd> target = open_in_root(root_.get(), op.path, O_PATH | O_DIRECTORY);
    if (!target) {
      if (op.if_present && target.error().kind() == ErrorKind::NotFound) return {};
      return target.error().with_context(cat("mount ", op.type));
    }
    unsigned attributes = MOUNT_ATTR_NOSUID;
    // A devpts without devices would be of no use.
    if (op.type != "devpts") attributes |= MOUNT_ATTR_NODEV;
    if (op.no_exec) attributes |= MOUNT_ATTR_NOEXEC;
    Result<Fd> mount = new_mount(op.type, op.options, attributes);
    if (!mount && op.waiver) {
      waived_.push_back(render_waived(*op.waiver, mount.error().message()));
      CHECK(*op.waiver == Waiver::ProcMount);
      mount = clone_mount(AT_FDCWD, "/proc", true);
    }
    if (!mount) return mount.error().with_context(cat("mount ", op.path));
    GANGWAY_TRY_CONTEXT(attach_at(mount->get(), target->get()), cat("mount ", op.path));
    return {};
  }

  Result<Fd> make_target(const std::string& path, bool directory) {
    if (directory) return make_directories_in_tree(root_.get(), path, false);
    const auto [parent_path, name] = split_path(path);
    GANGWAY_ASSIGN(const Fd parent, make_directories_in_tree(root_.get(), parent_path, false));
    const Fd made(openat(parent.get(), name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!made) return failed(cat("make mount point ", path));
    return open_in_root(root_.get(), path, O_PATH | O_NOFOLLOW);
  }

  Result<void> perform(const Attach& op) {
    const Fd& source = slot(op.slot);
    if (!source) return {};
    const bool directory = is_directory(source.get());
    Result<Fd> target = open_in_root(root_.get(), op.path, O_PATH);
    if (!target && op.make_target && target.error().kind() == ErrorKind::NotFound) {
      target = make_target(op.path, directory);
    }
    if (!target) return target.error().with_context("mount point");
    std::uint64_t attributes = MOUNT_ATTR_NOSUID;
    if (op.no_devices) attributes |= MOUNT_ATTR_NODEV;
    if (op.read_only) attributes |= MOUNT_ATTR_RDONLY;
    GANGWAY_TRY_CONTEXT(set_attributes(source.get(), attributes, true), cat("bind ", op.path));
    GANGWAY_TRY_CONTEXT(attach_at(source.get(), target->get()), cat("bind ", op.path));
    return {};
  }

  // The parents of these lie in file systems that the plan has just made.
  Result<Fd> parent_of(const std::string& path) {
    return open_in_root(root_.get(), split_path(path).first, O_PATH | O_DIRECTORY);
  }
  Result<void> perform(const MakeDirectory& op) {
    GANGWAY_ASSIGN(const Fd parent, parent_of(op.path));
    if (mkdirat(parent.get(), split_path(op.path).second.c_str(), op.mode) != 0) {
      return failed(cat("make directory ", op.path));
    }
    return {};
  }
  Result<void> perform(const MakeFile& op) {
    GANGWAY_ASSIGN(const Fd parent, parent_of(op.path));
    return write_new_file(parent.get(), split_path(op.path).second, op.text, op.mode);
  }
  Result<void> perform(const MakeSymlink& op) {
    GANGWAY_ASSIGN(const Fd parent, parent_of(op.path));
    if (symlinkat(op.target.c_str(), parent.get(), split_path(op.path).second.c_str()) != 0) {
      return failed(cat("make symlink ", op.path));
    }
    return {};
  }

  Result<void> perform(const Listen& op) {
    GANGWAY_ASSIGN(const Fd parent, parent_of(op.path));
    GANGWAY_ASSIGN(const Fd before, open_path("."));
    // By its name alone: the new root is not ours yet, and names in addresses are short.
    if (fchdir(parent.get()) != 0) return failed(cat("change directory for ", op.path));
    const std::string name = split_path(op.path).second;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    CHECK(name.size() < sizeof address.sun_path);
    std::copy(name.begin(), name.end(), address.sun_path);
    const int socket = slot(op.slot).get();
    if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(socket, kListenBacklog) != 0) {
      return failed(cat("listen at ", op.path));
    }
    if (fchdir(before.get()) != 0) return failed("change directory back");
    return {};
  }

  Result<void> perform(const RemountReadOnly& op) {
    GANGWAY_ASSIGN(const Fd mount, open_in_root(root_.get(), op.path, O_PATH | O_DIRECTORY));
    return set_attributes(mount.get(), MOUNT_ATTR_RDONLY, false);
  }

  Result<void> perform(const EnterRoot&) {
    // Both roots are "." for a moment, so no directory for the old one is needed (runc's way).
    GANGWAY_ASSIGN(const Fd old, open_path("/", O_DIRECTORY | O_RDONLY));
    if (fchdir(root_.get()) != 0) return failed("change to the new root");
    if (syscall(SYS_pivot_root, ".", ".") != 0) return failed("pivot to the new root");
    if (fchdir(old.get()) != 0) return failed("change to the old root");
    if (umount2(".", MNT_DETACH) != 0) return failed("leave the old root");
    if (chdir("/") != 0) return failed("change to the new root");
    upper_.reset();
    lower_.reset();
    GANGWAY_ASSIGN(root_, open_path("/"));
    return {};
  }

  // What is not there need not be covered; what cannot be looked at may be.
  Result<Fd> find_to_cover(const std::string& path) {
    Result<Fd> target = open_in_root(root_.get(), path, O_PATH | O_NOFOLLOW);
    if (!target && target.error().kind() == ErrorKind::NotFound) return Fd();
    return target;
  }

  Result<void> perform(const Mask& op) {
    const Result<Fd> target = find_to_cover(op.path);
    if (!target) return target.error().with_context("mask");
    if (!*target) return {};
    Result<Fd> cover = Error(ErrorKind::Internal, "");
    if (is_directory(target->get())) {
      cover = new_mount("tmpfs", {{"size", "4k"}, {"nr_inodes", "1"}, {"mode", "555"}},
                        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    } else {
      GANGWAY_ASSIGN(const Fd null, open_in_root(root_.get(), "/dev/null", O_PATH | O_NOFOLLOW));
      struct stat status {};
      if (fstat(null.get(), &status) != 0 || !S_ISCHR(status.st_mode) ||
          status.st_rdev != makedev(1, 3)) {
        return Error(ErrorKind::Internal, "/dev/null is not the null device");
      }
      cover = clone_mount(null.get(), "", false);
    }
    if (!cover) return cover.error().with_context(cat("mask ", op.path));
    GANGWAY_TRY_CONTEXT(attach_at(cover->get(), target->get()), cat("mask ", op.path));
    return {};
  }

  Result<void> perform(const Protect& op) {
    const Result<Fd> target = find_to_cover(op.path);
    if (!target) return target.error().with_context("protect");
    if (!*target) return {};
    GANGWAY_ASSIGN(const Fd cover, clone_mount(target->get(), "", true));
    GANGWAY_TRY_CONTEXT(set_attributes(cover.get(), MOUNT_ATTR_RDONLY, true),
                        cat("protect ", op.path));
    GANGWAY_TRY_CONTEXT(attach_at(cover.get(), target->get()), cat("protect ", op.path));
    return {};
  }

  Result<void> perform(const CloseDevice& op) {
    const Result<Fd> target = find_to_cover(op.path);
    if (!target) return target.error().with_context("close device");
    if (!*target) return {};
    // Itself once more, on a mount that opens no devices.
    GANGWAY_ASSIGN(const Fd cover, clone_mount(target->get(), "", false));
    GANGWAY_TRY_CONTEXT(set_attributes(cover.get(), MOUNT_ATTR_NODEV, false),
                        cat("close device ", op.path));
    GANGWAY_TRY_CONTEXT(attach_at(cover.get(), target->get()), cat("close device ", op.path));
    return {};
  }

  Result<void> perform(const BringUpLoopback&) {
    const Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (!socket_fd || ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) {
      return failed("bring up the loopback interface");
    }
    return {};
  }

  Result<void> perform(const SetHostname& op) {
    if (op.name.empty()) return {};
    if (sethostname(op.name.data(), op.name.size()) != 0) return failed("set host name");
    return {};
  }

  Result<void> perform(const SetLimits&) {
    rlimit limit{};
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
      limit.rlim_cur = 0;
      setrlimit(RLIMIT_CORE, &limit);
    }
    // RDMA registers memory; the hard limit is the administrator's word.
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_MEMLOCK, &limit);
    }
    return {};
  }

  Result<void> perform(const PinCores& op) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : op.cores) {
      if (core < 0 || core >= CPU_SETSIZE) {
        return Error(ErrorKind::Invalid, cat("no core ", core));
      }
      CPU_SET(static_cast<unsigned>(core), &set);
    }
    if (sched_setaffinity(0, sizeof set, &set) != 0) return failed("pin to cores");
    return {};
  }

  Result<void> perform(const LockDown& op) {
    for (Fd& fd : slots_) fd.reset();
    GANGWAY_TRY(drop_bounding_capabilities(op.keep));
    if (op.become) GANGWAY_TRY(become(*op.become));
    GANGWAY_TRY(set_parent_death_signal());
    GANGWAY_TRY(drop_capabilities(op.keep));
    GANGWAY_TRY(set_no_new_privileges());
    GANGWAY_TRY(set_not_dumpable());
    Result<void> filtered =
        load_seccomp(op.for_build ? SeccompProfile::Build : SeccompProfile::Job);
    if (!filtered && op.seccomp_waivable) {
      waived_.push_back(render_waived(Waiver::Seccomp, filtered.error().message()));
      return {};
    }
    return filtered;
  }

  Fd& slot(Slot index) {
    CHECK(index >= 0 && static_cast<std::size_t>(index) < slots_.size());
    return slots_[static_cast<std::size_t>(index)];
  }

  std::vector<Fd> slots_;
  std::vector<std::string> waived_;
  bool access_checked_ = false;
  std::vector<Fd> outputs_;
  std::vector<int> to_truncate_;  // of these
  bool outputs_failed_ = false;
  std::optional<ActAs> acting_;
  std::string stage_;
  Fd root_;
  Fd upper_;
  Fd lower_;
};

}  // namespace

Result<PerformedPlan> perform_plan(const SandboxPlan& plan, std::vector<Fd> slots) {
  return Performer(std::move(slots)).run(plan);
}

Result<Fd> clone_tree(int tree, int map_owner) {
  GANGWAY_ASSIGN(Fd mount, clone_mount(tree, "", false));
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (map_owner >= 0) {
    change.attr_set |= MOUNT_ATTR_IDMAP;
    change.userns_fd = static_cast<std::uint64_t>(map_owner);
  }
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
    if (map_owner >= 0 && (errno == EINVAL || errno == EPERM)) {
      return Error(ErrorKind::Unsupported, "this file system cannot map owners");
    }
    return failed("set attributes of the image's tree");
  }
  return mount;
}

}  // namespace gangway::containers
