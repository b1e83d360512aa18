#include "submit/one_machine/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "queues/base/text.hpp"

namespace gangway::one_machine {

Result<void> make_directory(const std::string& path, mode_t mode) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && ::access(parent.c_str(), F_OK) != 0) {
    GANGWAY_TRY(make_directory(parent, 0755));
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return errno_error(cat("create directory ", path), errno);
  }
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return errno_error(cat("look at ", path), errno);
  if (!S_ISDIR(file.st_mode)) {
    return Error(ErrorKind::Invalid,
                 cat("create directory ", path, ": a file of this name exists"));
  }
  // mkdir() went through the umask.
  if (file.st_uid == ::geteuid() && (file.st_mode & 07777) != mode &&
      ::chmod(path.c_str(), mode) != 0) {
    return errno_error(cat("chmod ", path), errno);
  }
  return {};
}

Result<void> remove_tree(const std::string& path) {
  std::error_code failed;
  std::filesystem::remove_all(path, failed);
  if (failed) return errno_error(cat("remove ", path), failed.value());
  return {};
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator it(path, failed), end; !failed && it != end;
       it.increment(failed)) {
    names.push_back(it->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

Result<Fd> lock_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_error(cat("open ", path), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Error(ErrorKind::Conflict, cat(path, ": another gangway command is at work on it"));
    }
    return errno_error(cat("lock ", path), errno);
  }
  return fd;
}

std::string find_closed_directory(const std::string& path) {
  std::filesystem::path way;
  for (const auto& part : std::filesystem::path(path).parent_path()) {
    way /= part;
    struct stat file {};
    if (::stat(way.c_str(), &file) == 0 && (file.st_mode & S_IXOTH) == 0) return way.string();
  }
  return {};
}

}  // namespace gangway::one_machine
