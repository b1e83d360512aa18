// Starts a daemon in a session of its own, in a node's network namespace and with its host name, so
// that it lives on when the command that started it ends.
#pragma once

#include <string>

#include "queues/base/result.hpp"
#include "submit/one_machine/command.hpp"
#include "submit/one_machine/process_table.hpp"

namespace gangway::one_machine {

struct DaemonStart {
  Argv argv;                      // argv[0] is a path
  std::string log_file;           // stdout and stderr are appended to it
  std::string record_file;        // gets the process's record
  std::string network_namespace;  // path; empty: stays in ours
  std::string host_name;          // empty: keeps ours, in our UTS namespace
};

// Returns once the program runs (its exec has succeeded). Errors: what failed before, with the
// step.
[[nodiscard]] Result<ProcessId> start_daemon(const DaemonStart& what);

}  // namespace gangway::one_machine
