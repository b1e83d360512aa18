// An image as a file of its own: an oci-archive if the path ends in ".tar", else an OCI layout
// directory.
//
// What comes from the library or another source keeps its documents and layers to the byte, so it
// has the same digest wherever it is brought in again; sizes and digests are checked on the way. Of
// an image in a store only the tree is left: it becomes one layer with files of root's and the
// image's configuration, and that image has a digest of its own, which stays the same from then on.
//
// The same input gives the same bytes. What is written appears under its name when it is whole and
// on the disk; until then what was there stays. Errors of all: NotFound, Denied, Corrupt (the
// source), Conflict (something else than an image is in the way), Exhausted (disk full).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "containers/build/image_library.hpp"
#include "containers/image_store.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct ExportRequest {
  std::string output;
  std::string name;          // its tag in there; "" for none
  std::int64_t mtime_s = 0;  // of the archive's members
  // Bytes read so far, of how many; may be empty.
  std::function<void(std::int64_t, std::int64_t)> progress{};
};

// Of the library, by digest.
[[nodiscard]] Result<Digest> export_image(const ImageLibrary& library,
                                          const NamedManifest& manifest,
                                          const ExportRequest& request);
// "PATH[:reference]", as jimage resolve takes it. A docker-archive becomes an OCI image.
[[nodiscard]] Result<Digest> export_source(const std::string& source, const ExportRequest& request);
// Of a store.
[[nodiscard]] Result<Digest> export_stored(const ImageStore& store,
                                           const ImageKey& key,
                                           Compression compression,
                                           const ExportRequest& request);

}  // namespace gangway::containers::build
