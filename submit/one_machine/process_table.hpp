// Processes by a name that is never used twice: the number, the time it was started at and the boot
// it belongs to. What is killed here is what was recorded, never a process that got its number
// later.
//
// Reads /proc; signals go through pidfds, so that between looking and killing nothing can change.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"

namespace gangway::one_machine {

struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/<pid>/stat
  std::string boot;              // /proc/sys/kernel/random/boot_id
  friend auto operator<=>(const ProcessId&, const ProcessId&) = default;
};

// Of a process that lives (a zombie does not); nullopt otherwise.
[[nodiscard]] std::optional<ProcessId> find_process(pid_t pid);
[[nodiscard]] bool is_alive(const ProcessId& process);

// The text of a record, "1234 567890 <boot id>\n", and back.
[[nodiscard]] std::string render_record(const ProcessId& process);
[[nodiscard]] std::optional<ProcessId> parse_record(std::string_view text);
[[nodiscard]] std::optional<ProcessId> read_record(const std::string& path);

// All processes that `wanted` is true for; called with the number of each.
[[nodiscard]] std::vector<ProcessId> find_processes(const std::function<bool(pid_t)>& wanted);
// Inode of a namespace of a process, "net", "pid"; nullopt if it may not be seen or is gone.
[[nodiscard]] std::optional<std::uint64_t> namespace_of(pid_t pid, std::string_view kind);

// Sends the signal if it is still that process.
void send_signal(const ProcessId& process, int signal_number);
// Waits until all are gone or `limit` has passed; returns those that live.
[[nodiscard]] std::vector<ProcessId> wait_for_end(std::vector<ProcessId> processes, Duration limit);
// SIGTERM, `grace`, SIGKILL; returns those that live even so (it waits a few seconds for them).
std::vector<ProcessId> terminate(std::vector<ProcessId> processes, Duration grace);

}  // namespace gangway::one_machine
