#include "submit/one_machine/process_table.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "queues/base/fd.hpp"
#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::one_machine {
namespace {

BootTime boot_now() { return SystemClock().now().boot; }

}  // namespace

std::optional<ProcessId> find_process(pid_t pid) {
  const auto start = find_start_time(pid);
  if (!start) return std::nullopt;
  return ProcessId{
      .pid = pid, .start_time = *start, .boot = read_boot_id().value_or(std::string())};
}

bool is_alive(const ProcessId& process) { return find_process(process.pid) == process; }

std::string render_record(const ProcessId& process) {
  return cat(process.pid, ' ', process.start_time, ' ', process.boot, '\n');
}

std::optional<ProcessId> parse_record(std::string_view text) {
  const auto fields = split(trim(text), ' ');
  if (fields.size() != 3) return std::nullopt;
  const auto pid = parse_integer<pid_t>(fields[0]);
  const auto start = parse_integer<std::uint64_t>(fields[1]);
  if (!pid || *pid <= 1 || !start || fields[2].empty()) return std::nullopt;
  return ProcessId{.pid = *pid, .start_time = *start, .boot = std::string(fields[2])};
}

std::optional<ProcessId> read_record(const std::string& path) {
  const auto text = read_small_file(path);
  return text ? parse_record(*text) : std::nullopt;
}

std::vector<ProcessId> find_processes(const std::function<bool(pid_t)>& wanted) {
  std::vector<ProcessId> found;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return found;
  while (const dirent* entry = ::readdir(proc)) {
    const auto pid = parse_integer<pid_t>(entry->d_name);
    if (!pid || *pid <= 1 || *pid == ::getpid() || !wanted(*pid)) continue;
    if (auto process = find_process(*pid)) found.push_back(std::move(*process));
  }
  ::closedir(proc);
  std::ranges::sort(found);
  return found;
}

std::optional<std::uint64_t> namespace_of(pid_t pid, std::string_view kind) {
  struct stat file {};
  if (::stat(cat("/proc/", pid, "/ns/", kind).c_str(), &file) != 0) return std::nullopt;
  return file.st_ino;
}

void send_signal(const ProcessId& process, int signal_number) {
  const Result<Fd> pidfd = open_process(process.pid);
  // The descriptor is taken first: if the record holds now, it holds for the signal as well.
  if (!pidfd || !is_alive(process)) return;
  ::syscall(SYS_pidfd_send_signal, pidfd->get(), signal_number, nullptr, 0);
}

std::vector<ProcessId> wait_for_end(std::vector<ProcessId> processes, Duration limit) {
  const BootTime until = boot_now() + limit;
  for (const auto& process : processes) {
    const Result<Fd> pidfd = open_process(process.pid);
    if (!pidfd || !is_alive(process)) continue;
    while (true) {
      const auto left_ms = (until - boot_now()).ns / 1'000'000;
      if (left_ms <= 0) break;
      pollfd poll{.fd = pidfd->get(), .events = POLLIN, .revents = 0};
      const int ready = ::poll(&poll, 1, static_cast<int>(std::min<std::int64_t>(left_ms, 60'000)));
      if (ready > 0 || (ready < 0 && errno != EINTR)) break;
    }
  }
  std::erase_if(processes, [](const ProcessId& process) { return !is_alive(process); });
  return processes;
}

std::vector<ProcessId> terminate(std::vector<ProcessId> processes, Duration grace) {
  if (grace > Duration{}) {
    for (const auto& process : processes) send_signal(process, SIGTERM);
    processes = wait_for_end(std::move(processes), grace);
  }
  for (const auto& process : processes) send_signal(process, SIGKILL);
  return wait_for_end(std::move(processes), seconds(5));
}

}  // namespace gangway::one_machine
