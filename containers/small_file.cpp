#include "containers/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  std::string text;
  char block[16384];
  while (true) {
    const ssize_t got = read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(cat("read ", path), errno);
    if (got == 0) return text;
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > max_bytes) return Error(ErrorKind::Invalid, cat(path, " is too large"));
  }
}

Result<void> write_existing_file(const std::string& path, std::string_view text) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(cat("open ", path), errno);
  ssize_t written = -1;
  do {
    written = write(fd.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) return errno_error(cat("write ", path), errno);
  return {};
}

}  // namespace gangway::containers
