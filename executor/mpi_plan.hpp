// MpiPlan: what tasks are given to find each other: who is where, the settings that MPI libraries
// need, and the programs beside them. Of a job's own tasks, and of a step's. Pure.
//
// Settings are defaults: what the user or the image has set stays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/environment.hpp"
#include "executor/fence_tree.hpp"
#include "executor/job_exchange.hpp"
#include "executor/launch_plan.hpp"
#include "executor/pmi_server.hpp"
#include "executor/step_machine.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

// The tasks that are to meet, and where they are.
struct RankMap {
  std::string name;                 // "gangway.42.1"; a step's ends with its number
  std::vector<ExchangeNode> nodes;  // in order of their ranks
  std::uint32_t self = 0;           // which of them is this one
  std::uint32_t tasks = 0;
  std::uint32_t universe = 0;  // as many as there may be, with those spawned later
};

[[nodiscard]] RankMap ranks_of_job(const StepOrder& order);

[[nodiscard]] PmiJob plan_pmi_job(const RankMap& map);
[[nodiscard]] wire::PmixSetup plan_pmix_setup(const RankMap& map, const LaunchFacts& facts);

// For mpirun and mpiexec inside the job, and for whatever else starts programs by a remote shell
// and a list of hosts: both are given.
void plan_launchers(Environment& env,
                    const StepOrder& order,
                    const LaunchFacts& facts,
                    const containers::SandboxReady& sandbox);
// What MPI libraries need to know for `ranks` ranks on `cores` cores of this node.
void plan_mpi_environment(
    Environment& env, const LaunchFacts& facts, MpiMode mode, std::size_t ranks, std::size_t cores);
// For a rank that inherits its end of a line to a PmiService as descriptor 3.
void plan_pmi_variables(Environment& env,
                        std::string_view job,
                        std::uint32_t rank,
                        std::uint32_t size);

// The PMIx server of the job on this node; inherits `inherit_fd` as descriptor 3.
[[nodiscard]] containers::ProgramRequest plan_pmix_server(const StepOrder& order,
                                                          const LaunchFacts& facts,
                                                          int inherit_fd);
// Ranks that others have spawned, of this node; an application's environment wins over `common`.
// Without ids and files.
[[nodiscard]] std::vector<containers::ProgramRequest> plan_world(
    const Environment& common,
    const std::string& directory,
    std::uint32_t umask,
    const wire::PmixWorld& world,
    const std::vector<wire::RankEnv>& ranks);
// Those of a job's own tasks, with both.
[[nodiscard]] std::vector<containers::ProgramRequest> plan_spawned(
    const StepOrder& order,
    const LaunchFacts& facts,
    const containers::SandboxReady& sandbox,
    const wire::PmixWorld& world,
    const std::vector<wire::RankEnv>& ranks);

// A task's program id, and back: its place on this node; those spawned come after all places.
[[nodiscard]] std::uint32_t program_of_rank(const StepOrder& order, std::uint32_t rank);
[[nodiscard]] std::uint32_t task_of_program(const StepOrder& order, std::uint32_t id);

// The program that each task is, to be looked at (inspect_mpi()).
[[nodiscard]] containers::ProgramRequest plan_inspection(const StepOrder& order,
                                                         const LaunchFacts& facts,
                                                         const containers::SandboxReady& sandbox);

}  // namespace gangway::executor
