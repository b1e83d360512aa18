#include "queues/wire/framing.hpp"

#include "queues/base/text.hpp"

namespace gangway::wire {
namespace {
void put_big_endian(std::uint32_t value, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

std::uint32_t get_big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

bool is_known(std::uint32_t type) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::Hello:
    case FrameType::Challenge:
    case FrameType::Proof:
    case FrameType::Welcome:
    case FrameType::Refused:
    case FrameType::Ping:
    case FrameType::Pong:
    case FrameType::Request:
    case FrameType::Response:
    case FrameType::FromNode:
    case FrameType::ToNode:
    case FrameType::ToShepherd:
    case FrameType::FromShepherd:
    case FrameType::Peer:
    case FrameType::ToPmix:
    case FrameType::FromPmix:
    case FrameType::ToStep:
    case FrameType::FromStep:
      return true;
  }
  return false;
}
}  // namespace

std::string encode(const Frame& frame) {
  std::string out;
  out.reserve(kHeaderBytes + frame.payload.size());
  encode_to(frame, out);
  return out;
}

void encode_to(const Frame& frame, std::string& out) {
  CHECK(frame.payload.size() <= kMaxPayloadBytes);
  put_big_endian(static_cast<std::uint32_t>(frame.payload.size()), 4, out);
  put_big_endian(static_cast<std::uint32_t>(frame.type), 2, out);
  put_big_endian(0, 2, out);  // flags: none are defined yet
  put_big_endian(frame.stream, 4, out);
  out.append(frame.payload);
}

Result<std::optional<Frame>> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(consumed_);
  if (rest.size() < kHeaderBytes) return std::optional<Frame>{};
  const std::uint32_t length = get_big_endian(rest.substr(0, 4));
  const std::uint32_t type = get_big_endian(rest.substr(4, 2));
  const std::uint32_t flags = get_big_endian(rest.substr(6, 2));
  if (length > max_payload_) {
    return gangway::Error(ErrorKind::Corrupt, cat("frame of ", length, " bytes, at most ",
                                                  max_payload_, " are allowed"));
  }
  if (!is_known(type))
    return gangway::Error(ErrorKind::Corrupt, cat("frame of unknown type ", type));
  if (flags != 0)
    return gangway::Error(ErrorKind::Corrupt, cat("frame with unknown flags ", flags));
  if (rest.size() - kHeaderBytes < length) return std::optional<Frame>{};

  Frame frame{.type = static_cast<FrameType>(type),
              .stream = get_big_endian(rest.substr(8, 4)),
              .payload = std::string(rest.substr(kHeaderBytes, length))};
  consumed_ += kHeaderBytes + length;
  // Moving the rest to the front only when it is the smaller half keeps this linear over a stream
  // of small frames.
  if (consumed_ * 2 >= buffer_.size()) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  return std::optional(std::move(frame));
}

}  // namespace gangway::wire
