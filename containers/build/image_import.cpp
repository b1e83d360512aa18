#include "containers/build/image_import.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "containers/image_source.hpp"
#include "containers/remove_tree.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

struct CopiedBlob {
  Digest digest;
  Compression compression = Compression::None;
};

// Copies a part of a file into the library as a blob. `expected`: the digest it must have.
Result<CopiedBlob> copy_blob(const ImageLibrary& library,
                             const FileRange& range,
                             const Digest* expected) {
  GANGWAY_ASSIGN(ImageLibrary::NewBlob blob, library.make_blob());
  Sha256 hash;
  std::string block(kCopyBytes, '\0');
  Compression compression = Compression::None;
  Result<void> copied;
  for (std::int64_t done = 0; done < range.size && copied;) {
    const auto want = static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(block.size()), range.size - done));
    const ssize_t got = pread(range.fd, block.data(), want, range.offset + done);
    if (got < 0 && errno == EINTR) continue;
    const std::string_view bytes(block.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got <= 0) {
      copied = errno_error("read layer", got < 0 ? errno : EIO);
    } else if (write(blob.fd.get(), bytes.data(), bytes.size()) != got) {
      copied = errno_error("write layer", errno);
    }
    if (done == 0) compression = sniff_compression(bytes);
    hash.update(bytes);
    done += got;
  }
  const Digest digest = Digest::of_hex(hash.finish_hex());
  if (copied && expected != nullptr && digest != *expected) {
    copied = Error(ErrorKind::Corrupt, cat("blob ", expected->text(), " has another digest"));
  }
  if (!copied) {
    unlink(blob.path.c_str());
    return copied.error();
  }
  GANGWAY_TRY(library.keep_blob(std::move(blob), digest));
  return CopiedBlob{digest, compression};
}

Result<NamedManifest> import_oci(const ImageLibrary& library,
                                 ImageFiles& files,
                                 const Digest& digest) {
  GANGWAY_ASSIGN(const std::string text, read_document(files, digest, std::nullopt));
  GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
  GANGWAY_ASSIGN(const std::string config,
                 read_document(files, manifest.config.digest, manifest.config.size));
  for (const Descriptor& layer : manifest.layers) {
    if (library.has_blob(layer.digest, layer.size)) continue;
    GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(blob_name(layer.digest)));
    GANGWAY_TRY(copy_blob(library, opened.range, &layer.digest));
  }
  GANGWAY_TRY(library.add_document(config));
  GANGWAY_TRY(library.add_document(text));
  return NamedManifest{"", digest, static_cast<std::int64_t>(text.size()), this_platform()};
}

Result<NamedManifest> import_docker(const ImageLibrary& library,
                                    ImageFiles& files,
                                    const Digest& digest) {
  GANGWAY_ASSIGN(const ImageFiles::Opened list, files.open("manifest.json"));
  GANGWAY_ASSIGN(const std::string list_text, read_range(list.range, kMaxDocumentBytes));
  GANGWAY_ASSIGN(const std::vector<DockerImage> images, parse_docker_manifest(list_text));
  for (const DockerImage& image : images) {
    GANGWAY_ASSIGN(const ImageFiles::Opened config, files.open(image.config));
    GANGWAY_ASSIGN(const std::string text, read_range(config.range, kMaxDocumentBytes));
    if (sha256_hex(text) != digest.hex()) continue;
    GANGWAY_ASSIGN(const ImageSettings settings, parse_settings(text));
    if (settings.diff_ids.size() != image.layers.size()) {
      return Error(ErrorKind::Corrupt, "the image has another number of layers than it says");
    }
    std::vector<LayerBlob> layers;
    for (std::size_t i = 0; i < image.layers.size(); ++i) {
      GANGWAY_ASSIGN(const ImageFiles::Opened layer, files.open(image.layers[i]));
      GANGWAY_ASSIGN(const CopiedBlob copied, copy_blob(library, layer.range, nullptr));
      layers.push_back({settings.diff_ids[i], copied.digest, layer.range.size, copied.compression});
    }
    GANGWAY_ASSIGN(const Digest config_digest, library.add_document(text));
    const std::string manifest =
        render_manifest(config_digest, static_cast<std::int64_t>(text.size()), layers);
    GANGWAY_ASSIGN(const Digest manifest_digest, library.add_document(manifest));
    return NamedManifest{"", manifest_digest, static_cast<std::int64_t>(manifest.size()),
                         this_platform()};
  }
  return Error(ErrorKind::Conflict, "the image changed while it was read");
}

Result<Compression> compression_of(const std::string& media_type) {
  if (media_type.ends_with("+gzip") || media_type.ends_with(".gzip")) return Compression::Gzip;
  if (media_type.ends_with("+zstd")) return Compression::Zstd;
  if (media_type.ends_with("tar")) return Compression::None;
  return Error(ErrorKind::Unsupported, cat("a layer of type ", media_type));
}

std::string file_name(const Digest& digest) { return "blobs/sha256/" + digest.hex(); }

}  // namespace

Result<NamedManifest> import_image(const ImageLibrary& library, const std::string& source) {
  GANGWAY_ASSIGN(const ResolvedImage image, resolve_image(source));
  const bool layout = image.kind == ImageSourceKind::OciLayout;
  Fd fd(open(image.path.c_str(), (layout ? O_PATH | O_DIRECTORY : O_RDONLY) | O_CLOEXEC));
  if (!fd) return errno_error(cat("image ", image.path), errno);
  std::unique_ptr<ImageFiles> files;
  if (layout) {
    files = make_directory_files(std::move(fd));
  } else {
    GANGWAY_ASSIGN(ArchiveIndex index, index_archive(fd.get()));
    files = make_archive_files(std::move(fd), std::move(index));
  }
  Result<NamedManifest> manifest = image.kind == ImageSourceKind::DockerArchive
                                       ? import_docker(library, *files, image.digest)
                                       : import_oci(library, *files, image.digest);
  if (!manifest) return manifest.error().with_context(cat("image ", image.path));
  return manifest;
}

Result<LoadedImage> load_image(const ImageLibrary& library, const Digest& digest) {
  GANGWAY_ASSIGN(const std::string text,
                 read_small_file(library.blob_path(digest), kMaxDocumentBytes));
  GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
  GANGWAY_ASSIGN(const std::string config,
                 read_small_file(library.blob_path(manifest.config.digest), kMaxDocumentBytes));
  LoadedImage image;
  GANGWAY_ASSIGN(image.settings, parse_settings(config));
  if (image.settings.diff_ids.size() != manifest.layers.size()) {
    return Error(ErrorKind::Corrupt, "the image has another number of layers than it says");
  }
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& layer = manifest.layers[i];
    GANGWAY_ASSIGN(const Compression compression, compression_of(layer.media_type));
    if (!library.has_blob(layer.digest, layer.size)) {
      return Error(ErrorKind::Corrupt,
                   cat("layer ", layer.digest.text(), " is not in ", library.path()));
    }
    image.layers.push_back({image.settings.diff_ids[i], layer.digest, layer.size, compression});
  }
  return image;
}

Result<NamedManifest> store_image(const ImageLibrary& library,
                                  const ImageSettings& settings,
                                  const std::vector<LayerBlob>& layers) {
  const std::string config = render_settings(settings);
  GANGWAY_ASSIGN(const Digest config_digest, library.add_document(config));
  const std::string manifest =
      render_manifest(config_digest, static_cast<std::int64_t>(config.size()), layers);
  GANGWAY_ASSIGN(const Digest digest, library.add_document(manifest));
  return NamedManifest{"", digest, static_cast<std::int64_t>(manifest.size()), settings.platform};
}

Result<void> export_image(const ImageLibrary& library,
                          const NamedManifest& named,
                          const std::string& path,
                          std::int64_t mtime_s) {
  GANGWAY_ASSIGN(const std::string text,
                 read_small_file(library.blob_path(named.digest), kMaxDocumentBytes));
  GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
  std::vector<Digest> blobs = {named.digest, manifest.config.digest};
  for (const Descriptor& layer : manifest.layers) {
    if (std::ranges::find(blobs, layer.digest) == blobs.end()) blobs.push_back(layer.digest);
  }
  std::ranges::sort(blobs);
  std::vector<ArchiveMember> members = {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})", ""},
                                        {"index.json", render_index({named}), ""}};
  for (const Digest& blob : blobs) {
    members.push_back({file_name(blob), "", library.blob_path(blob)});
  }
  struct stat status {};
  const bool archive = path.ends_with(".tar");
  if (!archive && stat(path.c_str(), &status) == 0 &&
      access((path + "/oci-layout").c_str(), F_OK) != 0) {
    return Error(ErrorKind::Conflict, cat(path, ": is there and is no image; it is not replaced"));
  }
  const std::string temporary = path + ".part";
  GANGWAY_TRY(remove_tree(temporary));
  if (archive) {
    const Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd) return errno_error(cat("write ", path), errno);
    GANGWAY_TRY(write_archive(fd.get(), members, mtime_s));
    if (rename(temporary.c_str(), path.c_str()) != 0) return errno_error(path, errno);
    return {};
  }
  for (const char* below : {"", "/blobs", "/blobs/sha256"}) {
    if (mkdir((temporary + below).c_str(), 0755) != 0) return errno_error(path, errno);
  }
  for (const ArchiveMember& member : members) {
    const std::string to = cat(temporary, "/", member.name);
    if (member.from_path.empty()) {
      GANGWAY_TRY(replace_file(to, member.text, 0644, Durability::OnDisk));
      continue;
    }
    // Blobs never change, so one file may have both names.
    if (link(member.from_path.c_str(), to.c_str()) == 0) continue;
    const Fd from(open(member.from_path.c_str(), O_RDONLY | O_CLOEXEC));
    const Fd copy(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!from || !copy) return errno_error(cat("write ", to), errno);
    ssize_t got = 0;
    while ((got = copy_file_range(from.get(), nullptr, copy.get(), nullptr, kCopyBytes, 0)) > 0) {
    }
    if (got < 0) return errno_error(cat("write ", to), errno);
  }
  GANGWAY_TRY(remove_tree(path));
  if (rename(temporary.c_str(), path.c_str()) != 0) return errno_error(path, errno);
  return {};
}

}  // namespace gangway::containers::build
