// A directory for one test.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "containers/remove_tree.hpp"

namespace gangway::containers {

// Memory, where there is some to use: some disks take milliseconds to make a file.
inline std::string fast_directory() { return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

// A directory that `owner` may write, removed at the end.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(uid_t owner = geteuid(), const std::string& parent = "/tmp") {
    std::string pattern = parent + "/gangway-test-XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    if (owner != geteuid() && chown(path_.c_str(), owner, owner) != 0) path_.clear();
  }
  ~TemporaryDirectory() {
    if (!path_.empty()) [[maybe_unused]]
      const auto removed = remove_tree(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace gangway::containers
