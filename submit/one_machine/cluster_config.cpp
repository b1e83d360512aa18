#include "submit/one_machine/cluster_config.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::one_machine {

namespace {
constexpr std::string_view kSlicedQueue = "sliced";
}

config::Config cluster_config(config::Config before,
                              const ClusterLayout& layout,
                              const NetworkPlan& network,
                              const Machine& machine,
                              const ClusterWishes& wishes,
                              const std::vector<containers::ProbeRow>& kernel) {
  config::Config made = std::move(before);
  made.cluster = "one-machine";
  made.key_file = layout.key_file();
  made.lease = wishes.lease.value_or(made.lease);
  made.heartbeat = wishes.heartbeat.value_or(made.heartbeat);
  made.kill_grace = wishes.kill_grace.value_or(made.kill_grace);
  made.allow_root_jobs = made.allow_root_jobs || wishes.allow_root_jobs;
  if (std::ranges::find(made.operators, machine.user) == made.operators.end()) {
    made.operators.push_back(machine.user);
  }
  made.scheduler.socket = layout.socket();
  made.scheduler.spool = layout.scheduler_spool();
  made.scheduler.listen = machine.own_networks ? cat(network.scheduler_address, ":6810")
                                               : cat("127.0.0.1:", machine.free_port);
  made.executor.scheduler = made.scheduler.listen;
  made.executor.cgroup = layout.name;
  made.executor.shared_machine = true;

  const auto nodes = static_cast<std::int64_t>(std::max<std::size_t>(1, network.nodes.size()));
  if (wishes.cores) made.executor.cores = wishes.cores;
  // At least two, so that a job of two tasks a node runs on the smallest machine.
  if (!made.executor.cores) {
    made.executor.cores = std::max<std::int64_t>(2, machine.cores / nodes);
  }
  if (wishes.memory) made.executor.memory = wishes.memory;
  if (!made.executor.memory) {
    made.executor.memory = mebibytes((machine.memory.value / nodes) >> 20);
  }
  if (!wishes.extras.empty()) made.nodes = wishes.extras;
  made.executor.waivers.clear();
  for (const auto& row : kernel) {
    if (row.ok || row.waiver.empty()) continue;
    if (const auto waiver = parse_waiver(row.waiver)) made.executor.waivers.insert(*waiver);
  }
  if (wishes.time_slicing) {
    if (made.queues.empty()) {  // the one that there is without any, before ours
      made.queues.push_back({.name = QueueName("batch"), .is_default = true});
    }
    const auto sliced =
        std::ranges::find(made.queues, QueueName(std::string(kSlicedQueue)), &Queue::name);
    Queue& queue = sliced != made.queues.end() ? *sliced : made.queues.emplace_back();
    queue.name = QueueName(std::string(kSlicedQueue));
    queue.time_slicing = wishes.time_slicing;
  }
  // On loopback: who wants others to come in changes the address.
  made.balancer.enabled = machine.has_haproxy;
  made.balancer.spool = layout.balancer_spool();
  if (made.balancer.address == config::BalancerConfig{}.address) {
    made.balancer.address = "127.0.0.1";
    // Low ports are root's.
    if (!machine.own_networks && made.balancer.ports.empty()) {
      made.balancer.ports = {{"443", 8443}, {"80", 8080}};
    }
  }
  made.balancer.network = machine.own_networks ? network.outside : std::string();
  made.balancer.inside = machine.own_networks ? network.scheduler_address : "127.0.0.1";
  made.mpi.tcp_networks = machine.own_networks ? network.network : "127.0.0.0/8";
  return made;
}

config::Config node_config(config::Config cluster,
                           const ClusterLayout& layout,
                           const NodeAddress& node,
                           const Machine& machine) {
  cluster.executor.spool = layout.node_spool(node.node);
  cluster.executor.address = machine.own_networks ? node.address : "127.0.0.1";
  cluster.executor.cgroup = cat(layout.name, '/', node.node.value);
  return cluster;
}

std::vector<std::string> needed_waivers(const std::vector<containers::ProbeRow>& kernel) {
  std::vector<std::string> lines;
  for (const auto& row : kernel) {
    if (!row.ok && !row.waiver.empty()) lines.push_back(cat(row.waiver, ": ", row.detail));
  }
  return lines;
}

}  // namespace gangway::one_machine
