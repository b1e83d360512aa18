// What the kernel says of processes and of this machine's life. Reads /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway {

// Changes with each boot of the machine. Errors: Unsupported (no /proc).
[[nodiscard]] Result<std::string> read_boot_id();

// Some of the fields out of the text of /proc/<pid>/stat, whose second field is the
// program's name with any characters in it. Pure.
struct ProcessStat {
  char state = '?';
  pid_t parent = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
};
[[nodiscard]] std::optional<ProcessStat> parse_stat(std::string_view text);

// When the process began: with the pid and the boot id it names a process for ever. nullopt: there
// is none, or it is over and not reaped.
[[nodiscard]] std::optional<std::uint64_t> find_start_time(pid_t pid);
// Readable once the process is over. Errors: NotFound (it is over already).
[[nodiscard]] Result<Fd> open_process(pid_t pid);

}  // namespace gangway
