// Small builders for sentences about the policy: job(7).nodes(2).cores(4).limit(minutes(5)).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/schedule.hpp"

namespace gangway::scheduler {

inline JobKey key(std::uint64_t id) { return JobKey{JobId{id}}; }
inline Time at_s(std::int64_t s) { return Time{seconds(s).ns}; }
inline NodeName node_name(int i) {
  const std::string digits = std::to_string(i);
  return NodeName("n" + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits);
}

class CandidateBuilder {
 public:
  explicit CandidateBuilder(std::uint64_t id) {
    job_.key = key(id);
    job_.queue = QueueName("batch");
    job_.eligible = at_s(static_cast<std::int64_t>(id));
    job_.components.push_back({});
  }
  CandidateBuilder& nodes(int n) {
    part().nodes = n;
    if (part().tasks < n) part().tasks = n;
    return *this;
  }
  CandidateBuilder& tasks(int n) {
    part().tasks = n;
    return *this;
  }
  CandidateBuilder& cores(int per_task) {
    part().cpus_per_task = per_task;
    return *this;
  }
  CandidateBuilder& memory(Bytes per_node) {
    part().memory_per_node = per_node;
    return *this;
  }
  CandidateBuilder& named(const char* name, int amount) {
    part().named_per_node.set_named(name, amount);
    return *this;
  }
  CandidateBuilder& exclusive() {
    part().exclusive = true;
    return *this;
  }
  CandidateBuilder& only(std::vector<int> nodes) {
    for (const int n : nodes) part().only_nodes.push_back(node_name(n));
    return *this;
  }
  CandidateBuilder& without(std::vector<int> nodes) {
    for (const int n : nodes) part().not_nodes.push_back(node_name(n));
    return *this;
  }
  CandidateBuilder& constraint(const char* text) {
    part().constraint = text;
    return *this;
  }
  CandidateBuilder& and_component() {
    job_.components.push_back({});
    return *this;
  }
  CandidateBuilder& limit(Duration d) {
    job_.limit = d;
    return *this;
  }
  CandidateBuilder& queue(const char* name) {
    job_.queue = QueueName(name);
    return *this;
  }
  CandidateBuilder& nice(int n) {
    job_.nice = n;
    return *this;
  }
  CandidateBuilder& eligible(Time t) {
    job_.eligible = t;
    return *this;
  }
  operator Candidate() const { return job_; }  // NOLINT: implicit by design
  [[nodiscard]] const Candidate& get() const { return job_; }

 private:
  Component& part() { return job_.components.back(); }
  Candidate job_;
};
inline CandidateBuilder job(std::uint64_t id) { return CandidateBuilder(id); }

inline Resources capacity(int cores, Bytes memory = gibibytes(16)) {
  Resources r;
  r.cores = cores;
  r.memory = memory;
  return r;
}

inline Queue batch_queue() {
  Queue queue;
  queue.name = QueueName("batch");
  queue.is_default = true;
  return queue;
}

// A planner over a little machine, and the clock that it is asked at.
class LittleCluster {
 public:
  explicit LittleCluster(std::vector<Queue> queues = {batch_queue()}, BackfillPolicy policy = {})
      : planner(policy) {
    planner.apply(delta::QueuesAre{std::move(queues)});
  }
  LittleCluster& nodes(int count, int cores) {
    for (int i = 0; i < count; ++i) node(++node_count_, capacity(cores));
    return *this;
  }
  LittleCluster& node(int number,
                      Resources r,
                      bool usable = true,
                      std::vector<std::string> features = {}) {
    planner.apply(delta::NodeIs{node_name(number), std::move(r), usable, std::move(features)});
    return *this;
  }
  LittleCluster& waits(const Candidate& candidate) {
    planner.apply(delta::Waits{candidate});
    waiting_.push_back(candidate);
    return *this;
  }
  // One pass; what it starts is started.
  PlanDelta pass(Time now, int budget = 10'000) {
    PlanDelta plan = planner.pass(now, budget);
    for (const Start& start : plan.starts) {
      for (const Candidate& candidate : waiting_) {
        if (candidate.key != start.key) continue;
        planner.apply(delta::Started{start.key, start.allocation,
                                     candidate.limit ? now + *candidate.limit : Time::infinity()});
      }
    }
    return plan;
  }
  void ends(std::uint64_t id) { planner.apply(delta::Ended{key(id)}); }

  Planner planner;

 private:
  std::vector<Candidate> waiting_;
  int node_count_ = 0;
};

inline std::vector<std::uint64_t> started(const PlanDelta& plan) {
  std::vector<std::uint64_t> out;
  for (const Start& start : plan.starts) out.push_back(start.key.job.value);
  return out;
}
inline std::vector<std::string> nodes_of(const Allocation& allocation) {
  std::vector<std::string> out;
  for (const NodeShare& share : allocation.shares) out.push_back(share.node.value);
  return out;
}
inline PendingReason reason_of(const PlanDelta& plan, std::uint64_t id) {
  for (const Reason& reason : plan.reasons) {
    if (reason.key == key(id)) return reason.reason;
  }
  return PendingReason::None;
}

}  // namespace gangway::scheduler
