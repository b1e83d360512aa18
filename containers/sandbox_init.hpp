// The first process of a sandbox: sets it up, starts programs on request, reaps them, passes
// signals on, and tells the shepherd how each one ended.
//
// It has the user's ids and no rights, cannot be traced or read by the user's programs, and ends
// with the shepherd; the kernel then kills whatever else is in its process namespace.
#pragma once

#include <optional>
#include <vector>

#include "containers/namespaces.hpp"
#include "containers/privileges.hpp"
#include "containers/sandbox_plan.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// A sandbox's init that waits to be released, and what is needed to speak with it and to join it.
struct SandboxInit {
  HeldChild child;
  Fd socket;  // of init_protocol.hpp
  std::vector<Fd>
      join;  // user (if any), ipc, uts, net (if own) and pid namespaces, in the order to enter them
};

// Starts the process and writes its id maps. The caller puts it into its control group and then
// releases it; SetUp or SetUpFailed follows on the socket.
// Errors: Denied, Unsupported (the kernel does not give the namespaces), Exhausted.
[[nodiscard]] Result<SandboxInit> spawn_sandbox_init(const SandboxPlan& plan,
                                                     std::vector<Fd> slots,
                                                     const std::optional<IdMaps>& maps,
                                                     bool private_network);

// Starts programs in the sandbox's user, process, ipc and uts namespaces that see the node's file
// system: a process outside of the process namespace that serves the same socket protocol. Its
// programs have the user's ids and no rights, like all others.
struct HostStarter {
  HeldChild child;  // to be put into the control group and released by the caller
  Fd socket;
};
[[nodiscard]] Result<HostStarter> spawn_host_starter(const std::vector<Fd>& join,
                                                     const Credentials& user,
                                                     bool seccomp_waivable);

}  // namespace gangway::containers
