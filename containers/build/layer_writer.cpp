#include "containers/build/layer_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

struct ArchiveFree {
  void operator()(archive* a) const { archive_write_free(a); }
};
using Archive = std::unique_ptr<archive, ArchiveFree>;

struct EntryFree {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Entry = std::unique_ptr<archive_entry, EntryFree>;

Error failed(archive* a, const char* what) {
  const char* why = archive_error_string(a);
  return Error(archive_errno(a) == ENOSPC ? ErrorKind::Exhausted : ErrorKind::Internal,
               cat(what, ": ", why != nullptr ? why : "unknown"));
}

Entry make_entry(const TarEntry& from) {
  Entry entry(archive_entry_new());
  CHECK(entry);
  archive_entry_set_pathname(entry.get(), from.path.c_str());
  archive_entry_set_uid(entry.get(), from.uid);
  archive_entry_set_gid(entry.get(), from.gid);
  archive_entry_set_mtime(entry.get(), from.mtime_s, from.mtime_ns);
  unsigned type = AE_IFREG;
  switch (from.type) {
    case TarType::File:
      type = AE_IFREG;
      break;
    case TarType::Directory:
      type = AE_IFDIR;
      break;
    case TarType::Symlink:
      type = AE_IFLNK;
      break;
    case TarType::Fifo:
      type = AE_IFIFO;
      break;
    case TarType::Hardlink:
      archive_entry_set_hardlink(entry.get(), from.link.c_str());
      break;
    case TarType::Device:
      CHECK(false);
  }
  archive_entry_set_filetype(entry.get(), type);
  archive_entry_set_perm(entry.get(), from.mode & 07777);
  if (from.type == TarType::Symlink) archive_entry_set_symlink(entry.get(), from.link.c_str());
  archive_entry_set_size(entry.get(), from.type == TarType::File ? from.size : 0);
  for (const auto& [name, value] : from.xattrs) {
    archive_entry_xattr_add_entry(entry.get(), name.c_str(), value.data(), value.size());
  }
  return entry;
}

}  // namespace

// Two stages: the tar writer's bytes are hashed and go through a raw writer with the one filter.
struct LayerWriter::State {
  int fd = -1;
  Compression compression = Compression::Zstd;
  Archive tar;
  Archive filter;
  Sha256 diff;
  Sha256 digest;
  std::int64_t size = 0;
  std::optional<Error> broken;
  std::function<void(std::int64_t)> on_bytes;

  static la_ssize_t on_tar(archive*, void* self, const void* bytes, std::size_t count) {
    auto& state = *static_cast<State*>(self);
    state.diff.update({static_cast<const char*>(bytes), count});
    if (archive_write_data(state.filter.get(), bytes, count) < 0) {
      state.broken = failed(state.filter.get(), "compress layer");
      return -1;
    }
    return static_cast<la_ssize_t>(count);
  }
  static la_ssize_t on_file(archive*, void* self, const void* bytes, std::size_t count) {
    auto& state = *static_cast<State*>(self);
    const std::string_view block(static_cast<const char*>(bytes), count);
    if (const Result<void> written = write_all(state.fd, block); !written) {
      state.broken = written.error();
      return -1;
    }
    state.digest.update(block);
    state.size += static_cast<std::int64_t>(count);
    return static_cast<la_ssize_t>(count);
  }
  Error error(archive* a, const char* what) const { return broken ? *broken : failed(a, what); }
};

LayerWriter::LayerWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
LayerWriter::LayerWriter(LayerWriter&&) noexcept = default;
LayerWriter::~LayerWriter() = default;

Result<LayerWriter> LayerWriter::open(int fd, Compression compression) {
  auto state = std::make_unique<State>();
  state->fd = fd;
  state->compression = compression;

  state->filter.reset(archive_write_new());
  archive* filter = state->filter.get();
  int result = archive_write_set_format_raw(filter);
  if (result == ARCHIVE_OK && compression == Compression::Gzip) {
    result = archive_write_add_filter_gzip(filter);
    if (result == ARCHIVE_OK) result = archive_write_set_options(filter, "gzip:!timestamp");
  } else if (result == ARCHIVE_OK && compression == Compression::Zstd) {
    result = archive_write_add_filter_zstd(filter);
  }
  // A warning here would mean that another program does the work.
  if (result != ARCHIVE_OK) return failed(filter, "set the layer's compression");
  archive_write_set_bytes_in_last_block(filter, 1);
  if (archive_write_open(filter, state.get(), nullptr, State::on_file, nullptr) != ARCHIVE_OK) {
    return state->error(filter, "open layer");
  }
  const Entry whole(archive_entry_new());
  archive_entry_set_filetype(whole.get(), AE_IFREG);
  if (archive_write_header(filter, whole.get()) != ARCHIVE_OK) {
    return state->error(filter, "open layer");
  }

  state->tar.reset(archive_write_new());
  archive* tar = state->tar.get();
  if (archive_write_set_format_pax_restricted(tar) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(tar, 64 << 10) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(tar, 512) != ARCHIVE_OK ||
      archive_write_open(tar, state.get(), nullptr, State::on_tar, nullptr) != ARCHIVE_OK) {
    return state->error(tar, "open layer");
  }
  return LayerWriter(std::move(state));
}

Result<void> LayerWriter::add(const TarEntry& entry) {
  const Entry header = make_entry(entry);
  if (archive_write_header(state_->tar.get(), header.get()) != ARCHIVE_OK) {
    return state_->error(state_->tar.get(), "write layer").with_context(entry.path);
  }
  return {};
}

Result<void> LayerWriter::data(std::string_view bytes) {
  while (!bytes.empty()) {
    const la_ssize_t written = archive_write_data(state_->tar.get(), bytes.data(), bytes.size());
    if (written <= 0) return state_->error(state_->tar.get(), "write layer");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    if (state_->on_bytes) state_->on_bytes(written);
  }
  return {};
}

void LayerWriter::set_on_bytes(std::function<void(std::int64_t)> on_bytes) {
  state_->on_bytes = std::move(on_bytes);
}

Result<WrittenLayer> LayerWriter::finish() {
  if (archive_write_close(state_->tar.get()) != ARCHIVE_OK) {
    return state_->error(state_->tar.get(), "finish layer");
  }
  if (archive_write_close(state_->filter.get()) != ARCHIVE_OK) {
    return state_->error(state_->filter.get(), "finish layer");
  }
  return WrittenLayer{Digest::of_hex(state_->diff.finish_hex()),
                      Digest::of_hex(state_->digest.finish_hex()), state_->size,
                      state_->compression};
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_error("write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<Digest> read_pieces(const FileRange& range,
                           const std::optional<Digest>& digest,
                           const std::function<Result<void>(std::string_view)>& take) {
  Sha256 hash;
  std::string piece(std::size_t{1} << 20, '\0');
  for (std::int64_t done = 0; done < range.size;) {
    const auto want = static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(piece.size()), range.size - done));
    const ssize_t got = pread(range.fd, piece.data(), want, range.offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read blob", errno);
    if (got == 0) return Error(ErrorKind::Corrupt, "the file is shorter than it was");
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    GANGWAY_TRY(take(bytes));
    done += got;
  }
  const Digest found = Digest::of_hex(hash.finish_hex());
  if (digest && found != *digest) {
    return Error(ErrorKind::Corrupt, cat("blob ", digest->text(), " has another digest"));
  }
  return found;
}

Result<void> write_archive(int fd,
                           const std::vector<ArchiveMember>& members,
                           std::int64_t mtime_s,
                           const std::function<void(std::int64_t)>& on_bytes) {
  const Archive tar(archive_write_new());
  archive* a = tar.get();
  if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
      archive_write_open_fd(a, fd) != ARCHIVE_OK) {
    return failed(a, "open archive");
  }
  const auto put = [&](std::string_view bytes) -> Result<void> {
    if (archive_write_data(a, bytes.data(), bytes.size()) < 0) return failed(a, "write archive");
    return {};
  };
  for (const ArchiveMember& member : members) {
    const bool is_range = member.range.fd >= 0;
    TarEntry entry{.path = member.name, .mode = 0644, .mtime_s = mtime_s};
    entry.size = is_range ? member.range.size : static_cast<std::int64_t>(member.text.size());
    const Entry header = make_entry(entry);
    if (archive_write_header(a, header.get()) != ARCHIVE_OK) return failed(a, "write archive");
    if (!is_range) {
      GANGWAY_TRY(put(member.text));
      continue;
    }
    const auto copy = [&](std::string_view bytes) -> Result<void> {
      if (on_bytes) on_bytes(static_cast<std::int64_t>(bytes.size()));
      return put(bytes);
    };
    GANGWAY_TRY(read_pieces(member.range, member.digest, copy));
  }
  if (archive_write_close(a) != ARCHIVE_OK) return failed(a, "finish archive");
  return {};
}

}  // namespace gangway::containers::build
