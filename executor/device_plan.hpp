// What a job gets to see of the node's devices: its own, and none of the others that are given out
// by number. Pure.
#pragma once

#include "containers/runtime.hpp"
#include "executor/environment.hpp"
#include "executor/launch_plan.hpp"
#include "queues/model/allocation.hpp"

namespace gangway::executor {

// Shows what the share has, closes what it has not.
void add_devices(const NodeShare& share,
                 const LaunchFacts& facts,
                 containers::SandboxRequest& request);
// CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES, JOB_GPUS, and what specifications say. A node's
// GPUs that the job has not got are not visible to it whatever it sets.
void set_device_variables(Environment& env, const NodeShare& share, const LaunchFacts& facts);

}  // namespace gangway::executor
