// Opening a user's files with the user's rights.
//
// A child becomes the user, opens, and hands the descriptors back: no path is ever looked at with
// the executor's rights, nothing of the executor's can be reached through names like /dev/fd/3 or
// /dev/stdout, and a file system that hangs holds up that child alone.
#pragma once

#include <string>
#include <vector>

#include "containers/privileges.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

struct UserFile {
  enum class Mode { Read, Append, Truncate };
  std::string path;
  Mode mode = Mode::Read;
  friend bool operator==(const UserFile&, const UserFile&) = default;
};

struct FileOpener {
  pid_t pid = -1;
  Fd socket;  // readable when it has something to say
};

// Requires: a process with one thread. `umask` is for files that are made.
[[nodiscard]] Result<FileOpener> spawn_file_opener(const Credentials& user,
                                                   const std::vector<UserFile>& files,
                                                   mode_t umask);

// Collects what an opener says until it is complete.
class OpenedFiles {
 public:
  explicit OpenedFiles(std::size_t expected) : expected_(expected) {}
  // Takes what is there now; true when all files are open. Errors: the first that could not be
  // opened: "open <path>: Permission denied".
  Result<bool> take(int socket);
  [[nodiscard]] std::vector<Fd>& fds() { return fds_; }

 private:
  std::size_t expected_;
  std::vector<Fd> fds_;
};

}  // namespace gangway::containers
