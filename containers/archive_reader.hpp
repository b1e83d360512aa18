// Reading compressed streams and tar archives: the only file that includes archive.h.
//
// libarchive is used as a parser alone, in two stages: a Decompressor (its raw format, one filter)
// gives the bytes of a layer's tar, which the caller can hash, count and bound, and a TarReader
// (its tar format, no filter) takes such bytes apart. No other format or filter is ever enabled, so
// that a hostile archive meets the least code. Input is hostile: any warning of the parser is an
// error here.
//
// Requires: setlocale(LC_CTYPE, "C.UTF-8") at the program's start, or names of other alphabets are
// refused.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

enum class Compression { None, Gzip, Zstd };

// By the first bytes; what is neither gzip nor zstd is taken as not compressed.
[[nodiscard]] Compression sniff_compression(std::string_view first_bytes);

// A part of a file.
struct FileRange {
  int fd = -1;  // not owned
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

class Decompressor {
 public:
  // Errors: Unsupported (this libarchive would call another program to decompress), Corrupt.
  [[nodiscard]] static Result<Decompressor> open(const FileRange& range);
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;
  ~Decompressor();
  // The next bytes, valid until the next call; empty at the end.
  // Errors: Corrupt (truncated, damaged).
  [[nodiscard]] Result<std::string_view> next();

 private:
  struct State;
  explicit Decompressor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

enum class TarType { File, Directory, Symlink, Hardlink, Fifo, Device };

struct TarEntry {
  std::string path;  // bytes, as in the archive
  TarType type = TarType::File;
  mode_t mode = 0;  // permission and set-id bits
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t size = 0;  // logical
  std::int64_t mtime_s = 0;
  long mtime_ns = 0;
  std::string link;  // target of a Symlink or Hardlink
  std::vector<std::pair<std::string, std::string>> xattrs;
};

class TarReader {
 public:
  // The next bytes of the archive; empty at the end.
  using Source = std::function<Result<std::string_view>()>;

  [[nodiscard]] static Result<TarReader> open(Source source);
  TarReader(TarReader&&) noexcept;
  TarReader& operator=(TarReader&&) noexcept;
  ~TarReader();

  // The next entry, valid until the next call; null at the end of the archive, after which the
  // source may still have bytes. Errors: of the source; Corrupt; Unsupported (an entry of a type
  // that is none of TarType).
  [[nodiscard]] Result<const TarEntry*> next();

  struct Block {
    std::string_view bytes;
    std::int64_t offset = 0;  // in the file; what lies between blocks is a hole
  };
  // The next data of the current entry; empty at its end.
  [[nodiscard]] Result<Block> next_block();

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Where the files of a plain tar archive lie in it, so that they can be read in place.
struct ArchiveIndex {
  struct Place {
    std::int64_t offset = 0;
    std::int64_t size = 0;
    std::string link;  // of a symlink or hardlink: the cleaned name it means; else ""
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::map<std::string, Place> places;  // by cleaned name, without leading "./" or "/"

  // Follows links inside the archive. Errors: NotFound, Corrupt (a cycle).
  [[nodiscard]] Result<Place> find(const std::string& name) const;
};
inline constexpr std::size_t kMaxArchiveEntries = 100'000;

// Reads the headers of the tar archive in `fd`, skipping the contents by seeking.
// Errors: Corrupt, Unsupported (compressed), Invalid (too many entries).
[[nodiscard]] Result<ArchiveIndex> index_archive(int fd);

}  // namespace gangway::containers
