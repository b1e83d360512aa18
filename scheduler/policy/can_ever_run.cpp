#include <algorithm>
#include <cstddef>

#include "queues/base/text.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

namespace {

// "a node has at most 4 cores, 12G": of the nodes of a queue.
std::string most_on_a_node(Profile& profile,
                           Profile::QueueNumber queue,
                           const std::vector<std::pair<NodeName, Resources>>& nodes) {
  Resources most;
  for (const auto& [name, capacity] : nodes) {
    if (!profile.may_serve(profile.index_of(name), queue, RequestPart{})) continue;
    most.cores = std::max(most.cores, capacity.cores);
    most.memory = std::max(most.memory, capacity.memory);
  }
  return cat("a node has at most ", most.cores, " cores, ", render_bytes(most.memory));
}

}  // namespace

Result<void> can_ever_run(const std::vector<Component>& components,
                          const Queue& queue,
                          const std::vector<std::pair<NodeName, Resources>>& nodes) {
  Profile profile;
  profile.set_queues({queue});
  for (const auto& [name, capacity] : nodes) profile.set_node(name, capacity, true);
  const Request request = make_request(queue.name, std::nullopt, components, profile.kinds());
  if (would_fit_empty(profile, request, false)) return {};

  // Say what is missing: of each part the number of nodes that could serve it.
  const Profile::QueueNumber number = *profile.find_queue(queue.name);
  std::size_t in_queue = 0;
  for (NodeIndex node = 0; node < profile.node_count(); ++node) {
    if (profile.may_serve(node, number, RequestPart{})) ++in_queue;
  }
  const auto refuse = [&](const auto&... pieces) {
    return Error(ErrorKind::Invalid, cat(pieces...));
  };
  const auto nodes_word = [](auto count) { return count == 1 ? " node" : " nodes"; };
  if (request.total_nodes() > in_queue) {
    return refuse(request.total_nodes(), nodes_word(request.total_nodes()), " asked, queue ",
                  queue.name.value, " has ", in_queue);
  }
  for (const RequestPart& part : request.parts) {
    std::int32_t able = 0;
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (profile.may_serve(node, number, part)) ++able;
    }
    if (able < part.nodes) {
      const std::string most = able > 0 ? "" : cat("; ", most_on_a_node(profile, number, nodes));
      return refuse(describe(Request{queue.name, std::nullopt, {part}}, profile.kinds()),
                    " asked, queue ", queue.name.value, " has ", able == 0 ? "no" : cat(able),
                    " such", nodes_word(std::max(able, 1)), most);
    }
  }
  return refuse(describe(request, profile.kinds()), " asked, queue ", queue.name.value,
                " has not enough such nodes for all of it at once");
}

}  // namespace gangway::scheduler
