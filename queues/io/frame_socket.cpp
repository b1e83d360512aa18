#include "queues/io/frame_socket.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gangway::io {

namespace {

// One buffer for all sockets of the thread: it is empty again at the end of each call.
thread_local std::array<char, FrameSocket::kReadSlice> slice;

struct Slice {
  FrameSocket::ReadEnd end = FrameSocket::ReadEnd::Nothing;
  std::size_t size = 0;
};

Result<Slice> receive(int fd) {
  ssize_t got = 0;
  do {
    got = ::recv(fd, slice.data(), slice.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return Slice{FrameSocket::ReadEnd::Bytes, static_cast<std::size_t>(got)};
  if (got == 0) return Slice{FrameSocket::ReadEnd::Eof, 0};
  if (errno == EAGAIN) return Slice{};
  return errno_error("read", errno);
}

}  // namespace

Result<FrameSocket::ReadEnd> FrameSocket::read_slice() {
  GANGWAY_ASSIGN(const Slice got, receive(fd_.get()));
  if (got.size > 0) {
    reader_.feed({slice.data(), got.size});
    partial_bytes_ += got.size;
  }
  return got.end;
}

Result<std::optional<wire::Frame>> FrameSocket::next() {
  auto frame = reader_.next();
  if (frame && frame->has_value()) partial_bytes_ -= wire::kHeaderBytes + (*frame)->payload.size();
  return frame;
}

Result<FrameSocket::ReadEnd> FrameSocket::discard_slice() {
  GANGWAY_ASSIGN(const Slice got, receive(fd_.get()));
  return got.end;
}

Result<std::size_t> FrameSocket::write_slice() {
  if (queued_bytes() == 0) return std::size_t{0};
  ssize_t taken = 0;
  do {
    taken = ::send(fd_.get(), out_.data() + written_, std::min(queued_bytes(), kWriteSlice),
                   MSG_NOSIGNAL);
  } while (taken < 0 && errno == EINTR);
  if (taken < 0) {
    if (errno == EAGAIN) return std::size_t{0};
    return errno_error("write", errno);
  }
  written_ += static_cast<std::size_t>(taken);
  // A burst's memory is given back; what has gone out is cut off once it is the larger part, so
  // that each byte is moved at most once on average.
  if (written_ == out_.size()) {
    if (out_.capacity() > kWriteSlice) {
      out_ = std::string();
    } else {
      out_.clear();
    }
    written_ = 0;
  } else if (written_ > out_.size() / 2) {
    out_.erase(0, written_);
    written_ = 0;
  }
  return static_cast<std::size_t>(taken);
}

}  // namespace gangway::io
