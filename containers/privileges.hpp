// Identity and rights of a process: becoming a user, giving up every right for good.
//
// Nothing here can be undone except act_as(), which lasts as long as its object. All functions work
// the same in the first user namespace and in a sandbox's own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

// The ids a process should have; `groups` are the supplementary ones.
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// Real, effective, saved ids and supplementary groups of the calling process become `who`, in that
// order which never leaves a moment with the user's uid and somebody else's groups. Groups are left
// alone if the process may not set them and is that user already (a rootless executor).
// Errors: Denied, Internal (a call pretended to succeed).
Result<void> become(const Credentials& who);
// The same without a change of supplementary groups.
Result<void> become_with_own_groups(const Credentials& who);

// File-system rights of `who` until the end of the object's life; for a privileged process that
// opens a user's files. In a process that is `who` already it does nothing.
class ActAs {
 public:
  explicit ActAs(const Credentials& who);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool active_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;
};

// Capabilities as bits. What root of a sandbox with ids of its own may do, to its own files and
// processes: what Docker's default has, without devices, raw sockets and chroot.
inline constexpr std::uint64_t kNoCapabilities = 0;
inline constexpr std::uint64_t kSandboxRootCapabilities =
    1U << 0 /*chown*/ | 1U << 1 /*dac_override*/ | 1U << 3 /*fowner*/ | 1U << 4 /*fsetid*/ |
    1U << 5 /*kill*/ | 1U << 6 /*setgid*/ | 1U << 7 /*setuid*/;
// And root of a build, of which there is one id alone: no changes of ids, but chroot.
inline constexpr std::uint64_t kBuildCapabilities = 1U << 0 /*chown*/ | 1U << 1 /*dac_override*/ |
                                                    1U << 3 /*fowner*/ | 1U << 4 /*fsetid*/ |
                                                    1U << 5 /*kill*/ | 1U << 18 /*sys_chroot*/;

// Empties the bounding set but for `keep`, where the process may. To be called before become() if
// that takes the right to do so away.
Result<void> drop_bounding_capabilities(std::uint64_t keep = kNoCapabilities);
// Empties every capability set of the calling thread but for `keep`, the bounding and ambient ones
// too where the process may, and locks the secure bits, so that no exec() brings one back.
Result<void> drop_capabilities(std::uint64_t keep = kNoCapabilities);
// PR_SET_NO_NEW_PRIVS: no exec() raises rights, whatever the file's set-id bits say.
Result<void> set_no_new_privileges();
// No core dump, no ptrace, no reading of /proc/<pid>/… by others of the same user.
Result<void> set_not_dumpable();
// SIGKILL at the end of the parent. The kernel forgets it at each change of ids, so: call it after.
Result<void> set_parent_death_signal();

// Closes all descriptors from `first` on, except those in `keep` (sorted ascending).
Result<void> close_from(int first, const std::vector<int>& keep = {});

}  // namespace gangway::containers
