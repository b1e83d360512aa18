#include "queues/config/cluster_key.hpp"

#include <sys/stat.h>

#include <cerrno>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::config {

Result<std::string> read_cluster_key(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return errno_error(cat("open the key file ", path), errno);
  if ((found.st_mode & 077) != 0) {
    return Error(ErrorKind::Denied, cat("the key file ", path, " is open to others; chmod 600"));
  }
  GANGWAY_ASSIGN(const std::string text, read_small_file(path, 64 << 10));
  const std::string_view key = trim(text);
  if (key.size() < 16) {
    return Error(ErrorKind::Invalid, cat("the key file ", path, " has less than 16 characters"));
  }
  return std::string(key);
}

}  // namespace gangway::config
