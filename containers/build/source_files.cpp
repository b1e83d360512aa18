#include "containers/build/source_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <optional>

#include "containers/tree_walk.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::size_t kMaxItems = 1'000'000;
constexpr int kMaxDepth = 256;

std::string below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : cat(directory, "/", name);
}

// Lexically, with "/" as the top: "../a/./b" is "a/b".
std::vector<std::string> clean(std::string_view path) {
  std::vector<std::string> parts;
  for (const std::string& part : path_components(path)) {
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return parts;
}

// nullopt: a socket or a device, which no image has.
std::optional<SourceItem> item_of(const struct stat& status) {
  SourceItem item;
  item.mode = status.st_mode & 07777;
  // Images know no time before 1970.
  const bool known = status.st_mtim.tv_sec >= 0;
  item.mtime_s = known ? status.st_mtim.tv_sec : 0;
  item.mtime_ns = known ? status.st_mtim.tv_nsec : 0;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      item.size = status.st_size;
      break;
    case S_IFDIR:
      item.type = TarType::Directory;
      break;
    case S_IFLNK:
      item.type = TarType::Symlink;
      break;
    case S_IFIFO:
      item.type = TarType::Fifo;
      break;
    default:
      return std::nullopt;
  }
  return item;
}

}  // namespace

Result<SourceFiles> SourceFiles::open(const std::string& directory, IgnoreRules ignored) {
  Fd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error(directory, errno);
  const bool filtered = !ignored.is_empty();
  return SourceFiles(std::move(root), std::move(ignored), filtered);
}

Result<std::vector<SourceMatch>> SourceFiles::match(const std::string& pattern,
                                                    const IgnoreRules& excludes) const {
  if (!is_valid_pattern(pattern)) {
    return Error(ErrorKind::Invalid, cat(pattern, ": not a pattern"));
  }
  std::vector<SourceMatch> matches;
  GANGWAY_TRY(expand(clean(pattern), 0, "", excludes, matches));
  if (matches.empty()) return Error(ErrorKind::NotFound, cat(pattern, ": nothing matches"));
  return matches;
}

Result<void> SourceFiles::expand(const std::vector<std::string>& pattern,
                                 std::size_t at,
                                 const std::string& lexical,
                                 const IgnoreRules& excludes,
                                 std::vector<SourceMatch>& matches) const {
  if (at == pattern.size()) return add_match(lexical, excludes, matches);
  const std::string& part = pattern[at];
  if (!has_wildcard(part)) {
    return expand(pattern, at + 1, below(lexical, part), excludes, matches);
  }
  const Result<std::vector<std::string>> names = names_in(lexical);
  if (!names) return names.error().kind() == ErrorKind::NotFound ? Result<void>() : names.error();
  for (const std::string& name : *names) {
    if (!matches_path(part, name)) continue;
    GANGWAY_TRY(expand(pattern, at + 1, below(lexical, name), excludes, matches));
  }
  return {};
}

Result<void> SourceFiles::add_match(const std::string& lexical,
                                    const IgnoreRules& excludes,
                                    std::vector<SourceMatch>& matches) const {
  const bool excluded = ignored_.excludes(lexical) || excludes.excludes(lexical);
  const Result<Fd> fd = open_in_root(root_.get(), lexical.empty() ? "." : lexical, O_PATH);
  if (!fd) {
    if (fd.error().kind() == ErrorKind::NotFound) return {};
    return fd.error();
  }
  struct stat status {};
  if (fstat(fd->get(), &status) != 0) return errno_error(lexical, errno);
  std::optional<SourceItem> item = item_of(status);
  if (!item) return {};
  GANGWAY_ASSIGN(const WalkedPath way, walk_in_tree(root_.get(), lexical, true));
  item->path = join(way.real, "/");
  SourceMatch match;
  match.directory = item->type == TarType::Directory;
  match.name = lexical.substr(lexical.rfind('/') == std::string::npos ? 0 : lexical.rfind('/') + 1);
  if (!match.directory) {
    if (excluded) return {};
    match.items.push_back(*std::move(item));
  } else {
    if (excluded && !ignored_.has_exceptions()) return {};
    const std::string path = item->path;
    match.items.push_back(*std::move(item));
    GANGWAY_TRY(walk(path, lexical, "", excludes, match, 0));
    if (excluded && match.items.size() == 1) return {};
  }
  matches.push_back(std::move(match));
  return {};
}

Result<void> SourceFiles::walk(const std::string& path,
                               const std::string& lexical,
                               const std::string& below_match,
                               const IgnoreRules& excludes,
                               SourceMatch& match,
                               int depth) const {
  if (depth > kMaxDepth) return Error(ErrorKind::Exhausted, cat(path, ": nested too deep"));
  GANGWAY_ASSIGN(const std::vector<std::string> names, names_in(path));
  for (const std::string& name : names) {
    const std::string inner = below(path, name);
    const std::string inner_lexical = below(lexical, name);
    struct stat status {};
    if (fstatat(root_.get(), inner.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno_error(inner, errno);
    }
    std::optional<SourceItem> item = item_of(status);
    if (!item) continue;
    const bool excluded = ignored_.excludes(inner_lexical) || excludes.excludes(inner_lexical) ||
                          excludes.excludes(below(below_match, name));
    const bool directory = item->type == TarType::Directory;
    if (excluded && !(directory && ignored_.has_exceptions())) continue;
    item->path = inner;
    item->below = below(below_match, name);
    if (item->type == TarType::Symlink) {
      std::string target(PATH_MAX, '\0');
      const ssize_t got = readlinkat(root_.get(), inner.c_str(), target.data(), target.size());
      if (got < 0) return errno_error(inner, errno);
      target.resize(static_cast<std::size_t>(got));
      item->link = std::move(target);
    }
    const std::string next = item->below;
    match.items.push_back(*std::move(item));
    if (match.items.size() > kMaxItems) return Error(ErrorKind::Exhausted, "too many files");
    if (!directory) continue;
    const std::size_t before = match.items.size();
    GANGWAY_TRY(walk(inner, inner_lexical, next, excludes, match, depth + 1));
    // An excluded directory is there only for what an exception keeps of it.
    if (excluded && match.items.size() == before) match.items.pop_back();
  }
  return {};
}

Result<std::vector<std::string>> SourceFiles::names_in(const std::string& path) const {
  GANGWAY_ASSIGN(Fd fd,
                 open_in_root(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
  struct Close {
    void operator()(DIR* directory) const { closedir(directory); }
  };
  const std::unique_ptr<DIR, Close> stream(fdopendir(fd.get()));
  if (!stream) return errno_error(path, errno);
  static_cast<void>(fd.release());
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Result<Fd> SourceFiles::open_file(const SourceItem& item) const {
  return open_in_root(root_.get(), item.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

Result<std::string> SourceFiles::digest(const std::vector<SourceMatch>& matches) const {
  Sha256 hash;
  std::string block(256 << 10, '\0');
  for (const SourceMatch& match : matches) {
    hash.update(cat("match ", match.name, match.directory ? "/" : "", "\n"));
    for (const SourceItem& item : match.items) {
      hash.update(cat(item.below.size(), " ", item.below, " ", static_cast<int>(item.type), " ",
                      item.mode, " ", item.link.size(), " ", item.link, " ", item.size, "\n"));
      if (item.type != TarType::File) continue;
      GANGWAY_ASSIGN(const Fd fd, open_file(item));
      while (true) {
        const ssize_t got = read(fd.get(), block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(cat("read ", item.path), errno);
        if (got == 0) break;
        hash.update(std::string_view(block).substr(0, static_cast<std::size_t>(got)));
      }
    }
  }
  return hash.finish_hex();
}

}  // namespace gangway::containers::build
