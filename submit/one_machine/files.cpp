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
namespace {

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error(cat("write ", path), errno);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(cat("read ", path), errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<void> write_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::string beside = cat(path, ".new");
  ::unlink(beside.c_str());
  const Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return errno_error(cat("create ", beside), errno);
  if (::fchmod(fd.get(), mode) != 0) return errno_error(cat("chmod ", beside), errno);
  GANGWAY_TRY(write_all(fd.get(), text, beside));
  if (::fsync(fd.get()) != 0) return errno_error(cat("sync ", beside), errno);
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return errno_error(cat("rename ", beside, " to ", path), errno);
  }
  return {};
}

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
