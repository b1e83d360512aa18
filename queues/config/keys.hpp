// The keys of the configuration file, one table for each section: how a key is read, written and
// explained. A new key is one new entry here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "queues/config/config.hpp"
#include "queues/config/value.hpp"

namespace gangway::config {

template <typename Section>
struct Key {
  std::string_view name;
  std::string_view comment;  // for people, above the key in a written file
  void (*read)(const Value&, Section&);
  std::string (*write)(const Section&);  // empty: not set
};

[[nodiscard]] std::span<const Key<Config>> cluster_keys();  // at the top of the file
[[nodiscard]] std::span<const Key<SchedulerConfig>> scheduler_keys();
[[nodiscard]] std::span<const Key<ExecutorConfig>> executor_keys();
[[nodiscard]] std::span<const Key<NodesConfig>> nodes_keys();
[[nodiscard]] std::span<const Key<MpiConfig>> mpi_keys();
[[nodiscard]] std::span<const Key<BalancerConfig>> balancer_keys();
[[nodiscard]] std::span<const Key<PriorityConfig>> priority_keys();
[[nodiscard]] std::span<const Key<FairShareConfig>> fair_share_keys();
[[nodiscard]] std::span<const Key<Queue>> queue_keys();

}  // namespace gangway::config
