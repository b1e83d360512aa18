// The network of a one-machine cluster: each node a network namespace with one interface, eth0, on
// a bridge in a namespace of its own, "the switch", where the scheduler runs too. The machine's own
// network namespace gets nothing: no interface, no route, no rule.
//
//     gangway-1a2b3c4d-switch   br0  10.77.k.254  --- jschedd, jbalancerd
//        |n01   |n02   |n03
//       eth0   eth0   eth0      each in gangway-1a2b3c4d-n0x, 10.77.k.x
//
// That one has a name, too, gangway-1a2b3c4d.outside, so that the balancer can listen there.
//
// The namespaces are those of ip-netns(8): `ip netns exec gangway-1a2b3c4d-n01 ss -tn` looks
// inside. Only root can make them.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/command.hpp"

namespace gangway::one_machine {

struct NodeAddress {
  NodeName node;
  std::string network_namespace;
  std::string address;  // "10.77.3.1"
};

struct NetworkPlan {
  std::string switch_namespace;
  std::string outside;  // the machine's own
  std::string scheduler_address;
  std::string network;  // "10.77.3.0/24"
  std::vector<NodeAddress> nodes;
};

// Pure.
[[nodiscard]] NetworkPlan plan_network(const ClusterLayout& layout,
                                       const std::vector<NodeName>& nodes);
// What ip(8) is told, in order. Pure.
[[nodiscard]] std::vector<Argv> network_commands(const NetworkPlan& plan);

// On failure nothing is left behind. Errors: NotFound (no ip(8)), Internal with its words.
[[nodiscard]] Result<void> make_network(const ClusterLayout& layout, const NetworkPlan& plan);
// True if all namespaces of the plan are there.
[[nodiscard]] bool network_exists(const NetworkPlan& plan);
// Paths of the namespaces of this cluster that exist, whoever made them.
[[nodiscard]] std::vector<std::string> find_namespaces(const ClusterLayout& layout);
// Removes them. Interfaces and bridge end with their namespaces.
[[nodiscard]] Result<void> remove_network(const ClusterLayout& layout);
// "/run/netns/<name>"
[[nodiscard]] std::string namespace_path(const std::string& name);

}  // namespace gangway::one_machine
