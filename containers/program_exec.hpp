// From a forked child to the user's program: session, affinity, descriptors, directory, exec.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

struct ProgramStart {
  const std::vector<std::string>& argv;
  const std::vector<std::string>& env;
  const std::string& workdir;     // empty: stay
  const std::vector<int>& cores;  // empty: as inherited
  mode_t umask = 022;
  int in = -1;  // -1: /dev/null
  int out = -1;
  int err = -1;
  int inherit = -1;   // becomes descriptor 3
  int terminal = -1;  // a socket: a new terminal becomes 0 to 2 and its other side goes there
  // Other processes of the same user can look into what runs, with its directories and memory,
  // unless it runs from a file that the user cannot read: from such a copy, then. Not for scripts.
  bool hidden = false;
};

// Turns the calling process, a fresh child with its final rights, into the program. argv[0] is
// looked up in the PATH of `env` (or the customary one); a file without magic number is given to
// /bin/sh, as execvp does. No descriptor but 0, 1, 2 (and 3) stays open.
//
// Returns only if that failed, with the reason to tell the user.
[[nodiscard]] Error exec_program(const ProgramStart& start);

// Default handlers, nothing blocked: what a child of a program with a loop must do first.
void reset_signals();

// The files that argv0 may mean, in order. Pure.
[[nodiscard]] std::vector<std::string> program_candidates(const std::string& argv0,
                                                          const std::vector<std::string>& env);

}  // namespace gangway::containers
