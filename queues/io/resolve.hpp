// Host names to addresses, by the machine's resolver. Blocks; not for static programs (getaddrinfo
// loads the machine's name services), and so a file of its own.
#pragma once

#include <string>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway::io {

// "head.cluster:6810" -> "10.0.0.1:6810"; what is numeric already, or a path, is given back as it
// is. Errors: Invalid, NotFound (no such host), Unavailable (the name service is away).
[[nodiscard]] Result<std::string> resolve_endpoint(std::string_view endpoint);

}  // namespace gangway::io
