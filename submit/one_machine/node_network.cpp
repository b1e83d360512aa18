#include "submit/one_machine/node_network.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "queues/base/text.hpp"
#include "submit/one_machine/files.hpp"

namespace gangway::one_machine {
namespace {

constexpr const char* kNamespaces = "/run/netns";
constexpr const char* kBridge = "br0";

// A file below /run/netns without a namespace mounted on it is what a crash leaves behind.
bool is_namespace(const std::string& path) {
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

// The loopback's acknowledgements are sent at once: the kernel would otherwise delay the last one
// of each conversation by 40 ms, which every MPI program meets in MPI_Finalize.
void add_loopback(std::vector<Argv>& commands, const std::string& name) {
  commands.push_back({"ip", "-n", name, "link", "set", "lo", "up"});
  for (const char* destination : {"127.0.0.0/8", "127.0.0.1"}) {
    commands.push_back({"ip", "-n", name, "route", "replace", "local", destination, "dev", "lo",
                        "table", "local", "proto", "kernel", "scope", "host", "src", "127.0.0.1",
                        "quickack", "1"});
  }
}

}  // namespace

std::string namespace_path(const std::string& name) { return cat(kNamespaces, '/', name); }

NetworkPlan plan_network(const ClusterLayout& layout, const std::vector<NodeName>& nodes) {
  CHECK(nodes.size() <= kMaxNodes);
  const std::string prefix = cat("10.77.", layout.network, '.');
  NetworkPlan plan{.switch_namespace = layout.name + "-switch",
                   .outside = layout.name + ".outside",
                   .scheduler_address = prefix + "254",
                   .network = prefix + "0/24",
                   .nodes = {}};
  int last = 0;
  for (const auto& node : nodes) {
    plan.nodes.push_back({.node = node,
                          .network_namespace = cat(layout.name, '-', node.value),
                          .address = cat(prefix, ++last)});
  }
  return plan;
}

std::vector<Argv> network_commands(const NetworkPlan& plan) {
  std::vector<Argv> commands;
  const auto& hub = plan.switch_namespace;
  commands.push_back({"ip", "netns", "add", hub});
  add_loopback(commands, hub);
  commands.push_back({"ip", "-n", hub, "link", "add", kBridge, "type", "bridge"});
  commands.push_back(
      {"ip", "-n", hub, "address", "add", plan.scheduler_address + "/24", "dev", kBridge});
  commands.push_back({"ip", "-n", hub, "link", "set", kBridge, "up"});
  for (const auto& node : plan.nodes) {
    const auto& name = node.network_namespace;
    const auto& port = node.node.value;
    commands.push_back({"ip", "netns", "add", name});
    add_loopback(commands, name);
    commands.push_back({"ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name",
                        "eth0", "netns", name});
    commands.push_back({"ip", "-n", hub, "link", "set", port, "master", kBridge, "up"});
    commands.push_back({"ip", "-n", name, "address", "add", node.address + "/24", "dev", "eth0"});
    commands.push_back({"ip", "-n", name, "link", "set", "eth0", "up"});
  }
  return commands;
}

Result<void> make_network(const ClusterLayout& layout, const NetworkPlan& plan) {
  auto commands = network_commands(plan);
  commands.push_back({"ip", "netns", "attach", plan.outside, cat(::getpid())});
  for (const auto& command : commands) {
    if (const auto done = run_command(command); !done) {
      if (const auto undone = remove_network(layout); !undone) {
        return done.error().with_context(
            cat("make the network (and it could not be removed: ", undone.error().message(), ")"));
      }
      return done.error().with_context("make the network");
    }
  }
  return {};
}

bool network_exists(const NetworkPlan& plan) {
  return is_namespace(namespace_path(plan.switch_namespace)) &&
         is_namespace(namespace_path(plan.outside)) &&
         std::ranges::all_of(plan.nodes, [](const NodeAddress& node) {
           return is_namespace(namespace_path(node.network_namespace));
         });
}

std::vector<std::string> find_namespaces(const ClusterLayout& layout) {
  std::vector<std::string> paths;
  for (const auto& name : list_directory(kNamespaces)) {
    if (name.starts_with(layout.name + "-")) paths.push_back(namespace_path(name));
  }
  return paths;
}

Result<void> remove_network(const ClusterLayout& layout) {
  auto paths = find_namespaces(layout);
  // Only the name: the namespace itself is the machine's.
  paths.push_back(namespace_path(layout.name + ".outside"));
  for (const auto& path : paths) {
    ::umount2(path.c_str(), MNT_DETACH);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return errno_error(cat("remove ", path), errno);
    }
  }
  // ip-netns(8) makes the directory a mount point at its first use. If no namespace is left there,
  // whosoever, it goes as well; with one left the kernel refuses (EBUSY), which is right.
  if (::geteuid() == 0 && list_directory(kNamespaces).empty()) {
    ::umount2(kNamespaces, UMOUNT_NOFOLLOW);
    ::rmdir(kNamespaces);
  }
  return {};
}

}  // namespace gangway::one_machine
