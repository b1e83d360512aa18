#include "containers/cgroup_layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::array kControllers = {"cpu",  "cpuacct", "cpuset", "memory",
                                     "pids", "freezer", "blkio",  "devices"};

// Blanks in paths of mountinfo are written as \040.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The path of `group` as seen below a mount whose root is `mount_root`.
std::string below_mount(std::string_view group, std::string_view mount_root) {
  if (mount_root != "/" && group.starts_with(mount_root)) group.remove_prefix(mount_root.size());
  return group == "/" ? "" : std::string(group);
}

}  // namespace

const CgroupHierarchy* CgroupLayout::find(std::string_view controller) const {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.controllers.contains(std::string(controller))) return &hierarchy;
  }
  return nullptr;
}

const CgroupHierarchy* CgroupLayout::unified() const {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.version == 2) return &hierarchy;
  }
  return nullptr;
}

CgroupLayout parse_cgroup_layout(std::string_view mountinfo,
                                 std::string_view own,
                                 std::string_view unified_controllers) {
  CgroupLayout layout;
  std::vector<CgroupHierarchy> unified;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 10 || fields.end() - dash < 4) continue;
    const std::string_view type = *(dash + 1);
    if (type != "cgroup" && type != "cgroup2") continue;
    CgroupHierarchy hierarchy;
    hierarchy.version = type == "cgroup2" ? 2 : 1;
    const std::string mount_root = unescape(fields[3]);
    hierarchy.mount = unescape(fields[4]);
    for (const std::string_view option : split(*(dash + 3), ',')) {
      if (std::ranges::find(kControllers, option) != kControllers.end()) {
        hierarchy.controllers.emplace(option);
      }
    }
    if (hierarchy.version == 2) {
      for (const std::string_view name : split(trim(unified_controllers), ' ')) {
        if (!name.empty()) hierarchy.controllers.emplace(name);
      }
    }
    for (const std::string_view entry : split(own, '\n')) {
      // "4:memory:/path"; v2 is "0::/path".
      const std::size_t first = entry.find(':');
      const std::size_t second = entry.find(':', first + 1);
      if (first == std::string_view::npos || second == std::string_view::npos) continue;
      const std::string_view names = entry.substr(first + 1, second - first - 1);
      const std::string_view path = entry.substr(second + 1);
      bool same = hierarchy.version == 2 && names.empty();
      for (const std::string_view name : split(names, ',')) {
        same =
            same || (hierarchy.version == 1 && hierarchy.controllers.contains(std::string(name)));
      }
      if (same) hierarchy.own_group = below_mount(path, mount_root);
    }
    const bool seen = std::ranges::any_of(layout.hierarchies, [&](const CgroupHierarchy& other) {
      return other.controllers == hierarchy.controllers;
    });
    if (hierarchy.version == 2) {
      if (unified.empty()) unified.push_back(std::move(hierarchy));
    } else if (!hierarchy.controllers.empty() && !seen) {
      layout.hierarchies.push_back(std::move(hierarchy));
    }
  }
  std::ranges::move(unified, std::back_inserter(layout.hierarchies));
  return layout;
}

CgroupLayout read_cgroup_layout() {
  const std::string mountinfo = read_small_file("/proc/self/mountinfo").value_or("");
  const std::string own = read_small_file("/proc/self/cgroup").value_or("");
  CgroupLayout layout = parse_cgroup_layout(mountinfo, own, "");
  if (const CgroupHierarchy* unified = layout.unified()) {
    // What the process's own group may hand on, which is less than the root's in a delegated tree.
    const std::string path = cat(unified->mount, unified->own_group, "/cgroup.controllers");
    layout = parse_cgroup_layout(mountinfo, own, read_small_file(path).value_or(""));
  }
  return layout;
}

std::optional<std::vector<int>> parse_core_list(std::string_view text) {
  std::vector<int> cores;
  text = trim(text);
  if (text.empty()) return cores;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const auto first = parse_integer<int>(part.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : parse_integer<int>(part.substr(dash + 1));
    constexpr int kMaxCore = 1 << 16;
    if (!first || !last || *first < 0 || *last < *first || *last > kMaxCore) return std::nullopt;
    for (int core = *first; core <= *last; ++core) cores.push_back(core);
  }
  return cores;
}

std::string render_core_list(std::vector<int> cores) {
  std::ranges::sort(cores);
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] <= cores[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += cores[i] == cores[last] ? cat(cores[i]) : cat(cores[i], '-', cores[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace gangway::containers
