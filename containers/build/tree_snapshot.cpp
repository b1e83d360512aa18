#include "containers/build/tree_snapshot.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <memory>
#include <set>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::size_t kMaxNames = 5'000'000;
constexpr int kMaxDepth = 512;
constexpr std::int64_t kSecond = 1'000'000'000;

struct CloseDir {
  void operator()(DIR* directory) const { closedir(directory); }
};

std::int64_t in_ns(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

// For reading, also where its owner has forbidden that to himself: as root inside he could.
Result<Fd> open_readable(int parent, const std::string& name, int flags) {
  Fd fd(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | flags));
  if (fd) return fd;
  const int why = errno;
  struct stat status {};
  if (why != EACCES || fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      status.st_uid != geteuid()) {
    return errno_error(cat("read ", name), why);
  }
  const mode_t mode = status.st_mode & 07777;
  if (fchmodat(parent, name.c_str(), mode | (S_ISDIR(status.st_mode) ? 0700U : 0400U), 0) != 0) {
    return errno_error(cat("read ", name), errno);
  }
  fd = Fd(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags));
  const int second = errno;
  if (fchmodat(parent, name.c_str(), mode, 0) != 0) return errno_error(name, errno);
  if (!fd) return errno_error(cat("read ", name), second);
  return fd;
}

class Walker {
 public:
  Result<TreeSnapshot> walk(int root) {
    Fd top(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top) return errno_error("read the tree", errno);
    GANGWAY_TRY(enter(std::move(top), "", 0));
    wait_for_clock();
    return std::move(seen_);
  }

 private:
  Result<void> enter(Fd directory, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return Error(ErrorKind::Exhausted, cat(prefix, ": nested too deep"));
    const std::unique_ptr<DIR, CloseDir> stream(fdopendir(directory.get()));
    if (!stream) return errno_error(cat("read ", prefix), errno);
    const int fd = directory.release();
    while (true) {
      errno = 0;
      const dirent* entry = readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): one thread
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status {};
      if (fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno_error(cat("read ", prefix, name), errno);
      }
      // By a change of its mode while it is read a directory would look changed.
      Fd inner;
      if (S_ISDIR(status.st_mode)) {
        GANGWAY_ASSIGN(inner, open_readable(fd, name, O_DIRECTORY));
        if (fstat(inner.get(), &status) != 0) return errno_error(cat(prefix, name), errno);
      }
      const SeenFile file{.mode = status.st_mode,
                          .inode = status.st_ino,
                          .size = S_ISDIR(status.st_mode) ? 0 : status.st_size,
                          .mtime_ns = in_ns(status.st_mtim),
                          .ctime_ns = in_ns(status.st_ctim),
                          .many_names = !S_ISDIR(status.st_mode) && status.st_nlink > 1};
      newest_ = std::max(newest_, file.ctime_ns);
      seen_.emplace(prefix + name, file);
      if (seen_.size() > kMaxNames) return Error(ErrorKind::Exhausted, "too many files in a tree");
      if (inner) GANGWAY_TRY(enter(std::move(inner), prefix + name + "/", depth + 1));
    }
    if (errno != 0) return errno_error(cat("read ", prefix), errno);
    return {};
  }

  // File systems take times from the coarse clock, whose steps are some milliseconds.
  void wait_for_clock() const {
    timespec now{};
    for (int i = 0; i < 100; ++i) {
      clock_gettime(CLOCK_REALTIME_COARSE, &now);
      if (in_ns(now) > newest_) return;
      const timespec step{.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&step, nullptr);
    }
  }

  TreeSnapshot seen_;
  std::int64_t newest_ = 0;
};

bool is_changed(const SeenFile& before, const SeenFile& after) {
  if (!S_ISDIR(after.mode) || !S_ISDIR(before.mode)) return before != after;
  // Of a directory only what is its own: not that something came or went in it.
  return before.mode != after.mode;
}

class ChangeWriter {
 public:
  ChangeWriter(int root, const TreeSnapshot& after, const LayerRules& rules, LayerWriter& layer)
      : root_(root), after_(after), rules_(rules), layer_(layer) {}

  Result<void> write(const TreeChanges& changes) {
    // "a/.wh.b" sorts before "a/b"; both after "a".
    struct Name {
      std::string path;
      bool removed = false;
    };
    std::vector<Name> names;
    for (const std::string& path : changes.removed) {
      const std::size_t slash = path.rfind('/');
      const std::size_t at = slash == std::string::npos ? 0 : slash + 1;
      names.push_back({cat(path.substr(0, at), ".wh.", path.substr(at)), true});
    }
    for (const std::string& path : changes.written) names.push_back({path, false});
    std::ranges::sort(names, {}, &Name::path);
    for (const Name& name : names) {
      GANGWAY_TRY_CONTEXT(name.removed ? whiteout(name.path) : entry(name.path), name.path);
    }
    return {};
  }

 private:
  void set_time(TarEntry& entry, std::int64_t mtime_ns) const {
    mtime_ns = std::max<std::int64_t>(mtime_ns, 0);  // images know no time before 1970
    entry.mtime_s = mtime_ns / kSecond;
    entry.mtime_ns = static_cast<long>(mtime_ns % kSecond);
    const auto latest = rules_.latest_mtime_s;
    if (latest && (rules_.set_all_times || entry.mtime_s >= *latest)) {
      entry.mtime_s = *latest;
      entry.mtime_ns = 0;
    }
  }

  Result<void> whiteout(const std::string& path) {
    TarEntry entry{.path = path, .mode = 0644};
    set_time(entry, rules_.latest_mtime_s.value_or(0) * kSecond);
    return layer_.add(entry);
  }

  Result<void> entry(const std::string& path) {
    const SeenFile& file = after_.at(path);
    TarEntry entry{.path = path, .mode = file.mode & 07777, .uid = rules_.uid, .gid = rules_.gid};
    set_time(entry, file.mtime_ns);
    switch (file.mode & S_IFMT) {
      case S_IFDIR:
        entry.type = TarType::Directory;
        if (rules_.keep_user_attributes) {
          GANGWAY_ASSIGN(const Fd fd, open_readable(root_, path, O_DIRECTORY));
          GANGWAY_TRY(add_attributes(fd.get(), entry));
        }
        return layer_.add(entry);
      case S_IFLNK: {
        std::string target(PATH_MAX, '\0');
        const ssize_t got = readlinkat(root_, path.c_str(), target.data(), target.size());
        if (got < 0) return errno_error("read symlink", errno);
        target.resize(static_cast<std::size_t>(got));
        entry.type = TarType::Symlink;
        entry.link = std::move(target);
        entry.mode = 0777;
        return layer_.add(entry);
      }
      case S_IFIFO:
        entry.type = TarType::Fifo;
        return layer_.add(entry);
      case S_IFREG:
        break;
      default:
        return {};  // sockets have no place in an image
    }
    if (file.many_names) {
      const auto [first, is_first] = names_.emplace(file.inode, path);
      if (!is_first) {
        entry.type = TarType::Hardlink;
        entry.link = first->second;
        return layer_.add(entry);
      }
    }
    entry.size = file.size;
    GANGWAY_ASSIGN(const Fd fd, open_readable(root_, path, 0));
    if (rules_.keep_user_attributes) GANGWAY_TRY(add_attributes(fd.get(), entry));
    GANGWAY_TRY(layer_.add(entry));
    return contents(fd, file.size);
  }

  static Result<void> add_attributes(int fd, TarEntry& entry) {
    std::string names(XATTR_LIST_MAX, '\0');
    const ssize_t length = flistxattr(fd, names.data(), names.size());
    if (length < 0 && errno == ENOTSUP) return {};
    if (length < 0) return errno_error("list attributes", errno);
    names.resize(static_cast<std::size_t>(length));
    std::vector<std::string_view> sorted = split(names, '\0');
    std::ranges::sort(sorted);
    for (const std::string_view name : sorted) {
      if (!name.starts_with("user.")) continue;
      std::string value(XATTR_SIZE_MAX, '\0');
      const ssize_t got = fgetxattr(fd, std::string(name).c_str(), value.data(), value.size());
      if (got < 0) return errno_error(cat("read attribute ", name), errno);
      value.resize(static_cast<std::size_t>(got));
      entry.xattrs.emplace_back(name, std::move(value));
    }
    return {};
  }

  Result<void> contents(const Fd& fd, std::int64_t size) {
    std::string block(256 << 10, '\0');
    for (std::int64_t left = size; left > 0;) {
      const auto want = static_cast<std::size_t>(
          std::min<std::int64_t>(left, static_cast<std::int64_t>(block.size())));
      const ssize_t got = read(fd.get(), block.data(), want);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return errno_error("read file", got < 0 ? errno : EIO);
      GANGWAY_TRY(layer_.data(std::string_view(block).substr(0, static_cast<std::size_t>(got))));
      left -= got;
    }
    return {};
  }

  int root_;
  const TreeSnapshot& after_;
  const LayerRules& rules_;
  LayerWriter& layer_;
  std::map<std::uint64_t, std::string> names_;  // the first name of an inode
};

}  // namespace

Result<TreeSnapshot> take_snapshot(int root) { return Walker().walk(root); }

TreeChanges compare(const TreeSnapshot& before, const TreeSnapshot& after) {
  TreeChanges changes;
  for (const auto& [path, file] : after) {
    const auto old = before.find(path);
    if (old == before.end() || is_changed(old->second, file)) changes.written.push_back(path);
  }
  std::set<std::string>
      gone;  // directories that are gone as a whole, or replaced by something else
  for (const auto& [path, file] : before) {
    const std::size_t slash = path.rfind('/');
    const bool covered = slash != std::string::npos && gone.contains(path.substr(0, slash));
    const auto now = after.find(path);
    const bool is_gone = now == after.end();
    if (is_gone && !covered) changes.removed.push_back(path);
    if (S_ISDIR(file.mode) && (covered || is_gone || !S_ISDIR(now->second.mode))) {
      gone.insert(path);
    }
  }
  return changes;
}

Result<void> write_changes(int root,
                           const TreeSnapshot& after,
                           const TreeChanges& changes,
                           const LayerRules& rules,
                           LayerWriter& layer) {
  return ChangeWriter(root, after, rules, layer).write(changes);
}

}  // namespace gangway::containers::build
