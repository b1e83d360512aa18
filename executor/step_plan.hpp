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
#include "executor/step_machine.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

struct PartPlan {
  std::vector<containers::ProgramRequest> programs;  // in order of PartStart::ranks; no ids yet
  std::vector<std::string> bindings;                 // for people: "task 0 on n01: cores 0-3"
};

[[nodiscard]] PartPlan plan_part(const StepOrder& order,
                                 const LaunchFacts& facts,
                                 const containers::SandboxReady& sandbox,
                                 std::uint32_t step,
                                 const wire::PartStart& start,
                                 const std::vector<RankEnvironment>& ranks);

// The PMIx server of the step on this node. Errors: Unsupported (ranks of a node that do not follow
// each other).
[[nodiscard]] Result<wire::PmixSetup> plan_step_pmix(const StepOrder& order,
                                                     const LaunchFacts& facts,
                                                     std::uint32_t step,
                                                     const wire::PartStart& start);
[[nodiscard]] containers::ProgramRequest plan_step_pmix_server(const LaunchFacts& facts,
                                                               int inherit_fd);

// The step's own output of this rank goes to a file: the pattern, expanded.
[[nodiscard]] bool uses_pmix(const wire::StepRun& run);

}  // namespace gangway::executor
