// Cgroup: the control groups of one sandbox, in every hierarchy that the node has: limits on
// memory, cores and processes, and what was used.
//
// Limits are set before any process enters. What is asked for and cannot be enforced is an error,
// unless its waiver is allowed. A parent name that does not begin with '/' lies, for root, below
// the root of each hierarchy, and for other users below the group that the executor itself is in,
// where a service manager may have delegated it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "containers/cgroup_layout.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/base/waiver.hpp"

namespace gangway::containers {

struct CgroupRequest {
  std::string parent = "gangway";  // may have several components
  std::string name;                // of the sandbox: "42.1"
  std::vector<int> cores;          // empty: all of the parent's
  std::optional<Bytes> memory;
  std::optional<std::int64_t> pids;
  // Character devices that no process in it can open, under whatever name: by v1's controller, else
  // by a program in v2. Where neither can be had (who is not root) the sandbox's mounts alone close
  // them. Those that everybody needs (/dev/null and its kin) are passed over.
  std::vector<dev_t> closed_devices;
};

struct CgroupUsage {
  std::optional<Duration> cpu;
  std::optional<Bytes> peak_memory;  // with the page cache and tmpfs pages it is charged for
  bool out_of_memory = false;
};

class Cgroup {
 public:
  // What was left out is appended to `waived`. On an error nothing is left behind.
  // An empty group of this name, left behind by a killed shepherd, is replaced.
  // Errors: Unsupported (cannot be enforced, with the reason and the waiver's name), Invalid,
  // Conflict (a group of this name has processes).
  [[nodiscard]] static Result<Cgroup> make(const CgroupLayout& layout,
                                           const CgroupRequest& request,
                                           const WaiverSet& allowed,
                                           std::vector<std::string>& waived);

  // What an earlier process has left of a group of this name; it may be nothing.
  [[nodiscard]] static Cgroup find(const CgroupLayout& layout,
                                   const std::string& parent,
                                   const std::string& name);

  // Processes that `pid` forks from now on belong to it too.
  Result<void> add(pid_t pid) const;
  // The files to write a pid (or 0 for oneself) to; for children that join by themselves.
  [[nodiscard]] const std::vector<std::string>& directories() const { return directories_; }
  [[nodiscard]] CgroupUsage usage() const;
  // Kills every process in it, also those that fork meanwhile.
  void kill_all() const;
  // Requires: no process of the caller's own is in it. Kills stragglers and waits briefly for them.
  Result<void> remove();

 private:
  std::vector<std::string> directories_;
  std::string memory_;  // directories, empty if there is none
  std::string cpuacct_;
  std::string unified_;
  bool memory_v2_ = false;
};

// v2 gives controllers only to groups whose parent has no processes of its own. An executor of an
// ordinary user, started in a group that was delegated to it, moves itself and what it forks from
// now on into a leaf there, so that jobs' groups can lie beside it. Nothing to do for root, for v1,
// and for whoever has been here before. Errors: Denied (not delegated).
Result<void> enter_leaf_group(const CgroupLayout& layout);

// Whether groups can be made below `parent` for this controller; the error says why not. For the
// kernel probe; makes and removes a group.
Result<void> probe_cgroup_controller(const CgroupLayout& layout, const std::string& controller);

}  // namespace gangway::containers
