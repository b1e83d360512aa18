// Running a command in a tree that is being built: RUN, and the unpacking of ADD.
//
// The sandbox is that of jobs (sandbox_run.hpp) with the differences that a build needs: the tree
// itself is the root and may be written; inside there is one id, root unless USER says otherwise,
// which is the calling user outside; root keeps its power over files; what would need other ids
// only seems to succeed (seccomp_filter.hpp, Build). No privilege is needed, and root outside is
// treated as anybody else. Programs see the node's network, or none, and of its file system only
// what is bound.
//
// Requires: a process with one thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct TreeBind {
  std::string source;  // absolute, outside; "": an empty tmpfs
  std::string target;  // absolute, inside
  bool read_only = false;
};

struct TreeCommand {
  std::string tree;  // absolute path of the root
  uid_t uid = 0;     // inside
  gid_t gid = 0;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string workdir = "/";
  std::vector<TreeBind> binds;
  bool network = true;
  // In place of argv: runs inside, its value is the exit code, what it writes to descriptor 2 is
  // the command's output.
  std::function<int()> body{};
};

struct CommandEnd {
  int exit_code = 0;    // of the program; 128 + n by signal n
  std::string message;  // why it could not be started; ""
};

// `on_output` gets what the command writes to its standard output and error, in pieces. Mount
// points that had to be made are gone afterwards. Errors: of setting the sandbox up.
[[nodiscard]] Result<CommandEnd> run_in_tree(
    const TreeCommand& command, const std::function<void(std::string_view)>& on_output);

}  // namespace gangway::containers::build
