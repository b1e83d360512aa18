// FrameSocket: one non-blocking stream socket that speaks frames. It cuts what comes into frames
// and keeps what is to go out; when to read and write is the owner's matter.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/wire/framing.hpp"

namespace gangway::io {

class FrameSocket {
 public:
  FrameSocket(Fd fd, std::size_t max_payload) : fd_(std::move(fd)), reader_(max_payload) {}

  [[nodiscard]] int fd() const { return fd_.get(); }

  enum class ReadEnd { Bytes, Nothing, Eof };
  // Reads one slice, at most kReadSlice bytes. Errors: Unavailable and others, from the kernel.
  [[nodiscard]] Result<ReadEnd> read_slice();
  // The next whole frame of what was read. Errors: Corrupt.
  [[nodiscard]] Result<std::optional<wire::Frame>> next();
  // Bytes read that do not make a whole frame yet.
  [[nodiscard]] std::size_t partial_bytes() const { return partial_bytes_; }
  void set_max_payload(std::size_t max_payload) { reader_.set_max_payload(max_payload); }
  // Reads and forgets a slice: for a socket that is only waiting for the other side's end.
  [[nodiscard]] Result<ReadEnd> discard_slice();

  void queue(const wire::Frame& frame) { wire::encode_to(frame, out_); }
  [[nodiscard]] std::size_t queued_bytes() const { return out_.size() - written_; }
  // Writes one slice of the queue, at most kWriteSlice bytes; returns how many the kernel took.
  [[nodiscard]] Result<std::size_t> write_slice();

  static constexpr std::size_t kReadSlice = 64 << 10;
  static constexpr std::size_t kWriteSlice = 256 << 10;

 private:
  Fd fd_;
  wire::FrameReader reader_;
  std::size_t partial_bytes_ = 0;
  std::string out_;
  std::size_t written_ = 0;  // of out_
};

}  // namespace gangway::io
