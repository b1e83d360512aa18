#include "containers/blob_memory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "queues/base/digest.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// What nobody has asked for so long is of a blob that has changed, or is gone.
constexpr auto kKeptUnused = std::chrono::hours(24 * 90);

void remove_unused(const std::string& directory) {
  std::error_code ignored;
  const auto now = std::filesystem::file_time_type::clock::now();
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (now - entry.last_write_time(ignored) < kKeptUnused) continue;
    std::filesystem::remove(entry.path(), ignored);
  }
}

}  // namespace

BlobMemory BlobMemory::of_this_user() {
  // NOLINTBEGIN(concurrency-mt-unsafe): one thread
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  if (cache != nullptr && *cache == '/') return BlobMemory(cat(cache, "/gangway/blobs"));
  if (home != nullptr && *home == '/') return BlobMemory(cat(home, "/.cache/gangway/blobs"));
  return {};
}

bool BlobMemory::knows(const FileRange& range, const Digest& digest) const {
  const std::string path = path_of(range, digest);
  // Its time says when it was asked for last.
  return !path.empty() && utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0;
}

void BlobMemory::remember(const FileRange& range, const Digest& digest) const {
  const std::string path = path_of(range, digest);
  if (path.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(directory_, ignored);
  remove_unused(directory_);
  const Fd made(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

std::string BlobMemory::path_of(const FileRange& range, const Digest& digest) const {
  struct stat status {};
  if (directory_.empty() || fstat(range.fd, &status) != 0) return {};
  return cat(directory_, "/",
             sha256_hex(cat(digest.text(), " ", range.offset, " ", range.size, " ", status.st_dev,
                            " ", status.st_ino, " ", status.st_size, " ", status.st_mtim.tv_sec,
                            ".", status.st_mtim.tv_nsec, " ", status.st_ctim.tv_sec, ".",
                            status.st_ctim.tv_nsec)));
}

}  // namespace gangway::containers
