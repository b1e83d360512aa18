#include "scheduler/balancer/haproxy.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::balancer {

namespace {

constexpr std::size_t kMaxAnswer = 64 << 20;
constexpr time_t kPatienceSeconds = 2;

// In a session of its own and with ordinary signals, whatever we have blocked. `output`: its stdout
// and stderr, -1: ours.
Result<pid_t> spawn(std::vector<std::string> argv, int output) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_init(&actions);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (output >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, output, 1);
    ::posix_spawn_file_actions_adddup2(&actions, output, 2);
  }
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (std::string& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, words[0], &actions, &attributes, words.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return errno_error(cat("start ", argv[0]), error);
  return pid;
}

// The lines that say what is wrong, without their time.
std::string complaint_of(std::string_view output) {
  for (std::string_view line : split(output, '\n')) {
    const std::size_t alert = line.find("[ALERT]");
    if (alert == std::string_view::npos) continue;
    const std::size_t colon = line.find(" : ", alert);
    return std::string(trim(colon == std::string_view::npos ? line : line.substr(colon + 3)));
  }
  return std::string(trim(output.substr(0, 300)));
}

}  // namespace

Result<void> Haproxy::check(const std::string& file) {
  GANGWAY_ASSIGN(Pipe pipe, make_pipe());
  GANGWAY_ASSIGN(const pid_t pid, spawn({program_, "-c", "-f", file}, pipe.write.get()));
  pipe.write.reset();
  std::string output;
  char buffer[4096];
  constexpr std::size_t kMaxComplaint = 64 << 10;
  while (true) {
    const ssize_t got = ::read(pipe.read.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (output.size() < kMaxComplaint) output.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error(ErrorKind::Invalid, cat("haproxy does not take ", file, ": ", complaint_of(output)));
}

Result<void> Haproxy::check_config(std::string_view text) {
  const std::string candidate = config_file() + ".new";
  GANGWAY_TRY(replace_file(candidate, text, 0600, Durability::UntilReboot));
  Result<void> good = check(candidate);
  ::unlink(candidate.c_str());
  return good;
}

Result<void> Haproxy::write_config(std::string_view text) {
  GANGWAY_TRY(check_config(text));
  return replace_file(config_file(), text, 0600, Durability::OnDisk);
}

Result<pid_t> Haproxy::start() {
  GANGWAY_ASSIGN(
      const pid_t pid,
      spawn({program_, "-W", "-S", cat(socket(), ",mode,600"), "-f", config_file()}, -1));
  // Without it one that hangs could only be found by hand.
  const auto began = find_start_time(pid);
  if (began) {
    static_cast<void>(
        replace_file(pid_file(), cat(pid, " ", *began, "\n"), 0600, Durability::UntilReboot));
  }
  return pid;
}

void Haproxy::end_master() {
  constexpr std::size_t kMaxPidFile = 64;
  const Result<std::string> text = read_small_file(pid_file(), kMaxPidFile);
  if (!text) return;
  const std::vector<std::string_view> words = split(trim(*text), ' ');
  const auto pid = words.size() == 2 ? parse_integer<pid_t>(words[0]) : std::nullopt;
  const auto began = words.size() == 2 ? parse_integer<std::uint64_t>(words[1]) : std::nullopt;
  if (!pid || !began || *pid <= 1) return;
  const Result<Fd> process = open_process(*pid);
  // The number may be another's by now; what is opened stays the same.
  if (!process || find_start_time(*pid) != began) return;
  ::syscall(SYS_pidfd_send_signal, process->get(), SIGKILL, nullptr, 0);
}

Result<void> Haproxy::reload() {
  GANGWAY_TRY(converse("reload"));
  return {};
}

Result<Processes> Haproxy::processes() {
  GANGWAY_ASSIGN(const std::string answer, converse("show proc"));
  const auto found = parse_processes(answer);
  if (!found) return Error(ErrorKind::Unavailable, cat(socket(), ": answers nothing sensible"));
  return *found;
}

Result<std::string> Haproxy::tell(pid_t worker, std::string_view command) {
  return converse(cat("@!", worker, " ", command));
}

Result<std::string> Haproxy::converse(std::string_view command) {
  const std::string path = socket();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(ErrorKind::Invalid, cat(path, ": is too long for a socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto failed = [&] {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED;
    return Error(nobody ? ErrorKind::NotFound : ErrorKind::Unavailable,
                 cat(path, ": ", std::strerror(errno)));
  };
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return failed();
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed();
  }
  const std::string line = cat(command, "\n");
  // One write: a command is far shorter than a socket's buffer.
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return failed();
  }
  ::shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char buffer[16384];
  while (answer.size() < kMaxAnswer) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) break;
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  return answer;
}

bool Haproxy::is_certificate(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const std::int64_t changed =
      std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  Certificate& known = certificates_[file];
  if (known.changed_ns == changed && known.bytes == status.st_size) return known.good;
  const std::string probe = directory_ + "/certificate.cfg";
  const std::string text =
      cat("defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
          "frontend certificate\n  bind 127.0.0.1:1 ssl crt ",
          file, "\n");
  if (!replace_file(probe, text, 0600, Durability::UntilReboot)) return false;
  known = {.changed_ns = changed, .bytes = status.st_size, .good = check(probe).has_value()};
  ::unlink(probe.c_str());
  return known.good;
}

}  // namespace gangway::balancer
