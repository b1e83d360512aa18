// ImageFiles: the files of an image where the user keeps it: an OCI layout directory, or a tar
// archive of one (oci-archive) or of `docker save` (docker-archive).
//
// Reads only what is asked for, by name, from regular files; an archive is indexed and read in
// place, never extracted by its own names. The files belong to the user and may change at any
// moment: whoever parses them does so from a copy whose digest has been checked.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "containers/archive_reader.hpp"
#include "containers/blob_memory.hpp"
#include "containers/image_document.hpp"
#include "containers/image_ref.hpp"
#include "containers/runtime.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// "blobs/sha256/<hex>".
[[nodiscard]] std::string blob_name(const Digest& digest);

class ImageFiles {
 public:
  virtual ~ImageFiles() = default;
  // An open file and the part of it. Errors: NotFound, Denied, Invalid (not a regular file).
  struct Opened {
    Fd fd;
    FileRange range;
  };
  [[nodiscard]] virtual Result<Opened> open(const std::string& name) = 0;
};

// Opens relative names in a layout directory, without following symlinks or waiting at FIFOs.
[[nodiscard]] std::unique_ptr<ImageFiles> make_directory_files(Fd directory);
// From an index of the archive in `fd`.
[[nodiscard]] std::unique_ptr<ImageFiles> make_archive_files(Fd fd, ArchiveIndex index);

// A whole small file. Errors: Invalid (larger than `max_bytes`).
[[nodiscard]] Result<std::string> read_range(const FileRange& range, std::size_t max_bytes);
// A document by digest: its size, if known, then its digest are checked.
[[nodiscard]] Result<std::string> read_document(ImageFiles& files,
                                                const Digest& digest,
                                                std::optional<std::int64_t> size);

struct ResolvedImage {
  ImageSourceKind kind = ImageSourceKind::OciLayout;
  std::string path;  // absolute
  Digest digest;     // of the manifest; docker-archive: of the config
};
// What "PATH[:reference]" means, with the rights of the calling process.
// Errors: NotFound (no such file; no such tag, with those there are), Denied, Invalid (no image).
[[nodiscard]] Result<ResolvedImage> resolve_image(const std::string& name);
// Its files, opened again. Errors: those of opening and indexing them.
[[nodiscard]] Result<std::unique_ptr<ImageFiles>> open_image_files(const ResolvedImage& image);
// As resolve_image(), and every layer that the manifest names by digest is there, has its size and
// its digest; what `memory` knows is not read again. Errors also: Corrupt (naming the layer).
[[nodiscard]] Result<ResolvedImage> resolve_whole_image(const std::string& name,
                                                        const BlobMemory& memory);

// The same with what people want to know of it.
struct InspectedImage {
  struct Layer {
    Digest diff_id;
    std::int64_t size = 0;  // as it lies in the source
  };
  ResolvedImage resolved;
  ImageConfig config;
  std::vector<Layer> layers;
};
[[nodiscard]] Result<InspectedImage> inspect_image(const std::string& name);

}  // namespace gangway::containers
