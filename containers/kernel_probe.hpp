// What this kernel and this user's rights allow, found out by trying: what sandboxes, limits and
// images need, each with the reason when it is missing and what to do about it.
//
// probe_kernel() forks short-lived children that try things in namespaces of their own; it changes
// nothing that outlives it. A few milliseconds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gangway::containers {

struct Feature {
  bool available = false;
  std::string detail;  // how, or why not: "EPERM: kernel.unprivileged_userns_clone is 0"
};

enum class CgroupKind { None, V1, V2, Hybrid };
[[nodiscard]] std::string_view to_string(CgroupKind kind);  // "v1"

struct KernelFeatures {
  std::string release;               // uname -r
  bool privileged = false;           // probed by root
  Feature user_namespaces;           // for the user who asks
  Feature user_namespaces_ordinary;  // for an ordinary user (asked by root: tried as one)
  Feature mount_api;                 // open_tree, move_mount, mount_setattr
  Feature openat2;
  Feature overlay;          // in a user namespace, with userxattr
  Feature idmapped_mounts;  // images are owned by the job's user inside
  Feature proc_mount;       // an own /proc in a process namespace of its own
  Feature seccomp;
  Feature pidfd;
  Feature clone_into_cgroup;
  CgroupKind cgroup_kind = CgroupKind::None;
  Feature cgroup_memory;  // writable below where the executor would make its groups
  Feature cgroup_cpus;    // cpuset
  Feature cgroup_pids;
  Feature cgroup_freezer;
  Feature cgroup_devices;   // those of other jobs are closed by number, too
  Feature subordinate_ids;  // for --user image and --user root
  Feature cgroup_kill;
};

[[nodiscard]] KernelFeatures probe_kernel();

// One line of `gangway doctor`.
struct ProbeRow {
  std::string name;
  bool ok = false;
  std::string detail;
  std::string remedy;  // empty if ok
  std::string waiver;  // the waiver that lets jobs run without it; empty: none, or not needed
  bool needed = true;  // false: jobs run as well without it, and need no waiver
};
// Pure.
[[nodiscard]] std::vector<ProbeRow> render_rows(const KernelFeatures& features);

}  // namespace gangway::containers
