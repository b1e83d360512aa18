// A trace's bytes from disk, plain or compressed by gzip (told by its first bytes, not by its
// name).
#pragma once

#include <string>

#include "queues/base/result.hpp"

namespace gangway::jsim {

// `path` "-" is standard input. Errors: NotFound, Denied; Corrupt, if a compressed file ends early
// or is damaged; Exhausted beyond 4 GiB of text.
[[nodiscard]] Result<std::string> read_trace_file(const std::string& path);

}  // namespace gangway::jsim
