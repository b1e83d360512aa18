#include "containers/tree_walk.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <deque>

#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr int kMaxSymlinks = 40;  // as the kernel's

// One walk: where it is, what lies ahead.
class Walk {
 public:
  Walk(int root, std::string_view path) : root_(root) { push_front(path); }

  enum class Found { Directory, Missing, Other, End };

  // Takes the next component: goes into it (Directory), or stops before it.
  Result<Found> step() {
    while (true) {
      if (ahead_.empty()) return Found::End;
      name_ = std::move(ahead_.front());
      ahead_.pop_front();
      if (name_ == "..") {
        if (!way_.empty()) {
          way_.pop_back();
          fds_.pop_back();
        }
        continue;
      }
      struct stat status {};
      if (fstatat(here(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return Found::Missing;
        return errno_error(cat("look up ", name_), errno);
      }
      if (S_ISDIR(status.st_mode)) {
        GANGWAY_TRY(enter());
        return Found::Directory;
      }
      if (!S_ISLNK(status.st_mode)) return Found::Other;
      if (++symlinks_ > kMaxSymlinks) {
        return Error(ErrorKind::Invalid, cat("look up ", name_, ": too many symlinks on the way"));
      }
      char target[PATH_MAX];
      const ssize_t length = readlinkat(here(), name_.c_str(), target, sizeof target);
      if (length < 0) return errno_error(cat("read link ", name_), errno);
      const std::string_view text(target, static_cast<std::size_t>(length));
      if (text.starts_with('/')) {
        way_.clear();
        fds_.clear();
      }
      push_front(text);
    }
  }

  // Goes into name(), which is a directory here.
  Result<void> enter() {
    Fd fd(openat(here(), name_.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error(cat("open ", name_), errno);
    fds_.push_back(std::move(fd));
    way_.push_back(name_);
    return {};
  }

  [[nodiscard]] int here() const { return fds_.empty() ? root_ : fds_.back().get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& way() const { return way_; }
  [[nodiscard]] bool at_last() const { return ahead_.empty(); }
  std::deque<std::string>& ahead() { return ahead_; }

 private:
  void push_front(std::string_view path) {
    const std::vector<std::string> parts = path_components(path);
    ahead_.insert(ahead_.begin(), parts.begin(), parts.end());
  }

  int root_;
  std::vector<Fd> fds_;  // one for each of way_
  std::vector<std::string> way_;
  std::deque<std::string> ahead_;
  std::string name_;
  int symlinks_ = 0;
};

}  // namespace

Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  do {
    // EAGAIN: a rename somewhere on the system raced with a "..".
    fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd < 0) return errno_error(cat("open ", path), errno);
  return Fd(static_cast<int>(fd));
}

std::string read_file_in_tree(int root, const std::string& path, std::size_t max_bytes) {
  const Result<Fd> fd = open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (!fd || fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return "";
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) > max_bytes) return "";
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  const ssize_t got = pread(fd->get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

Result<Fd> open_regular_beneath(int directory, const std::string& name) {
  open_how how{};
  // Non-blocking, or a FIFO would hold us up.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  Fd fd(static_cast<int>(syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how)));
  if (!fd) {
    if (errno == ELOOP) {
      return Error(ErrorKind::Invalid, cat(name, " is a symlink"));
    }
    return errno_error(cat("open ", name), errno);
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return errno_error(cat("open ", name), errno);
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorKind::Invalid, cat(name, " is not a regular file"));
  }
  return fd;
}

std::vector<std::string> path_components(std::string_view path) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.starts_with('/');
  return path == directory || (path.starts_with(directory) && path.size() > directory.size() &&
                               path[directory.size()] == '/');
}

std::string clean_absolute(std::string_view path) {
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) return "";
  std::string clean;
  for (const std::string& part : path_components(path)) {
    if (part == "..") return "";
    clean += '/';
    clean += part;
  }
  return clean.empty() ? "/" : clean;
}

Result<WalkedPath> walk_in_tree(int root, std::string_view path, bool last_may_be_file) {
  Walk walk(root, path);
  while (true) {
    GANGWAY_ASSIGN(const Walk::Found found, walk.step());
    switch (found) {
      case Walk::Found::Directory:
        continue;
      case Walk::Found::End:
        return WalkedPath{walk.way(), {}};
      case Walk::Found::Other: {
        if (!walk.at_last() || !last_may_be_file) {
          return Error(ErrorKind::Conflict, cat("not a directory: ", walk.name(), " in ", path));
        }
        WalkedPath result{walk.way(), {}};
        result.real.push_back(walk.name());
        return result;
      }
      case Walk::Found::Missing: {
        WalkedPath result{walk.way(), {walk.name()}};
        for (const std::string& part : walk.ahead()) {
          if (part == "..") return Error(ErrorKind::NotFound, cat("no such directory: ", path));
          result.missing.push_back(part);
        }
        return result;
      }
    }
  }
}

Result<Fd> make_directories_in_tree(int root, std::string_view path, bool replace_files) {
  Walk walk(root, path);
  while (true) {
    GANGWAY_ASSIGN(const Walk::Found found, walk.step());
    if (found == Walk::Found::Directory) continue;
    if (found == Walk::Found::End) {
      Fd fd(openat(walk.here(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!fd) return errno_error(cat("open ", path), errno);
      return fd;
    }
    if (found == Walk::Found::Other) {
      if (!replace_files) {
        return Error(ErrorKind::Conflict, cat("not a directory: ", walk.name(), " in ", path));
      }
      if (unlinkat(walk.here(), walk.name().c_str(), 0) != 0) {
        return errno_error(cat("remove ", walk.name()), errno);
      }
    }
    if (mkdirat(walk.here(), walk.name().c_str(), 0755) != 0) {
      return errno_error(cat("make directory ", walk.name(), " of ", path), errno);
    }
    GANGWAY_TRY(walk.enter());
  }
}

}  // namespace gangway::containers
