// Walking a path inside a tree as chroot would: no symlink, whatever it says, leads out of it.
//
// The rules are those of openat2(RESOLVE_IN_ROOT); it is done step by step here because the caller
// wants to know the way (which real directories it went through) or to make what is missing on it.
// The tree must not be changed by others meanwhile; where it may be, use open_in_root().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// openat2 below `root` with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS: `path` may be absolute.
// Errors: NotFound, Denied, Invalid (ELOOP, ENOTDIR), Unsupported.
[[nodiscard]] Result<Fd> open_in_root(int root,
                                      const std::string& path,
                                      int flags,
                                      mode_t mode = 0);

// The text of a regular file of at most `max_bytes` in a tree of somebody else's; "" of anything
// else, a FIFO for instance.
[[nodiscard]] std::string read_file_in_tree(int root,
                                            const std::string& path,
                                            std::size_t max_bytes);

// The regular file `name` below `directory`, for reading, through no symlink and without waiting at
// a FIFO. Errors: NotFound, Denied, Invalid (something else, or a symlink on the way).
[[nodiscard]] Result<Fd> open_regular_beneath(int directory, const std::string& name);

// The components of `path`, without empty ones and ".". ".." stays: only a walk knows its meaning.
[[nodiscard]] std::vector<std::string> path_components(std::string_view path);
// True if `path` is `directory` or lies below it, by whole components. Both clean and absolute.
[[nodiscard]] bool is_within(std::string_view path, std::string_view directory);
// "/a/./b//c" -> "/a/b/c". nullopt-like empty string if `path` is not absolute, has ".." or a NUL.
[[nodiscard]] std::string clean_absolute(std::string_view path);

struct WalkedPath {
  std::vector<std::string> real;     // existing directories from the root, no symlink among them
  std::vector<std::string> missing;  // what follows and does not exist
};
// Follows symlinks inside the tree. A component that exists but is no directory ends the walk with
// Conflict, unless it is the last one and `last_may_be_file`: then it is the end of `real`.
[[nodiscard]] Result<WalkedPath> walk_in_tree(int root,
                                              std::string_view path,
                                              bool last_may_be_file = false);

// The directory `path` in the tree; what is missing is made with mode 0755, also behind dangling
// symlinks. What is in the way and is no directory (nor a symlink to one) is removed if
// `replace_files`, else Conflict.
[[nodiscard]] Result<Fd> make_directories_in_tree(int root,
                                                  std::string_view path,
                                                  bool replace_files);

}  // namespace gangway::containers
