#include "containers/sandbox_plan.hpp"

#include <algorithm>
#include <array>

#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

using namespace setup;  // NOLINT: the vocabulary of this file

// Names at the top of a file system that belong to the image: a job submitted from one of them does
// not get the node's laid over it.
constexpr std::array kSystemDirectories = {"/",      "/bin", "/boot", "/dev",  "/etc", "/lib",
                                           "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
                                           "/srv",   "/sys", "/tmp",  "/usr",  "/var"};

constexpr std::array kDeviceNodes = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr std::array<std::pair<const char*, const char*>, 5> kDeviceLinks = {
    {{"ptmx", "pts/ptmx"},
     {"fd", "/proc/self/fd"},
     {"stdin", "/proc/self/fd/0"},
     {"stdout", "/proc/self/fd/1"},
     {"stderr", "/proc/self/fd/2"}}};

// runc's and moby's lists.
constexpr std::array kMasked = {
    "/proc/acpi",       "/proc/asound",      "/proc/interrupts",
    "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
constexpr std::array kProtected = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                   "/proc/sysrq-trigger"};

Credentials credentials_of(const UserIdentity& user) { return {user.uid, user.gid, user.groups}; }

Error bad(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

class Planner {
 public:
  Planner(const SandboxRequest& request, const NodeFacts& node) : request_(request), node_(node) {}

  Result<SandboxPlan> make() {
    GANGWAY_TRY(check_paths());
    const Credentials who = credentials_of(node_.inside.value_or(request_.user));
    if (node_.inside && !node_.user_namespace) {
      return Error(ErrorKind::Unsupported, "--user needs user namespaces, and this node has none");
    }
    add(IsolateMounts{});
    if (node_.user_namespace) {
      add(BecomeUser{who, node_.keep_groups});
    } else {
      add(ActAsUser{who});
    }
    // With the ids that the user has outside, and groups: what is named by path is the user's.
    const bool is_user = node_.user_namespace && !node_.inside;
    if (is_user && node_.check_access && request_.image) add(CheckAccess{*request_.image});
    open_sources();
    if (is_user && request_.outputs.size() <= kMaxPassedFds) {
      for (const ProgramOutput& output : request_.outputs) {
        add(OpenOutput{output, request_.umask});
      }
    }
    if (!node_.user_namespace) add(ActAsSelf{});
    if (request_.image) {
      add_image_root();
    } else {
      add_host_root();
    }
    for (const std::string& path : request_.closed_devices) add(CloseDevice{path});
    if (request_.private_network) add(BringUpLoopback{});
    add(SetHostname{request_.hostname});
    add(SetLimits{});
    if (!request_.limits.cores.empty()) add(PinCores{request_.limits.cores});
    LockDown lock_down{.become = std::nullopt,
                       .seccomp_waivable = node_.waivers.contains(Waiver::Seccomp)};
    if (!node_.user_namespace) lock_down.become = who;
    if (node_.inside && node_.inside->uid == 0) lock_down.keep = kSandboxRootCapabilities;
    add(std::move(lock_down));
    return std::move(plan_);
  }

 private:
  struct Bind {
    Slot slot = kNoSlot;
    std::string source;
    std::string destination;
    bool read_only = false;
  };

  template <typename Op>
  void add(Op op) {
    plan_.ops.emplace_back(std::move(op));
  }

  Result<void> check_paths() {
    for (const BindMount& bind : request_.binds) {
      Bind clean{.source = clean_absolute(bind.source),
                 .destination = clean_absolute(bind.destination),
                 .read_only = bind.read_only};
      if (clean.source.empty()) return bad(cat("bind source ", bind.source, ": not absolute"));
      if (clean.destination.empty()) {
        return bad(cat("bind destination ", bind.destination, ": not absolute"));
      }
      if (clean.destination == "/") return bad("a bind cannot cover /");
      for (const char* own : {"/proc", "/sys", "/dev"}) {
        if (is_within(clean.destination, own)) {
          return bad(cat("a bind cannot lie in ", own, ": ", clean.destination));
        }
      }
      binds_.push_back(std::move(clean));
    }
    const auto is_device = [](const std::string& path) {
      return path.starts_with("/dev/") && clean_absolute(path) == path;
    };
    for (const DeviceNode& device : request_.devices) {
      if (!is_device(device.source) || !is_device(device.inside)) {
        return bad(cat("device ", device.source, ": not in /dev"));
      }
    }
    for (const std::string& path : request_.closed_devices) {
      if (!is_device(path)) return bad(cat("device ", path, ": not in /dev"));
    }
    for (const SandboxFile& file : request_.files) {
      if (file.name.empty() || file.name == "." || file.name == ".." ||
          file.name.find('/') != std::string::npos || file.name.find('\0') != std::string::npos) {
        return bad(cat("file name ", file.name));
      }
    }
    if (!request_.workdir.empty() && clean_absolute(request_.workdir).empty()) {
      return bad(cat("working directory ", request_.workdir, ": not absolute"));
    }
    if (request_.image) add_workdir_bind();
    return {};
  }

  // The directory the job was submitted from is seen at its own place, as without an image.
  void add_workdir_bind() {
    const std::string directory = clean_absolute(request_.workdir);
    if (directory.empty() ||
        std::ranges::find(kSystemDirectories, directory) != kSystemDirectories.end()) {
      return;
    }
    for (const char* own : {"/proc", "/sys", "/dev"}) {
      if (is_within(directory, own)) return;
    }
    for (const Bind& bind : binds_) {
      if (is_within(directory, bind.destination)) return;
    }
    binds_.push_back({.source = directory, .destination = directory});
  }

  Slot open_source(std::string path, bool recursive, bool if_present) {
    const Slot slot = plan_.slots++;
    add(OpenSource{slot, std::move(path), recursive, if_present});
    return slot;
  }

  void open_sources() {
    if (request_.image) plan_.slots = kTreeSlot + 1;
    if (request_.socket) plan_.slots = kSocketSlot + 1;
    for (const SandboxTool& tool : request_.tools) {
      for (const std::string& name : tool.names) {
        tools_.emplace_back(open_source(tool.path, false, true),
                            cat(kFilesDirectory, "/bin/", name));
      }
    }
    if (request_.image) {
      tree_ = kTreeSlot;
      if (!node_.tree_by_slot) add(OpenSource{tree_, node_.tree_path, false, false});
    }
    for (Bind& bind : binds_) bind.slot = open_source(bind.source, true, false);
    if (!request_.image) return;
    if (!request_.private_network) sys_ = open_source("/sys", true, false);
    for (const char* name : kDeviceNodes) {
      devices_.emplace_back(open_source(cat("/dev/", name), false, false), cat("/dev/", name));
    }
    for (const std::string& path : node_.devices) {
      devices_.emplace_back(open_source(path, true, true), path);
    }
    for (const DeviceNode& device : request_.devices) {
      devices_.emplace_back(open_source(device.source, false, false), device.inside);
    }
  }

  void add_image_root() {
    // /tmp exists everywhere, is searchable by everybody, and is not looked at any more.
    add(Stage{"/tmp", tmpfs_size()});
    add(AttachLower{.slot = tree_});
    for (const char* path : {"/proc", "/sys", "/dev"}) {
      add(RefuseSymlink{path});
      add(LayDirectory{path, 0755});
    }
    add(LayDirectory{"/tmp", 01777});
    add(LayDirectory{"/etc", 0755});
    if (!node_.inside) add(LayAccounts{request_.user});
    add(LayFile{"/etc/hosts", hosts_text(), 0644});
    add(LayFile{"/etc/resolv.conf", node_.resolv_text, 0644});
    add(LayFile{"/etc/hostname", request_.hostname + "\n", 0644});
    lay_home();
    for (const Bind& bind : binds_) {
      if (!made_later(bind)) add(LayDirectory{bind.destination, 0755});
    }
    add(MountOverlay{.user_namespace = node_.user_namespace,
                     .waivable = node_.waivers.contains(Waiver::OverlayFs)});
    add_proc();
    if (request_.private_network) {
      add(MountNew{.type = "sysfs", .path = "/sys", .no_exec = true});
      add(RemountReadOnly{"/sys"});
    } else {
      add(Attach{.slot = sys_, .path = "/sys", .read_only = true});
    }
    add_dev();
    add(MountNew{
        .type = "tmpfs", .path = "/tmp", .options = {{"mode", "1777"}, {"size", tmpfs_size()}}});
    add_binds();
    add(EnterRoot{});
    for (const char* path : kMasked) add(Mask{path});
    for (const char* path : kProtected) add(Protect{path});
    if (request_.read_only_root) add(RemountReadOnly{"/"});
  }

  void add_host_root() {
    add_shm();
    add(MountNew{.type = "mqueue", .path = "/dev/mqueue", .no_exec = true, .if_present = true});
    add_proc();
    add_binds();
  }

  void add_proc() {
    MountNew proc{.type = "proc", .path = "/proc", .no_exec = true};
    if (node_.waivers.contains(Waiver::ProcMount)) proc.waiver = Waiver::ProcMount;
    add(std::move(proc));
  }

  void add_dev() {
    add(MountNew{.type = "tmpfs",
                 .path = "/dev",
                 .options = {{"mode", "755"}, {"size", "1m"}, {"nr_inodes", "4096"}},
                 .no_exec = true});
    for (const auto& [slot, path] : devices_) {
      add(Attach{.slot = slot, .path = path, .no_devices = false, .make_target = true});
    }
    for (const auto& [name, target] : kDeviceLinks) add(MakeSymlink{cat("/dev/", name), target});
    add(MakeDirectory{"/dev/pts", 0755});
    add(MountNew{.type = "devpts",
                 .path = "/dev/pts",
                 .options = {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}},
                 .no_exec = true});
    add(MakeDirectory{"/dev/mqueue", 0755});
    add(MountNew{.type = "mqueue", .path = "/dev/mqueue", .no_exec = true});
    add(MakeDirectory{"/dev/shm", 0755});
    add_shm();
  }

  void add_shm() {
    add(MountNew{
        .type = "tmpfs", .path = "/dev/shm", .options = {{"mode", "1777"}, {"size", shm_size()}}});
    if (!has_files(request_)) return;
    const std::string directory(kFilesDirectory);
    std::size_t bytes = 0;
    for (const SandboxFile& file : request_.files) bytes += file.bytes.size() + 4096;
    add(MakeDirectory{directory, 0755});
    add(MountNew{.type = "tmpfs",
                 .path = directory,
                 .options = {{"mode", "755"}, {"size", cat(bytes / 1024 + 64, "k")}}});
    for (const SandboxFile& file : request_.files) {
      const mode_t mode = file.executable ? 0555 : 0444;
      add(MakeFile{cat(directory, "/", file.name), file.bytes, mode});
    }
    if (!tools_.empty()) add(MakeDirectory{directory + "/bin", 0755});
    for (const auto& [slot, path] : tools_) {
      add(Attach{.slot = slot, .path = path, .read_only = true, .make_target = true});
    }
    if (request_.socket) add(Listen{kSocketSlot, cat(directory, "/", request_.socket->name)});
    add(RemountReadOnly{directory});
  }

  void add_binds() {
    for (const Bind& bind : binds_) {
      Attach attach{.slot = bind.slot, .path = bind.destination, .read_only = bind.read_only};
      if (request_.image && is_within(bind.destination, "/tmp")) attach.make_target = true;
      add(std::move(attach));
    }
  }

  // Its mount point lies in something that is mounted after the overlay.
  [[nodiscard]] bool made_later(const Bind& bind) const {
    if (is_within(bind.destination, "/tmp")) return true;
    return std::ranges::any_of(binds_, [&](const Bind& other) {
      return &other < &bind && is_within(bind.destination, other.destination);
    });
  }

  void lay_home() {
    if (node_.inside) return;
    const std::string home = clean_absolute(request_.user.home);
    if (home.empty() || home == "/" || is_within(home, "/tmp")) return;
    for (const char* own : {"/proc", "/sys", "/dev"}) {
      if (is_within(home, own)) return;
    }
    for (const Bind& bind : binds_) {
      if (is_within(home, bind.destination)) return;
    }
    add(LayDirectory{home, 0700});
  }

  [[nodiscard]] std::string hosts_text() const {
    std::string text = node_.hosts_text;
    if (text.empty()) text = "127.0.0.1 localhost\n::1 localhost\n";
    if (!text.ends_with('\n')) text += '\n';
    for (const std::string_view line : split(text, '\n')) {
      std::string word;
      for (const char c : cat(line.substr(0, line.find('#')), " ")) {
        if (c != ' ' && c != '\t') {
          word += c;
          continue;
        }
        if (word == request_.hostname) return text;
        word.clear();
      }
    }
    return cat(text, "127.0.1.1 ", request_.hostname, "\n");
  }

  // Of the memory that the job may have; pages in it count against that anyway.
  [[nodiscard]] std::string tmpfs_size() const {
    if (!request_.limits.memory) return "50%";
    return cat(std::max<std::int64_t>(request_.limits.memory->value / 2, mebibytes(16).value));
  }
  [[nodiscard]] std::string shm_size() const {
    if (request_.limits.shm) return cat(request_.limits.shm->value);
    if (!request_.limits.memory) return "50%";
    // Docker's 64 MiB are a known trap: programs die of SIGBUS.
    return cat(std::max(request_.limits.memory->value / 2, mebibytes(64).value));
  }

  const SandboxRequest& request_;
  const NodeFacts& node_;
  SandboxPlan plan_;
  std::vector<Bind> binds_;
  std::vector<std::pair<Slot, std::string>> devices_;
  std::vector<std::pair<Slot, std::string>> tools_;
  Slot tree_ = kNoSlot;
  Slot sys_ = kNoSlot;
};

std::string octal(mode_t mode) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + (mode & 7)));
    mode >>= 3;
  } while (mode != 0);
  return "0" + digits;
}

std::string render_op(const SetupOp& op) {
  const auto yes = [](bool value, const char* text) { return value ? text : ""; };
  const auto ids = [](const Credentials& who) {
    std::vector<std::string> groups;
    for (const gid_t group : who.groups) groups.push_back(cat(group));
    return cat("uid=", who.uid, " gid=", who.gid, " groups=", join(groups, ","));
  };
  return std::visit(
      overloaded{
          [&](const BecomeUser& o) {
            return cat("become-user ", ids(o.who), yes(o.keep_groups, " keep-groups"));
          },
          [&](const ActAsUser& o) { return cat("act-as-user ", ids(o.who)); },
          [&](const ActAsSelf&) { return std::string("act-as-self"); },
          [&](const CheckAccess& o) {
            return cat("check-access ", o.image.manifest_digest, " ", o.image.path);
          },
          [&](const OpenOutput& o) {
            return cat("open-output ", o.output.path, yes(o.output.truncate, " truncate"),
                       " umask=", octal(o.umask));
          },
          [&](const OpenSource& o) {
            return cat("open-source ", o.slot, " ", o.path, yes(o.recursive, " recursive"),
                       yes(o.if_present, " if-present"));
          },
          [&](const IsolateMounts&) { return std::string("isolate-mounts"); },
          [&](const Stage& o) { return cat("stage ", o.path, " size=", o.size); },
          [&](const AttachLower& o) { return cat("attach-lower ", o.slot); },
          [&](const RefuseSymlink& o) { return cat("refuse-symlink ", o.path); },
          [&](const LayDirectory& o) { return cat("lay-directory ", o.path, " ", octal(o.mode)); },
          [&](const LayFile& o) {
            return cat("lay-file ", o.path, " ", octal(o.mode), " bytes=", o.text.size());
          },
          [&](const LayAccounts& o) { return cat("lay-accounts ", o.user.name); },
          [&](const MountOverlay& o) {
            return cat("mount-overlay", yes(o.user_namespace, " userxattr"),
                       yes(o.waivable, " waivable"));
          },
          [&](const UseTree& o) { return cat("use-tree ", o.slot, " ", o.path); },
          [&](const MountNew& o) {
            std::string text = cat("mount ", o.type, " ", o.path);
            for (const auto& [key, value] : o.options) {
              text += value.empty() ? cat(" ", key) : cat(" ", key, "=", value);
            }
            text += yes(o.no_exec, " noexec");
            text += yes(o.if_present, " if-present");
            if (o.waiver) text += " waivable";
            return text;
          },
          [&](const Attach& o) {
            return cat("attach ", o.slot, " ", o.path, yes(o.read_only, " read-only"),
                       yes(o.no_devices, " nodev"), yes(o.make_target, " make-target"));
          },
          [&](const MakeDirectory& o) { return cat("mkdir ", o.path, " ", octal(o.mode)); },
          [&](const MakeFile& o) {
            return cat("make-file ", o.path, " ", octal(o.mode), " bytes=", o.text.size());
          },
          [&](const MakeSymlink& o) { return cat("symlink ", o.path, " -> ", o.target); },
          [&](const Listen& o) { return cat("listen ", o.slot, " ", o.path); },
          [&](const RemountReadOnly& o) { return cat("remount-read-only ", o.path); },
          [&](const EnterRoot&) { return std::string("enter-root"); },
          [&](const Mask& o) { return cat("mask ", o.path); },
          [&](const Protect& o) { return cat("protect ", o.path); },
          [&](const CloseDevice& o) { return cat("close-device ", o.path); },
          [&](const BringUpLoopback&) { return std::string("loopback"); },
          [&](const SetHostname& o) { return cat("hostname ", o.name); },
          [&](const SetLimits&) { return std::string("limits"); },
          [&](const PinCores& o) {
            std::vector<std::string> cores;
            for (const int core : o.cores) cores.push_back(cat(core));
            return cat("pin-cores ", join(cores, ","));
          },
          [&](const LockDown& o) {
            return cat("lock-down", yes(o.keep != kNoCapabilities, " keep-own-capabilities"),
                       o.become ? cat(" ", ids(*o.become)) : "",
                       yes(o.seccomp_waivable, " seccomp-waivable"), yes(o.for_build, " build"));
          },
      },
      op);
}

}  // namespace

bool has_files(const SandboxRequest& request) {
  return !request.files.empty() || !request.tools.empty() || request.socket.has_value();
}

Result<SandboxPlan> make_sandbox_plan(const SandboxRequest& request, const NodeFacts& node) {
  return Planner(request, node).make();
}

std::string render_plan(const SandboxPlan& plan) {
  std::string text;
  for (const SetupOp& op : plan.ops) text += render_op(op) + "\n";
  return text;
}

}  // namespace gangway::containers
