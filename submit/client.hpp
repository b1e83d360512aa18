// Client: one conversation with the scheduler over its unix socket, without an event loop.
//
// The greeting and the request leave in one write and the answers to both come back in one round
// trip (queues/wire/PROTOCOL.md). Every call has a deadline; a conversation that fails is closed,
// and the next call opens a new one. It does not retry: submission.hpp knows when that is safe.
//
// Errors: Unavailable (nobody listens, the connection was lost, no answer in time), Denied (the
// socket may not be opened, or the scheduler refuses this caller), Corrupt (not our protocol), and
// whatever error the scheduler answers with.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::submit {

inline constexpr std::string_view kDefaultSocket = "/run/gangway/jschedd.sock";
inline constexpr Duration kReplyDeadline = seconds(30);
// For requests that are answered when jobs end.
inline constexpr Duration kNoDeadline = {0};

// `option` (--socket) if given, else GANGWAY_SOCKET, else the default.
[[nodiscard]] std::string find_socket(std::string_view option);

class Client {
 public:
  Client(std::string program, std::string socket);

  // One request, one reply.
  [[nodiscard]] Result<wire::Response> call(const wire::Request& request,
                                            Duration deadline = kReplyDeadline);
  // One request in one or more parts; each response is handed to `on_response`, the last of them
  // without `more`.
  [[nodiscard]] Result<void> exchange(std::span<const wire::Request> parts,
                                      Duration deadline,
                                      const std::function<void(wire::Response&&)>& on_response);

  [[nodiscard]] const std::string& socket() const { return socket_; }

 private:
  Result<void> connect();
  Result<void> write(std::string_view bytes, BootTime until);
  Result<wire::Frame> read_frame(BootTime until);
  Result<void> converse(std::span<const wire::Request> parts,
                        BootTime until,
                        const std::function<void(wire::Response&&)>& on_response);
  Error lost(std::string_view how) const;

  std::string program_;
  std::string socket_;
  Fd fd_;
  bool welcomed_ = false;
  std::uint32_t stream_ = 0;
  wire::FrameReader reader_;
};

}  // namespace gangway::submit
