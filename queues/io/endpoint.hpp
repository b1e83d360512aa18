// Where to listen or connect: "/run/gangway/jschedd.sock" (unix) or "10.0.0.1:6810",
// "[fe80::1]:6810" (TCP).
//
// Addresses are numbers here: names are resolved by resolve_endpoint() in resolve.hpp, which static
// programs do not link.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::io {

struct Endpoint {
  std::string path;     // unix, absolute; empty for TCP
  std::string address;  // TCP, numeric
  std::uint16_t port = 0;
  bool is_v6 = false;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  [[nodiscard]] bool is_unix() const { return !path.empty(); }
};

// Errors: Invalid, quoting the text.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

// A listening, non-blocking socket. A unix socket's file gets `mode`; its directory is made (0755)
// if it is missing, and a file that nobody listens on any more is replaced. Errors: Conflict
// (somebody listens there), Denied, Invalid.
[[nodiscard]] Result<Fd> open_listener(const Endpoint& endpoint, unsigned mode, int backlog);

// The number of the port that a TCP socket got.
[[nodiscard]] Result<std::uint16_t> port_of(int listening_fd);

struct Connecting {
  Fd fd;                  // non-blocking
  bool finished = false;  // else: writable once the kernel has decided, then finish_connect()
};
// Errors: Unavailable, NotFound, Denied: "connect to <endpoint>: <reason>".
[[nodiscard]] Result<Connecting> begin_connect(const Endpoint& endpoint);
[[nodiscard]] Result<void> finish_connect(int fd, const Endpoint& endpoint);

}  // namespace gangway::io
