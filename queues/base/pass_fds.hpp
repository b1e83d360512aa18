// Descriptors that travel over a unix socket, with the bytes that they belong to (SCM_RIGHTS).
//
// Thin system calls: -1 and errno as sendmsg(2) and recvmsg(2) have it, EINTR tried again.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "queues/base/fd.hpp"

namespace gangway {

inline constexpr std::size_t kMaxPassedFds = 250;  // with one message; the kernel takes 253

// How many bytes were sent. Never raises SIGPIPE. Requires: at least one byte, at most
// kMaxPassedFds descriptors; they stay the caller's.
[[nodiscard]] ssize_t send_with_fds(int socket,
                                    std::string_view bytes,
                                    std::span<const int> fds,
                                    int flags = 0);

struct ReceivedWithFds {
  ssize_t bytes = -1;   // how many; 0: the other side is gone
  std::vector<Fd> fds;  // closed on exec
  bool is_cut = false;  // there was more than there was room for
};
[[nodiscard]] ReceivedWithFds receive_with_fds(int socket, std::span<char> bytes, int flags = 0);

}  // namespace gangway
