// Schedule: the whole policy from scratch, to be read first. The planner gives the same answer from
// what it keeps between passes; a property test holds the two equal. Pure.
#pragma once

#include <vector>

#include "scheduler/policy/backfill.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::scheduler {

struct Snapshot {
  PriorityRules rules{};
  delta::FairSharesAre fair_shares{};
  std::vector<Queue> queues;
  std::vector<delta::NodeIs> nodes;
  std::vector<delta::Started> running;
  std::vector<Candidate> waiting;
  std::vector<Promise> promises;  // of the last pass, if the policy keeps them
  bool freed = true;              // something has become free since, so promises may move
};

// `reasons` are those of all jobs that stay waiting, in the order of the line.
[[nodiscard]] PlanDelta schedule(const Snapshot& snapshot,
                                 Time now,
                                 const BackfillRules& rules = {});

}  // namespace gangway::scheduler
