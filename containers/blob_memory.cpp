#include "containers/blob_memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "queues/base/digest.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {

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
  return !path.empty() && access(path.c_str(), F_OK) == 0;
}

void BlobMemory::remember(const FileRange& range, const Digest& digest) const {
  const std::string path = path_of(range, digest);
  if (path.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(directory_, ignored);
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
