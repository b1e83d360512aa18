// BlobMemory: which large blobs a user has checked before, so that an image that is submitted a
// thousand times is read once.
//
// An empty file for each blob in a directory of the user's, named by the blob's digest, its place,
// and the file's identity, size and times: a file that was touched is another file. Nobody else
// relies on it: nodes check what they unpack. Failures to remember are no errors.
#pragma once

#include <sys/stat.h>

#include <string>

#include "containers/archive_reader.hpp"
#include "containers/image_ref.hpp"

namespace gangway::containers {

class BlobMemory {
 public:
  BlobMemory() = default;  // remembers nothing
  explicit BlobMemory(std::string directory) : directory_(std::move(directory)) {}
  // $XDG_CACHE_HOME/gangway/blobs, else ~/.cache/gangway/blobs; made when first needed.
  [[nodiscard]] static BlobMemory of_this_user();

  [[nodiscard]] bool knows(const FileRange& range, const Digest& digest) const;
  void remember(const FileRange& range, const Digest& digest) const;

 private:
  [[nodiscard]] std::string path_of(const FileRange& range, const Digest& digest) const;
  std::string directory_;
};

}  // namespace gangway::containers
