#include "containers/sandbox_init.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "containers/init_protocol.hpp"
#include "containers/privileges.hpp"
#include "containers/program_starter.hpp"
#include "containers/sandbox_run.hpp"
#include "containers/seccomp_filter.hpp"

namespace gangway::containers {
namespace {

int init_main(const SandboxPlan& plan, std::vector<Fd> slots, Fd socket, Fd null) {
  std::vector<int> keep{socket.get()};
  for (int fd = 0; fd <= 2; ++fd) dup2(null.get(), fd);
  for (const Fd& slot : slots) {
    if (slot) keep.push_back(slot.get());
  }
  std::sort(keep.begin(), keep.end());
  null.reset();
  Result<void> closed = close_from(3, keep);
  Result<PerformedPlan> done =
      closed ? perform_plan(plan, std::move(slots)) : Result<PerformedPlan>(closed.error());
  const InitReport report = done ? InitReport{SetUp{done->waived, done->access_checked}}
                                 : InitReport{SetUpFailed{done.error().with_context("sandbox")}};
  std::vector<int> outputs;
  if (done) {
    for (const Fd& fd : done->outputs) outputs.push_back(fd.get());
  }
  if (!send_packet(socket.get(), encode_report(report), outputs, /*wait=*/true) || !done) return 1;
  done->outputs.clear();
  run_program_starter(std::move(socket), {.sweep = true, .before_exec = {}});
}

}  // namespace

Result<SandboxInit> spawn_sandbox_init(const SandboxPlan& plan,
                                       std::vector<Fd> slots,
                                       const std::optional<IdMaps>& maps,
                                       bool private_network) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("make socket pair", errno);
  }
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return errno_error("open /dev/null", errno);
  const std::uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                              (maps ? CLONE_NEWUSER : 0) | (private_network ? CLONE_NEWNET : 0);
  GANGWAY_ASSIGN(HeldChild child, spawn_held(flags, [&]() {
                   return init_main(plan, std::move(slots), std::move(theirs), std::move(null));
                 }));
  const auto fill = [&](SandboxInit& init) -> Result<void> {
    if (maps) {
      GANGWAY_TRY_CONTEXT(init.child.write_maps(*maps), "id map");
    }
    // Opened now: later the process is not to be looked into, even by its parent.
    for (const char* which : {"user", "ipc", "uts", "net", "pid"}) {
      if (!maps && std::string_view(which) == "user") continue;
      if (!private_network && std::string_view(which) == "net") continue;
      GANGWAY_ASSIGN(Fd fd, init.child.open_namespace(which));
      init.join.push_back(std::move(fd));
    }
    return {};
  };
  SandboxInit init{std::move(child), std::move(ours), {}};
  if (auto filled = fill(init); !filled) {
    init.child.abandon();
    return filled.error();
  }
  return init;
}

Result<HostStarter> spawn_host_starter(const std::vector<Fd>& join,
                                       const Credentials& user,
                                       bool seccomp_waivable) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("make socket pair", errno);
  }
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  const auto prepare_program = [user, seccomp_waivable]() -> Result<void> {
    GANGWAY_TRY(drop_bounding_capabilities());
    GANGWAY_TRY(become(user));
    GANGWAY_TRY(set_parent_death_signal());
    GANGWAY_TRY(drop_capabilities());
    GANGWAY_TRY(set_no_new_privileges());
    const Result<void> filtered = load_seccomp(SeccompProfile::Job);
    return seccomp_waivable ? Result<void>() : filtered;
  };
  GANGWAY_ASSIGN(HeldChild child, spawn_held(0, [&]() -> int {
                   std::vector<int> keep{theirs.get()};
                   for (const Fd& fd : join) keep.push_back(fd.get());
                   std::sort(keep.begin(), keep.end());
                   if (!close_from(3, keep) || !set_not_dumpable()) return 70;
                   for (const Fd& fd : join) {
                     if (setns(fd.get(), 0) != 0) return 71;
                   }
                   run_program_starter(std::move(theirs),
                                       {.sweep = false, .before_exec = prepare_program});
                 }));
  return HostStarter{std::move(child), std::move(ours)};
}

}  // namespace gangway::containers
