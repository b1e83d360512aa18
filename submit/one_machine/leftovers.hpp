// What a cluster may leave in the machine outside its directory, and its removal: processes,
// mounts, control groups. Found by looking at the machine, not by remembering, so that it is right
// also after everything was killed.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/process_table.hpp"

namespace gangway::one_machine {

struct RunningShepherd {
  ProcessId process;
  std::string directory;  // of its attempt, in its node's spool
  friend auto operator<=>(const RunningShepherd&, const RunningShepherd&) = default;
};
// By the records in the nodes' spools and by their command lines.
[[nodiscard]] std::vector<RunningShepherd> find_shepherds(const ClusterLayout& layout,
                                                          const std::vector<NodeName>& nodes);
// HAProxy's master processes, by the socket in their command lines; their workers end with them.
// Who started one may be gone.
[[nodiscard]] std::vector<ProcessId> find_haproxies(const ClusterLayout& layout);
// Tells them to end their jobs and waits until each has cleaned up, at most `grace`; then kills.
// One that has cleaned up would wait for its executor to take its report, which is gone.
void stop_shepherds(const std::vector<RunningShepherd>& shepherds, Duration grace);
// Every process that is in one of the cluster's network namespaces, is one of `known`, or descends
// from such a one. Never ourselves.
[[nodiscard]] std::vector<ProcessId> find_members(const ClusterLayout& layout,
                                                  const std::vector<ProcessId>& known);

// Mount points below `directory` in the text of /proc/<pid>/mountinfo, deepest first. Pure.
[[nodiscard]] std::vector<std::string> mounts_below(std::string_view mountinfo,
                                                    const std::string& directory);
// Those below the nodes' directories. Errors: the first mount that could not be removed.
[[nodiscard]] Result<void> remove_mounts(const ClusterLayout& layout,
                                         const std::vector<NodeName>& nodes);

// Directories called `name` in any hierarchy of control groups.
[[nodiscard]] std::vector<std::string> find_control_groups(const std::string& name);
// Kills what is in them first. Errors: the first group that could not be removed.
[[nodiscard]] Result<void> remove_control_groups(const std::string& name);

}  // namespace gangway::one_machine
