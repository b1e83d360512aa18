#include "executor/device_plan.hpp"

#include <algorithm>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/devices.hpp"

namespace gangway::executor {
namespace {

// Of each given device what there is to know of it; nullptr where the node has only a count.
std::vector<const DeviceEdits*> edits_of(const NodeShare& share, const LaunchFacts& facts) {
  std::vector<const DeviceEdits*> edits;
  for (const DeviceShare& given : share.devices) {
    const auto known = facts.devices.find(given.name);
    if (known == facts.devices.end()) continue;
    for (const std::int32_t index : given.indices) {
      const auto at = static_cast<std::size_t>(index);
      if (at < known->second.size()) edits.push_back(&known->second[at]);
    }
  }
  return edits;
}

std::string numbers(std::size_t count) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < count; ++i) parts.push_back(cat(i));
  return join(parts, ",");
}

}  // namespace

void add_devices(const NodeShare& share,
                 const LaunchFacts& facts,
                 containers::SandboxRequest& request) {
  std::set<std::string> open;
  std::set<std::string> bound;
  for (const DeviceEdits* edits : edits_of(share, facts)) {
    for (const containers::DeviceNode& node : edits->nodes) {
      if (open.insert(node.source).second) request.devices.push_back(node);
    }
    if (!request.image) continue;  // the host's files are there already
    for (const containers::BindMount& mount : edits->mounts) {
      if (bound.insert(mount.destination).second) request.binds.push_back(mount);
    }
  }
  std::set<std::string> closed;
  for (const auto& [kind, devices] : facts.devices) {
    for (const DeviceEdits& edits : devices) {
      for (const containers::DeviceNode& node : edits.nodes) {
        if (!open.contains(node.source)) closed.insert(node.source);
      }
    }
  }
  request.closed_devices.assign(closed.begin(), closed.end());
}

void set_device_variables(Environment& env, const NodeShare& share, const LaunchFacts& facts) {
  for (const DeviceEdits* edits : edits_of(share, facts)) env.set_all(edits->env);
  const auto gpus = std::ranges::find(share.devices, "gpu", &DeviceShare::name);
  if (gpus == share.devices.end()) {
    // Without any, a program must not take those of the node for its own.
    if (facts.devices.contains("gpu")) {
      env.set("CUDA_VISIBLE_DEVICES", "");
      env.set("ROCR_VISIBLE_DEVICES", "");
    }
    return;
  }
  const std::string seen = numbers(gpus->indices.size());
  env.set("CUDA_VISIBLE_DEVICES", seen);
  env.set("ROCR_VISIBLE_DEVICES", seen);
  std::vector<std::string> given;
  for (const std::int32_t index : gpus->indices) given.push_back(cat(index));
  env.set("JOB_GPUS", join(given, ","));
  env.set("SLURM_JOB_GPUS", join(given, ","));
  env.set("SLURM_GPUS_ON_NODE", cat(gpus->indices.size()));
}

}  // namespace gangway::executor
