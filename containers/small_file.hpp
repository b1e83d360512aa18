// Reading and writing small files of the kernel and of our own, whole.
#pragma once

#include <string>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway::containers {

// Errors: of open and read; Invalid if it is larger than `max_bytes`.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path,
                                                  std::size_t max_bytes = 4 << 20);
// Into an existing file, in one write, as kernel interfaces want it.
Result<void> write_existing_file(const std::string& path, std::string_view text);

}  // namespace gangway::containers
