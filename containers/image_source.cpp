#include "containers/image_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

class DirectoryFiles final : public ImageFiles {
 public:
  explicit DirectoryFiles(Fd directory) : directory_(std::move(directory)) {}

  Result<Opened> open(const std::string& name) override {
    GANGWAY_ASSIGN(Fd fd, open_regular_beneath(directory_.get(), name));
    struct stat status {};
    if (fstat(fd.get(), &status) != 0) return errno_error(cat("open ", name), errno);
    const FileRange range{.fd = fd.get(), .offset = 0, .size = status.st_size};
    return Opened{std::move(fd), range};
  }

 private:
  Fd directory_;
};

class ArchiveFiles final : public ImageFiles {
 public:
  ArchiveFiles(Fd fd, ArchiveIndex index) : fd_(std::move(fd)), index_(std::move(index)) {}

  Result<Opened> open(const std::string& name) override {
    GANGWAY_ASSIGN(const ArchiveIndex::Place place, index_.find(name));
    Fd fd(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
    if (!fd) return errno_error(cat("open ", name), errno);
    const FileRange range{.fd = fd.get(), .offset = place.offset, .size = place.size};
    return Opened{std::move(fd), range};
  }

 private:
  Fd fd_;
  ArchiveIndex index_;
};

// The document of a name in the files.
Result<std::string> read_named(ImageFiles& files, const std::string& name) {
  GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(name));
  return read_range(opened.range, kMaxDocumentBytes);
}

// What a source says of one of its images.
struct Found {
  Digest digest;
  ImageConfig config;
  std::vector<std::int64_t> layer_sizes;
  std::vector<Descriptor> layers;  // docker-archive: none, it names no digests of what it holds
};

// An image whose documents have been read, and where its layers are.
struct OpenImage {
  ImageSourceKind kind = ImageSourceKind::OciLayout;
  std::string path;
  std::unique_ptr<ImageFiles> files;
  Found found;
};

Result<Found> find_oci(ImageFiles& files, const std::string& reference) {
  GANGWAY_ASSIGN(const std::string layout, read_named(files, "oci-layout"));
  GANGWAY_TRY(parse_oci_layout(layout));
  GANGWAY_ASSIGN(const std::string index, read_named(files, "index.json"));
  GANGWAY_ASSIGN(const Descriptor manifest,
                 find_manifest(index, reference, this_platform(), [&](const Descriptor& inner) {
                   return read_document(files, inner.digest, inner.size);
                 }));
  // It must be there and be one, or the job would only fail on a node.
  GANGWAY_ASSIGN(const std::string text, read_document(files, manifest.digest, manifest.size));
  GANGWAY_ASSIGN(const ImageManifest parsed, parse_manifest(text, manifest.media_type));
  GANGWAY_ASSIGN(const std::string config_text,
                 read_document(files, parsed.config.digest, parsed.config.size));
  GANGWAY_ASSIGN(ImageConfig config, parse_config(config_text));
  GANGWAY_TRY(check_config(config, parsed.layers.size(), this_platform()));
  Found found{manifest.digest, std::move(config), {}, parsed.layers};
  for (const Descriptor& layer : parsed.layers) found.layer_sizes.push_back(layer.size);
  return found;
}

Result<Found> find_docker(ImageFiles& files, const std::string& reference) {
  GANGWAY_ASSIGN(const std::string list, read_named(files, "manifest.json"));
  GANGWAY_ASSIGN(const std::vector<DockerImage> images, parse_docker_manifest(list));
  GANGWAY_ASSIGN(const DockerImage image, find_docker_image(images, reference));
  GANGWAY_ASSIGN(const std::string text, read_named(files, image.config));
  GANGWAY_ASSIGN(ImageConfig config, parse_config(text));
  GANGWAY_TRY(check_config(config, image.layers.size(), this_platform()));
  Found found{Digest::of_hex(sha256_hex(text)), std::move(config), {}, {}};
  for (const std::string& layer : image.layers) {
    GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(layer));
    found.layer_sizes.push_back(opened.range.size);
  }
  return found;
}

}  // namespace

std::string blob_name(const Digest& digest) { return "blobs/sha256/" + digest.hex(); }

std::unique_ptr<ImageFiles> make_directory_files(Fd directory) {
  return std::make_unique<DirectoryFiles>(std::move(directory));
}

std::unique_ptr<ImageFiles> make_archive_files(Fd fd, ArchiveIndex index) {
  return std::make_unique<ArchiveFiles>(std::move(fd), std::move(index));
}

Result<std::string> read_range(const FileRange& range, std::size_t max_bytes) {
  if (range.size < 0 || static_cast<std::uint64_t>(range.size) > max_bytes) {
    return Error(ErrorKind::Invalid, "the file is too large for what it should be");
  }
  std::string bytes(static_cast<std::size_t>(range.size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(range.fd, bytes.data() + done, bytes.size() - done,
                              range.offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read file", errno);
    if (got == 0) return Error(ErrorKind::Corrupt, "the file is shorter than it was");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Result<std::string> read_document(ImageFiles& files,
                                  const Digest& digest,
                                  std::optional<std::int64_t> size) {
  GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(blob_name(digest)));
  if (size && *size != opened.range.size) {
    return Error(ErrorKind::Corrupt,
                 cat("blob ", digest.text(), " has ", opened.range.size, " bytes and not ", *size));
  }
  GANGWAY_ASSIGN(std::string text, read_range(opened.range, kMaxDocumentBytes));
  if (sha256_hex(text) != digest.hex()) {
    return Error(ErrorKind::Corrupt, cat("blob ", digest.text(), " has another digest"));
  }
  return text;
}

namespace {

Result<OpenImage> open_image(const std::string& name) {
  struct stat status {};
  const ImageName split = split_image_name(
      name, [&](const std::string& path) { return stat(path.c_str(), &status) == 0; });
  const std::string& path = split.path;
  const std::string context = cat("image ", path);
  if (stat(path.c_str(), &status) != 0) return errno_error(context, errno);
  char* absolute = realpath(path.c_str(), nullptr);
  if (absolute == nullptr) return errno_error(context, errno);
  const std::string real_path = absolute;
  std::free(absolute);

  ImageSourceKind kind = ImageSourceKind::OciLayout;
  std::unique_ptr<ImageFiles> files;
  if (S_ISDIR(status.st_mode)) {
    Fd directory(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return errno_error(context, errno);
    files = make_directory_files(std::move(directory));
    if (const auto marker = files->open("oci-layout");
        !marker && marker.error().kind() == ErrorKind::NotFound) {
      return Error(ErrorKind::Invalid,
                   cat(context, ": not an image (a directory without an oci-layout file)"));
    }
  } else {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return errno_error(context, errno);
    Result<ArchiveIndex> index = index_archive(fd.get());
    if (!index) {
      const Error& why = index.error();
      const bool no_archive = why.kind() == ErrorKind::Corrupt;
      return Error(no_archive ? ErrorKind::Invalid : why.kind(),
                   cat(context, ": not an image: ", why.message()));
    }
    // docker save writes both forms into one archive since version 25; the OCI one has more to
    // verify.
    const bool oci = index->places.contains("oci-layout");
    if (!oci && !index->places.contains("manifest.json")) {
      return Error(ErrorKind::Invalid,
                   cat(context, ": not an image (neither oci-layout nor manifest.json in it)"));
    }
    kind = oci ? ImageSourceKind::OciArchive : ImageSourceKind::DockerArchive;
    files = make_archive_files(std::move(fd), *std::move(index));
  }
  Result<Found> found = kind == ImageSourceKind::DockerArchive
                            ? find_docker(*files, split.reference)
                            : find_oci(*files, split.reference);
  if (!found) return found.error().with_context(context);
  return OpenImage{kind, real_path, std::move(files), *std::move(found)};
}

Result<std::string> hash_range(const FileRange& range) {
  Sha256 hash;
  std::string piece(1 << 20, '\0');
  for (std::int64_t at = 0; at < range.size;) {
    const auto wanted = static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(piece.size()), range.size - at));
    const ssize_t got = pread(range.fd, piece.data(), wanted, range.offset + at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read file", errno);
    if (got == 0) return Error(ErrorKind::Corrupt, "the file is shorter than it was");
    hash.update(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    at += got;
  }
  return hash.finish_hex();
}

Result<void> check_layer(ImageFiles& files, const Descriptor& layer, const BlobMemory& memory) {
  GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(blob_name(layer.digest)));
  if (opened.range.size != layer.size) {
    return Error(ErrorKind::Corrupt, cat("blob ", layer.digest.text(), " has ", opened.range.size,
                                         " bytes and not ", layer.size));
  }
  if (memory.knows(opened.range, layer.digest)) return {};
  GANGWAY_ASSIGN(const std::string hex, hash_range(opened.range));
  if (hex != layer.digest.hex()) {
    return Error(ErrorKind::Corrupt, cat("blob ", layer.digest.text(), " has another digest"));
  }
  memory.remember(opened.range, layer.digest);
  return {};
}

}  // namespace

Result<InspectedImage> inspect_image(const std::string& name) {
  GANGWAY_ASSIGN(const OpenImage opened, open_image(name));
  const Found& found = opened.found;
  InspectedImage image{{opened.kind, opened.path, found.digest}, found.config, {}};
  for (std::size_t i = 0; i < found.layer_sizes.size(); ++i) {
    image.layers.push_back({found.config.diff_ids[i], found.layer_sizes[i]});
  }
  return image;
}

Result<ResolvedImage> resolve_image(const std::string& name) {
  GANGWAY_ASSIGN(const OpenImage opened, open_image(name));
  return ResolvedImage{opened.kind, opened.path, opened.found.digest};
}

Result<std::unique_ptr<ImageFiles>> open_image_files(const ResolvedImage& image) {
  const bool layout = image.kind == ImageSourceKind::OciLayout;
  Fd fd(open(image.path.c_str(), (layout ? O_PATH | O_DIRECTORY : O_RDONLY) | O_CLOEXEC));
  if (!fd) return errno_error(cat("image ", image.path), errno);
  if (layout) return make_directory_files(std::move(fd));
  GANGWAY_ASSIGN(ArchiveIndex index, index_archive(fd.get()));
  return make_archive_files(std::move(fd), std::move(index));
}

Result<ResolvedImage> resolve_whole_image(const std::string& name, const BlobMemory& memory) {
  GANGWAY_ASSIGN(const OpenImage opened, open_image(name));
  const std::vector<Descriptor>& layers = opened.found.layers;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    GANGWAY_TRY_CONTEXT(check_layer(*opened.files, layers[i], memory),
                        cat("image ", opened.path, ": layer ", i + 1, " of ", layers.size()));
  }
  return ResolvedImage{opened.kind, opened.path, opened.found.digest};
}

}  // namespace gangway::containers
