// From a forked child to the user's program: session, affinity, descriptors, directory, exec.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

// The arguments as exec wants them, made ahead: a child that shares its parent's memory until then
// (vfork) must not leave anything there. Refers to the texts that it is made of.
class ProgramArguments {
 public:
  ProgramArguments(const std::vector<std::string>& argv, const std::vector<std::string>& env);

  [[nodiscard]] const std::string& name() const { return *name_; }  // "" if there is none
  [[nodiscard]] const std::vector<std::string>& candidates() const { return candidates_; }
  [[nodiscard]] char* const* argv() const { return argv_.data(); }
  [[nodiscard]] char* const* env() const { return env_.data(); }
  // Of a file without a magic number.
  [[nodiscard]] char* const* shell_argv(const std::string& file);

 private:
  const std::string* name_;
  std::vector<std::string> candidates_;  // the files that the name may mean
  std::vector<char*> argv_;
  std::vector<char*> shell_;
  std::vector<char*> env_;
};

struct ProgramStart {
  ProgramArguments& arguments;
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
// Returns only if that failed, with the reason to tell the user. Unless it is hidden or takes a
// terminal, a child of vfork() may call it.
[[nodiscard]] Error exec_program(const ProgramStart& start);

// Default handlers, nothing blocked: what a child of a program with a loop must do first.
void reset_signals();

// The files that argv0 may mean, in order. Pure.
[[nodiscard]] std::vector<std::string> program_candidates(const std::string& argv0,
                                                          const std::vector<std::string>& env);

}  // namespace gangway::containers
