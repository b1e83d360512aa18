// Performs a SandboxPlan in the process that becomes the sandbox's init: with sandbox_init.cpp and
// namespaces.cpp all that mounts, pivots and clones for a sandbox.
#pragma once

#include <string>
#include <vector>

#include "containers/sandbox_plan.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct PerformedPlan {
  std::vector<std::string> waived;  // what was left out, as SandboxReady::waivers has it
  bool access_checked = false;      // the user may read the image
  // SandboxRequest::outputs in that order, those to be truncated empty; none if one of them could
  // not be opened here.
  std::vector<Fd> outputs;
};

// Requires: the caller is a fresh child in its own mount namespace (and the others of the plan),
// and `slots` holds what a privileged parent has opened for it. Every path inside is resolved below
// the new root without following links out of it. After an error the process must end, and no
// output has been truncated.
[[nodiscard]] Result<PerformedPlan> perform_plan(const SandboxPlan& plan, std::vector<Fd> slots);

// A clone of the mount that `tree` (an O_PATH descriptor of a directory) lies on, at that
// directory: read-only, nosuid, nodev, and with `map_owner` (a user namespace's descriptor, or -1)
// showing the owner's files as another id's. For a privileged parent. Errors: Unsupported if this
// file system or kernel cannot map owners.
[[nodiscard]] Result<Fd> clone_tree(int tree, int map_owner);

}  // namespace gangway::containers
