#include "containers/build/image_export.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "containers/build/tree_snapshot.hpp"
#include "containers/image_source.hpp"
#include "containers/remove_tree.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

struct Blob {
  Digest digest;
  std::string text;  // a document's, or
  ImageFiles::Opened opened;
};

// All that an image is made of.
struct Parts {
  Digest manifest;
  std::int64_t manifest_size = 0;
  Platform platform;
  std::vector<Blob> blobs;

  void add_document(std::string text) {
    Digest digest = Digest::of_hex(sha256_hex(text));
    blobs.push_back({std::move(digest), std::move(text), {}});
  }
};

class Counter {
 public:
  Counter(const ExportRequest& request, std::int64_t total) : request_(request), total_(total) {}
  void operator()(std::int64_t bytes) {
    done_ = std::min(done_ + bytes, total_);
    if (request_.progress) request_.progress(done_, total_);
  }

 private:
  const ExportRequest& request_;
  std::int64_t total_;
  std::int64_t done_ = 0;
};

// A file without a name in the directory of `path`: a killed export leaves nothing behind.
struct NewFile {
  Fd fd;
  std::string path;  // only where the file system has no nameless files
};
std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string beside(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
  return cat(path.substr(0, name), ".", path.substr(name), ".", to_hex(random_bytes(4)), ".part");
}
Result<NewFile> make_file(const std::string& path) {
  const std::string directory = directory_of(path);
  NewFile file{Fd(open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666)), {}};
  if (file.fd) return file;
  file.path = beside(path);
  file.fd = Fd(open(file.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.fd) return errno_error(cat("write ", path), errno);
  return file;
}

Result<void> sync_and_name(NewFile file, const std::string& path) {
  if (fsync(file.fd.get()) != 0) return errno_error(cat("write ", path), errno);
  if (file.path.empty()) {
    // A link does not replace what is there, so it gets a name of its own first.
    file.path = beside(path);
    const std::string open_file = cat("/proc/self/fd/", file.fd.get());
    if (linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, file.path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return errno_error(cat("write ", path), errno);
    }
  }
  if (rename(file.path.c_str(), path.c_str()) == 0) return {};
  const Error why = errno_error(cat("write ", path), errno);
  unlink(file.path.c_str());
  return why;
}

Result<void> write_as_archive(const std::vector<ArchiveMember>& members,
                              const ExportRequest& request,
                              Counter& counter) {
  GANGWAY_ASSIGN(NewFile file, make_file(request.output));
  const std::string named = file.path;
  Result<void> written = write_archive(file.fd.get(), members, request.mtime_s,
                                       [&](std::int64_t bytes) { counter(bytes); });
  if (!written) {
    if (!named.empty()) unlink(named.c_str());
    return written.error();
  }
  return sync_and_name(std::move(file), request.output);
}

Result<void> write_member(const std::string& path, const ArchiveMember& member, Counter& counter) {
  if (member.range.fd < 0) return replace_file(path, member.text, 0644, Durability::UntilReboot);
  const Fd copy(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!copy) return errno_error(cat("write ", path), errno);
  GANGWAY_TRY(read_pieces(member.range, member.digest, [&](std::string_view bytes) -> Result<void> {
    counter(static_cast<std::int64_t>(bytes.size()));
    return write_all(copy.get(), bytes);
  }));
  return {};
}

Result<void> write_as_layout(const std::vector<ArchiveMember>& members,
                             const ExportRequest& request,
                             Counter& counter) {
  std::string path = request.output;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  struct stat status {};
  const bool is_there = lstat(path.c_str(), &status) == 0;
  if (is_there && access((path + "/oci-layout").c_str(), F_OK) != 0) {
    return Error(ErrorKind::Conflict, cat(path, ": is there and is no image; it is not replaced"));
  }
  const std::string temporary = beside(path);
  const auto write_all_of_it = [&]() -> Result<void> {
    for (const char* below : {"", "/blobs", "/blobs/sha256"}) {
      if (mkdir((temporary + below).c_str(), 0777) != 0) return errno_error(path, errno);
    }
    for (const ArchiveMember& member : members) {
      GANGWAY_TRY(write_member(cat(temporary, "/", member.name), member, counter));
    }
    const Fd directory(open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || syncfs(directory.get()) != 0) return errno_error(cat("write ", path), errno);
    const unsigned exchange = is_there ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), exchange) != 0) {
      return errno_error(cat("write ", path), errno);
    }
    return {};
  };
  const Result<void> written = write_all_of_it();
  // What failed, or what was there before.
  const Result<void> removed = remove_tree(temporary);
  return written ? removed : written;
}

Result<Digest> write_parts(Parts parts, const ExportRequest& request) {
  std::ranges::sort(parts.blobs, {}, &Blob::digest);
  const auto same = [](const Blob& a, const Blob& b) { return a.digest == b.digest; };
  parts.blobs.erase(std::unique(parts.blobs.begin(), parts.blobs.end(), same), parts.blobs.end());
  const NamedManifest named{request.name, parts.manifest, parts.manifest_size, parts.platform};
  std::vector<ArchiveMember> members = {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})", {}, {}},
                                        {"index.json", render_index({named}), {}, {}}};
  std::int64_t total = 0;
  for (const Blob& blob : parts.blobs) {
    if (blob.opened.fd) total += blob.opened.range.size;
    members.push_back({blob_name(blob.digest), blob.text,
                       blob.opened.fd ? blob.opened.range : FileRange{}, blob.digest});
  }
  Counter counter(request, total);
  GANGWAY_TRY(request.output.ends_with(".tar") ? write_as_archive(members, request, counter)
                                               : write_as_layout(members, request, counter));
  return parts.manifest;
}

// The files of an OCI image, by the digest of its manifest.
Result<Parts> collect_oci(ImageFiles& files, const Digest& digest) {
  GANGWAY_ASSIGN(std::string text, read_document(files, digest, std::nullopt));
  GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
  GANGWAY_ASSIGN(std::string config_text,
                 read_document(files, manifest.config.digest, manifest.config.size));
  GANGWAY_ASSIGN(const ImageConfig config, parse_config(config_text));
  Parts parts{digest, static_cast<std::int64_t>(text.size()), config.platform, {}};
  parts.add_document(std::move(text));
  parts.add_document(std::move(config_text));
  for (const Descriptor& layer : manifest.layers) {
    GANGWAY_ASSIGN(ImageFiles::Opened opened, files.open(blob_name(layer.digest)));
    if (opened.range.size != layer.size) {
      return Error(ErrorKind::Corrupt, cat("blob ", layer.digest.text(), " has ", opened.range.size,
                                           " bytes and not ", layer.size));
    }
    parts.blobs.push_back({layer.digest, {}, std::move(opened)});
  }
  return parts;
}

Parts make_parts(std::string config_text,
                 const Platform& platform,
                 const std::vector<LayerBlob>& layers) {
  const Digest config = Digest::of_hex(sha256_hex(config_text));
  std::string manifest =
      render_manifest(config, static_cast<std::int64_t>(config_text.size()), layers);
  Parts parts{Digest::of_hex(sha256_hex(manifest)),
              static_cast<std::int64_t>(manifest.size()),
              platform,
              {}};
  parts.add_document(std::move(config_text));
  parts.add_document(std::move(manifest));
  return parts;
}

// A docker-archive names no digests of its layers: they are read for them first.
Result<Parts> collect_docker(ImageFiles& files, const Digest& digest) {
  GANGWAY_ASSIGN(const ImageFiles::Opened list, files.open("manifest.json"));
  GANGWAY_ASSIGN(const std::string list_text, read_range(list.range, kMaxDocumentBytes));
  GANGWAY_ASSIGN(const std::vector<DockerImage> images, parse_docker_manifest(list_text));
  for (const DockerImage& image : images) {
    GANGWAY_ASSIGN(const ImageFiles::Opened opened, files.open(image.config));
    GANGWAY_ASSIGN(std::string text, read_range(opened.range, kMaxDocumentBytes));
    if (sha256_hex(text) != digest.hex()) continue;
    GANGWAY_ASSIGN(const ImageConfig config, parse_config(text));
    GANGWAY_TRY(check_config(config, image.layers.size(), config.platform));
    std::vector<LayerBlob> layers;
    std::vector<Blob> blobs;
    for (std::size_t i = 0; i < image.layers.size(); ++i) {
      GANGWAY_ASSIGN(ImageFiles::Opened layer, files.open(image.layers[i]));
      std::optional<Compression> compression;
      const auto look = [&](std::string_view bytes) -> Result<void> {
        if (!compression) compression = sniff_compression(bytes);
        return {};
      };
      GANGWAY_ASSIGN(const Digest found, read_pieces(layer.range, std::nullopt, look));
      layers.push_back(
          {config.diff_ids[i], found, layer.range.size, compression.value_or(Compression::None)});
      blobs.push_back({found, {}, std::move(layer)});
    }
    Parts parts = make_parts(std::move(text), config.platform, layers);
    std::ranges::move(blobs, std::back_inserter(parts.blobs));
    return parts;
  }
  return Error(ErrorKind::Conflict, "the image changed while it was read");
}

}  // namespace

Result<Digest> export_image(const ImageLibrary& library,
                            const NamedManifest& manifest,
                            const ExportRequest& request) {
  Fd directory(open(library.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(library.path(), errno);
  const std::unique_ptr<ImageFiles> files = make_directory_files(std::move(directory));
  Result<Parts> parts = collect_oci(*files, manifest.digest);
  if (!parts) return parts.error().with_context(library.path());
  return write_parts(*std::move(parts), request);
}

Result<Digest> export_source(const std::string& source, const ExportRequest& request) {
  GANGWAY_ASSIGN(const ResolvedImage image, resolve_image(source));
  GANGWAY_ASSIGN(const std::unique_ptr<ImageFiles> files, open_image_files(image));
  Result<Parts> parts = image.kind == ImageSourceKind::DockerArchive
                            ? collect_docker(*files, image.digest)
                            : collect_oci(*files, image.digest);
  if (!parts) return parts.error().with_context(cat("image ", image.path));
  return write_parts(*std::move(parts), request);
}

Result<Digest> export_stored(const ImageStore& store,
                             const ImageKey& key,
                             Compression compression,
                             const ExportRequest& request) {
  const std::optional<ImageReport> report = store.find(key);
  if (!report) return Error(ErrorKind::NotFound, cat("no image ", key.digest.text()));
  GANGWAY_ASSIGN(const Fd pin, store.pin(key, ImageStore::PinFor::Look));
  const std::string about = report->tree.substr(0, report->tree.rfind('/'));
  GANGWAY_ASSIGN(const std::string config_text,
                 read_small_file(about + "/config.json", kMaxDocumentBytes));
  GANGWAY_ASSIGN(ImageSettings settings, parse_settings(config_text));
  const Fd root(open(report->tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error(cat("open ", report->tree), errno);

  GANGWAY_ASSIGN(NewFile file, make_file(request.output));
  if (!file.path.empty()) unlink(file.path.c_str());  // it is only read again
  GANGWAY_ASSIGN(LayerWriter writer, LayerWriter::open(file.fd.get(), compression));
  Counter counter(request, report->bytes);
  writer.set_on_bytes([&](std::int64_t bytes) { counter(bytes); });
  struct stat status {};
  if (fstat(root.get(), &status) != 0) return errno_error(cat("look at ", report->tree), errno);
  // A tree has this mode unless its image says otherwise.
  if (const mode_t mode = status.st_mode & 07777; mode != 0755) {
    GANGWAY_TRY(writer.add({.path = "./", .type = TarType::Directory, .mode = mode}));
  }
  GANGWAY_ASSIGN(const TreeSnapshot tree, take_snapshot(root.get()));
  const LayerRules rules{.keep_user_attributes = true};
  GANGWAY_TRY_CONTEXT(write_changes(root.get(), tree, compare({}, tree), rules, writer),
                      cat("image ", key.digest.text()));
  GANGWAY_ASSIGN(const WrittenLayer layer, writer.finish());

  settings.diff_ids = {layer.diff_id};
  settings.history.clear();  // of layers that are no more
  Parts parts = make_parts(render_settings(settings), settings.platform,
                           {{layer.diff_id, layer.digest, layer.size, layer.compression}});
  const FileRange range{.fd = file.fd.get(), .offset = 0, .size = layer.size};
  parts.blobs.push_back({layer.digest, {}, {std::move(file.fd), range}});
  return write_parts(std::move(parts), request);
}

}  // namespace gangway::containers::build
