// What must be true after every event, whatever has failed so far.
#pragma once

#include <string>
#include <vector>

#include "scheduler/controller.hpp"
#include "tests/sim/sim_runtime.hpp"
#include "tests/sim/sim_store.hpp"

namespace gangway::sim {

// Broken rules in words, none if all is well:
//  - no core of a node is allocated to two jobs, no node beyond its capacity;
//  - a program runs only while every node of its gang has been prepared for that attempt;
//  - at most one attempt of a job runs (the ledger).
[[nodiscard]] std::vector<std::string> check_now(const scheduler::Controller& controller,
                                                 const Ledger& ledger);

// What must be true of a disk at rest: replaying the events gives the rows; every acknowledged job
// is there; jobs that finished have an outcome; each time that a job ran is charged once, to one
// user, with what it had come to.
[[nodiscard]] std::vector<std::string> check_disk(const Disk& disk,
                                                  const std::vector<JobId>& acknowledged);

}  // namespace gangway::sim
