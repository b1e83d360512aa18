// The loop of a process that starts programs on the shepherd's request, reaps them, passes signals
// on and reports each end. It serves the socket of init_protocol.hpp and ends when that closes.
//
// Two processes run it: a sandbox's init, whose orphans it reaps as well, and the starter of
// programs that see the node's files.
#pragma once

#include <functional>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct StarterOptions {
  // A signal to all goes to every process of the process namespace but those of other parents from
  // outside. Else to none, except SIGKILL: to its own programs.
  bool sweep = false;
  // The programs of a starter that does not sweep are ours: they are run hidden (program_exec.hpp).
  // What a new child does before it becomes its program.
  std::function<Result<void>()> before_exec;
};

[[noreturn]] void run_program_starter(Fd socket, StarterOptions options);

}  // namespace gangway::containers
