#include "containers/remove_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Directories may lie deeper than a process may have descriptors (or a path may be long).
constexpr int kMaxDepth = 100;

Fd open_directory(int parent, const std::string& name) {
  Fd fd(openat(parent, name.c_str(), kDirectoryFlags));
  if (!fd && errno == EACCES) {
    // By descriptor, so that it is this directory and nothing that took its place meanwhile.
    const Fd path(openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (path) chmod(cat("/proc/self/fd/", path.get()).c_str(), 0700);
    fd.reset(openat(parent, name.c_str(), kDirectoryFlags));
  }
  return fd;
}

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  DIR* stream = fdopendir(dup(directory));
  if (stream == nullptr) return names;
  rewinddir(stream);
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(stream);
  return names;
}

class Remover {
 public:
  explicit Remover(int top) : top_(top) {}

  Result<void> run() {
    GANGWAY_TRY(empty(top_, 0));
    // What lay too deep has been moved up here.
    while (moved_ > emptied_) {
      const std::string name = moved_name(emptied_++);
      const Fd inner = open_directory(top_, name);
      if (!inner) return errno_error(cat("open ", name), errno);
      GANGWAY_TRY(empty(inner.get(), 1));
      if (unlinkat(top_, name.c_str(), AT_REMOVEDIR) != 0) {
        return errno_error(cat("remove ", name), errno);
      }
    }
    return {};
  }

 private:
  static std::string moved_name(int number) { return cat(".gangway-removed-", number); }

  Result<void> empty(int directory, int depth) {
    for (const std::string& name : names_in(directory)) {
      if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno == EACCES) {
        fchmod(directory, 0700);
        if (unlinkat(directory, name.c_str(), 0) == 0) continue;
      }
      if (errno != EISDIR && errno != EPERM) return errno_error(cat("remove ", name), errno);
      if (depth >= kMaxDepth) {
        if (renameat(directory, name.c_str(), top_, moved_name(moved_).c_str()) != 0) {
          return errno_error(cat("remove ", name), errno);
        }
        ++moved_;
        continue;
      }
      const Fd inner = open_directory(directory, name);
      if (!inner) return errno_error(cat("open ", name), errno);
      GANGWAY_TRY(empty(inner.get(), depth + 1));
      if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return errno_error(cat("remove ", name), errno);
      }
    }
    return {};
  }

  int top_;
  int moved_ = 0;
  int emptied_ = 0;
};

}  // namespace

Result<void> remove_tree(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  const Fd inner = open_directory(directory, name);
  if (!inner) {
    if (errno == ENOENT) return {};
    return errno_error(cat("open ", name), errno);
  }
  GANGWAY_TRY(Remover(inner.get()).run());
  if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return errno_error(cat("remove ", name), errno);
  }
  return {};
}

Result<void> remove_tree(const std::string& path) { return remove_tree(AT_FDCWD, path); }

}  // namespace gangway::containers
