#include "containers/build/image_import.hpp"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "containers/image_source.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

struct CopiedBlob {
  Digest digest;
  Compression compression = Compression::None;
};

// Copies a part of a file into the library as a blob. `expected`: the digest it must have.
Result<CopiedBlob> copy_blob(const ImageLibrary& library,
                             const FileRange& range,
                             const std::optional<Digest>& expected) {
  GANGWAY_ASSIGN(ImageLibrary::NewBlob blob, library.make_blob());
  Compression compression = Compression::None;
  bool is_first = true;
  const auto take = [&](std::string_view bytes) -> Result<void> {
    if (std::exchange(is_first, false)) compression = sniff_compression(bytes);
    return write_all(blob.fd.get(), bytes);
  };
  const Result<Digest> copied = read_pieces(range, expected, take);
  if (!copied) {
    unlink(blob.path.c_str());
    return copied.error();
  }
  const Digest& digest = *copied;
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
    GANGWAY_TRY(copy_blob(library, opened.range, layer.digest));
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
      GANGWAY_ASSIGN(const CopiedBlob copied, copy_blob(library, layer.range, std::nullopt));
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

}  // namespace

Result<NamedManifest> import_image(const ImageLibrary& library, const std::string& source) {
  GANGWAY_ASSIGN(const ResolvedImage image, resolve_image(source));
  GANGWAY_ASSIGN(const std::unique_ptr<ImageFiles> files, open_image_files(image));
  Result<NamedManifest> manifest = image.kind == ImageSourceKind::DockerArchive
                                       ? import_docker(library, *files, image.digest)
                                       : import_oci(library, *files, image.digest);
  if (!manifest) return manifest.error().with_context(cat("image ", image.path));
  return manifest;
}

Result<LoadedImage> load_image(const ImageLibrary& library, const Digest& manifest) {
  GANGWAY_ASSIGN(const std::string text,
                 read_small_file(library.blob_path(manifest), kMaxDocumentBytes));
  GANGWAY_ASSIGN(const ImageManifest parsed, parse_manifest(text, ""));
  GANGWAY_ASSIGN(const std::string config,
                 read_small_file(library.blob_path(parsed.config.digest), kMaxDocumentBytes));
  LoadedImage image;
  GANGWAY_ASSIGN(image.settings, parse_settings(config));
  if (image.settings.diff_ids.size() != parsed.layers.size()) {
    return Error(ErrorKind::Corrupt, "the image has another number of layers than it says");
  }
  for (std::size_t i = 0; i < parsed.layers.size(); ++i) {
    const Descriptor& layer = parsed.layers[i];
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

}  // namespace gangway::containers::build
