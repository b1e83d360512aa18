// The network interfaces of this node that have an address in one of some networks.
#pragma once

#include <string>
#include <string_view>

namespace gangway::executor {

// Networks as "10.77.0.0/24" or names of interfaces, separated by commas; interfaces the same way,
// each once. "" if none fits. Reads the kernel's list.
[[nodiscard]] std::string find_network_devices(std::string_view networks);

}  // namespace gangway::executor
