// Removing a directory and what is in it, without ever following a symlink out of it.
#pragma once

#include <string>

#include "queues/base/result.hpp"

namespace gangway::containers {

// `name` in `directory` and everything below; nothing if it is not there. Stays on one file system:
// what is mounted in it is an error. Directories that nobody may enter are opened up first (by
// their owner or a privileged caller).
Result<void> remove_tree(int directory, const std::string& name);
Result<void> remove_tree(const std::string& path);

}  // namespace gangway::containers
