// What if: a job that asks for a little less, or for the same elsewhere, so that people are told
// what would start sooner.
//
// The variants are made here; whether one starts sooner is found out by playing the plan forward
// with it (explain.cpp), as for the job itself. Pure.
#pragma once

#include <string>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/queue.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::scheduler {

enum class Change { Queue, Constraint, Names, Shared, Nodes, Tasks, Cores, Memory, Named, Limit };

struct Variant {
  Change change = Change::Nodes;
  double size = 0;   // how much of a change it is: part of what was asked for that is given up
  std::string text;  // "with 2 nodes instead of 4"
  Candidate job;
};

// The smallest change first; many, and not all possible. `holes`: times after which a promise to
// another job falls due, so that a job this short could start before.
[[nodiscard]] std::vector<Variant> make_variants(const Candidate& job,
                                                 const std::vector<Queue>& queues,
                                                 const std::vector<Duration>& holes);

}  // namespace gangway::scheduler
