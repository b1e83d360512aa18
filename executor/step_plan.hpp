// StepPlan: from a step's part to the programs of this node: arguments, environment, binding,
// files.
//
// Environment: the client's own (jrun's), or the job's for a client outside of it; over that what
// is of this node, the step and the rank. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/launch_plan.hpp"
#include "executor/mpi_plan.hpp"
#include "executor/step_machine.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

struct PartPlan {
  std::vector<containers::ProgramRequest> programs;  // in order of PartStart::ranks; no ids yet
  std::vector<std::string> bindings;                 // for people: "task 0 on n01: cores 0-3"
};

// How the ranks find each other, and by what name.
struct Meeting {
  MpiMode mode = MpiMode::None;
  std::string name;
};

[[nodiscard]] PartPlan plan_part(const StepOrder& order,
                                 const LaunchFacts& facts,
                                 const containers::SandboxReady& sandbox,
                                 std::uint32_t step,
                                 const wire::PartStart& start,
                                 const Meeting& meeting,
                                 const std::vector<RankEnvironment>& ranks);

// Ranks that others of this part have spawned; no ids yet.
[[nodiscard]] std::vector<containers::ProgramRequest> plan_spawned_in_part(
    const StepOrder& order,
    const LaunchFacts& facts,
    const containers::SandboxReady& sandbox,
    std::uint32_t step,
    const wire::PartStart& start,
    const Meeting& meeting,
    const exchange_action::StartRanks& spawned);

// Who is where. Errors: Unsupported (ranks of a node that do not follow each other).
[[nodiscard]] Result<RankMap> ranks_of_step(const StepOrder& order,
                                            std::uint32_t step,
                                            const wire::PartStart& start);
[[nodiscard]] containers::ProgramRequest plan_step_pmix_server(const LaunchFacts& facts,
                                                               int inherit_fd);

}  // namespace gangway::executor
