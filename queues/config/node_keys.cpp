#include <algorithm>
#include <utility>

#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/config/keys.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/idset.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::config {

namespace {

const Key<NodesConfig> kNodesKeys[] = {
    {"names", "",
     [](const Value& v, NodesConfig& n) {
       v.read_list([&n](const Value& item, const std::string& text) {
         const auto names = parse_host_list(text);
         if (!names) return item.fail(names.error().message());
         n.names.insert(n.names.end(), names->begin(), names->end());
       });
     },
     [](const NodesConfig& n) { return quoted(render_host_list(n.names)); }},
    {"features", "", [](const Value& v, NodesConfig& n) { v.read_features(n.features); },
     [](const NodesConfig& n) {
       return n.features.empty() ? std::string() : flow_list(n.features);
     }},
    {"resources", "",
     [](const Value& v, NodesConfig& n) {
       v.read_amounts(n.named, [](const Value& amount, std::int64_t& out) {
         amount.read(out, 1, kMaxNamedAmount);
       });
     },
     [](const NodesConfig& n) { return flow_map(n.named); }},
    {"devices", "", [](const Value& v, NodesConfig& n) { v.read_devices(n.devices); },
     [](const NodesConfig& n) { return flow_map(n.devices); }},
    {"cores", "",
     [](const Value& v, NodesConfig& n) {
       std::int64_t cores = 0;
       v.read(cores, 1, 1'000'000);
       if (cores > 0) n.cores = cores;
     },
     [](const NodesConfig& n) { return n.cores ? cat(*n.cores) : std::string(); }},
    {"memory", "",
     [](const Value& v, NodesConfig& n) {
       Bytes memory;
       v.read(memory);
       if (memory.value > 0) n.memory = memory;
     },
     [](const NodesConfig& n) { return n.memory ? render_exactly(*n.memory) : std::string(); }},
};

}  // namespace

std::span<const Key<NodesConfig>> nodes_keys() { return kNodesKeys; }

ExecutorConfig executor_of(const Config& config, const NodeName& node) {
  ExecutorConfig executor = config.executor;
  for (const NodesConfig& entry : config.nodes) {
    if (std::ranges::find(entry.names, node) == entry.names.end()) continue;
    if (entry.cores) executor.cores = entry.cores;
    if (entry.memory) executor.memory = entry.memory;
    for (const auto& [name, amount] : entry.named) {
      std::erase_if(executor.named,
                    [&known_name = name](const auto& known) { return known.first == known_name; });
      executor.named.emplace_back(name, amount);
    }
    for (const auto& [kind, devices] : entry.devices) {
      const auto known = std::ranges::find(executor.devices, kind, &DeviceList::value_type::first);
      if (known == executor.devices.end()) {
        executor.devices.emplace_back(kind, devices);
      } else {
        known->second.insert(known->second.end(), devices.begin(), devices.end());
      }
    }
    executor.features.insert(executor.features.end(), entry.features.begin(), entry.features.end());
  }
  std::ranges::sort(executor.named);
  std::ranges::sort(executor.devices);
  executor.features = sorted_features(std::move(executor.features));
  return executor;
}

}  // namespace gangway::config
