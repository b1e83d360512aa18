#include "queues/model/service_ports.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway {
namespace {

constexpr std::string_view kFixedPrefix = "tcp-";

}  // namespace

std::string name_of_port(std::int32_t port) { return cat(kFixedPrefix, port); }

void ask_for_ports(const std::vector<ContainerPort>& ports, Resources& wanted) {
  for (const ContainerPort& port : ports) {
    wanted.set_named(port.port > 0 ? name_of_port(port.port) : std::string(kServicePort), 1);
  }
}

void OfferedPorts::add_to(Resources& capacity) const {
  for (const std::int32_t port : fixed) capacity.set_named(name_of_port(port), 1);
  if (range.size() > 0) capacity.set_named(kServicePort, range.size());
}

bool give_port(NodeShare& share, PortRange range, const std::vector<const NodeShare*>& taken) {
  // Ports with a number need no second one.
  std::vector<DeviceShare> devices;
  for (const DeviceShare& device : share.devices) {
    if (device.name != kServicePort && !device.name.starts_with(kFixedPrefix)) {
      devices.push_back(device);
    }
  }
  if (share.resources.amount_of(kServicePort) > 0) {
    std::set<std::int32_t> used;
    for (const NodeShare* const other : taken) {
      if (const auto port = given_port(*other)) used.insert(*port);
    }
    std::int32_t port = range.first;
    while (range.contains(port) && used.contains(port)) ++port;
    if (!range.contains(port)) return false;
    devices.push_back({std::string(kServicePort), {port}});
    std::ranges::sort(devices, {}, &DeviceShare::name);
  }
  share.devices = std::move(devices);
  return true;
}

std::optional<std::int32_t> given_port(const NodeShare& share) {
  const auto found = std::ranges::find(share.devices, kServicePort, &DeviceShare::name);
  if (found == share.devices.end() || found->indices.empty()) return std::nullopt;
  return found->indices.front();
}

std::optional<std::int32_t> host_port(const ContainerPort& port, const NodeShare& share) {
  if (port.port > 0) return port.port;
  return given_port(share);
}

}  // namespace gangway
