#include "containers/tree_writer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

Error invalid(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }
Error failed(std::string what) { return errno_error(std::move(what), errno); }

// What a message may repeat of a hostile name.
std::string shown(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 200)) {
    out +=
        (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f) ? '?' : c;
  }
  return out;
}

Result<std::uint64_t> inode_of(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return failed("look up directory");
  return std::uint64_t{status.st_ino};
}

timespec entry_time(const TarEntry& entry) {
  return {.tv_sec = entry.mtime_s, .tv_nsec = entry.mtime_ns};
}

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  // A description of its own: O_PATH ones cannot be read, and positions must not be shared.
  const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return names;
  DIR* stream = fdopendir(fd);
  if (stream == nullptr) {
    close(fd);
    return names;
  }
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(stream);
  return names;
}

std::string path_of(const std::vector<std::string>& name, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) path += '/';
    path += name[i];
  }
  return path;
}

}  // namespace

Result<std::vector<std::string>> clean_entry_name(std::string_view name, int max_depth) {
  if (name.size() >= PATH_MAX) return invalid("name of an entry is too long");
  if (name.empty()) return invalid("entry without a name");
  std::vector<std::string> clean;
  for (std::string& part : path_components(name)) {
    if (part == "..") {
      if (clean.empty()) return invalid(cat("name climbs out of the image: ", shown(name)));
      clean.pop_back();
      continue;
    }
    if (part.size() > NAME_MAX) return invalid("component of a name is too long");
    clean.push_back(std::move(part));
  }
  if (clean.size() > static_cast<std::size_t>(max_depth)) {
    return Error(ErrorKind::Invalid, "name of an entry has too many components");
  }
  return clean;
}

bool keeps_xattr(std::string_view name) {
  // security.* (capabilities, labels), trusted.* and system.* are rights; the overlay's own
  // attributes would let a layer redirect into files of others or forge whiteouts.
  if (!name.starts_with("user.")) return false;
  for (const std::string_view refused :
       {"user.overlay.", "user.fuseoverlayfs.", "user.rootlesscontainers", "user.containers."}) {
    if (name.starts_with(refused)) return false;
  }
  return name.size() <= XATTR_NAME_MAX;
}

TreeWriter::TreeWriter(Fd root, UnpackLimits limits, bool readable_by_all)
    : root_(std::move(root)), limits_(limits), readable_by_all_(readable_by_all) {}

std::string TreeWriter::key(std::uint64_t parent_inode, const std::string& name) {
  return cat(parent_inode, '/', name);
}

mode_t TreeWriter::file_mode(mode_t mode) const {
  mode &= 0777;
  if (readable_by_all_) mode |= (mode & 0111) != 0 ? 0555 : 0444;
  return mode | 0400;
}

mode_t TreeWriter::directory_mode(mode_t mode) const {
  mode &= 01777;
  if (readable_by_all_) mode |= 0555;
  return mode | 0700;
}

Result<void> TreeWriter::check_numbers(const TarEntry& entry) {
  constexpr std::int64_t kMaxId = 0xfffffffe;
  if (entry.uid < 0 || entry.uid > kMaxId || entry.gid < 0 || entry.gid > kMaxId) {
    return invalid(cat("owner of ", shown(entry.path), " is out of range"));
  }
  if (entry.size < 0) return invalid(cat("size of ", shown(entry.path), " is negative"));
  if (entry.mtime_s < 0) return invalid(cat("time of ", shown(entry.path), " is negative"));
  if (++counts_.entries > limits_.max_entries) {
    return Error(ErrorKind::Invalid, "the image has too many entries");
  }
  std::int64_t xattr_bytes = 0;
  for (const auto& [name, value] : entry.xattrs) {
    xattr_bytes += static_cast<std::int64_t>(name.size() + value.size());
  }
  if (xattr_bytes > limits_.max_xattr_bytes) {
    return Error(ErrorKind::Invalid,
                 cat("extended attributes of ", shown(entry.path), " are too large"));
  }
  return {};
}

Result<TreeWriter::Parent> TreeWriter::open_parent(const std::vector<std::string>& name,
                                                   bool make) {
  const std::string path = path_of(name, name.size() - 1);
  if (cache_valid_ && path == cached_path_) return Parent{cached_parent_.get(), cached_inode_};
  Result<Fd> fd = open_in_root(root_.get(), path.empty() ? "." : path, O_PATH | O_DIRECTORY);
  if (!fd && make && fd.error().kind() != ErrorKind::Denied) {
    fd = make_directories_in_tree(root_.get(), path, /*replace_files=*/true);
  }
  if (!fd) return fd.error();
  GANGWAY_ASSIGN(const std::uint64_t inode, inode_of(fd->get()));
  cached_parent_ = *std::move(fd);
  cached_path_ = path;
  cached_inode_ = inode;
  cache_valid_ = true;
  return Parent{cached_parent_.get(), inode};
}

// A directory's time is its entry's, or what it was before this layer put something into it.
void TreeWriter::note_times(const Parent& parent, const std::vector<std::string>& name) {
  if (times_.contains(parent.inode)) return;
  struct stat status {};
  if (fstat(parent.fd, &status) != 0) return;
  times_[parent.inode] = {path_of(name, name.size() - 1), status.st_mtim};
}

Result<void> TreeWriter::apply(const TarEntry& entry, const NextBlock& next_block) {
  GANGWAY_TRY(check_numbers(entry));
  GANGWAY_ASSIGN(const std::vector<std::string> name,
                 clean_entry_name(entry.path, limits_.max_depth));
  if (name.empty()) return apply_root(entry);
  if (name.back().starts_with(kWhiteout)) return apply_whiteout(name);
  if (entry.type == TarType::Device) {
    ++counts_.devices_skipped;
    return {};
  }
  const std::string& last = name.back();
  GANGWAY_ASSIGN(const Parent parent, open_parent(name, /*make=*/true));
  note_times(parent, name);
  const auto perform = [&]() -> Result<void> {
    switch (entry.type) {
      case TarType::File:
        return write_file(parent, last, entry, next_block);
      case TarType::Directory:
        return make_directory(parent, last, path_of(name, name.size()), entry);
      case TarType::Symlink:
        return make_symlink(parent, last, entry);
      case TarType::Hardlink:
        return make_hardlink(parent, last, entry);
      case TarType::Fifo:
        return make_fifo(parent, last, entry);
      case TarType::Device:
        break;
    }
    CHECK(false);
  };
  GANGWAY_TRY_CONTEXT(perform(), shown(entry.path));
  written_.insert(key(parent.inode, last));
  return {};
}

Result<void> TreeWriter::apply_root(const TarEntry& entry) {
  if (entry.type != TarType::Directory) {
    return invalid("the image's root is not a directory");
  }
  GANGWAY_ASSIGN(const std::uint64_t inode, inode_of(root_.get()));
  if (fchmod(root_.get(), directory_mode(entry.mode)) != 0) return failed("set mode of the root");
  times_[inode] = {"", entry_time(entry)};
  return {};
}

Result<void> TreeWriter::apply_whiteout(const std::vector<std::string>& name) {
  const std::string& base = name.back();
  if (base == kOpaque) {
    // In a directory that is not there, there is nothing to hide.
    Result<Parent> parent = open_parent(name, /*make=*/false);
    if (!parent) return {};
    note_times(*parent, name);
    GANGWAY_TRY(hide_children(parent->fd, parent->inode, 0));
    return {};
  }
  // Bookkeeping of aufs, which no other system reads.
  if (base.starts_with(kWhiteoutMeta)) return {};
  const std::string victim = base.substr(kWhiteout.size());
  if (victim.empty() || victim == "." || victim == "..") {
    return invalid(cat("whiteout of nothing that has a name: ", shown(base)));
  }
  Result<Parent> parent = open_parent(name, /*make=*/false);
  if (!parent) return {};
  note_times(*parent, name);
  GANGWAY_TRY(hide_entry(parent->fd, parent->inode, victim, 0));
  return {};
}

Result<void> TreeWriter::write_file(const Parent& parent,
                                    const std::string& name,
                                    const TarEntry& entry,
                                    const NextBlock& next_block) {
  if (entry.size > limits_.max_file_bytes) {
    return Error(ErrorKind::Invalid, "the file is larger than a file may be");
  }
  counts_.bytes += entry.size;
  if (counts_.bytes > limits_.max_bytes) {
    return Error(ErrorKind::Invalid, "the image is larger than an image may be");
  }
  GANGWAY_TRY(remove_entry(parent.fd, parent.inode, name, 0));
  const Fd fd(
      openat(parent.fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return failed("make file");
  std::int64_t end = 0;
  while (true) {
    GANGWAY_ASSIGN(const TarReader::Block block, next_block());
    if (block.bytes.empty()) break;
    const auto size = static_cast<std::int64_t>(block.bytes.size());
    if (block.offset < 0 || block.offset > entry.size - size) {
      return Error(ErrorKind::Corrupt, "contents are longer than the file");
    }
    std::string_view rest = block.bytes;
    off_t position = block.offset;
    while (!rest.empty()) {
      const ssize_t written = pwrite(fd.get(), rest.data(), rest.size(), position);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return failed("write file");
      rest.remove_prefix(static_cast<std::size_t>(written));
      position += written;
    }
    end = position;
  }
  // A hole at the end of a sparse file.
  if (end != entry.size && ftruncate(fd.get(), entry.size) != 0) return failed("set size of file");
  GANGWAY_TRY(set_xattrs(fd.get(), entry));
  if (fchmod(fd.get(), file_mode(entry.mode)) != 0) return failed("set mode of file");
  const timespec times[2] = {entry_time(entry), entry_time(entry)};
  if (futimens(fd.get(), times) != 0) return failed("set time of file");
  return {};
}

Result<void> TreeWriter::make_directory(const Parent& parent,
                                        const std::string& name,
                                        const std::string& path,
                                        const TarEntry& entry) {
  struct stat status {};
  const bool there = fstatat(parent.fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  const bool kept = there && S_ISDIR(status.st_mode);
  if (there && !kept) GANGWAY_TRY(remove_entry(parent.fd, parent.inode, name, 0));
  if (!kept && mkdirat(parent.fd, name.c_str(), 0700) != 0) return failed("make directory");
  const Fd fd(openat(parent.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return failed("open directory");
  if (kept) {
    // Attributes of the lower layer's directory do not show through the new entry.
    char names[65536];
    const ssize_t length = flistxattr(fd.get(), names, sizeof names);
    for (ssize_t at = 0; at < length;) {
      const std::string_view old(names + at);
      if (old.starts_with("user.")) fremovexattr(fd.get(), names + at);
      at += static_cast<ssize_t>(old.size()) + 1;
    }
  }
  GANGWAY_TRY(set_xattrs(fd.get(), entry));
  if (fchmod(fd.get(), directory_mode(entry.mode)) != 0) return failed("set mode of directory");
  GANGWAY_ASSIGN(const std::uint64_t inode, inode_of(fd.get()));
  times_[inode] = {path, entry_time(entry)};
  return {};
}

Result<void> TreeWriter::make_symlink(const Parent& parent,
                                      const std::string& name,
                                      const TarEntry& entry) {
  if (entry.link.empty() || entry.link.size() >= PATH_MAX)
    return invalid("symlink without a target");
  GANGWAY_TRY(remove_entry(parent.fd, parent.inode, name, 0));
  if (symlinkat(entry.link.c_str(), parent.fd, name.c_str()) != 0) return failed("make symlink");
  const timespec times[2] = {entry_time(entry), entry_time(entry)};
  if (utimensat(parent.fd, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed("set time of symlink");
  }
  return {};
}

// The target is a name in the image, absolute or not; its directory is resolved like any other, and
// its last component is not followed. Owner, mode and contents of the entry are the target's.
Result<void> TreeWriter::make_hardlink(const Parent& parent,
                                       const std::string& name,
                                       const TarEntry& entry) {
  GANGWAY_ASSIGN(const std::vector<std::string> target,
                 clean_entry_name(entry.link, limits_.max_depth));
  if (target.empty()) return invalid("hard link to the root");
  const std::string directory = path_of(target, target.size() - 1);
  GANGWAY_ASSIGN(const Fd from, open_in_root(root_.get(), directory.empty() ? "." : directory,
                                             O_PATH | O_DIRECTORY));
  struct stat wanted {};
  if (fstatat(from.get(), target.back().c_str(), &wanted, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed(cat("hard link to ", shown(entry.link)));
  }
  if (S_ISDIR(wanted.st_mode)) return invalid("hard link to a directory");
  struct stat present {};
  if (fstatat(parent.fd, name.c_str(), &present, AT_SYMLINK_NOFOLLOW) == 0 &&
      present.st_ino == wanted.st_ino && present.st_dev == wanted.st_dev) {
    return {};  // it is that already; removing it first might remove the only name
  }
  GANGWAY_TRY(remove_entry(parent.fd, parent.inode, name, 0));
  if (linkat(from.get(), target.back().c_str(), parent.fd, name.c_str(), 0) != 0) {
    return failed(cat("hard link to ", shown(entry.link)));
  }
  return {};
}

Result<void> TreeWriter::make_fifo(const Parent& parent,
                                   const std::string& name,
                                   const TarEntry& entry) {
  GANGWAY_TRY(remove_entry(parent.fd, parent.inode, name, 0));
  if (mkfifoat(parent.fd, name.c_str(), file_mode(entry.mode)) != 0) return failed("make FIFO");
  const timespec times[2] = {entry_time(entry), entry_time(entry)};
  if (utimensat(parent.fd, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed("set time of FIFO");
  }
  return {};
}

Result<void> TreeWriter::set_xattrs(int fd, const TarEntry& entry) {
  for (const auto& [name, value] : entry.xattrs) {
    if (!keeps_xattr(name)) {
      ++counts_.xattrs_dropped;
      continue;
    }
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) {
      if (errno != ENOTSUP && errno != ENOSPC && errno != E2BIG) {
        return failed(cat("set attribute ", shown(name)));
      }
      // This file system has none, or no room for one of this size: no reason to refuse the image.
      ++counts_.xattrs_dropped;
    }
  }
  return {};
}

Result<void> TreeWriter::remove_entry(int parent,
                                      std::uint64_t parent_inode,
                                      const std::string& name,
                                      int depth) {
  if (unlinkat(parent, name.c_str(), 0) == 0) {
    written_.erase(key(parent_inode, name));
    cache_valid_ = false;  // it may have been a symlink on the way to the cached directory
    return {};
  }
  if (errno == ENOENT) return {};
  if (errno != EISDIR) return failed("remove what was there");
  GANGWAY_TRY(check_depth(depth));
  const Fd fd(openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return failed("remove what was there");
  GANGWAY_ASSIGN(const std::uint64_t inode, inode_of(fd.get()));
  for (const std::string& child : names_in(fd.get())) {
    GANGWAY_TRY(remove_entry(fd.get(), inode, child, depth + 1));
  }
  return remove_empty(parent, parent_inode, name, inode);
}

Result<void> TreeWriter::remove_empty(int parent,
                                      std::uint64_t parent_inode,
                                      const std::string& name,
                                      std::uint64_t inode) {
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) return failed("remove directory");
  // Its number may be given to another directory.
  times_.erase(inode);
  written_.erase(key(parent_inode, name));
  cache_valid_ = false;
  return {};
}

// Symlinks let directories lie deeper than names may be long.
Result<void> TreeWriter::check_depth(int depth) const {
  if (depth <= limits_.max_depth) return {};
  return Error(ErrorKind::Invalid, "directories are nested too deeply");
}

Result<bool> TreeWriter::hide_entry(int parent,
                                    std::uint64_t parent_inode,
                                    const std::string& name,
                                    int depth) {
  struct stat status {};
  if (fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENAMETOOLONG) return true;
    return failed("look up what a whiteout hides");
  }
  const bool ours = written_.contains(key(parent_inode, name));
  if (!S_ISDIR(status.st_mode)) {
    if (ours) return false;
    GANGWAY_TRY(remove_entry(parent, parent_inode, name, depth));
    return true;
  }
  GANGWAY_TRY(check_depth(depth));
  const Fd fd(openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return failed("open what a whiteout hides");
  GANGWAY_ASSIGN(const bool empty, hide_children(fd.get(), status.st_ino, depth + 1));
  if (ours || !empty) return false;
  GANGWAY_TRY(remove_empty(parent, parent_inode, name, status.st_ino));
  return true;
}

Result<bool> TreeWriter::hide_children(int directory, std::uint64_t inode, int depth) {
  bool empty = true;
  for (const std::string& name : names_in(directory)) {
    GANGWAY_ASSIGN(const bool gone, hide_entry(directory, inode, name, depth));
    empty = empty && gone;
  }
  return empty;
}

Result<void> TreeWriter::end_layer() {
  for (const auto& [inode, times] : times_) {
    // By name again, because not all of them can be kept open; and only if it is still that one: it
    // may have been replaced since. The name may go through a symlink, as "lib" for "usr/lib".
    const Result<Fd> fd =
        open_in_root(root_.get(), times.path.empty() ? "." : times.path, O_RDONLY | O_DIRECTORY);
    if (!fd) continue;
    const Result<std::uint64_t> found = inode_of(fd->get());
    if (!found || *found != inode) continue;
    const timespec both[2] = {times.mtime, times.mtime};
    if (futimens(fd->get(), both) != 0) return failed("set time of directory");
  }
  times_.clear();
  written_.clear();
  cache_valid_ = false;
  return {};
}

}  // namespace gangway::containers
