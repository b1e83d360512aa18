#include "containers/privileges.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "queues/base/check.hpp"

namespace gangway::containers {
namespace {

bool has_ids(const Credentials& who) {
  uid_t ruid = 0;
  uid_t euid = 0;
  uid_t suid = 0;
  gid_t rgid = 0;
  gid_t egid = 0;
  gid_t sgid = 0;
  if (getresuid(&ruid, &euid, &suid) != 0 || getresgid(&rgid, &egid, &sgid) != 0) return false;
  return ruid == who.uid && euid == who.uid && suid == who.uid && rgid == who.gid &&
         egid == who.gid && sgid == who.gid;
}

std::vector<gid_t> current_groups() {
  const int count = getgroups(0, nullptr);
  CHECK(count >= 0);
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (count > 0) CHECK(getgroups(count, groups.data()) == count);
  return groups;
}

}  // namespace

Result<void> become(const Credentials& who) {
  if (setgroups(who.groups.size(), who.groups.data()) != 0) {
    // A rootless executor cannot change groups; it runs as the only user it can serve.
    if (errno != EPERM || !has_ids(who)) return errno_error("set supplementary groups", errno);
  }
  return become_with_own_groups(who);
}

Result<void> become_with_own_groups(const Credentials& who) {
  if (setresgid(who.gid, who.gid, who.gid) != 0) return errno_error("set group id", errno);
  if (setresuid(who.uid, who.uid, who.uid) != 0) return errno_error("set user id", errno);
  if (!has_ids(who)) return Error(ErrorKind::Internal, "ids are not what was set");
  return {};
}

ActAs::ActAs(const Credentials& who) {
  uid_ = geteuid();
  gid_ = getegid();
  if (uid_ == who.uid) return;
  groups_ = current_groups();
  // setfsuid() to a user takes the file capabilities away as well, and back to root returns them.
  CHECK(setgroups(who.groups.size(), who.groups.data()) == 0);
  setfsgid(who.gid);
  setfsuid(who.uid);
  CHECK(setfsuid(static_cast<uid_t>(-1)) == static_cast<int>(who.uid));
  CHECK(setfsgid(static_cast<gid_t>(-1)) == static_cast<int>(who.gid));
  active_ = true;
}

ActAs::~ActAs() {
  if (!active_) return;
  setfsuid(uid_);
  setfsgid(gid_);
  CHECK(setfsuid(static_cast<uid_t>(-1)) == static_cast<int>(uid_));
  CHECK(setgroups(groups_.size(), groups_.data()) == 0);
}

Result<void> drop_bounding_capabilities(std::uint64_t keep) {
  for (int cap = 0; cap < 64; ++cap) {
    if ((keep >> cap & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
    // EINVAL: beyond this kernel's last capability.
    // EPERM: without CAP_SETPCAP; then the process holds nothing that the set would guard.
    if (errno == EINVAL || errno == EPERM) break;
    return errno_error("drop capability from the bounding set", errno);
  }
  return {};
}

Result<void> drop_capabilities(std::uint64_t keep) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  GANGWAY_TRY(drop_bounding_capabilities(keep));
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  // Root of a sandbox keeps what it has through exec() and loses it with its id.
  constexpr unsigned long kRootBits =
      SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  const unsigned long bits = keep == kNoCapabilities ? kBits : kRootBits;
  if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0 && errno != EPERM) {
    return errno_error("lock secure bits", errno);
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const auto low = static_cast<std::uint32_t>(keep);
  const auto high = static_cast<std::uint32_t>(keep >> 32);
  __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
  if (syscall(SYS_capset, &header, data) != 0) return errno_error("empty capability sets", errno);
  __user_cap_data_struct check[2] = {};
  if (syscall(SYS_capget, &header, check) != 0 || check[0].effective != low ||
      check[1].effective != high || check[0].permitted != low || check[1].permitted != high) {
    return Error(ErrorKind::Internal, "capabilities are not what was set");
  }
  return {};
}

Result<void> set_no_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("no_new_privs", errno);
  return {};
}

Result<void> set_not_dumpable() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error("set not dumpable", errno);
  return {};
}

Result<void> set_parent_death_signal() {
  if (prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) != 0) return errno_error("parent-death signal", errno);
  return {};
}

Result<void> close_from(int first, const std::vector<int>& keep) {
  CHECK(std::ranges::is_sorted(keep));
  unsigned next = static_cast<unsigned>(first);
  for (const int fd : keep) {
    if (fd < first) continue;
    const unsigned kept = static_cast<unsigned>(fd);
    if (kept > next && close_range(next, kept - 1, 0) != 0) return errno_error("close", errno);
    next = kept + 1;
  }
  if (close_range(next, UINT_MAX, 0) != 0) return errno_error("close", errno);
  return {};
}

}  // namespace gangway::containers
