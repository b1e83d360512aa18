// Closing devices by number where control groups are of version 2: a program that the kernel asks
// at every open. Source: Linux, Documentation/admin-guide/cgroup-v2.rst, "Device controller".
#pragma once

#include <linux/bpf.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

// Answers "no" for these character devices and "yes" for all others. Pure.
[[nodiscard]] std::vector<bpf_insn> make_device_program(const std::vector<dev_t>& closed);

// For every process that is in the group of this directory or below; goes with the group. Programs
// of groups above have their say too. Errors: Denied (not root), Unsupported.
Result<void> attach_device_program(const std::string& group, const std::vector<dev_t>& closed);

}  // namespace gangway::containers
