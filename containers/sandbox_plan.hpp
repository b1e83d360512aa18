// SandboxPlan: a request for a sandbox as a list of steps, for sandbox_run.cpp to perform.
//
// Which steps, and why in this order: the program's identity first (in a user namespace of its own,
// with the rights that gives there); then every source from the node's file system is opened, with
// the user's rights and before anything covers it; then the new root is put together and entered;
// then what is not for jobs is masked; last all rights go. After the sources no path of the node is
// looked at, and every path inside is resolved in the new root without following links out of it.
//
// Images: overlay of the node's read-only tree and a tmpfs; mount points and generated files are
// laid into the upper layer before the overlay is mounted, so that an image which has a symlink or
// a FIFO in their place is simply covered. No image: the node's file system with an own /proc and
// /dev/shm.
//
// Pure: no I/O. Text form by render_plan(), for people and for tests.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "containers/privileges.hpp"
#include "containers/runtime.hpp"
#include "queues/base/result.hpp"
#include "queues/base/waiver.hpp"

namespace gangway::containers {

// Where SandboxRequest::files are seen.
inline constexpr std::string_view kFilesDirectory = "/dev/shm/.gangway";

// A descriptor that a step opens and a later one uses.
using Slot = int;
inline constexpr Slot kNoSlot = -1;
// The image's tree; filled by a privileged parent if NodeFacts::tree_by_slot.
inline constexpr Slot kTreeSlot = 0;
// SandboxRequest::socket, if there is one.
inline constexpr Slot kSocketSlot = 1;

namespace setup {

// Ids of the process. Without a user namespace this is part of LockDown instead.
struct BecomeUser {
  Credentials who;
  bool keep_groups = false;  // an ordinary user's groups, which have no numbers inside
};
// Between them, without a user namespace, sources are opened with the user's file rights.
struct ActAsUser {
  Credentials who;
};
struct ActAsSelf {};
// A clone of the mounts at `path`, taken out of the file system by descriptor.
struct OpenSource {
  Slot slot = kNoSlot;
  std::string path;
  bool recursive = true;
  bool if_present = false;
};
// Whether the user may read the image where it comes from. It is noted and no failure: the image
// helper knows more ways, and has the words for a refusal.
struct CheckAccess {
  ImageSource image;
};
// A file for the outputs of programs, opened here to save a process that would do it. One that
// cannot be opened, or leads through a link into a process (/dev/stdout), is left to that process.
struct OpenOutput {
  ProgramOutput output;
  mode_t umask = 022;
};
// No mount of ours goes out to the node; the node's new ones still come in (automounted homes,
// CVMFS).
struct IsolateMounts {};
// A tmpfs on `path` of the node's tree, in which the new root is put together.
struct Stage {
  std::string path;
  std::string size;
};
// The image's tree becomes the lower layer.
struct AttachLower {
  Slot slot = kNoSlot;
};
// The image must not have a symlink at `path`.
struct RefuseSymlink {
  std::string path;
};
// Into the upper layer, parents included; existing directories of the image keep their mode.
struct LayDirectory {
  std::string path;
  mode_t mode = 0755;
};
struct LayFile {
  std::string path;
  std::string text;
  mode_t mode = 0644;
};
// passwd and group: the image's with the user's own entries.
struct LayAccounts {
  UserIdentity user;
};
struct MountOverlay {
  bool user_namespace = true;
  bool waivable = false;
};
// A tree that may be written, `path`, becomes the new root itself: a build's.
struct UseTree {
  Slot slot = kNoSlot;
  std::string path;
};
// A new file system at `path` inside.
struct MountNew {
  std::string type;
  std::string path;
  std::vector<std::pair<std::string, std::string>> options{};
  bool no_exec = false;
  bool if_present = false;         // skipped where the directory does not exist
  std::optional<Waiver> waiver{};  // skipped with a remark if the kernel refuses
};
// Attaches a slot at `path` inside; nothing if the slot is empty. `make_target`: a missing mount
// point is made, with what is missing on the way.
struct Attach {
  Slot slot = kNoSlot;
  std::string path;
  bool read_only = false;
  bool no_devices = true;
  bool make_target = false;
};
struct MakeDirectory {
  std::string path;
  mode_t mode = 0755;
};
struct MakeFile {
  std::string path;
  std::string text;
  mode_t mode = 0644;
};
struct MakeSymlink {
  std::string path;
  std::string target;
};
// Binds the slot's socket to `path` and listens.
struct Listen {
  Slot slot = kNoSlot;
  std::string path;
};
struct RemountReadOnly {
  std::string path;
};
struct EnterRoot {};  // pivot_root; the node's tree goes away
struct Mask {
  std::string path;
};  // unreadable; skipped if absent
struct Protect {
  std::string path;
};  // read-only; skipped if absent
// A device node that is there and cannot be opened; skipped if absent.
struct CloseDevice {
  std::string path;
};
struct BringUpLoopback {};  // of a network namespace of its own
struct SetHostname {
  std::string name;
};
struct SetLimits {};  // no core dumps, memory may be locked up to the hard limit
struct PinCores {
  std::vector<int> cores;
};
// No capabilities but those to keep, no_new_privs, system call filter; without a user namespace the
// ids first. `for_build`: the filter says that changes of owners and ids, of which there is one,
// have been made.
struct LockDown {
  std::optional<Credentials> become{};
  bool seccomp_waivable = false;
  std::uint64_t keep = kNoCapabilities;
  bool for_build = false;
};

}  // namespace setup

using SetupOp = std::variant<setup::BecomeUser,
                             setup::ActAsUser,
                             setup::ActAsSelf,
                             setup::CheckAccess,
                             setup::OpenOutput,
                             setup::OpenSource,
                             setup::IsolateMounts,
                             setup::Stage,
                             setup::AttachLower,
                             setup::RefuseSymlink,
                             setup::LayDirectory,
                             setup::LayFile,
                             setup::LayAccounts,
                             setup::MountOverlay,
                             setup::UseTree,
                             setup::MountNew,
                             setup::Attach,
                             setup::MakeDirectory,
                             setup::MakeFile,
                             setup::MakeSymlink,
                             setup::Listen,
                             setup::RemountReadOnly,
                             setup::EnterRoot,
                             setup::Mask,
                             setup::Protect,
                             setup::CloseDevice,
                             setup::BringUpLoopback,
                             setup::SetHostname,
                             setup::SetLimits,
                             setup::PinCores,
                             setup::LockDown>;

// What the plan needs to know of the node.
struct NodeFacts {
  bool user_namespace = true;        // else set up as root (a waiver)
  bool tree_by_slot = false;         // a privileged parent has opened the image's tree as slot 0
  bool check_access = false;         // it did so before it knew whether the user may read the image
  std::string tree_path;             // else: where it is
  std::vector<std::string> devices;  // to be seen in images beside the minimal /dev, if present
  std::string hosts_text;            // of the node's /etc/hosts and resolv.conf
  std::string resolv_text;
  std::optional<UserIdentity> inside;  // who the user is in there, if not the same
  bool keep_groups = false;            // of an ordinary user's executor with subordinate ids
  WaiverSet waivers;
};

struct SandboxPlan {
  std::vector<SetupOp> ops;
  int slots = 0;
};

// Whether there is anything to be seen in kFilesDirectory.
[[nodiscard]] bool has_files(const SandboxRequest& request);

// Errors: Invalid (a path that is not absolute or has "..", a destination that would cover /proc,
// /dev, /sys or the root, a file name with '/').
[[nodiscard]] Result<SandboxPlan> make_sandbox_plan(const SandboxRequest& request,
                                                    const NodeFacts& node);
// One step a line.
[[nodiscard]] std::string render_plan(const SandboxPlan& plan);

}  // namespace gangway::containers
