#include "containers/build/copy_step.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "containers/build/sandboxed_command.hpp"
#include "containers/tree_walk.hpp"
#include "containers/tree_writer.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr std::size_t kBlockBytes = 256 << 10;

// Blocks of a file for the tree's writer.
class FileBlocks {
 public:
  explicit FileBlocks(Fd fd) : fd_(std::move(fd)), block_(kBlockBytes, '\0') {}
  Result<TarReader::Block> next() {
    ssize_t got = 0;
    do {
      got = read(fd_.get(), block_.data(), block_.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno_error("read file", errno);
    const TarReader::Block block{std::string_view(block_).substr(0, static_cast<std::size_t>(got)),
                                 offset_};
    offset_ += got;
    return block;
  }

 private:
  Fd fd_;
  std::string block_;
  std::int64_t offset_ = 0;
};

bool is_directory_in(int root, const std::string& path) {
  const Result<Fd> fd = open_in_root(root, path.empty() ? "/" : path, O_PATH);
  struct stat status {};
  return fd && fstat(fd->get(), &status) == 0 && S_ISDIR(status.st_mode);
}
bool is_there(int root, const std::string& path) {
  return open_in_root(root, path.empty() ? "/" : path, O_PATH).has_value();
}

enum class ArchiveKind { None, Tar, Unreadable };

// By what is in it, never by its name.
Result<ArchiveKind> sniff(int fd) {
  std::string head(512, '\0');
  const ssize_t got = pread(fd, head.data(), head.size(), 0);
  if (got < 0) return errno_error("read file", errno);
  head.resize(static_cast<std::size_t>(got));
  if (head.starts_with("BZh") || head.starts_with("\xfd"
                                                  "7zXZ"))
    return ArchiveKind::Unreadable;
  if (sniff_compression(head) == Compression::None) {
    return head.size() == 512 && head.substr(257, 5) == "ustar" ? ArchiveKind::Tar
                                                                : ArchiveKind::None;
  }
  // Compressed: a tar archive only if one comes out.
  struct stat status {};
  if (fstat(fd, &status) != 0) return errno_error("read file", errno);
  Result<Decompressor> stream = Decompressor::open({.fd = fd, .offset = 0, .size = status.st_size});
  if (!stream) return ArchiveKind::None;
  const Result<std::string_view> first = stream->next();
  if (!first || first->size() < 512) return ArchiveKind::None;
  return first->substr(257, 5) == "ustar" ? ArchiveKind::Tar : ArchiveKind::None;
}

// Runs inside the tree, with no rights over anything else.
int unpack_here(int archive, const std::string& destination) {
  const auto fail = [](const Error& error) {
    const std::string text = error.message() + "\n";
    [[maybe_unused]] const ssize_t written = write(2, text.data(), text.size());
    return 1;
  };
  struct stat status {};
  Fd root(open(destination.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root || fstat(archive, &status) != 0) return fail(errno_error(destination, errno));
  Result<Decompressor> stream =
      Decompressor::open({.fd = archive, .offset = 0, .size = status.st_size});
  if (!stream) return fail(stream.error());
  Result<TarReader> tar = TarReader::open([&] { return stream->next(); });
  if (!tar) return fail(tar.error());
  TreeWriter writer(std::move(root), UnpackLimits{}, false);
  while (true) {
    const Result<const TarEntry*> entry = tar->next();
    if (!entry) return fail(entry.error());
    if (*entry == nullptr) break;
    if (const auto applied = writer.apply(**entry, [&] { return tar->next_block(); }); !applied) {
      return fail(applied.error().with_context((*entry)->path));
    }
  }
  const auto ended = writer.end_layer();
  return ended ? 0 : fail(ended.error());
}

class Copier {
 public:
  Copier(const CopyJob& job, const SourceFiles& files, Fd root)
      : job_(job),
        files_(files),
        root_(root.get()),
        writer_(std::move(root), UnpackLimits{.max_entries = 50'000'000}, false) {}

  Result<void> copy(const std::vector<SourceMatch>& matches,
                    const std::vector<InlineFile>& inline_files) {
    base_ = job_.destination;
    const bool slash = base_.ends_with('/');
    while (base_.ends_with('/')) base_.pop_back();
    while (base_.starts_with('/')) base_.erase(0, 1);
    into_ = slash || job_.into_directory || base_.empty() || is_directory_in(root_, base_);
    for (const SourceMatch& match : matches) GANGWAY_TRY(copy_match(match));
    for (const InlineFile& file : inline_files) {
      TarEntry entry{.path = into_ ? below(base_, file.name) : base_,
                     .mode = job_.mode.value_or(0644),
                     .size = static_cast<std::int64_t>(file.text.size()),
                     .mtime_s = std::time(nullptr)};
      bool given = false;
      GANGWAY_TRY(writer_.apply(entry, [&]() -> Result<TarReader::Block> {
        if (given) return TarReader::Block{};
        given = true;
        return TarReader::Block{file.text, 0};
      }));
    }
    return writer_.end_layer();
  }

 private:
  static std::string below(const std::string& directory, const std::string& name) {
    if (name.empty()) return directory;
    return directory.empty() ? name : cat(directory, "/", name);
  }

  Result<void> copy_match(const SourceMatch& match) {
    if (match.directory && is_there(root_, base_) && !is_directory_in(root_, base_)) {
      return Error(ErrorKind::Invalid, cat("/", base_, ": a directory cannot replace a file"));
    }
    if (!match.directory && job_.unpack) {
      GANGWAY_ASSIGN(const Fd fd, files_.open_file(match.items.front()));
      GANGWAY_ASSIGN(const ArchiveKind kind, sniff(fd.get()));
      if (kind == ArchiveKind::Unreadable) {
        return Error(ErrorKind::Unsupported,
                     cat(match.name, ": archives of bzip2 and xz are not unpacked here; unpack it ",
                         "in a RUN"));
      }
      if (kind == ArchiveKind::Tar) return unpack(fd.get());
    }
    for (const SourceItem& item : match.items) {
      // The contents of a directory go where it is copied to; what is there keeps its mode.
      if (match.directory && item.below.empty() && is_directory_in(root_, base_)) continue;
      const std::string to = match.directory ? below(base_, item.below)
                             : into_         ? below(base_, match.name)
                                             : base_;
      GANGWAY_TRY_CONTEXT(copy_item(item, to), item.path);
    }
    return {};
  }

  Result<void> copy_item(const SourceItem& item, const std::string& to) {
    TarEntry entry{.path = to,
                   .type = item.type,
                   .mode = item.mode,
                   .size = item.size,
                   .mtime_s = item.mtime_s,
                   .mtime_ns = item.mtime_ns,
                   .link = item.link};
    if (job_.mode && item.type != TarType::Symlink) entry.mode = *job_.mode;
    if (item.type != TarType::File) {
      return writer_.apply(entry, []() -> Result<TarReader::Block> { return TarReader::Block{}; });
    }
    GANGWAY_ASSIGN(Fd fd, files_.open_file(item));
    FileBlocks blocks(std::move(fd));
    return writer_.apply(entry, [&] { return blocks.next(); });
  }

  Result<void> unpack(int archive) {
    GANGWAY_TRY(make_directories_in_tree(root_, "/" + base_, false));
    TreeCommand command{.tree = job_.tree, .network = false};
    command.body = [&] { return unpack_here(archive, "/" + base_); };
    std::string said;
    GANGWAY_ASSIGN(const CommandEnd end,
                   run_in_tree(command, [&](std::string_view text) { said += text; }));
    if (end.exit_code == 0) return {};
    return Error(ErrorKind::Corrupt, cat("unpack: ", trim(said)));
  }

  const CopyJob& job_;
  const SourceFiles& files_;
  int root_;  // the writer's
  TreeWriter writer_;
  std::string base_;
  bool into_ = false;
};

}  // namespace

Result<void> copy_into(const CopyJob& job,
                       const SourceFiles& files,
                       const std::vector<SourceMatch>& matches,
                       const std::vector<InlineFile>& inline_files) {
  Fd root(open(job.tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error(job.tree, errno);
  return Copier(job, files, std::move(root)).copy(matches, inline_files);
}

Result<void> copy_out(const SourceFiles& files,
                      const SourceMatch& match,
                      const std::string& directory,
                      const std::string& name) {
  const std::string to = match.directory ? cat("/", name, "/") : cat("/", name);
  return copy_into({.tree = directory, .destination = to}, files, {match}, {});
}

}  // namespace gangway::containers::build
