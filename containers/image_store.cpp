#include "containers/image_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "containers/remove_tree.hpp"
#include "containers/tree_listing.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/log.hpp"
#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

Error failed(std::string what) { return errno_error(std::move(what), errno); }

std::string boot_id() { return read_boot_id().value_or(std::string()); }

Result<void> make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return failed(cat("make directory ", path));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view text) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return failed(cat("make ", path));
  while (!text.empty()) {
    const ssize_t written = write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed(cat("write ", path));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> sync_directory(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return failed(cat("sync ", path));
  return {};
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* stream = opendir(path.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(stream);
  return names;
}

std::optional<ImageKey> parse_key(std::string_view name) {
  ImageKey key{Digest::of_hex(std::string(64, '0')), false};
  if (name.ends_with(".open")) {
    key.readable_by_all = true;
    name.remove_suffix(5);
  }
  Result<Digest> digest = Digest::parse(cat("sha256:", name));
  if (!digest) return std::nullopt;
  key.digest = *std::move(digest);
  return key;
}

// In the directory of a tree. One who was admitted already is no error.
Result<void> admit_to(const std::string& tree, uid_t user) {
  GANGWAY_TRY(make_directory(tree + "/users"));
  const std::string path = cat(tree, "/users/", user);
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return failed(cat("make ", path));
  return {};
}

Result<void> lock_fd(int fd, int operation, const std::string& path) {
  int result = -1;
  do {
    result = flock(fd, operation);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return failed(cat("lock ", path));
  return {};
}

// Whether the file that is open is still the one at `path`.
bool is_at(int fd, const std::string& path) {
  struct stat held {};
  struct stat there {};
  return fstat(fd, &held) == 0 && stat(path.c_str(), &there) == 0 && held.st_dev == there.st_dev &&
         held.st_ino == there.st_ino;
}

Result<Fd> lock_file(const std::string& path, bool wait) {
  while (true) {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return failed(cat("open ", path));
    GANGWAY_TRY(lock_fd(fd.get(), LOCK_EX | (wait ? 0 : LOCK_NB), path));
    // Who removes an image removes its lock too, while others wait for it.
    if (is_at(fd.get(), path)) return fd;
  }
}

constexpr std::size_t kMaxListingBytes = std::size_t{1} << 30;
constexpr std::size_t kShownDifferences = 5;

}  // namespace

Staging::Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, "")) {}

Staging::~Staging() {
  if (path_.empty()) return;
  if (auto removed = remove_tree(path_); !removed) {
    log_warning("staging_left_behind", {{"path", path_}, {"error", removed.error().message()}});
  }
}

Result<ImageStore> ImageStore::open(const std::string& path) {
  if (!path.starts_with('/')) {
    return Error(ErrorKind::Invalid, cat("image store ", path, ": not an absolute path"));
  }
  // Its parents too: the first image comes before anybody has made them.
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST && errno != EACCES && errno != EROFS) {
      return failed(cat("make directory ", parent));
    }
  }
  for (const char* part : {"", "/tmp", "/locks", "/trees", "/trees/sha256"}) {
    GANGWAY_TRY_CONTEXT(make_directory(path + part), "image store");
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return failed(cat("image store ", path));
  if (status.st_uid != geteuid() || (status.st_mode & 022) != 0) {
    return Error(ErrorKind::Denied,
                 cat("image store ", path, ": others could change what is in it"));
  }
  return ImageStore(path);
}

std::string ImageStore::tree_path(const ImageKey& key) const {
  return cat(path_, "/trees/sha256/", key.name());
}

std::optional<ImageReport> ImageStore::find(const ImageKey& key) const {
  const std::string tree = tree_path(key);
  const Result<std::string> text = read_small_file(tree + "/report");
  if (!text) return std::nullopt;
  if (access((tree + "/durable").c_str(), F_OK) != 0 &&
      read_small_file(tree + "/boot").value_or("") != boot_id()) {
    return std::nullopt;  // the machine went down before it was on the disk
  }
  Result<ImageReport> report = parse_image_report(*text);
  if (!report) return std::nullopt;
  report->tree = tree + "/rootfs";
  return *std::move(report);
}

Result<Fd> ImageStore::lock(const ImageKey& key) const {
  return lock_file(cat(path_, "/locks/", key.name()), /*wait=*/true);
}

int ImageStore::remove_leftovers() const {
  int removed = clear_staging(std::nullopt);
  // Trees that were not on the disk yet when the machine went down.
  for (const std::string& name : names_in(path_ + "/trees/sha256")) {
    const std::optional<ImageKey> key = parse_key(name);
    if (!key || find(*key)) continue;
    const Result<Fd> held = lock_file(cat(path_, "/locks/", name), /*wait=*/false);
    if (!held || find(*key)) continue;
    if (auto gone = remove_tree(tree_path(*key)); gone) {
      ++removed;
    } else {
      log_warning("leftover_stays", {{"path", name}, {"error", gone.error().message()}});
    }
  }
  return removed;
}

int ImageStore::clear_staging(const std::optional<ImageKey>& held) const {
  int count = 0;
  for (const std::string& name : names_in(path_ + "/tmp")) {
    const std::string_view image = std::string_view(name).substr(0, name.rfind('.'));
    Result<Fd> lock = Fd();
    if (!held || image != held->name()) {
      if (!parse_key(image)) continue;
      lock = lock_file(cat(path_, "/locks/", image), /*wait=*/false);
      if (!lock) continue;  // somebody is at it
    }
    if (auto removed = remove_tree(cat(path_, "/tmp/", name)); !removed) {
      log_warning("leftover_stays", {{"path", name}, {"error", removed.error().message()}});
    } else {
      ++count;
    }
  }
  return count;
}

Result<Staging> ImageStore::stage(const ImageKey& key, uid_t uid, gid_t gid) const {
  [[maybe_unused]] const int cleared = clear_staging(key);
  Staging staging;
  std::string path = cat(path_, "/tmp/", key.name(), ".", to_hex(random_bytes(8)));
  GANGWAY_TRY(make_directory(path));
  staging.path_ = std::move(path);
  const std::string rootfs = staging.rootfs();
  if (mkdir(rootfs.c_str(), 0700) != 0) return failed(cat("make directory ", rootfs));
  const Fd fd(::open(rootfs.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || fchmod(fd.get(), 0755) != 0) return failed(cat("set mode of ", rootfs));
  if (uid != geteuid() && fchown(fd.get(), uid, gid) != 0) {
    return failed(cat("set owner of ", rootfs));
  }
  return staging;
}

Result<Fd> ImageStore::make_scratch_file() const {
  const std::string directory = path_ + "/tmp";
  Fd fd(::open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (fd) return fd;
  // A file system without nameless files.
  std::string name = directory + "/.blob-XXXXXX";
  fd.reset(mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return failed(cat("make file in ", directory));
  unlink(name.c_str());
  return fd;
}

Result<ImageReport> ImageStore::publish(const ImageKey& key,
                                        Staging staging,
                                        uid_t user,
                                        ImageReport report,
                                        const std::string& manifest,
                                        const std::string& config) const {
  const std::string tree = tree_path(key);
  report.tree = tree + "/rootfs";
  GANGWAY_TRY(write_file(staging.path() + "/manifest.json", manifest));
  GANGWAY_TRY(write_file(staging.path() + "/config.json", config));
  GANGWAY_TRY(write_file(staging.path() + "/boot", boot_id()));
  GANGWAY_TRY(write_file(staging.path() + "/pin", ""));
  GANGWAY_TRY(admit_to(staging.path(), user));
  GANGWAY_TRY(write_file(staging.path() + "/report", render_image_report(report)));
  // What is in the way is of an earlier boot and not whole.
  GANGWAY_TRY(remove_tree(tree));
  if (rename(staging.path().c_str(), tree.c_str()) != 0) return failed(cat("publish ", tree));
  staging.path_.clear();
  return report;
}

bool ImageStore::may_use(const ImageKey& key, uid_t user) const {
  return access(cat(tree_path(key), "/users/", user).c_str(), F_OK) == 0;
}

Result<void> ImageStore::admit(const ImageKey& key, uid_t user) const {
  return admit_to(tree_path(key), user);
}

Result<void> ImageStore::make_durable(const ImageKey& key) const {
  const std::string tree = tree_path(key);
  if (access((tree + "/durable").c_str(), F_OK) == 0) return {};
  const Fd directory(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return failed(cat("open ", tree));
  const Fd rootfs(openat(directory.get(), "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!rootfs) return failed(cat("open ", tree, "/rootfs"));
  GANGWAY_ASSIGN(const std::string listing, list_tree(rootfs.get()));
  GANGWAY_TRY(remove_tree(directory.get(), "listing"));  // of one who was killed here
  GANGWAY_TRY(write_file(tree + "/listing", listing));
  // The whole file system at once: an fsync of each of ten thousand files takes far longer.
  if (syncfs(directory.get()) != 0) return failed(cat("sync ", tree));
  const Fd mark(openat(directory.get(), "durable", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!mark || fsync(mark.get()) != 0) return failed(cat("mark ", tree));
  GANGWAY_TRY(sync_directory(tree));
  return sync_directory(path_ + "/trees/sha256");
}

Result<Fd> ImageStore::pin(const ImageKey& key, PinFor purpose) const {
  const std::string path = tree_path(key) + "/pin";
  // Trees of earlier versions have none.
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return failed(cat("use image ", key.digest.text()));
  GANGWAY_TRY(lock_fd(fd.get(), LOCK_SH, path));
  if (!is_at(fd.get(), path)) {
    return Error(ErrorKind::NotFound, cat("use image ", key.digest.text(), ": just removed"));
  }
  if (purpose == PinFor::Use) futimens(fd.get(), nullptr);
  return fd;
}

std::vector<StoredImage> ImageStore::list() const {
  std::vector<StoredImage> images;
  for (const std::string& name : names_in(path_ + "/trees/sha256")) {
    const std::optional<ImageKey> key = parse_key(name);
    if (!key) continue;
    auto report = find(*key);
    if (!report) continue;
    StoredImage image{*key, *std::move(report), {}, false};
    const std::string pin = tree_path(*key) + "/pin";
    const Fd fd(::open(pin.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    if (stat(fd ? pin.c_str() : tree_path(*key).c_str(), &status) == 0) {
      image.last_used = Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
    }
    // Held for a moment only; who pins it meanwhile waits that long.
    image.in_use = fd && flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
    images.push_back(std::move(image));
  }
  std::ranges::sort(images, {}, &StoredImage::key);
  return images;
}

Result<ImageCheck> ImageStore::verify(const ImageKey& key) const {
  if (!find(key)) return Error(ErrorKind::NotFound, cat("no image ", key.digest.text()));
  GANGWAY_ASSIGN(const Fd held, pin(key, PinFor::Look));
  ImageCheck check;
  const std::string tree = tree_path(key);
  const Result<std::string> listing = read_small_file(tree + "/listing", kMaxListingBytes);
  if (!listing && listing.error().kind() == ErrorKind::NotFound) return check;
  if (!listing) return listing.error();
  check.recorded = true;
  const Fd rootfs(::open((tree + "/rootfs").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!rootfs) return failed(cat("open ", tree, "/rootfs"));
  GANGWAY_ASSIGN(const std::string now, list_tree(rootfs.get()));
  check.differences = compare_listings(*listing, now);
  check.difference_count = static_cast<std::int64_t>(check.differences.size());
  if (check.differences.size() > kShownDifferences) check.differences.resize(kShownDifferences);
  return check;
}

Result<void> ImageStore::remove(const ImageKey& key) const {
  GANGWAY_ASSIGN(const Fd held, lock(key));
  const std::string tree = tree_path(key);
  if (access(tree.c_str(), F_OK) != 0) return failed(cat("image ", key.digest.text()));
  const Fd pin(::open((tree + "/pin").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (pin && flock(pin.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorKind::Conflict, cat("image ", key.digest.text(), " is in use"));
  }
  // Aside first, so that nobody finds half of it.
  const std::string aside = cat(path_, "/tmp/", key.name(), ".", to_hex(random_bytes(8)));
  if (rename(tree.c_str(), aside.c_str()) != 0) return failed(cat("remove ", tree));
  GANGWAY_TRY(remove_tree(aside));
  unlink(cat(path_, "/locks/", key.name()).c_str());
  return {};
}

}  // namespace gangway::containers
