#include "containers/tree_listing.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <map>
#include <utility>

#include "containers/tree_walk.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte != 0x7f && c != '\\') {
      out += c;
      continue;
    }
    out += '\\';
    for (const int shift : {6, 3, 0}) out += static_cast<char>('0' + ((byte >> shift) & 7));
  }
  return out;
}

std::string octal(mode_t mode) {
  std::string out;
  for (const int shift : {9, 6, 3, 0}) {
    const auto digit = static_cast<char>('0' + ((mode >> shift) & 7));
    if (!out.empty() || digit != '0' || shift == 0) out += digit;
  }
  return out;
}

Result<std::vector<std::string>> sorted_names(int directory, const std::string& path) {
  DIR* stream = fdopendir(dup(directory));
  if (stream == nullptr) return errno_error(cat("list ", path), errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(stream);
  std::ranges::sort(names);
  return names;
}

// "-": not readable.
Result<std::string> digest_of(int directory, const std::string& name, const std::string& path) {
  const Fd file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == EACCES) return std::string("-");
  if (!file) return errno_error(cat("open ", path), errno);
  Sha256 hash;
  static thread_local std::string block(std::size_t{1} << 18, '\0');
  while (true) {
    const ssize_t got = read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(cat("read ", path), errno);
    if (got == 0) return hash.finish_hex();
    hash.update(std::string_view(block.data(), static_cast<std::size_t>(got)));
  }
}

class Lister {
 public:
  explicit Lister(int root) : root_(root) {}

  // Directories are opened by path: the tree may be deeper than a process may have descriptors.
  Result<std::string> run() {
    GANGWAY_TRY(list(""));
    while (!directories_.empty()) {
      const std::string next = std::move(directories_.back());
      directories_.pop_back();
      GANGWAY_TRY(list(next));
    }
    std::ranges::sort(lines_);
    std::string text;
    for (const auto& [name, rest] : lines_) text += cat(rest, " ", name, "\n");
    return text;
  }

 private:
  Result<void> list(const std::string& path) {
    if (path.size() >= PATH_MAX) return Error(ErrorKind::Exhausted, "nested too deep for a path");
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    GANGWAY_ASSIGN(const Fd directory, open_in_root(root_, path.empty() ? "." : path, kFlags));
    GANGWAY_ASSIGN(const std::vector<std::string> names, sorted_names(directory.get(), path));
    for (const std::string& name : names) {
      GANGWAY_TRY(note(directory.get(), name, path.empty() ? name : cat(path, "/", name)));
    }
    return {};
  }

  Result<void> note(int directory, const std::string& name, const std::string& path) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno_error(cat("look at ", path), errno);
    }
    const std::string mode = octal(status.st_mode & 07777);
    if (S_ISDIR(status.st_mode)) {
      lines_.emplace_back(escape(path), cat("d ", mode));
      directories_.push_back(path);
    } else if (S_ISREG(status.st_mode)) {
      GANGWAY_ASSIGN(const std::string digest, digest_of(directory, name, path));
      lines_.emplace_back(escape(path), cat("f ", mode, " ", status.st_size, " ", digest));
    } else if (S_ISLNK(status.st_mode)) {
      std::string target(PATH_MAX, '\0');
      const ssize_t length = readlinkat(directory, name.c_str(), target.data(), target.size());
      if (length < 0) return errno_error(cat("read link ", path), errno);
      target.resize(static_cast<std::size_t>(length));
      lines_.emplace_back(escape(path), cat("l ", escape(target)));
    } else {
      lines_.emplace_back(escape(path), cat("s ", mode));
    }
    return {};
  }

  int root_;
  std::vector<std::string> directories_;
  std::vector<std::pair<std::string, std::string>> lines_;  // name, what it is
};

std::map<std::string_view, std::string_view> by_name(std::string_view listing) {
  std::map<std::string_view, std::string_view> lines;
  for (const std::string_view line : split(listing, '\n')) {
    if (line.empty()) continue;
    const std::size_t space = line.rfind(' ');
    lines.emplace(line.substr(space + 1), line.substr(0, space));
  }
  return lines;
}

std::string_view difference(std::string_view was, std::string_view is) {
  if (was.front() != is.front()) return "is of another kind";
  if (was.front() == 'l') return "points elsewhere";
  const std::vector<std::string_view> before = split(was, ' ');
  const std::vector<std::string_view> now = split(is, ' ');
  if (before.size() != now.size() || before[1] != now[1]) return "has another mode";
  return "has other contents";
}

}  // namespace

Result<std::string> list_tree(int root) { return Lister(root).run(); }

std::vector<std::string> compare_listings(std::string_view was, std::string_view is) {
  const auto before = by_name(was);
  const auto now = by_name(is);
  std::vector<std::string> differences;
  for (const auto& [name, line] : before) {
    const auto found = now.find(name);
    if (found == now.end()) {
      differences.push_back(cat(name, " is missing"));
    } else if (found->second != line) {
      differences.push_back(cat(name, " ", difference(line, found->second)));
    }
  }
  for (const auto& [name, line] : now) {
    if (!before.contains(name)) differences.push_back(cat(name, " was not there"));
  }
  return differences;
}

}  // namespace gangway::containers
