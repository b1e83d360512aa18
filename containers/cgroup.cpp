#include "containers/cgroup.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <set>

#include "containers/device_program.hpp"
#include "containers/freezer.hpp"
#include "queues/base/check.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// What a sandbox makes use of where it is there.
constexpr std::array kWanted = {"memory", "cpuset", "cpu", "cpuacct", "pids", "freezer"};

// Where enter_leaf_group() puts the executor.
constexpr std::string_view kLeaf = "/gangway-executor";

std::string base_directory(const CgroupHierarchy& hierarchy, std::string_view parent) {
  const bool below_root = geteuid() == 0 || parent.starts_with('/');
  if (below_root) return hierarchy.mount;
  std::string_view own = hierarchy.own_group;
  if (own.ends_with(kLeaf)) own.remove_suffix(kLeaf.size());
  return cat(hierarchy.mount, own);
}

// v2: children of `directory` may use these controllers, as far as it has them itself.
void hand_on_controllers(const std::string& directory) {
  const std::string available = read_small_file(directory + "/cgroup.controllers").value_or("");
  for (const std::string_view name : split(trim(available), ' ')) {
    if (std::ranges::find(kWanted, name) == kWanted.end()) continue;
    // Refusals show later, when a limit has no file to be written to.
    [[maybe_unused]] const Result<void> result =
        write_existing_file(directory + "/cgroup.subtree_control", cat("+", name));
  }
}

// v1 cpuset: a new group has no cores and no memory nodes until it is told, and takes no process.
Result<void> inherit_cpuset(const std::string& directory) {
  const std::string parent = directory.substr(0, directory.rfind('/'));
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    GANGWAY_ASSIGN(const std::string current, read_small_file(directory + file));
    if (!trim(current).empty()) continue;
    GANGWAY_ASSIGN(const std::string above, read_small_file(parent + file));
    GANGWAY_TRY(write_existing_file(directory + file, trim(above)));
  }
  return {};
}

Result<void> make_group(const CgroupHierarchy& hierarchy, const std::string& directory) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error(cat("make control group ", directory), errno);
  }
  if (hierarchy.version == 1 && hierarchy.controllers.contains("cpuset")) {
    return inherit_cpuset(directory);
  }
  return {};
}

// The sandbox's group in this hierarchy, with its parents.
Result<std::string> make_path(const CgroupHierarchy& hierarchy,
                              const std::string& parent,
                              const std::string& name) {
  std::string directory = base_directory(hierarchy, parent);
  for (const std::string_view part : split(parent, '/')) {
    if (part.empty()) continue;
    if (hierarchy.version == 2) hand_on_controllers(directory);
    directory += cat("/", part);
    GANGWAY_TRY(make_group(hierarchy, directory));
  }
  if (hierarchy.version == 2) hand_on_controllers(directory);
  directory += "/" + name;
  if (rmdir(directory.c_str()) != 0 && errno == EBUSY) {
    return Error(ErrorKind::Conflict, cat("control group ", directory, " is in use"));
  }
  GANGWAY_TRY(make_group(hierarchy, directory));
  return directory;
}

std::vector<pid_t> processes_in(const std::string& directory) {
  std::vector<pid_t> pids;
  const std::string text = read_small_file(directory + "/cgroup.procs").value_or("");
  for (const std::string_view line : split(text, '\n')) {
    if (const auto pid = parse_integer<pid_t>(line)) pids.push_back(*pid);
  }
  return pids;
}

void pause_briefly() {
  const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  nanosleep(&pause, nullptr);
}

bool kill_at_once(const std::string& directory) {
  return write_existing_file(directory + "/cgroup.kill", "1").has_value();
}

void kill_in(const std::string& directory) {
  if (kill_at_once(directory)) return;
  // A process may fork while the list is read. Who was asked to die does not any more, however
  // long it takes.
  std::set<pid_t> asked;
  for (int round = 0; round < 20; ++round) {
    bool is_news = false;
    for (const pid_t pid : processes_in(directory)) {
      if (pid <= 0 || pid == getpid() || !asked.insert(pid).second) continue;
      kill(pid, SIGKILL);
      is_news = true;
    }
    if (!is_news) return;
  }
}

Result<void> remove_group(const std::string& directory) {
  // The last process may have been reaped but not yet have left the group.
  for (int round = 0; round < 200; ++round) {
    if (rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY) break;
    kill_in(directory);
    pause_briefly();
  }
  return errno_error(cat("remove control group ", directory), errno);
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const Result<std::string> text = read_small_file(path);
  if (!text) return std::nullopt;
  return parse_integer<std::int64_t>(trim(*text));
}

// The number after `key` in a file of "key number" lines.
std::optional<std::int64_t> read_keyed(const std::string& path, std::string_view key) {
  const std::string text = read_small_file(path).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' ')) {
      return parse_integer<std::int64_t>(trim(line.substr(key.size())));
    }
  }
  return std::nullopt;
}

Result<void> limit_memory(const CgroupHierarchy& hierarchy,
                          const std::string& directory,
                          Bytes limit) {
  const std::string bytes = cat(limit.value);
  if (hierarchy.version == 2) {
    GANGWAY_TRY(write_existing_file(directory + "/memory.max", bytes));
    // Not every kernel counts swap; and the end of all rather than of a random process.
    [[maybe_unused]] Result<void> extra = write_existing_file(directory + "/memory.swap.max", "0");
    extra = write_existing_file(directory + "/memory.oom.group", "1");
    return {};
  }
  GANGWAY_TRY(write_existing_file(directory + "/memory.limit_in_bytes", bytes));
  [[maybe_unused]] const Result<void> swap =
      write_existing_file(directory + "/memory.memsw.limit_in_bytes", bytes);
  return {};
}

Result<void> limit_cores(const CgroupHierarchy& hierarchy,
                         const std::string& directory,
                         const std::vector<int>& cores) {
  if (hierarchy.controllers.contains("cpuset")) {
    return write_existing_file(directory + "/cpuset.cpus", render_core_list(cores));
  }
  // Shares only: less than asked for, but what a loaded node divides by.
  if (hierarchy.version == 2) {
    return write_existing_file(directory + "/cpu.weight",
                               cat(std::min<std::size_t>(cores.size() * 100, 10000)));
  }
  return write_existing_file(directory + "/cpu.shares", cat(cores.size() * 1024));
}

Result<void> limit_pids(const CgroupHierarchy&, const std::string& directory, std::int64_t limit) {
  return write_existing_file(directory + "/pids.max", cat(limit));
}

}  // namespace

namespace {

// The minimal /dev of every sandbox, and terminals.
bool is_everybodys(dev_t device) {
  constexpr unsigned kMemory = 1;
  constexpr unsigned kTerminals = 5;
  return major(device) == kMemory || major(device) == kTerminals;
}

// The group of each hierarchy that has something we use, or why there is none.
using MadeGroups = std::vector<std::pair<const CgroupHierarchy*, Result<std::string>>>;

// By version 1's controller, else by a program in version 2. An ordinary user may not do either,
// and has mounts alone; for root it is an error.
Result<void> close_devices(const MadeGroups& made, std::vector<dev_t> devices) {
  std::erase_if(devices, is_everybodys);
  if (devices.empty()) return {};
  for (const auto& [hierarchy, path] : made) {
    if (!path || hierarchy->version != 1 || !hierarchy->controllers.contains("devices")) continue;
    for (const dev_t device : devices) {
      GANGWAY_TRY_CONTEXT(write_existing_file(*path + "/devices.deny",
                                              cat("c ", major(device), ":", minor(device), " rwm")),
                          "close devices");
    }
    return {};
  }
  Error why(ErrorKind::Unsupported, "there is no control group for them");
  for (const auto& [hierarchy, path] : made) {
    if (!path || hierarchy->version != 2) continue;
    const Result<void> closed = attach_device_program(*path, devices);
    if (closed) return {};
    why = closed.error();
    break;
  }
  if (geteuid() != 0) return {};
  return why.with_context("close devices");
}

}  // namespace

Result<Cgroup> Cgroup::make(const CgroupLayout& layout,
                            const CgroupRequest& request,
                            const WaiverSet& allowed,
                            std::vector<std::string>& waived) {
  CHECK(!request.name.empty() && request.name.find('/') == std::string::npos);
  for (const std::string_view part : split(request.parent, '/')) {
    if (part == "." || part == "..") {
      return Error(ErrorKind::Invalid, cat("control group parent ", request.parent));
    }
  }
  Cgroup group;
  MadeGroups made;
  for (const CgroupHierarchy& hierarchy : layout.hierarchies) {
    const bool useful =
        hierarchy.version == 2 ||
        std::ranges::any_of(
            kWanted,
            [&](const char* controller) { return hierarchy.controllers.contains(controller); }) ||
        (!request.closed_devices.empty() && hierarchy.controllers.contains("devices"));
    if (!useful) continue;
    Result<std::string> path = make_path(hierarchy, request.parent, request.name);
    if (path) group.directories_.push_back(*path);
    if (!path && path.error().kind() == ErrorKind::Conflict) {
      [[maybe_unused]] const Result<void> removed = group.remove();
      return path.error();
    }
    made.emplace_back(&hierarchy, std::move(path));
  }

  // Applies `limit` to the group that has one of `controllers`.
  const auto enforce = [&](std::initializer_list<const char*> controllers, Waiver waiver,
                           std::string_view what, const auto& limit) -> Result<void> {
    Error why(ErrorKind::Unsupported,
              cat("this node has no ", *controllers.begin(), " control group"));
    for (const char* controller : controllers) {
      for (const auto& [hierarchy, path] : made) {
        if (!hierarchy->controllers.contains(controller)) continue;
        if (!path) {
          why = path.error();
          continue;
        }
        const Result<void> done = limit(*hierarchy, *path);
        if (done) return {};
        why = done.error();
      }
    }
    if (allowed.contains(waiver)) {
      waived.push_back(render_waived(waiver, why.message()));
      return {};
    }
    return Error(ErrorKind::Unsupported, cat(what, " cannot be enforced: ", why.message(),
                                             " (waiver ", to_string(waiver), ")"));
  };
  const auto limit_all = [&]() -> Result<void> {
    if (request.memory) {
      GANGWAY_TRY(enforce({"memory"}, Waiver::CgroupMemory, "the memory limit",
                          [&](const CgroupHierarchy& hierarchy, const std::string& path) {
                            return limit_memory(hierarchy, path, *request.memory);
                          }));
    }
    if (!request.cores.empty()) {
      GANGWAY_TRY(enforce({"cpuset", "cpu"}, Waiver::CgroupCpus, "the bound to its cores",
                          [&](const CgroupHierarchy& hierarchy, const std::string& path) {
                            return limit_cores(hierarchy, path, request.cores);
                          }));
    }
    if (request.pids) {
      GANGWAY_TRY(enforce({"pids"}, Waiver::CgroupPids, "the bound on processes",
                          [&](const CgroupHierarchy& hierarchy, const std::string& path) {
                            return limit_pids(hierarchy, path, *request.pids);
                          }));
    }
    return close_devices(made, request.closed_devices);
  };
  if (auto limited = limit_all(); !limited) {
    [[maybe_unused]] const Result<void> removed = group.remove();
    return limited.error();
  }
  for (const auto& [hierarchy, path] : made) {
    if (!path) continue;
    if (hierarchy->controllers.contains("memory")) {
      group.memory_ = *path;
      group.memory_v2_ = hierarchy->version == 2;
    }
    if (hierarchy->version == 1 && hierarchy->controllers.contains("cpuacct")) {
      group.cpuacct_ = *path;
    }
    if (hierarchy->version == 2) group.unified_ = *path;
  }
  return group;
}

Result<void> Cgroup::add(pid_t pid) const {
  for (const std::string& directory : directories_) {
    GANGWAY_TRY_CONTEXT(write_existing_file(directory + "/cgroup.procs", cat(pid)),
                        "enter control group");
  }
  return {};
}

CgroupUsage Cgroup::usage() const {
  CgroupUsage usage;
  if (!cpuacct_.empty()) {
    if (const auto ns = read_number(cpuacct_ + "/cpuacct.usage")) usage.cpu = nanoseconds(*ns);
  }
  if (!usage.cpu && !unified_.empty()) {
    if (const auto us = read_keyed(unified_ + "/cpu.stat", "usage_usec")) {
      usage.cpu = microseconds(*us);
    }
  }
  if (!memory_.empty()) {
    const auto peak =
        read_number(memory_ + (memory_v2_ ? "/memory.peak" : "/memory.max_usage_in_bytes"));
    if (peak) usage.peak_memory = Bytes{*peak};
    const auto kills =
        read_keyed(memory_ + (memory_v2_ ? "/memory.events" : "/memory.oom_control"), "oom_kill");
    usage.out_of_memory = kills.value_or(0) > 0;
  }
  return usage;
}

void Cgroup::kill_all() const {
  // Each of its processes is in all of its groups.
  if (unified_.empty() || !kill_at_once(unified_)) {
    for (const std::string& directory : directories_) kill_in(directory);
  }
  for (const std::string& directory : directories_) thaw_v1(directory);
}

Cgroup Cgroup::find(const CgroupLayout& layout,
                    const std::string& parent,
                    const std::string& name) {
  CHECK(!name.empty() && name.find('/') == std::string::npos);
  Cgroup group;
  for (const CgroupHierarchy& hierarchy : layout.hierarchies) {
    std::string directory = base_directory(hierarchy, parent);
    for (const std::string_view part : split(parent, '/')) {
      if (!part.empty()) directory += cat("/", part);
    }
    directory += "/" + name;
    if (access(directory.c_str(), F_OK) != 0) continue;
    if (hierarchy.version == 2) group.unified_ = directory;
    group.directories_.push_back(std::move(directory));
  }
  return group;
}

Result<void> Cgroup::remove() {
  Result<void> result;
  // What was killed while it was frozen has not died yet.
  for (const std::string& directory : directories_) thaw_v1(directory);
  for (const std::string& directory : directories_) {
    Result<void> removed = remove_group(directory);
    if (!removed) result = std::move(removed);
  }
  directories_.clear();
  return result;
}

Result<void> enter_leaf_group(const CgroupLayout& layout) {
  const CgroupHierarchy* unified = layout.unified();
  if (geteuid() == 0 || unified == nullptr || unified->own_group.ends_with(kLeaf)) return {};
  const std::string leaf = cat(unified->mount, unified->own_group, kLeaf);
  if (mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error(cat("make control group ", leaf), errno);
  }
  return write_existing_file(leaf + "/cgroup.procs", cat(getpid()));
}

Result<void> probe_cgroup_controller(const CgroupLayout& layout, const std::string& controller) {
  const CgroupHierarchy* hierarchy = layout.find(controller);
  const bool by_program = hierarchy == nullptr && controller == "devices";
  if (by_program) {
    const auto v2 = std::ranges::find(layout.hierarchies, 2, &CgroupHierarchy::version);
    if (v2 != layout.hierarchies.end()) hierarchy = &*v2;
  }
  if (hierarchy == nullptr) {
    return Error(ErrorKind::Unsupported, cat("no ", controller, " controller"));
  }
  const std::string name = cat("gangway-probe-", getpid());
  const std::string directory = base_directory(*hierarchy, "") + "/" + name;
  Result<std::string> made = make_path(*hierarchy, "", name);
  Result<void> result;
  if (!made) {
    result = made.error();
  } else {
    const bool v2 = hierarchy->version == 2;
    const std::string file = controller == "memory"
                                 ? (v2 ? "/memory.max" : "/memory.limit_in_bytes")
                             : controller == "cpuset"         ? "/cpuset.cpus"
                             : controller == "pids"           ? "/pids.max"
                             : controller == "freezer" && !v2 ? "/freezer.state"
                                                              : "/cgroup.procs";
    if (access((directory + file).c_str(), W_OK) != 0) {
      result = errno_error(cat("write ", directory, file), errno);
    } else if (by_program) {
      result = attach_device_program(directory, {});
    }
  }
  rmdir(directory.c_str());
  return result;
}

}  // namespace gangway::containers
