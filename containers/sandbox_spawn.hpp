// From a request for a sandbox to its first process: who its programs are inside, its control
// group, its ids and namespaces.
//
// Nothing of the user's runs yet and nothing of the user's is opened here. Requires: a process with
// one thread. What a waiver allows to be missing is appended to `waived`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containers/cgroup.hpp"
#include "containers/image_report.hpp"
#include "containers/runtime.hpp"
#include "containers/sandbox_init.hpp"
#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_runtime.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// Who programs are inside of the image; nullopt: the user by the same number. `slots` holds the
// image's tree, where it is open already.
// Errors: those of find_image_user() and of the tree.
[[nodiscard]] Result<std::optional<UserIdentity>> choose_inside(const SandboxRequest& request,
                                                                const ImageReport& image,
                                                                const std::vector<Fd>& slots);

// nullopt: the settings want none. Errors: those of Cgroup::make(); Invalid (limits without one).
[[nodiscard]] Result<std::optional<Cgroup>> make_sandbox_cgroup(const SandboxRequest& request,
                                                                const SandboxSettings& settings,
                                                                std::vector<std::string>& waived);

// The process waits to be put into its control group and released. `facts.inside` says who programs
// are. Errors: those of make_ranged_maps(), make_sandbox_plan() and spawn_sandbox_init().
[[nodiscard]] Result<SandboxInit> spawn_sandbox(const SandboxRequest& request,
                                                const WaiverSet& allowed,
                                                NodeFacts facts,
                                                std::vector<Fd> slots,
                                                std::vector<std::string>& waived);

}  // namespace gangway::containers
