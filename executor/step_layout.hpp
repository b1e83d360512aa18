// StepLayout: where the tasks of a step go: which nodes of the allocation, how many tasks on each,
// which ranks, which cores.
//
// Distributions over nodes are Slurm's: block gives every node one task and then fills node after
// node; cyclic deals task by task; plane deals blocks of a size. A step that asks for what the job
// was given (all nodes, as many tasks) gets the job's own distribution.
//
// A step with `exact` takes cores of its own, which no other such step uses meanwhile; without it,
// cores that no other step uses are preferred and shared ones are better than waiting; `overlap`
// looks at nobody's use and leaves no trace.
//
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

inline constexpr std::int32_t kMaxStepTasks = 1'000'000;
inline constexpr Duration kMaxStepTime = hours(std::int64_t{24} * 36'500);

enum class NodeDistribution : std::uint32_t {
  Default = 0,  // block, or the job's own
  Block = 1,
  Cyclic = 2,
  Plane = 3,
};

struct StepNode {
  std::uint32_t node_index = 0;      // of the allocation
  std::vector<std::uint32_t> ranks;  // rising
  std::vector<std::int32_t> cores;   // for all of them
  bool bound = true;                 // they have them for themselves
  friend bool operator==(const StepNode&, const StepNode&) = default;
};

struct StepLayout {
  std::vector<StepNode> nodes;  // rising node_index
  std::uint32_t tasks = 0;
  std::int32_t cpus_per_task = 1;
  bool counts = true;  // its cores are in use for others
  friend bool operator==(const StepLayout&, const StepLayout&) = default;
};

// How many steps use each core of each node of the allocation.
using CoresInUse = std::vector<std::map<std::int32_t, int>>;

// Whether the numbers of a run, which a program of the user's has written, are such as a step can
// have. Errors: Invalid, naming the number.
[[nodiscard]] Result<void> check_step_run(const wire::StepRun& run);

// nullopt: it has to wait until cores are free (exact). `job_cpus_per_task` counts where the step
// says nothing. Errors: Invalid, with the option and what the allocation has.
[[nodiscard]] Result<std::optional<StepLayout>> lay_out_step(const wire::StepRun& run,
                                                             const Allocation& allocation,
                                                             std::int32_t job_cpus_per_task,
                                                             const CoresInUse& in_use);

void take_cores(const StepLayout& layout, CoresInUse& in_use);
void give_back_cores(const StepLayout& layout, CoresInUse& in_use);

// "0-3,8" of ranks.
[[nodiscard]] std::string render_ranks(const std::vector<std::uint32_t>& ranks);

}  // namespace gangway::executor
