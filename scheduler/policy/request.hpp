// Request: everything of a waiting job that decides whether it fits: equal requests fit or do not
// fit together, so the policy looks at classes of jobs, not at jobs.
//
// Source: the autoclusters of HTCondor, the scheduling keys of Armada.
// Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/job_spec.hpp"
#include "scheduler/policy/amounts.hpp"
#include "scheduler/policy/features.hpp"
#include "scheduler/policy/gang.hpp"

namespace gangway::scheduler {

// A component, or those nodes of one that have the same features asked of them.
struct RequestPart {
  std::uint32_t component = 0;
  std::int32_t nodes = 1;
  Amounts per_node;  // of the fullest node
  Wanted wanted;     // the same
  bool exclusive = false;
  std::int32_t tasks = 1;  // of the whole component
  std::int32_t cpus_per_task = 1;
  std::int32_t cores_per_node = 0;  // 0: by its tasks
  std::vector<NodeName> only;       // sorted; empty: any
  std::vector<NodeName> never;      // sorted
  NodeFilter filter;
  std::string features;              // what the filter asks for, for people
  std::int32_t component_nodes = 1;  // of the whole component
  std::int32_t first = 0;            // so many nodes of its component come before
  // Of its i-th node: blocks that differ by one at most, the larger ones first.
  [[nodiscard]] std::int32_t tasks_on(std::size_t i) const;
  // Of the emptiest node.
  [[nodiscard]] Amounts least_per_node() const;
  // Whether all its nodes get the same.
  [[nodiscard]] bool is_even() const {
    return exclusive || cores_per_node > 0 || tasks % component_nodes == 0;
  }
};

struct Request {
  QueueName queue;
  std::optional<Duration> limit;
  std::vector<RequestPart> parts;
  // Where all nodes of a component have to be alike: one of these will do, the first that fits is
  // taken. They differ from each other and from `parts` in the filters alone. Empty: `parts`.
  std::vector<Request> choices;
  [[nodiscard]] std::size_t total_nodes() const;
};

[[nodiscard]] Request make_request(const QueueName& queue,
                                   std::optional<Duration> limit,
                                   const std::vector<Component>& components,
                                   Kinds& kinds);

// Equal for jobs whose requests are equal, different for others.
[[nodiscard]] std::string request_key(const QueueName& queue,
                                      std::optional<Duration> limit,
                                      const std::vector<Component>& components);

// Jobs without a limit end at kUnlimitedEnd as far as plans go: later than every job with a limit,
// so that a job that has to wait for them still gets its nodes reserved, and other jobs without a
// limit do not take them from it one by one.
inline constexpr Time kUnlimitedEnd{Time::infinity().ns - 1};

// The end of a job that starts at `start`: infinity, beyond kUnlimitedEnd, for one without a limit.
[[nodiscard]] Time end_of(Time start, std::optional<Duration> limit);

// When a running job is expected to leave its nodes.
[[nodiscard]] inline Time planned_end(Time end) {
  return end < kUnlimitedEnd ? end : kUnlimitedEnd;
}

// "2 nodes with 4 cores, 2G each", "1 whole node with ...".
[[nodiscard]] std::string describe(const Request& request, const Kinds& kinds);

}  // namespace gangway::scheduler
