// Frames: a 12-byte header {length, type, flags, stream} in network byte order, then the payload.
//
//   0        4      6      8         12
//   | length | type | flags | stream | payload: `length` bytes ...
//
// `stream` ties the responses to a request. Pure; fuzzed. PROTOCOL.md is the specification.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway::wire {

enum class FrameType : std::uint16_t {
  Hello = 1,
  Challenge = 2,
  Proof = 3,
  Welcome = 4,
  Refused = 5,
  Ping = 6,
  Pong = 7,
  Request = 16,
  Response = 17,
  FromNode = 32,
  ToNode = 33,
  ToShepherd = 48,
  FromShepherd = 49,
  Peer = 64,
  ToPmix = 80,
  FromPmix = 81,
  ToStep = 96,
  FromStep = 97,
};

struct Frame {
  FrameType type = FrameType::Ping;
  std::uint32_t stream = 0;
  std::string payload;  // a serialised message of the type's kind
  friend bool operator==(const Frame&, const Frame&) = default;
};

inline constexpr std::size_t kHeaderBytes = 12;
inline constexpr std::size_t kMaxPayloadBytes = 16 << 20;
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

// Requires: payload within kMaxPayloadBytes.
[[nodiscard]] std::string encode(const Frame& frame);
void encode_to(const Frame& frame, std::string& out);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_payload = kMaxPayloadBytes) : max_payload_(max_payload) {}
  // From now on; for a stream whose other side has just proved who it is.
  void set_max_payload(std::size_t max_payload) { max_payload_ = max_payload; }
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame; nullopt if more bytes are needed. Errors: Corrupt (too long, unknown type
  // or flags); the stream cannot be continued then.
  [[nodiscard]] Result<std::optional<Frame>> next();

 private:
  std::size_t max_payload_;
  std::string buffer_;
  std::size_t consumed_ = 0;
};

}  // namespace gangway::wire
