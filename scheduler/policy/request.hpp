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
#include "scheduler/policy/gang.hpp"

namespace gangway::scheduler {

struct RequestPart {
  std::int32_t nodes = 1;
  Amounts per_node;  // of the fullest node
  bool exclusive = false;
  std::int32_t tasks = 1;
  std::int32_t cpus_per_task = 1;
  std::vector<NodeName> only;   // sorted; empty: any
  std::vector<NodeName> never;  // sorted
};

struct Request {
  QueueName queue;
  std::optional<Duration> limit;
  std::vector<RequestPart> parts;
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
