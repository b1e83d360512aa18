#include "scheduler/policy/request.hpp"

#include <algorithm>
#include <cstddef>

#include "queues/base/text.hpp"

namespace gangway::scheduler {

namespace {

std::vector<NodeName> sorted(std::vector<NodeName> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

std::size_t Request::total_nodes() const {
  std::size_t total = 0;
  for (const RequestPart& part : parts) total += static_cast<std::size_t>(part.nodes);
  return total;
}

Request make_request(const QueueName& queue,
                     std::optional<Duration> limit,
                     const std::vector<Component>& components,
                     Kinds& kinds) {
  Request request{.queue = queue, .limit = limit, .parts = {}};
  request.parts.reserve(components.size());
  for (const Component& component : components) {
    request.parts.push_back({.nodes = component.nodes,
                             .per_node = kinds.of_request(component.per_node()),
                             .exclusive = component.exclusive,
                             .tasks = component.tasks,
                             .cpus_per_task = component.cpus_per_task,
                             .only = sorted(component.only_nodes),
                             .never = sorted(component.not_nodes)});
  }
  return request;
}

std::string request_key(const QueueName& queue,
                        std::optional<Duration> limit,
                        const std::vector<Component>& components) {
  std::string key = cat(queue.value, ';', limit ? limit->ns : std::int64_t{-1});
  for (const Component& c : components) {
    key += cat(";n", c.nodes, 't', c.tasks, 'c', c.cpus_per_task, 'm', c.memory_per_node.value,
               c.exclusive ? 'x' : 's');
    for (const auto& [name, amount] : c.named_per_node.named) key += cat(',', name, ':', amount);
    for (const NodeName& name : sorted(c.only_nodes)) key += cat("+", name.value);
    for (const NodeName& name : sorted(c.not_nodes)) key += cat("-", name.value);
  }
  return key;
}

Time end_of(Time start, std::optional<Duration> limit) {
  if (!limit) return Time::infinity();
  if (start.ns >= kUnlimitedEnd.ns - limit->ns) return Time::infinity();
  return start + *limit;
}

std::string describe(const Request& request, const Kinds& kinds) {
  std::string out;
  for (const RequestPart& part : request.parts) {
    if (!out.empty()) out += " and ";
    out +=
        cat(part.nodes, part.exclusive ? " whole" : "", part.nodes == 1 ? " node" : " nodes",
            " with ", to_string(kinds.to_resources(part.per_node)), part.nodes == 1 ? "" : " each");
  }
  return out;
}

}  // namespace gangway::scheduler
