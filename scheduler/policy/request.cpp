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

// A component of which all nodes have to be of one choice.
struct Alike {
  std::size_t part = 0;
  std::vector<FeatureChoice> choices;
};

// The nodes that are counted by their features are parts of their own.
void add_parts(Request& request,
               RequestPart part,
               std::vector<Alike>& alike,
               FeatureNumbers& numbers) {
  if (part.features.empty()) {
    request.parts.push_back(std::move(part));
    return;
  }
  const Result<Constraint> constraint = parse_constraint(part.features);
  if (!constraint) {  // written by another version
    part.filter = NodeFilter(std::vector<NodeFilter::Term>{});
    request.parts.push_back(std::move(part));
    return;
  }
  std::int32_t left = part.nodes;
  for (const Constraint::Counted& counted : constraint->counted) {
    RequestPart some = part;
    some.nodes = std::min(counted.nodes, left);
    some.first = part.nodes - left;
    some.filter = numbers.filter_of(counted.choice);
    some.features = render_choice(counted.choice);
    left -= some.nodes;
    if (some.nodes > 0) request.parts.push_back(std::move(some));
  }
  if (left == 0) return;
  part.first = part.nodes - left;
  part.nodes = left;
  const FeatureChoice& first = constraint->choices.front();
  part.filter = numbers.filter_of(first);
  if (!constraint->counted.empty()) part.features = render_choice(first);
  if (constraint->choices.size() > 1) alike.push_back({request.parts.size(), constraint->choices});
  request.parts.push_back(std::move(part));
}

// Each choice so far with each of these.
void add_choices(Request& request, const Alike& alike, FeatureNumbers& numbers) {
  std::vector<Request> before = std::move(request.choices);
  request.choices.clear();
  if (before.empty()) {
    before.push_back(request);
  }
  for (const Request& one : before) {
    for (const FeatureChoice& choice : alike.choices) {
      if (request.choices.size() == kMaxChoicesOfJob) return;
      Request& next = request.choices.emplace_back(one);
      next.parts[alike.part].filter = numbers.filter_of(choice);
      next.parts[alike.part].features = render_choice(choice);
    }
  }
}

}  // namespace

std::size_t Request::total_nodes() const {
  std::size_t total = 0;
  for (const RequestPart& part : parts) total += static_cast<std::size_t>(part.nodes);
  return total;
}

std::int32_t RequestPart::tasks_on(std::size_t i) const {
  const std::int32_t base = tasks / component_nodes;
  return base + (first + static_cast<std::int32_t>(i) < tasks % component_nodes ? 1 : 0);
}

Amounts RequestPart::least_per_node() const {
  Amounts least = per_node;
  if (!exclusive && cores_per_node == 0)
    least.of[0] = std::int64_t{tasks / component_nodes} * cpus_per_task;
  return least;
}

Request make_request(const QueueName& queue,
                     std::optional<Duration> limit,
                     const std::vector<Component>& components,
                     Kinds& kinds) {
  Request request{.queue = queue, .limit = limit, .parts = {}, .choices = {}};
  request.parts.reserve(components.size());
  std::vector<Alike> alike;
  for (const Component& component : components) {
    RequestPart part{.component = static_cast<std::uint32_t>(&component - components.data()),
                     .nodes = component.nodes,
                     .per_node = kinds.of_request(component.per_node()),
                     .wanted = {},
                     .exclusive = component.exclusive,
                     .tasks = component.tasks,
                     .cpus_per_task = component.cpus_per_task,
                     .cores_per_node = component.cores_per_node,
                     .only = sorted(component.only_nodes),
                     .never = sorted(component.not_nodes),
                     .filter = {},
                     .features = component.constraint,
                     .component_nodes = component.nodes,
                     .first = 0};
    part.wanted = Wanted(part.per_node);
    add_parts(request, std::move(part), alike, kinds.features());
  }
  for (const Alike& one : alike) add_choices(request, one, kinds.features());
  return request;
}

std::string request_key(const QueueName& queue,
                        std::optional<Duration> limit,
                        const std::vector<Component>& components) {
  // Names with their lengths, because they are people's.
  const auto named = [](const auto& name) { return cat(name.size(), ':', name); };
  std::string key = cat(named(queue.value), ';', limit ? limit->ns : std::int64_t{-1});
  for (const Component& c : components) {
    key += cat(";n", c.nodes, 't', c.tasks, 'c', c.cpus_per_task, 'm', c.memory_per_node.value,
               c.exclusive ? 'x' : 's');
    if (c.cores_per_node > 0) key += cat('p', c.cores_per_node);
    for (const auto& [name, amount] : c.named_per_node.named)
      key += cat(',', named(name), ':', amount);
    for (const NodeName& name : sorted(c.only_nodes)) key += cat("+", named(name.value));
    for (const NodeName& name : sorted(c.not_nodes)) key += cat("-", named(name.value));
    if (!c.constraint.empty()) key += cat("?", named(c.constraint));
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
    out += cat(part.nodes, part.exclusive ? " whole" : "", part.nodes == 1 ? " node" : " nodes",
               " with ", to_string(kinds.to_resources(part.per_node)),
               part.features.empty() ? "" : cat(" and features ", part.features),
               part.nodes == 1 ? "" : " each");
  }
  return out;
}

}  // namespace gangway::scheduler
