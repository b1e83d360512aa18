// LayerWriter: one image layer, written as a compressed tar archive, hashed on the way.
//
// The same entries give the same bytes: pax headers only where they are needed, no names of owners,
// one thread of the compressor, no time of its own. One of the two files that include archive.h.
//
// Errors: Exhausted (disk full), Internal.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/archive_reader.hpp"
#include "containers/image_ref.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers::build {

struct WrittenLayer {
  Digest diff_id;         // of the tar archive
  Digest digest;          // of the file, compressed
  std::int64_t size = 0;  // of the file
  Compression compression = Compression::Zstd;
};

class LayerWriter {
 public:
  // Into `fd`, an empty file that the caller keeps open.
  [[nodiscard]] static Result<LayerWriter> open(int fd, Compression compression);
  LayerWriter(LayerWriter&&) noexcept;
  LayerWriter& operator=(LayerWriter&&) = delete;
  ~LayerWriter();

  // `entry.path` relative; a file's bytes follow with data(), as many as entry.size says.
  Result<void> add(const TarEntry& entry);
  Result<void> data(std::string_view bytes);
  // Is told how many bytes each data() took.
  void set_on_bytes(std::function<void(std::int64_t)> on_bytes);
  [[nodiscard]] Result<WrittenLayer> finish();

 private:
  struct State;
  explicit LayerWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Files in one plain tar archive, in the order given: what `docker save` and oci-archives are.
struct ArchiveMember {
  std::string name;
  std::string text;              // its bytes, or
  FileRange range;               // a part of a file, if range.fd is one
  std::optional<Digest> digest;  // that the part must have
};
// `on_bytes` is told of all bytes of ranges as they are copied. Errors: also Corrupt.
Result<void> write_archive(int fd,
                           const std::vector<ArchiveMember>& members,
                           std::int64_t mtime_s,
                           const std::function<void(std::int64_t)>& on_bytes);

// All of `bytes`. Errors: those of writing.
Result<void> write_all(int fd, std::string_view bytes);

// A part of a file piece by piece, hashed. Errors: those of reading and of `take`; Corrupt (shorter
// than it was; another digest than `digest`, if that is asked for).
[[nodiscard]] Result<Digest> read_pieces(const FileRange& range,
                                         const std::optional<Digest>& digest,
                                         const std::function<Result<void>(std::string_view)>& take);

}  // namespace gangway::containers::build
