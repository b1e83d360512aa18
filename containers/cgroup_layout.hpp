// Which control group hierarchies a node has, where, and in which group of each this process is.
//
// Machines differ: all controllers in one v2 hierarchy, each in a v1 hierarchy of its own, or both
// (hybrid). Pure but for read_cgroup_layout(), which reads two files of /proc.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

struct CgroupHierarchy {
  int version = 2;
  std::string mount;                  // "/sys/fs/cgroup/memory"
  std::set<std::string> controllers;  // "memory", "cpuset", …
  std::string own_group;              // of this process, below `mount`: "", "/user.slice/x"
  friend bool operator==(const CgroupHierarchy&, const CgroupHierarchy&) = default;
};

struct CgroupLayout {
  std::vector<CgroupHierarchy> hierarchies;  // v2 last, if there is one

  // The hierarchy that has this controller; null if none.
  [[nodiscard]] const CgroupHierarchy* find(std::string_view controller) const;
  [[nodiscard]] const CgroupHierarchy* unified() const;
};

// `mountinfo`, `own`: /proc/self/mountinfo and /proc/self/cgroup. `unified_controllers`: what
// cgroup.controllers at the root of the v2 mount says.
[[nodiscard]] CgroupLayout parse_cgroup_layout(std::string_view mountinfo,
                                               std::string_view own,
                                               std::string_view unified_controllers);
[[nodiscard]] CgroupLayout read_cgroup_layout();

// "0-3,8" -> {0,1,2,3,8}, and back. nullopt if malformed.
[[nodiscard]] std::optional<std::vector<int>> parse_core_list(std::string_view text);
[[nodiscard]] std::string render_core_list(std::vector<int> cores);

}  // namespace gangway::containers
