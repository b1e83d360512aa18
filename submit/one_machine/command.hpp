// Runs another program to its end, without a shell.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::one_machine {

using Argv = std::vector<std::string>;

// What it wrote to stdout. Errors: NotFound (no such program), Internal with its stderr if it ended
// with anything but 0: "ip link add ...: RTNETLINK answers: File exists".
[[nodiscard]] Result<std::string> run_command(const Argv& argv);

// A program of ours, `name`, from the build tree (beside the running program) or an installation
// (../bin, ../sbin, ../libexec/gangway of it). Errors: NotFound, listing where it was looked for.
[[nodiscard]] Result<std::string> find_program(const std::string& name);

}  // namespace gangway::one_machine
