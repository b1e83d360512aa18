// Small files, of the kernel and of our own, read and written whole.
//
// Errors: those of the operating system, with the path (result.hpp, errno_error).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway {

// Errors: also Exhausted if it is longer than `max_bytes`.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path,
                                                  std::size_t max_bytes = 4 << 20);
// Into an existing file, in one write, as kernel interfaces want it.
Result<void> write_existing_file(const std::string& path, std::string_view text);

enum class Durability { UntilReboot, OnDisk };
// `path` becomes a file with `bytes` and exactly this mode, or stays as it was: written beside it,
// and renamed. A file of a killed writer beside it is replaced.
[[nodiscard]] Result<void> replace_file(const std::string& path,
                                        std::string_view bytes,
                                        mode_t mode,
                                        Durability durability);

// What was replaced until reboot, on the disk after all.
[[nodiscard]] Result<void> sync_file(const std::string& path);

}  // namespace gangway
