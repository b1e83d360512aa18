// The system's own programs, such as ip(8), run to their end without a shell.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::one_machine {

using Argv = std::vector<std::string>;

// What it wrote to stdout. Errors: NotFound (no such program), Internal with its stderr if it ended
// with anything but 0: "ip link add ...: RTNETLINK answers: File exists".
[[nodiscard]] Result<std::string> run_command(const Argv& argv);

}  // namespace gangway::one_machine
