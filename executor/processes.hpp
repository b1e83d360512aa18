// What the kernel says of processes and of this machine's life.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::executor {

// Changes with each boot of the machine.
[[nodiscard]] Result<std::string> read_boot_id();
// When the process began, in clock ticks since boot: with the pid and the boot id it names a
// process for ever. nullopt: there is none.
[[nodiscard]] std::optional<std::uint64_t> find_start_time(pid_t pid);
// Readable once the process is over. NotFound if it is over already.
[[nodiscard]] Result<Fd> open_process(pid_t pid);
// Our program `name`: in GANGWAY_LIBEXEC, beside this program, or in ../libexec/gangway from it.
// Errors: NotFound, naming the places.
[[nodiscard]] Result<std::string> find_program(const std::string& name);

}  // namespace gangway::executor
