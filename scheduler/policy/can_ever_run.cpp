#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMostFeaturesNamed = 20;

class Feasibility {
 public:
  Feasibility(const Queue& queue, const std::vector<delta::NodeIs>& nodes)
      : queue_(queue), nodes_(nodes) {
    profile_.set_queues({queue});
    for (const auto& node : nodes) profile_.set_node(node.name, node.capacity, true, node.features);
    const auto number = profile_.find_queue(queue.name);
    CHECK(number);
    number_ = *number;
  }

  Result<void> check(const std::vector<Component>& components) {
    const Request request = make_request(queue_.name, std::nullopt, components, profile_.kinds());
    if (would_fit_empty(profile_, request, false)) return {};
    const std::size_t in_queue = count_able(RequestPart{});
    if (request.total_nodes() > in_queue) {
      return refuse(request.total_nodes(), nodes_word(request.total_nodes()), " asked, queue ",
                    queue_.name.value, " has ", in_queue);
    }
    // Of [a|b] it is enough to say what keeps the first.
    const Request& first = request.choices.empty() ? request : request.choices.front();
    for (const RequestPart& part : first.parts) {
      const std::size_t able = count_able(part);
      if (able >= static_cast<std::size_t>(part.nodes)) continue;
      if (able == 0 && !part.features.empty() && count_able(features_of(part)) == 0) {
        return refuse("no node of queue ", queue_.name.value, " has the features ", part.features,
                      "; there are: ", features_there());
      }
      if (able == 0 && part.features.empty() && count_able(place_of(part)) == 0) {
        return refuse("--nodelist and --exclude leave no node of queue ", queue_.name.value);
      }
      const std::string most = able > 0 ? "" : cat("; ", most_on_a_node());
      return refuse(describe(Request{queue_.name, std::nullopt, {part}, {}}, profile_.kinds()),
                    " asked, queue ", queue_.name.value, " has ", able == 0 ? "no" : cat(able),
                    " such", nodes_word(std::max<std::size_t>(able, 1)), most);
    }
    return refuse(describe(request, profile_.kinds()), " asked, queue ", queue_.name.value,
                  " has not enough such nodes for all of it at once");
  }

 private:
  template <typename... Pieces>
  static Error refuse(const Pieces&... pieces) {
    return Error(ErrorKind::Invalid, cat(pieces...));
  }
  static std::string_view nodes_word(std::size_t count) { return count == 1 ? " node" : " nodes"; }

  [[nodiscard]] std::size_t count_able(const RequestPart& part) const {
    std::size_t able = 0;
    for (NodeIndex node = 0; node < profile_.node_count(); ++node) {
      if (profile_.may_serve(node, number_, part)) ++able;
    }
    return able;
  }

  static RequestPart features_of(const RequestPart& part) {
    RequestPart only_features;
    only_features.filter = part.filter;
    return only_features;
  }

  static RequestPart place_of(const RequestPart& part) {
    RequestPart only_place;
    only_place.only = part.only;
    only_place.never = part.never;
    return only_place;
  }

  // "a node has at most 4 cores, 12G": of the nodes of the queue.
  [[nodiscard]] std::string most_on_a_node() {
    Resources most;
    for (const auto& node : nodes_) {
      if (!profile_.may_serve(profile_.index_of(node.name), number_, RequestPart{})) continue;
      most.cores = std::max(most.cores, node.capacity.cores);
      most.memory = std::max(most.memory, node.capacity.memory);
    }
    return cat("a node has at most ", most.cores, " cores, ", render_bytes(most.memory));
  }

  [[nodiscard]] std::string features_there() {
    std::set<std::string> names;
    for (const auto& node : nodes_) {
      if (!profile_.may_serve(profile_.index_of(node.name), number_, RequestPart{})) continue;
      names.insert(node.features.begin(), node.features.end());
    }
    if (names.empty()) return "none";
    std::vector<std::string> shown(names.begin(), names.end());
    const bool all = shown.size() <= kMostFeaturesNamed;
    if (!all) shown.resize(kMostFeaturesNamed);
    return cat(join(shown, ", "), all ? "" : ", ...");
  }

  const Queue& queue_;
  const std::vector<delta::NodeIs>& nodes_;
  Profile profile_;
  Profile::QueueNumber number_ = 0;
};

}  // namespace

Result<void> can_ever_run(const std::vector<Component>& components,
                          const Queue& queue,
                          const std::vector<delta::NodeIs>& nodes) {
  return Feasibility(queue, nodes).check(components);
}

}  // namespace gangway::scheduler
