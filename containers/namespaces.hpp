// Starting a child in namespaces of its own: the one way in which sandboxes, the archive reader and
// the kernel probe make them.
//
// The child goes on after clone without exec, so the calling process must have one thread. With
// CLONE_NEWUSER among the flags the kernel makes the user namespace first, and it owns the others.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 1;
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

struct IdMaps {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  // Must be set where the writer has no CAP_SETGID outside: the kernel then takes a map of one gid.
  bool deny_setgroups = false;
  // Written by newuidmap and newgidmap, which know what an ordinary user may map.
  bool by_helper = false;
};

// Each id is itself, and no other id exists. A privileged executor maps the supplementary groups
// too.
[[nodiscard]] IdMaps identity_maps(uid_t uid,
                                   gid_t gid,
                                   const std::vector<gid_t>& groups,
                                   bool privileged);
// "1000 1000 1\n", as /proc/<pid>/uid_map takes it. Pure.
[[nodiscard]] std::string render_id_map(const std::vector<IdRange>& ranges);

// A child that waits for release() before it does anything.
class HeldChild {
 public:
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const Fd& pidfd() const { return pidfd_; }
  [[nodiscard]] Fd take_pidfd() { return std::move(pidfd_); }
  // Writes the id maps of the child's user namespace.
  Result<void> write_maps(const IdMaps& maps);
  // Opens a namespace of the child, for setns() later: "user", "pid", "ipc", "uts", "mnt", "net".
  [[nodiscard]] Result<Fd> open_namespace(const std::string& which) const;
  // Lets the child go.
  void release();
  // Ends a child that was never released, and reaps it.
  void abandon();

 private:
  friend Result<HeldChild> spawn_held(std::uint64_t flags, const std::function<int()>& body);
  friend Result<Fd> make_user_namespace(const IdMaps& maps);
  pid_t pid_ = -1;
  Fd pidfd_;
  Fd gate_;
};

// `flags` are CLONE_NEW…; 0 is an ordinary fork. `body` runs in the child once it is released, and
// its value is the child's exit code. If the parent ends first the child does too.
// Errors: Denied (the kernel does not give such namespaces), Exhausted, Unsupported.
[[nodiscard]] Result<HeldChild> spawn_held(std::uint64_t flags, const std::function<int()>& body);

// A descriptor of a new user namespace with these maps and nobody in it, for idmapped mounts.
[[nodiscard]] Result<Fd> make_user_namespace(const IdMaps& maps);

// What spares this process when memory runs out (a negative oom_score_adj, which forks inherit) is
// not for the child `pid`.
void renounce_memory_protection(pid_t pid);

// Waits for the end of `pid` and reaps it. For short-lived children of our own.
int reap(pid_t pid);

}  // namespace gangway::containers
