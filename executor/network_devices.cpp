#include "executor/network_devices.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

struct Network {
  std::uint32_t address = 0;
  std::uint32_t mask = 0;
};

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  in_addr address{};
  const auto bits = parse_integer<unsigned>(text.substr(slash + 1));
  if (::inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) != 1 || !bits ||
      *bits > 32) {
    return std::nullopt;
  }
  return Network{ntohl(address.s_addr), *bits == 0 ? 0 : ~std::uint32_t{0} << (32 - *bits)};
}

bool is_in(const ifaddrs& interface, std::string_view network) {
  if (network == interface.ifa_name) return true;
  const std::optional<Network> wanted = parse_network(network);
  if (!wanted || interface.ifa_addr == nullptr || interface.ifa_addr->sa_family != AF_INET) {
    return false;
  }
  const auto* address = reinterpret_cast<const sockaddr_in*>(interface.ifa_addr);
  return (ntohl(address->sin_addr.s_addr) & wanted->mask) == (wanted->address & wanted->mask);
}

}  // namespace

std::string find_network_devices(std::string_view networks) {
  ifaddrs* all = nullptr;
  if (networks.empty() || ::getifaddrs(&all) != 0) return {};
  std::vector<std::string> names;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    for (const std::string_view network : split(networks, ',')) {
      const bool known = std::find(names.begin(), names.end(), each->ifa_name) != names.end();
      if (!known && is_in(*each, network)) names.emplace_back(each->ifa_name);
    }
  }
  ::freeifaddrs(all);
  return join(names, ",");
}

}  // namespace gangway::executor
