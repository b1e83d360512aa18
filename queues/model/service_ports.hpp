// Ports of replicas as resources of nodes, so that the planner gives each of them once.
//
// A replica listens in its node's network. A port with a number is there once on each node: whoever
// asks for it holds `tcp-8080` alone. A port without one is any of the cluster's range, of which
// each node has them all; which one it is, is said by the share, and to the program by $PORT.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "queues/model/allocation.hpp"
#include "queues/model/resources.hpp"
#include "queues/model/service.hpp"

namespace gangway {

inline constexpr std::string_view kServicePort = "service_port";

struct PortRange {
  std::int32_t first = 1;
  std::int32_t last = 0;  // below `first`: empty
  friend bool operator==(const PortRange&, const PortRange&) = default;
  [[nodiscard]] bool contains(std::int32_t port) const { return port >= first && port <= last; }
  [[nodiscard]] std::int32_t size() const { return last < first ? 0 : last - first + 1; }
};

// "tcp-8080".
[[nodiscard]] std::string name_of_port(std::int32_t port);
// What a replica with these ports takes of its node.
void ask_for_ports(const std::vector<ContainerPort>& ports, Resources& wanted);

// The ports that services ask for, of those that every node has.
struct OfferedPorts {
  std::set<std::int32_t> fixed;
  PortRange range;  // empty: nobody asks for one of it
  friend bool operator==(const OfferedPorts&, const OfferedPorts&) = default;
  void add_to(Resources& capacity) const;
};

// The lowest free port of the range, if the share asks for one. `taken` are the shares of other
// jobs on the same node. false, and nothing changed: there is none left.
[[nodiscard]] bool give_port(NodeShare& share,
                             PortRange range,
                             const std::vector<const NodeShare*>& taken);
[[nodiscard]] std::optional<std::int32_t> given_port(const NodeShare& share);

// Where the container's port is to be reached on the node; nullopt: the share has none.
[[nodiscard]] std::optional<std::int32_t> host_port(const ContainerPort& port,
                                                    const NodeShare& share);

}  // namespace gangway
