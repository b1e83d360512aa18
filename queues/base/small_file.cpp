#include "queues/base/small_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {

Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", directory), errno);
  if (::fsync(fd.get()) != 0) return errno_error(cat("sync ", directory), errno);
  return {};
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  std::string text;
  char block[16384];
  while (true) {
    const ssize_t got = ::read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(cat("read ", path), errno);
    if (got == 0) return text;
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > max_bytes) {
      return Error(ErrorKind::Exhausted, cat(path, " is longer than ", max_bytes, " bytes"));
    }
  }
}

Result<void> write_existing_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  ssize_t written = -1;
  do {
    written = ::write(fd.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) return errno_error(cat("write ", path), errno);
  return {};
}

Result<void> replace_file(const std::string& path,
                          std::string_view bytes,
                          mode_t mode,
                          Durability durability) {
  const std::string beside = path + ".new";
  ::unlink(beside.c_str());
  {
    const Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) return errno_error(cat("create ", beside), errno);
    // open() went through the umask.
    if (::fchmod(fd.get(), mode) != 0) return errno_error(cat("chmod ", beside), errno);
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno_error(cat("write ", beside), errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    if (durability == Durability::OnDisk && ::fsync(fd.get()) != 0) {
      return errno_error(cat("sync ", beside), errno);
    }
  }
  if (::rename(beside.c_str(), path.c_str()) != 0)
    return errno_error(cat("rename ", beside), errno);
  return durability == Durability::OnDisk ? sync_directory_of(path) : Result<void>{};
}

Result<void> sync_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  if (::fsync(fd.get()) != 0) return errno_error(cat("sync ", path), errno);
  return sync_directory_of(path);
}

}  // namespace gangway
