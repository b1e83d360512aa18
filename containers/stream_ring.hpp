// StreamRing: a stream of bytes from one process to two others, in memory that all three share. For
// hundreds of megabytes that is cheaper than pipes, which copy everything twice for each reader.
//
// Made before the forks; each process then keeps its own end and drops the others. A slot is
// written again when both readers are done with it. Who is gone is noticed: its pipes end.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "queues/base/pipe.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

class StreamRing {
 public:
  static constexpr std::size_t kReaders = 2;

  // Errors: Exhausted.
  [[nodiscard]] static Result<StreamRing> make();
  StreamRing(StreamRing&& other) noexcept;
  StreamRing& operator=(StreamRing&&) = delete;
  ~StreamRing();

  // This process is the writer, or that reader, from now on.
  void be_writer();
  void be_reader(std::size_t which);
  // Drops this process's end: the others see that.
  void close();

  // Waits for a free slot. Errors: Internal (a reader is gone).
  Result<void> write(std::string_view bytes);
  // The next bytes, valid until the next call; empty when the writer has closed its end or is gone.
  [[nodiscard]] Result<std::string_view> read();

 private:
  StreamRing() = default;
  // Sizes of filled slots go one way, a byte for each one that is free again goes back.
  struct Reader {
    Pipe filled;
    Pipe freed;
  };
  std::array<Reader, kReaders> readers_;
  char* memory_ = nullptr;
  std::size_t next_ = 0;  // slots written, or read, so far
  std::size_t which_ = 0;
  bool holds_slot_ = false;
};

}  // namespace gangway::containers
