// Directories and locks: what a cluster's directory is made of.
//
// Errors: those of the operating system, with the path (result.hpp, errno_error).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::one_machine {

// With its missing parents; one that exists gets `mode` if it is ours.
[[nodiscard]] Result<void> make_directory(const std::string& path, mode_t mode);
// With all it holds; nothing outside is touched (links are not followed). One that is not there is
// no error.
[[nodiscard]] Result<void> remove_tree(const std::string& path);
// Names in a directory, sorted, without "." and ".."; none if it cannot be read.
[[nodiscard]] std::vector<std::string> list_directory(const std::string& path);
// Holds the lock until closed. Errors: Conflict if another process has it.
[[nodiscard]] Result<Fd> lock_file(const std::string& path);
// The first directory on the way to `path` that not everybody may pass; empty if there is none.
[[nodiscard]] std::string find_closed_directory(const std::string& path);

}  // namespace gangway::one_machine
