// CDI, the Container Device Interface: which device nodes, mounts and variables make up a device,
// in JSON or YAML files that vendors' tools write (nvidia-ctk cdi generate).
//
// Source: the specification of the CNCF, versions 0.3 to 0.8. Hooks are not run: they are programs
// of the vendor with root's rights; a device that has some is used without, and said so in
// `left_out`.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/config/config.hpp"

namespace gangway::config {

struct CdiMount {
  std::string host_path;
  std::string container_path;
  bool read_only = false;
};
struct CdiNode {
  std::string host_path;
  std::string container_path;
};
// containerEdits of a device, those of its whole file among them.
struct CdiEdits {
  std::vector<CdiNode> nodes;
  std::vector<CdiMount> mounts;
  std::vector<std::string> env;
  std::vector<std::string> left_out;
};
// By qualified name: "nvidia.com/gpu=0".
using CdiDevices = std::map<std::string, CdiEdits>;

// Errors: Invalid, with the line.
[[nodiscard]] Result<CdiDevices> parse_cdi(std::string_view text);

// What stands behind each entry of a list of devices: paths as they are, names by the files in
// `directories` (*.json, *.yaml; of two files with one name the later directory's counts).
// Errors: NotFound, naming the device; Invalid, naming the file.
using DeviceTable = std::vector<std::pair<std::string, std::vector<CdiEdits>>>;
[[nodiscard]] Result<DeviceTable> resolve_devices(const DeviceList& devices,
                                                  const std::vector<std::string>& directories);

}  // namespace gangway::config
