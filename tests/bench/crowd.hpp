// Crowd: the state of a large cluster with a long line, made from a seed, for planner_bench.
//
// 10,000 nodes of which no two are equal, half of them held by 5,000 running jobs; pending jobs of
// up to 10,000 kinds in turns, of 1,000 users with shares that all differ.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::bench {

inline constexpr std::size_t kNodes = 10'000;
inline constexpr std::size_t kRunning = 5'000;
inline constexpr std::size_t kUsers = 1'000;
inline constexpr std::size_t kMostKinds = 10'000;
inline constexpr Time kNow{hours(24 * 365 * 50).ns};

inline constexpr JobKey running_job(std::size_t i) { return JobKey{JobId{i + 1}}; }
inline constexpr JobKey pending_job(std::size_t i) { return JobKey{JobId{kRunning + i + 1}}; }

class Crowd {
 public:
  Crowd(std::uint64_t seed, std::size_t pending) : rng_(seed), pending_(pending) {
    for (std::size_t i = 0; i < kNodes; ++i) nodes_.push_back(make_node(i));
    const std::size_t kinds = std::min(pending, kMostKinds);
    for (std::size_t i = 0; i < kinds; ++i) kinds_.push_back(make_kind(i));
  }

  [[nodiscard]] std::size_t kinds() const { return kinds_.size(); }

  // Everything but the pending jobs.
  void build(scheduler::Planner& planner) {
    namespace delta = scheduler::delta;
    Queue queue;
    queue.name = QueueName("batch");
    queue.is_default = true;
    planner.apply(delta::QueuesAre{{queue}});
    planner.apply(delta::RulesAre{});
    delta::FairSharesAre shares{kNow, {}};
    for (std::size_t user = 0; user < kUsers; ++user) {
      shares.factors.push_back(static_cast<double>((user * 617) % kUsers + 1) / double{kUsers});
    }
    planner.apply(shares);
    for (const auto& node : nodes_) planner.apply(node);
    for (std::size_t i = 0; i < kRunning; ++i) planner.apply(make_running(i));
  }

  void submit(scheduler::Planner& planner) {
    for (std::size_t i = 0; i < pending_; ++i) {
      scheduler::Candidate job;
      job.key = pending_job(i);
      job.queue = QueueName("batch");
      job.user = static_cast<UserNumber>(rng_.between(0, kUsers - 1));
      job.eligible = kNow - seconds(rng_.between(0, 6 * 24 * 3600));
      const Kind& kind = kinds_[i % kinds_.size()];
      job.limit = kind.limit;
      job.components = {kind.component};
      planner.apply(scheduler::delta::Waits{std::move(job)});
    }
  }

  [[nodiscard]] Time expected_end(const scheduler::Start& start) const {
    return kNow + kinds_[(start.key.job.value - kRunning - 1) % kinds_.size()].limit;
  }

 private:
  using UserNumber = scheduler::UserNumber;
  struct Kind {
    Component component;
    Duration limit;
  };

  scheduler::delta::NodeIs make_node(std::size_t i) {
    constexpr int kCores[] = {16, 24, 32, 48, 64, 96, 128};
    Resources r;
    r.cores = kCores[rng_.between(0, 6)];
    r.memory = Bytes{(r.cores * rng_.between(2, 8) << 30) + static_cast<std::int64_t>(i << 20)};
    if (rng_.chance(100)) r.set_named("gpu", rng_.between(1, 8));
    const std::string digits = std::to_string(i);
    return {NodeName("n" + std::string(5 - digits.size(), '0') + digits), r, true};
  }

  Kind make_kind(std::size_t i) {
    Kind kind;
    Component& c = kind.component;
    const std::int64_t shape = rng_.between(0, 99);
    c.nodes = static_cast<std::int32_t>(shape < 60   ? 1
                                        : shape < 90 ? rng_.between(2, 8)
                                        : shape < 99 ? rng_.between(16, 64)
                                                     : rng_.between(256, 2048));
    c.tasks = c.nodes * static_cast<std::int32_t>(rng_.between(1, 16));
    c.cpus_per_task = static_cast<std::int32_t>(rng_.between(1, 4));
    c.memory_per_node = Bytes{rng_.between(1, 96) << 30};
    if (c.nodes <= 4 && rng_.chance(50)) c.named_per_node.set_named("gpu", rng_.between(1, 4));
    c.exclusive = rng_.chance(100);
    // No two kinds have the same limit.
    kind.limit = minutes(rng_.between(10, 48 * 60)) + milliseconds(static_cast<std::int64_t>(i));
    return kind;
  }

  // All of one node.
  scheduler::delta::Started make_running(std::size_t i) {
    const auto& node = nodes_[2 * i];
    NodeShare share;
    share.node = node.name;
    share.resources = node.capacity;
    for (std::int32_t core = 0; core < node.capacity.cores; ++core) share.cores.push_back(core);
    share.tasks = 1;
    Allocation allocation;
    allocation.shares.push_back(std::move(share));
    return {running_job(i), std::move(allocation), kNow + seconds(rng_.between(60, 24 * 3600))};
  }

  Rng rng_;
  std::size_t pending_;
  std::vector<scheduler::delta::NodeIs> nodes_;
  std::vector<Kind> kinds_;
};

}  // namespace gangway::bench
