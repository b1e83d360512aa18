#include "executor/processes.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "queues/base/text.hpp"

namespace gangway::executor {

Result<std::string> read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!(file >> id)) {
    return Error(ErrorKind::Unsupported, "read /proc/sys/kernel/random/boot_id: is /proc mounted?");
  }
  return id;
}

std::optional<std::uint64_t> find_start_time(pid_t pid) {
  std::ifstream file(cat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // "pid (name) state ppid …": the name may hold anything, also ')'. The start time is field 22.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) {
    if (!(fields >> field)) return std::nullopt;
    if (number == 3 && (field == "Z" || field == "X")) return std::nullopt;  // over, not reaped
  }
  return parse_integer<std::uint64_t>(field);
}

Result<Fd> open_process(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return errno_error(cat("open process ", pid), errno);
  return fd;
}

Result<std::string> find_program(const std::string& name) {
  std::vector<std::string> places;
  if (const char* given = std::getenv("GANGWAY_LIBEXEC"); given != nullptr && *given != '\0') {
    places.emplace_back(given);
  }
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length > 0) {
    const std::string path(self, static_cast<std::size_t>(length));
    const std::string directory = path.substr(0, path.rfind('/'));
    places.push_back(directory);
    places.push_back(directory + "/../libexec/gangway");
  }
  for (const std::string& place : places) {
    std::string path = cat(place, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error(ErrorKind::NotFound, cat("no program ", name, " in ", join(places, ", ")));
}

}  // namespace gangway::executor
