// Which streams of a step's ranks are its client's own descriptors and which go through frames, how
// much of them may be on its way, and the step that reads a file of the job's for somebody. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "executor/launch_plan.hpp"
#include "executor/step_layout.hpp"
#include "executor/step_machine.hpp"
#include "executor/step_part.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

// `client` are the descriptors that came with it; what stays of them goes to the ranks on the
// origin's node, and `run` says of outputs what goes to ranks. Returns whether the client is to
// send input.
[[nodiscard]] bool choose_streams(wire::StepRun& run,
                                  const StepLayout& layout,
                                  StepDescriptors& client);

// Bytes of a part's output that may be on their way to a client that does not read, if a job's
// steps have so many parts together. Requires: parts > 0.
[[nodiscard]] std::uint32_t output_window(std::size_t parts);

// A program of ours on the node of the file, with the user's rights, in the node's file system. It
// is told by the end of its input that the job has ended.
// Requires: facts.step_tool is not empty.
[[nodiscard]] wire::StepRun plan_file_reader(const StepOrder& order,
                                             const LaunchFacts& facts,
                                             const wire::StepFollow& what);

}  // namespace gangway::executor
