#include "containers/sandbox_spawn.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "containers/accounts.hpp"
#include "containers/subordinate_ids.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxAccountsBytes = 1 << 20;

bool is_privileged() { return geteuid() == 0; }

std::vector<dev_t> numbers_of_closed_devices(const SandboxRequest& request) {
  std::vector<dev_t> numbers;
  for (const std::string& path : request.closed_devices) {
    struct stat status {};
    const bool there = stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode);
    // Another name of a device that is its own stays open.
    const bool own =
        there && std::ranges::any_of(request.devices, [&](const DeviceNode& device) {
          struct stat given {};
          return stat(device.source.c_str(), &given) == 0 && given.st_rdev == status.st_rdev;
        });
    if (there && !own) numbers.push_back(status.st_rdev);
  }
  return numbers;
}

// The user's supplementary groups that have a number inside.
void add_own_groups(const UserIdentity& user, const IdMaps& maps, UserIdentity& inside) {
  for (const gid_t group : user.groups) {
    const bool mapped = std::ranges::any_of(maps.gids, [&](const IdRange& range) {
      return range.count == 1 && range.inside == group && range.outside == group;
    });
    if (mapped) inside.groups.push_back(group);
  }
}

std::vector<Fd> share(const std::vector<Fd>& slots) {
  std::vector<Fd> copies;
  copies.reserve(slots.size());
  for (const Fd& slot : slots) copies.emplace_back(fcntl(slot.get(), F_DUPFD_CLOEXEC, 3));
  return copies;
}

}  // namespace

Result<std::optional<UserIdentity>> choose_inside(const SandboxRequest& request,
                                                  const ImageReport& image,
                                                  const std::vector<Fd>& slots) {
  using Inside = std::optional<UserIdentity>;
  if (request.inside == InsideUser::Self) return Inside();
  if (request.inside == InsideUser::Root) {
    return Inside(UserIdentity{
        .uid = 0, .gid = 0, .groups = {}, .name = "root", .home = "/root", .shell = {}});
  }
  const Fd tree(slots.empty() ? open(image.tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)
                              : fcntl(slots[kTreeSlot].get(), F_DUPFD_CLOEXEC, 3));
  if (!tree) return errno_error(cat("open ", image.tree), errno);
  GANGWAY_ASSIGN(
      UserIdentity found,
      find_image_user(read_file_in_tree(tree.get(), "/etc/passwd", kMaxAccountsBytes),
                      read_file_in_tree(tree.get(), "/etc/group", kMaxAccountsBytes), image.user));
  return Inside(std::move(found));
}

Result<std::optional<Cgroup>> make_sandbox_cgroup(const SandboxRequest& request,
                                                  const SandboxSettings& settings,
                                                  std::vector<std::string>& waived) {
  const SandboxLimits& limits = request.limits;
  if (settings.cgroup_parent.empty()) {
    if (limits.memory || limits.pids || !limits.cores.empty()) {
      return Error(ErrorKind::Invalid, "limits need a control group, and none is configured");
    }
    return std::optional<Cgroup>();
  }
  GANGWAY_ASSIGN(Cgroup made, Cgroup::make(read_cgroup_layout(),
                                           {.parent = settings.cgroup_parent,
                                            .name = request.name,
                                            .cores = limits.cores,
                                            .memory = limits.memory,
                                            .pids = limits.pids,
                                            .closed_devices = numbers_of_closed_devices(request)},
                                           settings.waivers, waived));
  return std::optional<Cgroup>(std::move(made));
}

Result<SandboxInit> spawn_sandbox(const SandboxRequest& request,
                                  const WaiverSet& allowed,
                                  NodeFacts facts,
                                  std::vector<Fd> slots,
                                  std::vector<std::string>& waived) {
  if (request.socket) {
    slots.resize(kSocketSlot + 1);
    slots[kSocketSlot] = Fd(fcntl(request.socket->socket->get(), F_DUPFD_CLOEXEC, 3));
  }
  const UserIdentity& user = request.user;
  std::optional<IdMaps> maps = identity_maps(user.uid, user.gid, user.groups, is_privileged());
  if (facts.inside) {
    GANGWAY_ASSIGN(maps, make_ranged_maps(user, *facts.inside, is_privileged()));
    facts.keep_groups = !is_privileged();
    if (is_privileged()) add_own_groups(user, *maps, *facts.inside);
  }
  GANGWAY_ASSIGN(SandboxPlan plan, make_sandbox_plan(request, facts));
  Result<SandboxInit> spawned =
      spawn_sandbox_init(plan, share(slots), maps, request.private_network);
  if (!spawned && !facts.inside && allowed.contains(Waiver::UserNamespace) && is_privileged()) {
    waived.push_back(render_waived(Waiver::UserNamespace, spawned.error().message()));
    facts.user_namespace = false;
    GANGWAY_ASSIGN(plan, make_sandbox_plan(request, facts));
    maps.reset();
    spawned = spawn_sandbox_init(plan, std::move(slots), maps, request.private_network);
  }
  if (!spawned) return spawned.error().with_context("sandbox");
  return spawned;
}

}  // namespace gangway::containers
