// The configuration of a one-machine cluster: what its layout, its machine and the wishes make of
// the file that is there, or of the defaults.
//
// Pure; what the machine has and its kernel allows is handed in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "containers/kernel_probe.hpp"
#include "queues/base/units.hpp"
#include "queues/config/config.hpp"
#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/node_network.hpp"
#include "submit/one_machine/one_machine_cluster.hpp"

namespace gangway::one_machine {

struct Machine {
  std::int64_t cores = 1;
  Bytes memory;
  std::string user = "root";  // who brings the cluster up
  bool own_networks = true;   // else all meet at 127.0.0.1
  bool has_haproxy = false;
  std::uint16_t free_port = 6810;  // of 127.0.0.1, used without networks of their own
};

// Of the whole cluster. `before` is what the directory held, or the defaults.
[[nodiscard]] config::Config cluster_config(config::Config before,
                                            const ClusterLayout& layout,
                                            const NetworkPlan& network,
                                            const Machine& machine,
                                            const ClusterWishes& wishes,
                                            const std::vector<containers::ProbeRow>& kernel);
// The same with one node's spool, address and control group.
[[nodiscard]] config::Config node_config(config::Config cluster,
                                         const ClusterLayout& layout,
                                         const NodeAddress& node,
                                         const Machine& machine);
// Those of the rows that need a waiver: "cgroup-memory: <why>".
[[nodiscard]] std::vector<std::string> needed_waivers(
    const std::vector<containers::ProbeRow>& kernel);

}  // namespace gangway::one_machine
