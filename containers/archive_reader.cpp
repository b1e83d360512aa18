#include "containers/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "containers/gzip_stream.hpp"
#include "containers/tree_walk.hpp"
#include "queues/base/check.hpp"
#include "queues/base/raw_buffer.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{256} * 1024;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchiveOwner = std::unique_ptr<archive, FreeArchive>;

// The parser's own words, made fit for one line.
Error parse_error(archive* a, std::string_view what) {
  const char* text = archive_error_string(a);
  std::string line = text == nullptr ? "unknown error" : text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return Error(ErrorKind::Corrupt, cat(what, ": ", line.substr(0, 300)));
}

// ARCHIVE_WARN would mean that it works by running another program.
Result<void> require_ok(int result, std::string_view what) {
  if (result == ARCHIVE_OK) return {};
  return Error(ErrorKind::Unsupported, cat("this libarchive cannot read ", what, " by itself"));
}

Result<ArchiveOwner> new_archive() {
  ArchiveOwner owner(archive_read_new());
  if (!owner) return Error(ErrorKind::Exhausted, "out of memory");
  return owner;
}

Result<std::size_t> read_at(const FileRange& range,
                            std::int64_t position,
                            char* out,
                            std::size_t size) {
  const std::int64_t left = range.size - position;
  if (left <= 0) return std::size_t{0};
  if (static_cast<std::int64_t>(size) > left) size = static_cast<std::size_t>(left);
  while (true) {
    const ssize_t got = pread(range.fd, out, size, range.offset + position);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read archive", errno);
    if (got == 0) return Error(ErrorKind::Corrupt, "the archive is shorter than it was");
    return static_cast<std::size_t>(got);
  }
}

// Cleaned lexically; "" if it climbs out.
std::string clean_name(std::string_view name) {
  std::vector<std::string> clean;
  for (std::string& part : path_components(name)) {
    if (part != "..") {
      clean.push_back(std::move(part));
    } else if (clean.empty()) {
      return "";
    } else {
      clean.pop_back();
    }
  }
  return join(clean, "/");
}

std::optional<TarType> type_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return TarType::Hardlink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return TarType::File;
    case AE_IFDIR:
      return TarType::Directory;
    case AE_IFLNK:
      return TarType::Symlink;
    case AE_IFIFO:
      return TarType::Fifo;
    case AE_IFBLK:
    case AE_IFCHR:
      return TarType::Device;
    default:
      return std::nullopt;
  }
}

Error compressed_twice() {
  return Error(ErrorKind::Corrupt, "decompress: compressed more than once");
}

// Of tar: a header is one block, with its own checksum in octal.
constexpr std::size_t kHeader = 512;
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kSumAt = 148;
constexpr std::size_t kSumLength = 8;

bool is_header(std::string_view header) {
  if (header.size() != kHeader) return false;
  // Some writers have added signed bytes; the parser takes either.
  int sum = 0;
  int signed_sum = 0;
  for (std::size_t i = 0; i < kHeader; ++i) {
    const bool in_sum = i >= kSumAt && i < kSumAt + kSumLength;
    sum += in_sum ? ' ' : static_cast<unsigned char>(header[i]);
    signed_sum += in_sum ? ' ' : static_cast<signed char>(header[i]);
  }
  std::string_view digits = header.substr(kSumAt, kSumLength);
  digits.remove_prefix(std::min(digits.find_first_of("01234567"), digits.size()));
  int said = 0;
  for (const char c : digits.substr(0, digits.find_first_not_of("01234567"))) {
    said = said * 8 + (c - '0');
  }
  return said == sum || said == signed_sum;
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

Compression sniff_compression(std::string_view first_bytes) {
  if (first_bytes.starts_with(std::string_view("\x1f\x8b", 2))) return Compression::Gzip;
  if (first_bytes.starts_with(std::string_view("\x28\xb5\x2f\xfd", 4))) return Compression::Zstd;
  // A skippable frame may come first (zstd:chunked).
  if (first_bytes.size() >= 4 && (first_bytes[0] & '\xf0') == '\x50' &&
      first_bytes.substr(1, 3) == std::string_view("\x2a\x4d\x18", 3)) {
    return Compression::Zstd;
  }
  return Compression::None;
}

// ---- Decompressor ------------------------------------------------------------------------------

struct Decompressor::State {
  FileRange range;
  std::int64_t position = 0;
  Compression compression = Compression::None;
  RawBuffer buffer;
  std::optional<Error> source_error;
  ArchiveOwner parser;  // none for uncompressed data, and for gzip where ISA-L reads it
  std::optional<GzipStream> gzip;
  std::string_view first_block;  // of gzip, already read
  bool at_end = false;

  static ssize_t read_block(archive* a, void* self, const void** out) {
    auto& state = *static_cast<State*>(self);
    const Result<std::size_t> got =
        read_at(state.range, state.position, state.buffer.data(), state.buffer.size());
    if (!got) {
      state.source_error = got.error();
      archive_set_error(a, EIO, "read failed");
      return -1;
    }
    state.position += static_cast<std::int64_t>(*got);
    *out = state.buffer.data();
    return static_cast<ssize_t>(*got);
  }

  Error failed() {
    if (source_error) return *source_error;
    return parse_error(parser.get(), "decompress");
  }
};

Decompressor::Decompressor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;
Decompressor::~Decompressor() = default;

Result<Decompressor> Decompressor::open(const FileRange& range) {
  auto state = std::make_unique<State>();
  state->range = range;
  state->buffer = RawBuffer(kBlockBytes);
  char first[4];
  GANGWAY_ASSIGN(const std::size_t got, read_at(range, 0, first, sizeof first));
  state->compression = sniff_compression(std::string_view(first, got));
  if (state->compression == Compression::None) return Decompressor(std::move(state));
  if (state->compression == Compression::Gzip && has_gzip_stream()) {
    State& self = *state;
    self.gzip.emplace([&self](char* out, std::size_t size) -> Result<std::size_t> {
      GANGWAY_ASSIGN(const std::size_t read, read_at(self.range, self.position, out, size));
      self.position += static_cast<std::int64_t>(read);
      return read;
    });
    GANGWAY_ASSIGN(self.first_block, self.gzip->next());
    if (sniff_compression(self.first_block) != Compression::None) return compressed_twice();
    self.at_end = self.first_block.empty();
    return Decompressor(std::move(state));
  }

  GANGWAY_ASSIGN(state->parser, new_archive());
  archive* a = state->parser.get();
  if (state->compression == Compression::Gzip) {
    GANGWAY_TRY(require_ok(archive_read_support_filter_gzip(a), "gzip"));
  } else {
    GANGWAY_TRY(require_ok(archive_read_support_filter_zstd(a), "zstd"));
  }
  GANGWAY_TRY(require_ok(archive_read_support_format_raw(a), "raw data"));
  GANGWAY_TRY(require_ok(archive_read_support_format_empty(a), "empty data"));
  if (archive_read_open(a, state.get(), nullptr, State::read_block, nullptr) != ARCHIVE_OK) {
    return state->failed();
  }
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(a, &entry);
  if (result == ARCHIVE_EOF) {
    state->at_end = true;
    return Decompressor(std::move(state));
  }
  if (result != ARCHIVE_OK) return state->failed();
  // The filter and the file itself. More: compressed twice, which multiplies what it can grow to.
  if (archive_filter_count(a) != 2) {
    return compressed_twice();
  }
  return Decompressor(std::move(state));
}

Result<std::string_view> Decompressor::next() {
  State& state = *state_;
  if (state.at_end) return std::string_view();
  if (state.gzip) {
    if (!state.first_block.empty()) return std::exchange(state.first_block, std::string_view());
    GANGWAY_ASSIGN(const std::string_view block, state.gzip->next());
    state.at_end = block.empty();
    return block;
  }
  if (!state.parser) {
    GANGWAY_ASSIGN(const std::size_t got,
                   read_at(state.range, state.position, state.buffer.data(), state.buffer.size()));
    state.position += static_cast<std::int64_t>(got);
    state.at_end = got == 0;
    return std::string_view(state.buffer.data(), got);
  }
  while (true) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(state.parser.get(), &block, &size, &offset);
    if (result == ARCHIVE_EOF) {
      state.at_end = true;
      return std::string_view();
    }
    if (result != ARCHIVE_OK) return state.failed();
    if (size > 0) return std::string_view(static_cast<const char*>(block), size);
  }
}

// ---- TarReader ---------------------------------------------------------------------------------

struct TarReader::State {
  Source source;
  std::optional<Error> source_error;
  ArchiveOwner parser;
  TarEntry entry;
  bool at_end = false;
  // What the parser was given last, and the end of what came before: for is_known_type().
  std::string_view block;
  std::int64_t block_start = 0;
  std::string before;

  static ssize_t read_block(archive* a, void* self, const void** out) {
    auto& state = *static_cast<State*>(self);
    state.block_start += static_cast<std::int64_t>(state.block.size());
    state.before += state.block.substr(state.block.size() - std::min(state.block.size(), kHeader));
    if (state.before.size() > kHeader) state.before.erase(0, state.before.size() - kHeader);
    state.block = {};
    const Result<std::string_view> got = state.source();
    if (!got) {
      state.source_error = got.error();
      archive_set_error(a, EIO, "read failed");
      return -1;
    }
    state.block = *got;
    *out = got->data();
    return static_cast<ssize_t>(got->size());
  }

  // libarchive takes a type it does not know for an ordinary file and does not tell. The header is
  // what it has read last. Where it is not (a sparse file's map), the type was one that is known.
  bool is_known_type() {
    const std::int64_t end = archive_filter_bytes(parser.get(), 0) - block_start;
    const std::int64_t begin = end - static_cast<std::int64_t>(kHeader);
    if (begin < -static_cast<std::int64_t>(before.size()) || end < 0 ||
        end > static_cast<std::int64_t>(block.size())) {
      return true;
    }
    std::string header;
    if (begin < 0) header = before.substr(before.size() - static_cast<std::size_t>(-begin));
    header += block.substr(static_cast<std::size_t>(std::max<std::int64_t>(begin, 0)),
                           kHeader - header.size());
    if (!is_header(header)) return true;
    constexpr std::string_view kTypes("\00001234567S", 10);
    return kTypes.find(header[kTypeAt]) != std::string_view::npos;
  }

  Error failed() {
    if (source_error) return *source_error;
    return parse_error(parser.get(), "tar");
  }

  Result<void> fill(archive_entry* raw) {
    entry = TarEntry{};
    entry.path = text_or_empty(archive_entry_pathname(raw));
    const std::optional<TarType> type = type_of(raw);
    if (!type) return Error(ErrorKind::Unsupported, "tar: entry of an unknown type");
    entry.type = *type;
    entry.mode = archive_entry_perm(raw) & 07777;
    entry.uid = archive_entry_uid(raw);
    entry.gid = archive_entry_gid(raw);
    entry.size = archive_entry_size_is_set(raw) != 0 ? archive_entry_size(raw) : 0;
    entry.mtime_s = archive_entry_mtime_is_set(raw) != 0 ? archive_entry_mtime(raw) : 0;
    entry.mtime_ns = archive_entry_mtime_is_set(raw) != 0 ? archive_entry_mtime_nsec(raw) : 0;
    if (*type == TarType::Symlink) entry.link = text_or_empty(archive_entry_symlink(raw));
    if (*type == TarType::Hardlink) entry.link = text_or_empty(archive_entry_hardlink(raw));
    archive_entry_xattr_reset(raw);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK) {
      if (name == nullptr) continue;
      entry.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
    return {};
  }
};

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader& TarReader::operator=(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Result<TarReader> TarReader::open(Source source) {
  auto state = std::make_unique<State>();
  state->source = std::move(source);
  GANGWAY_ASSIGN(state->parser, new_archive());
  archive* a = state->parser.get();
  GANGWAY_TRY(require_ok(archive_read_support_format_tar(a), "tar"));
  GANGWAY_TRY(require_ok(archive_read_support_format_empty(a), "empty data"));
  if (archive_read_open(a, state.get(), nullptr, State::read_block, nullptr) != ARCHIVE_OK) {
    return state->failed();
  }
  return TarReader(std::move(state));
}

Result<const TarEntry*> TarReader::next() {
  State& state = *state_;
  if (state.at_end) return nullptr;
  archive_entry* raw = nullptr;
  const int result = archive_read_next_header(state.parser.get(), &raw);
  if (result == ARCHIVE_EOF) {
    state.at_end = true;
    return nullptr;
  }
  if (result != ARCHIVE_OK) return state.failed();
  if (!state.is_known_type()) {
    return Error(ErrorKind::Unsupported, "tar: entry of an unknown type");
  }
  GANGWAY_TRY(state.fill(raw));
  return &state.entry;
}

Result<TarReader::Block> TarReader::next_block() {
  State& state = *state_;
  while (true) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(state.parser.get(), &block, &size, &offset);
    if (result == ARCHIVE_EOF) return Block{};
    if (result != ARCHIVE_OK) return state.failed();
    if (size > 0) return Block{std::string_view(static_cast<const char*>(block), size), offset};
  }
}

// ---- index -------------------------------------------------------------------------------------

Result<ArchiveIndex::Place> ArchiveIndex::find(const std::string& name) const {
  std::string wanted = clean_name(name);
  for (int hops = 0; hops < 8; ++hops) {
    const auto found = places.find(wanted);
    if (found == places.end()) {
      return Error(ErrorKind::NotFound, cat("the archive has no ", wanted));
    }
    if (found->second.link.empty()) return found->second;
    wanted = found->second.link;
  }
  return Error(ErrorKind::Corrupt, cat("the archive's links go in a circle at ", wanted));
}

Result<ArchiveIndex> index_archive(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error(ErrorKind::Invalid, "the archive is not a regular file");
  }
  char first[4] = {};
  if (pread(fd, first, sizeof first, 0) == sizeof first &&
      sniff_compression(std::string_view(first, sizeof first)) != Compression::None) {
    return Error(ErrorKind::Unsupported,
                 "the archive is compressed as a whole; decompress it first (its layers may be)");
  }
  if (lseek(fd, 0, SEEK_SET) != 0) return errno_error("read archive", errno);
  GANGWAY_ASSIGN(const ArchiveOwner owner, new_archive());
  archive* a = owner.get();
  GANGWAY_TRY(require_ok(archive_read_support_format_tar(a), "tar"));
  if (archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK) return parse_error(a, "archive");
  ArchiveIndex index;
  for (std::size_t count = 0;; ++count) {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(a, &entry);
    if (result == ARCHIVE_EOF) return index;
    if (result != ARCHIVE_OK) return parse_error(a, "archive");
    if (count == kMaxArchiveEntries) {
      return Error(ErrorKind::Invalid, "the archive has too many entries");
    }
    const std::string name = clean_name(text_or_empty(archive_entry_pathname(entry)));
    const std::optional<TarType> type = type_of(entry);
    if (name.empty() || !type) continue;
    ArchiveIndex::Place place;
    if (*type == TarType::Hardlink) {
      place.link = clean_name(archive_entry_hardlink(entry));
    } else if (*type == TarType::Symlink) {
      const std::size_t slash = name.rfind('/');
      const std::string directory = slash == std::string::npos ? "" : name.substr(0, slash);
      place.link = clean_name(cat(directory, "/", text_or_empty(archive_entry_symlink(entry))));
    } else if (*type == TarType::File) {
      // Sparse contents do not lie in one piece.
      if (archive_entry_sparse_count(entry) > 0) continue;
      place.size = archive_entry_size(entry);
      // What the format has consumed so far ends with this entry's headers.
      place.offset = archive_filter_bytes(a, 0);
      if (place.size < 0 || place.offset > status.st_size - place.size) {
        return Error(ErrorKind::Corrupt, "archive: an entry is longer than the file");
      }
    } else {
      continue;
    }
    if (place.link.empty() && *type != TarType::File) continue;
    index.places[name] = std::move(place);
  }
}

}  // namespace gangway::containers
