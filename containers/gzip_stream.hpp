// Decompressing gzip with ISA-L, nearly twice as fast as zlib: the only file that includes isa-l.
//
// Members follow each other (pigz, eStargz); what follows the last one and is no gzip is passed
// over, as gzip does it. Input is hostile: checksums are verified, and a stream that ends early is
// an error.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway::containers {

// False: this build has no ISA-L.
[[nodiscard]] bool has_gzip_stream();

class GzipStream {
 public:
  // Fills what it is given with the next bytes of the compressed stream; 0 at its end.
  using Source = std::function<Result<std::size_t>(char* out, std::size_t size)>;
  // Requires: has_gzip_stream().
  explicit GzipStream(Source source);
  GzipStream(GzipStream&&) noexcept;
  GzipStream& operator=(GzipStream&&) noexcept;
  ~GzipStream();

  // The next block, valid until the next call; empty at the end. Errors: Corrupt, the source's.
  [[nodiscard]] Result<std::string_view> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gangway::containers
