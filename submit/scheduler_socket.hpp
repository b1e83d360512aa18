// The way to the scheduler that every client takes: a unix socket, connected at once or not at all.
#pragma once

#include <string>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::submit {

// A stream to whoever listens at `socket`, closed on exec; `flags` go to socket(2) (SOCK_NONBLOCK).
// Errors: Invalid (the path is too long), Denied, Unavailable (nobody listens, or its queue is
// full).
[[nodiscard]] Result<Fd> connect_to_scheduler(const std::string& socket, int flags = 0);

}  // namespace gangway::submit
