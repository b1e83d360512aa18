#include "submit/one_machine/leftovers.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <thread>

#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/node.pb.h"
#include "submit/one_machine/files.hpp"
#include "submit/one_machine/node_network.hpp"

namespace gangway::one_machine {
namespace {

namespace fs = std::filesystem;

// mountinfo writes blanks and backslashes as \040.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      const int code = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      out.push_back(static_cast<char>(code));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::optional<pid_t> parent_of(pid_t pid) {
  const auto text = read_small_file(cat("/proc/", pid, "/stat"));
  if (!text) return std::nullopt;
  const auto stat = parse_stat(*text);
  return stat ? std::optional(stat->parent) : std::nullopt;
}

// Subdirectories, not through links.
std::vector<fs::path> groups_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator it(directory, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) found.push_back(it->path());
  }
  return found;
}

void search_groups(const fs::path& directory,
                   const std::string& name,
                   std::vector<std::string>& found) {
  for (const auto& group : groups_in(directory)) {
    if (group.filename() == name) {
      found.push_back(group.string());
    } else {
      search_groups(group, name, found);
    }
  }
}

std::vector<ProcessId> processes_in(const fs::path& group) {
  std::vector<ProcessId> found;
  const auto text = read_small_file((group / "cgroup.procs").string());
  if (text) {
    for (const auto line : split(*text, '\n')) {
      const auto pid = parse_integer<pid_t>(line);
      if (!pid || *pid <= 1) continue;
      if (auto process = find_process(*pid)) found.push_back(std::move(*process));
    }
  }
  for (const auto& below : groups_in(group)) {
    const auto more = processes_in(below);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

Result<void> remove_group(const fs::path& group) {
  for (const auto& below : groups_in(group)) GANGWAY_TRY(remove_group(below));
  if (::rmdir(group.c_str()) != 0 && errno != ENOENT) {
    return errno_error(cat("remove control group ", group.string()), errno);
  }
  return {};
}

}  // namespace

std::vector<RunningShepherd> find_shepherds(const ClusterLayout& layout,
                                            const std::vector<NodeName>& nodes) {
  std::vector<RunningShepherd> found;
  for (const auto& node : nodes) {
    const std::string jobs = layout.node_spool(node) + "/jobs";
    for (const auto& attempt : list_directory(jobs)) {
      const std::string directory = cat(jobs, '/', attempt);
      const auto bytes = read_small_file(directory + "/shepherd");
      wire::AttemptRecord record;
      if (!bytes || !record.ParseFromString(*bytes)) continue;
      const ProcessId process{.pid = record.shepherd_pid(),
                              .start_time = record.shepherd_start_time(),
                              .boot = record.boot_id()};
      if (process.pid > 1 && is_alive(process)) found.push_back({process, directory});
    }
  }
  // One that has just been started may have no record yet; its first argument is the directory that
  // the record will be in.
  for (const auto& process : find_processes([](pid_t) { return true; })) {
    const auto line = read_small_file(cat("/proc/", process.pid, "/cmdline"));
    if (!line) continue;
    const auto words = split(*line, '\0');
    if (words.size() > 1 && words[0].ends_with("jshepherd") &&
        std::ranges::any_of(nodes, [&](const NodeName& node) {
          return words[1].starts_with(layout.node_spool(node) + "/jobs/");
        })) {
      found.push_back({process, std::string(words[1])});
    }
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<ProcessId> find_haproxies(const ClusterLayout& layout) {
  return find_processes([&](pid_t pid) {
    const auto line = read_small_file(cat("/proc/", pid, "/cmdline"));
    if (!line) return false;
    const auto words = split(*line, '\0');
    return words.size() > 1 && words[0].ends_with("haproxy") &&
           std::ranges::any_of(words, [&](std::string_view word) {
             return word.starts_with(layout.balancer_spool() + "/haproxy.sock");
           });
  });
}

void stop_shepherds(const std::vector<RunningShepherd>& shepherds, Duration grace) {
  for (const auto& shepherd : shepherds) send_signal(shepherd.process, SIGTERM);
  const BootTime until = SystemClock().now().boot + grace;
  std::vector<ProcessId> processes;
  for (const auto& shepherd : shepherds) {
    const std::string finished = shepherd.directory + "/finished";
    while (::access(finished.c_str(), F_OK) != 0 && is_alive(shepherd.process) &&
           SystemClock().now().boot < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    processes.push_back(shepherd.process);
  }
  terminate(std::move(processes), Duration{});
}

std::vector<ProcessId> find_members(const ClusterLayout& layout,
                                    const std::vector<ProcessId>& known) {
  std::set<std::uint64_t> networks;
  for (const auto& path : find_namespaces(layout)) {
    struct stat file {};
    if (::stat(path.c_str(), &file) == 0) networks.insert(file.st_ino);
  }
  std::set<pid_t> roots;
  for (const auto& process : known) {
    if (is_alive(process)) roots.insert(process.pid);
  }
  std::map<pid_t, pid_t> parents;
  for (const auto& process : find_processes([](pid_t) { return true; })) {
    if (const auto parent = parent_of(process.pid)) parents[process.pid] = *parent;
  }
  // One look at the parents may miss a child born meanwhile; callers look again until none is left.
  return find_processes([&](pid_t pid) {
    if (!networks.empty()) {
      const auto network = namespace_of(pid, "net");
      if (network && networks.contains(*network)) return true;
    }
    for (auto it = parents.find(pid); it != parents.end(); it = parents.find(it->second)) {
      if (roots.contains(it->first)) return true;
    }
    return false;
  });
}

std::vector<std::string> mounts_below(std::string_view mountinfo, const std::string& directory) {
  std::vector<std::string> found;
  for (const auto line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    constexpr std::size_t kMountPoint = 4;
    if (fields.size() <= kMountPoint) continue;
    auto point = unescape(fields[kMountPoint]);
    if (point.starts_with(directory + "/")) found.push_back(std::move(point));
  }
  // A later line may be mounted over an earlier one.
  std::ranges::reverse(found);
  return found;
}

Result<void> remove_mounts(const ClusterLayout& layout, const std::vector<NodeName>& nodes) {
  const auto text = read_small_file("/proc/self/mountinfo");
  if (!text) return text.error();
  for (const auto& node : nodes) {
    for (const auto& point : mounts_below(*text, layout.node_directory(node))) {
      if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
          errno != ENOENT) {
        return errno_error(cat("unmount ", point), errno);
      }
    }
  }
  return {};
}

std::vector<std::string> find_control_groups(const std::string& name) {
  std::vector<std::string> found;
  const auto text = read_small_file("/proc/self/mountinfo");
  if (!text) return found;
  for (const auto line : split(*text, '\n')) {
    const auto dash = line.find(" - cgroup");
    if (dash == std::string_view::npos) continue;
    const auto fields = split(line, ' ');
    if (fields.size() > 4) search_groups(unescape(fields[4]), name, found);
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<void> remove_control_groups(const std::string& name) {
  for (const auto& group : find_control_groups(name)) {
    const auto left = terminate(processes_in(group), Duration{});
    if (!left.empty()) {
      return Error(ErrorKind::Internal,
                   cat("control group ", group, ": process ", left[0].pid, " cannot be killed"));
    }
    GANGWAY_TRY(remove_group(group));
  }
  return {};
}

}  // namespace gangway::one_machine
