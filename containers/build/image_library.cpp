#include "containers/build/image_library.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>

#include "containers/remove_tree.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::string_view kLayoutText = R"({"imageLayoutVersion":"1.0.0"})";

Result<void> make_directory(const std::string& path) {
  std::string below;
  for (const std::string_view part : split(std::string_view(path).substr(1), '/')) {
    below += cat("/", part);
    if (mkdir(below.c_str(), 0700) != 0 && errno != EEXIST) {
      return errno_error(cat("make ", below), errno);
    }
  }
  return {};
}

std::vector<std::string> names_in(const std::string& path) {
  struct Close {
    void operator()(DIR* directory) const { closedir(directory); }
  };
  const std::unique_ptr<DIR, Close> stream(opendir(path.c_str()));
  std::vector<std::string> names;
  if (!stream) return names;
  while (const dirent* entry = readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::string render_record(const StepRecord& record) {
  std::string text = cat("created ", record.created, "\n");
  if (!record.layer) return text + "empty\n";
  return cat(text, "layer ", record.layer->diff_id.text(), " ", record.layer->digest.text(), " ",
             record.layer->size, " ", static_cast<int>(record.layer->compression), "\n");
}

std::optional<StepRecord> parse_record(std::string_view text) {
  StepRecord record;
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() < 2 || !lines[0].starts_with("created ")) return std::nullopt;
  record.created = lines[0].substr(8);
  if (lines[1] == "empty") return record;
  const std::vector<std::string_view> words = split(lines[1], ' ');
  if (words.size() != 5 || words[0] != "layer") return std::nullopt;
  const Result<Digest> diff_id = Digest::parse(words[1]);
  const Result<Digest> digest = Digest::parse(words[2]);
  const auto size = parse_integer<std::int64_t>(words[3]);
  const auto compression = parse_integer<int>(words[4]);
  if (!diff_id || !digest || !size || !compression || *compression < 0 || *compression > 2) {
    return std::nullopt;
  }
  record.layer = LayerBlob{*diff_id, *digest, *size, static_cast<Compression>(*compression)};
  return record;
}

}  // namespace

Result<std::string> normalise_image_name(std::string_view name) {
  const auto bad = [&] {
    return Error(ErrorKind::Invalid,
                 cat("image name ", name, ": small letters, digits and . _ - /, then :TAG"));
  };
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/", "library/"}) {
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      break;
    }
  }
  const std::size_t slash = name.rfind('/');
  const std::size_t colon = name.rfind(':');
  const bool tagged =
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  const std::string_view path = name.substr(0, tagged ? colon : name.size());
  const std::string_view tag = tagged ? name.substr(colon + 1) : "latest";
  if (path.empty() || path.size() > 255 || tag.empty() || tag.size() > 128) return bad();
  bool first = true;
  for (const std::string_view part : split(path, '/')) {
    // The first part may be a host with a port.
    const bool fits =
        std::ranges::all_of(part, [&](char c) { return is_name_char(c) || (first && c == ':'); });
    if (part.empty() || !fits || part.front() == '.' || part.front() == '-') return bad();
    first = false;
  }
  const auto is_tag_char = [](char c) { return is_name_char(c) || (c >= 'A' && c <= 'Z'); };
  if (!std::ranges::all_of(tag, is_tag_char) || tag.front() == '.' || tag.front() == '-') {
    return bad();
  }
  return cat(path, ":", tag);
}

WorkDirectory::WorkDirectory(WorkDirectory&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}

WorkDirectory::~WorkDirectory() {
  // What cannot be removed now is tried again by the next build.
  if (!path_.empty()) static_cast<void>(remove_tree(path_));
}

Result<std::string> ImageLibrary::default_path() {
  // NOLINTBEGIN(concurrency-mt-unsafe): one thread
  if (const char* own = std::getenv("GANGWAY_IMAGE_LIBRARY"); own != nullptr && *own == '/')
    return {own};
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return cat(data, "/gangway/images");
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return cat(home, "/.local/share/gangway/images");
  }
  // NOLINTEND(concurrency-mt-unsafe)
  return Error(ErrorKind::NotFound,
               "no place for images: neither GANGWAY_IMAGE_LIBRARY nor HOME is set");
}

Result<ImageLibrary> ImageLibrary::open(const std::string& path) {
  if (!path.starts_with('/')) {
    return Error(ErrorKind::Invalid, cat("image library ", path, ": not an absolute path"));
  }
  ImageLibrary library(path);
  for (const char* below : {"/blobs/sha256", "/build/steps", "/build/caches", "/build/work"}) {
    GANGWAY_TRY_CONTEXT(make_directory(path + below), "image library");
  }
  if (access((path + "/oci-layout").c_str(), F_OK) != 0) {
    GANGWAY_ASSIGN(const Fd held, library.lock());
    if (access((path + "/oci-layout").c_str(), F_OK) != 0) {
      GANGWAY_TRY(library.write_index({}));
      GANGWAY_TRY(replace_file(path + "/oci-layout", kLayoutText, 0644, Durability::OnDisk));
    }
  }
  return library;
}

Result<Fd> ImageLibrary::lock() const {
  const std::string path = path_ + "/lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_error(cat("open ", path), errno);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return errno_error(cat("lock ", path), errno);
  }
  return fd;
}

std::string ImageLibrary::blob_path(const Digest& digest) const {
  return cat(path_, "/blobs/sha256/", digest.hex());
}

bool ImageLibrary::has_blob(const Digest& digest, std::int64_t size) const {
  struct stat status {};
  return stat(blob_path(digest).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_size == size;
}

Result<ImageLibrary::NewBlob> ImageLibrary::make_blob() const {
  GANGWAY_ASSIGN(const Fd held, lock());  // or it could be taken for dead before it is locked
  std::string path = path_ + "/build/work/blob.XXXXXX";
  Fd fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return errno_error(cat("make ", path), errno);
  return NewBlob{std::move(fd), std::move(path)};
}

Result<void> ImageLibrary::keep_blob(NewBlob blob, const Digest& digest) const {
  if (fchmod(blob.fd.get(), 0644) != 0 || fdatasync(blob.fd.get()) != 0 ||
      rename(blob.path.c_str(), blob_path(digest).c_str()) != 0) {
    const int why = errno;
    unlink(blob.path.c_str());
    return errno_error(cat("write blob ", digest.text()), why);
  }
  return {};
}

Result<Digest> ImageLibrary::add_document(std::string_view text) const {
  const Digest digest = Digest::of_hex(sha256_hex(text));
  GANGWAY_TRY(replace_file(blob_path(digest), text, 0644, Durability::OnDisk));
  return digest;
}

Result<std::vector<NamedManifest>> ImageLibrary::list() const {
  GANGWAY_ASSIGN(const std::string text, read_small_file(path_ + "/index.json"));
  GANGWAY_ASSIGN(const std::vector<Descriptor> entries, parse_index(text, ""));
  std::vector<NamedManifest> manifests;
  manifests.reserve(entries.size());
  for (const Descriptor& entry : entries) {
    manifests.push_back(
        {entry.reference, entry.digest, entry.size, entry.platform.value_or(Platform{})});
  }
  return manifests;
}

Result<std::optional<NamedManifest>> ImageLibrary::find(std::string_view name) const {
  GANGWAY_ASSIGN(const std::vector<NamedManifest> manifests, list());
  const auto found = std::ranges::find(manifests, name, &NamedManifest::name);
  return found == manifests.end() ? std::nullopt : std::optional(*found);
}

Result<void> ImageLibrary::write_index(const std::vector<NamedManifest>& manifests) const {
  return replace_file(path_ + "/index.json", render_index(manifests), 0644, Durability::OnDisk);
}

Result<void> ImageLibrary::set(const NamedManifest& manifest) const {
  GANGWAY_ASSIGN(const Fd held, lock());
  GANGWAY_ASSIGN(std::vector<NamedManifest> manifests, list());
  std::erase_if(manifests, [&](const NamedManifest& m) { return m.name == manifest.name; });
  manifests.push_back(manifest);
  std::ranges::sort(manifests, {}, &NamedManifest::name);
  return write_index(manifests);
}

Result<void> ImageLibrary::remove(std::string_view name) const {
  GANGWAY_ASSIGN(const Fd held, lock());
  GANGWAY_ASSIGN(std::vector<NamedManifest> manifests, list());
  if (std::erase_if(manifests, [&](const NamedManifest& m) { return m.name == name; }) == 0) {
    return Error(ErrorKind::NotFound, cat("no image is called ", name, " in ", path_));
  }
  return write_index(manifests);
}

Result<ImageLibrary::Pruned> ImageLibrary::prune() const {
  GANGWAY_ASSIGN(const Fd held, lock());
  remove_dead_work();
  if (!names_in(path_ + "/build/work").empty()) {
    return Error(ErrorKind::Conflict, "a build or an import is under way");
  }
  std::set<std::string> needed;
  GANGWAY_ASSIGN(const std::vector<NamedManifest> manifests, list());
  for (const NamedManifest& named : manifests) {
    needed.insert(named.digest.hex());
    GANGWAY_ASSIGN(const std::string text, read_small_file(blob_path(named.digest)));
    GANGWAY_ASSIGN(const ImageManifest manifest, parse_manifest(text, ""));
    needed.insert(manifest.config.digest.hex());
    for (const Descriptor& layer : manifest.layers) needed.insert(layer.digest.hex());
  }
  Pruned pruned;
  for (const char* below : {"/build/steps/", "/build/caches/", "/blobs/sha256/"}) {
    for (const std::string& name : names_in(path_ + below)) {
      if (std::string_view(below) == "/blobs/sha256/") {
        if (needed.contains(name)) continue;
        struct stat status {};
        if (stat((path_ + below + name).c_str(), &status) == 0) pruned.bytes += status.st_size;
        ++pruned.blobs;
      }
      GANGWAY_TRY(remove_tree(path_ + below + name));
    }
  }
  return pruned;
}

std::optional<StepRecord> ImageLibrary::find_step(const std::string& key) const {
  const Result<std::string> text = read_small_file(cat(path_, "/build/steps/", key));
  if (!text) return std::nullopt;
  std::optional<StepRecord> record = parse_record(*text);
  if (record && record->layer && !has_blob(record->layer->digest, record->layer->size)) {
    return std::nullopt;
  }
  return record;
}

void ImageLibrary::remember_step(const std::string& key, const StepRecord& record) const {
  // Forgotten, it is done once more.
  static_cast<void>(replace_file(cat(path_, "/build/steps/", key), render_record(record), 0600,
                                 Durability::UntilReboot));
}

Result<std::string> ImageLibrary::cache_directory(std::string_view id) const {
  std::string path = cat(path_, "/build/caches/", sha256_hex(id));
  GANGWAY_TRY(make_directory(path));
  return path;
}

void ImageLibrary::remove_dead_work() const {
  const std::string work = path_ + "/build/work/";
  for (const std::string& name : names_in(work)) {
    const Fd fd(::open((work + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    static_cast<void>(remove_tree(work + name));
  }
}

Result<WorkDirectory> ImageLibrary::make_work_directory() const {
  GANGWAY_ASSIGN(const Fd held, lock());
  remove_dead_work();
  std::string path = path_ + "/build/work/build.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return errno_error(cat("make ", path), errno);
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return errno_error(cat("lock ", path), errno);
  return WorkDirectory(std::move(path), std::move(fd));
}

}  // namespace gangway::containers::build
