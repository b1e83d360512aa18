#include "queues/base/process.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway {

Result<std::string> read_boot_id() {
  const Result<std::string> text = read_small_file("/proc/sys/kernel/random/boot_id");
  if (!text) {
    return Error(ErrorKind::Unsupported, cat(text.error().message(), "; is /proc mounted?"));
  }
  return std::string(trim(*text));
}

std::optional<ProcessStat> parse_stat(std::string_view text) {
  const auto close = text.rfind(')');
  if (close == std::string_view::npos || close + 2 >= text.size()) return std::nullopt;
  const auto fields = split(trim(text.substr(close + 2)), ' ');
  constexpr std::size_t kStartTime = 19;  // field 22 of the line; state, the first here, is field 3
  if (fields.size() <= kStartTime || fields[0].size() != 1) return std::nullopt;
  const auto start = parse_integer<std::uint64_t>(fields[kStartTime]);
  const auto parent = parse_integer<pid_t>(fields[1]);
  if (!start || !parent) return std::nullopt;
  return ProcessStat{.state = fields[0][0], .parent = *parent, .start_time = *start};
}

std::optional<std::uint64_t> find_start_time(pid_t pid) {
  const Result<std::string> text = read_small_file(cat("/proc/", pid, "/stat"));
  const auto stat = text ? parse_stat(*text) : std::nullopt;
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return stat->start_time;
}

Result<Fd> open_process(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return errno_error(cat("open process ", pid), errno);
  return fd;
}

}  // namespace gangway
