// Where a one-machine cluster keeps what, and what its namespaces and control groups are called.
//
//   <directory>/gangway.yaml     the configuration, written by `up`       (0644)
//              /cluster.key      the daemons' shared key                  (0600)
//              /jschedd.sock     where people's programs find the scheduler
//              /nodes            names of the nodes, one a line
//              /scheduler/       the scheduler's spool
//              /balancer/        the balancer's: HAProxy's configuration and socket
//              /n01/             a node: gangway.yaml, spool/
//              /log/*.log        what the daemons write
//              /run/*.pid        records of their processes (process_table.hpp)
//
// Two clusters in two directories have nothing in common: all names made outside the directory
// carry a digest of its path. Pure but for make_layout(), which resolves links.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"

namespace gangway::one_machine {

inline constexpr int kMaxNodes = 250;  // in a network of 256 addresses
inline constexpr const char* kSchedulerName = "jschedd";
inline constexpr const char* kBalancerName = "jbalancerd";

struct ClusterLayout {
  std::string directory;  // absolute, links resolved
  std::string name;       // "gangway-1a2b3c4d"
  int network = 0;        // 0 to 255: 10.77.<network>.0/24

  [[nodiscard]] std::string config_file() const { return directory + "/gangway.yaml"; }
  [[nodiscard]] std::string key_file() const { return directory + "/cluster.key"; }
  [[nodiscard]] std::string socket() const { return directory + "/jschedd.sock"; }
  [[nodiscard]] std::string nodes_file() const { return directory + "/nodes"; }
  [[nodiscard]] std::string lock_file() const { return directory + "/lock"; }
  [[nodiscard]] std::string scheduler_spool() const { return directory + "/scheduler"; }
  [[nodiscard]] std::string balancer_spool() const { return directory + "/balancer"; }
  [[nodiscard]] std::string log_directory() const { return directory + "/log"; }
  [[nodiscard]] std::string run_directory() const { return directory + "/run"; }
  [[nodiscard]] std::string node_directory(const NodeName& node) const {
    return directory + "/" + node.value;
  }
  [[nodiscard]] std::string node_config(const NodeName& node) const {
    return node_directory(node) + "/gangway.yaml";
  }
  [[nodiscard]] std::string node_spool(const NodeName& node) const {
    return node_directory(node) + "/spool";
  }
  // Of a daemon: kSchedulerName, kBalancerName or a node's name.
  [[nodiscard]] std::string log_file(const std::string& daemon) const {
    return log_directory() + "/" + daemon + ".log";
  }
  [[nodiscard]] std::string record_file(const std::string& daemon) const {
    return run_directory() + "/" + daemon + ".pid";
  }
};

// `directory` need not exist. Errors: Invalid if it is not absolute, or so long that the sockets in
// it could not be bound (a socket's path has at most 107 bytes).
[[nodiscard]] Result<ClusterLayout> make_layout(const std::string& directory);
// root: /var/lib/gangway/one-machine; others: gangway below XDG_STATE_HOME or ~/.local/state.
[[nodiscard]] std::string default_directory();
// n01, n02, …; n001, … from 100 nodes on. Requires: 1 <= count <= kMaxNodes.
[[nodiscard]] std::vector<NodeName> node_names(int count);

}  // namespace gangway::one_machine
