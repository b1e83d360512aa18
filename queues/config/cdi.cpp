#include "queues/config/cdi.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::config {
namespace {

constexpr std::size_t kMaxCdiBytes = std::size_t{4} << 20;

std::string text_of(const YAML::Node& map, const char* key) {
  if (!map.IsMap()) return "";
  const YAML::Node value = map[key];
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : std::string();
}

std::vector<YAML::Node> items_of(const YAML::Node& map, const char* key) {
  std::vector<YAML::Node> items;
  if (!map.IsMap()) return items;
  const YAML::Node list = map[key];
  if (!list.IsDefined() || !list.IsSequence()) return items;
  for (const YAML::Node& item : list) items.push_back(item);
  return items;
}

Error at_line(const YAML::Node& node, std::string_view message) {
  return Error(ErrorKind::Invalid, cat("line ", node.Mark().line + 1, ": ", message));
}

Result<void> read_edits(const YAML::Node& device, CdiEdits& edits) {
  if (!device.IsMap()) return {};
  const YAML::Node from = device["containerEdits"];
  if (!from.IsDefined() || !from.IsMap()) return {};
  for (const YAML::Node& node : items_of(from, "deviceNodes")) {
    const std::string path = text_of(node, "path");
    const std::string host = text_of(node, "hostPath");
    if (!path.starts_with("/dev/")) return at_line(node, "deviceNodes: path is not in /dev");
    edits.nodes.push_back({host.empty() ? path : host, path});
  }
  for (const YAML::Node& mount : items_of(from, "mounts")) {
    CdiMount one{text_of(mount, "hostPath"), text_of(mount, "containerPath"), false};
    if (!one.host_path.starts_with('/') || !one.container_path.starts_with('/')) {
      return at_line(mount, "mounts: hostPath and containerPath must be absolute");
    }
    for (const YAML::Node& option : items_of(mount, "options")) {
      if (option.IsScalar() && option.Scalar() == "ro") one.read_only = true;
    }
    edits.mounts.push_back(std::move(one));
  }
  for (const YAML::Node& variable : items_of(from, "env")) {
    if (!variable.IsScalar() || variable.Scalar().find('=') == std::string::npos) {
      return at_line(variable, "env: must be NAME=value");
    }
    edits.env.push_back(variable.Scalar());
  }
  for (const YAML::Node& hook : items_of(from, "hooks")) {
    edits.left_out.push_back(cat("hook ", text_of(hook, "path")));
  }
  return {};
}

Result<CdiDevices> read_specification(const YAML::Node& root) {
  const std::string kind = text_of(root, "kind");
  if (text_of(root, "cdiVersion").empty() || kind.find('/') == std::string::npos) {
    return at_line(root, "cdiVersion and kind (vendor/class) are needed");
  }
  CdiEdits of_all;
  GANGWAY_TRY(read_edits(root, of_all));
  CdiDevices devices;
  for (const YAML::Node& device : items_of(root, "devices")) {
    const std::string name = text_of(device, "name");
    if (name.empty()) return at_line(device, "devices: a name is missing");
    CdiEdits edits = of_all;
    GANGWAY_TRY(read_edits(device, edits));
    devices[cat(kind, "=", name)] = std::move(edits);
  }
  return devices;
}

void append(CdiEdits& to, const CdiEdits& from) {
  to.nodes.insert(to.nodes.end(), from.nodes.begin(), from.nodes.end());
  to.mounts.insert(to.mounts.end(), from.mounts.begin(), from.mounts.end());
  to.env.insert(to.env.end(), from.env.begin(), from.env.end());
  to.left_out.insert(to.left_out.end(), from.left_out.begin(), from.left_out.end());
}

Result<CdiDevices> read_directories(const std::vector<std::string>& directories) {
  CdiDevices all;
  for (const std::string& directory : directories) {
    std::error_code error;
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
      const std::string extension = entry.path().extension();
      if (extension == ".json" || extension == ".yaml") paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    for (const std::string& path : paths) {
      GANGWAY_ASSIGN(const std::string text, read_small_file(path, kMaxCdiBytes));
      Result<CdiDevices> devices = parse_cdi(text);
      if (!devices) return devices.error().with_context(path);
      for (auto& [name, edits] : *devices) all[name] = std::move(edits);
    }
  }
  return all;
}

}  // namespace

Result<CdiDevices> parse_cdi(std::string_view text) {
  try {
    return read_specification(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return Error(ErrorKind::Invalid, cat("line ", error.mark.line + 1, ": ", error.msg));
  }
}

Result<DeviceTable> resolve_devices(const DeviceList& devices,
                                    const std::vector<std::string>& directories) {
  DeviceTable table;
  std::optional<CdiDevices> known;
  for (const auto& [kind, entries] : devices) {
    std::vector<CdiEdits> list;
    for (const std::string& entry : entries) {
      CdiEdits edits;
      for (const std::string_view part : split(entry, '+')) {
        if (part.starts_with('/')) {
          edits.nodes.push_back({std::string(part), std::string(part)});
          continue;
        }
        if (!known) {
          GANGWAY_ASSIGN(known, read_directories(directories));
        }
        const auto found = known->find(std::string(part));
        if (found == known->end()) {
          return Error(ErrorKind::NotFound, cat("devices: ", kind, ": no file in ",
                                                join(directories, ", "), " has a device ", part));
        }
        append(edits, found->second);
      }
      list.push_back(std::move(edits));
    }
    table.emplace_back(kind, std::move(list));
  }
  return table;
}

}  // namespace gangway::config
