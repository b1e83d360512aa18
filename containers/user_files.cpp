#include "containers/user_files.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "containers/init_protocol.hpp"
#include "containers/program_exec.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

int open_flags(UserFile::Mode mode) {
  switch (mode) {
    case UserFile::Mode::Read:
      return O_RDONLY;
    case UserFile::Mode::Append:
      return O_WRONLY | O_CREAT | O_APPEND;
    case UserFile::Mode::Truncate:
      return O_WRONLY | O_CREAT | O_APPEND | O_TRUNC;
  }
  CHECK(false);
}

std::string_view verb(UserFile::Mode mode) {
  return mode == UserFile::Mode::Read ? "open" : "open for writing";
}

Result<void> open_and_send(int socket,
                           const Credentials& user,
                           const std::vector<UserFile>& files) {
  GANGWAY_TRY(become(user));
  GANGWAY_TRY(set_parent_death_signal());
  GANGWAY_TRY(set_no_new_privileges());
  std::vector<Fd> batch;
  std::vector<int> numbers;
  const auto flush = [&]() -> Result<void> {
    if (numbers.empty()) return {};
    GANGWAY_TRY(send_packet(socket, "+", numbers, /*wait=*/true));
    batch.clear();
    numbers.clear();
    return {};
  };
  for (const UserFile& file : files) {
    Fd fd(open(file.path.c_str(), open_flags(file.mode) | O_CLOEXEC | O_NOCTTY, 0666));
    if (!fd) return errno_error(cat(verb(file.mode), " ", file.path), errno);
    struct stat status {};
    if (fstat(fd.get(), &status) != 0 || S_ISDIR(status.st_mode)) {
      return errno_error(cat(verb(file.mode), " ", file.path), EISDIR);
    }
    numbers.push_back(fd.get());
    batch.push_back(std::move(fd));
    if (numbers.size() == kMaxPacketFds) GANGWAY_TRY(flush());
  }
  return flush();
}

[[noreturn]] void run_opener(int socket,
                             const Credentials& user,
                             const std::vector<UserFile>& files,
                             mode_t mask) {
  reset_signals();
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  umask(mask);
  // Away with everything that names like /dev/fd/3 could reach. 0, 1, 2 become /dev/null.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2; ++fd) dup2(null, fd);
  Result<void> result = close_from(3, {socket});
  if (result) result = open_and_send(socket, user, files);
  if (!result) {
    const std::string report = encode_report(SetUpFailed{result.error()});
    [[maybe_unused]] const Result<void> sent =
        send_packet(socket, cat("-", report), {}, /*wait=*/true);
  }
  _exit(result ? 0 : 1);
}

}  // namespace

Result<FileOpener> spawn_file_opener(const Credentials& user,
                                     const std::vector<UserFile>& files,
                                     mode_t umask) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("make socket pair", errno);
  }
  Fd ours(pair[0]);
  const Fd theirs(pair[1]);
  const pid_t pid = fork();
  if (pid < 0) return errno_error("fork", errno);
  if (pid == 0) run_opener(theirs.get(), user, files, umask);
  return FileOpener{pid, std::move(ours)};
}

Result<bool> OpenedFiles::take(int socket) {
  while (fds_.size() < expected_) {
    GANGWAY_ASSIGN(std::optional<Packet> packet, receive_packet(socket, /*wait=*/false));
    if (!packet) return false;
    const std::string_view bytes = packet->bytes;
    if (bytes.starts_with('-')) {
      GANGWAY_ASSIGN(const InitReport report, decode_report(bytes.substr(1)));
      if (const auto* failed = std::get_if<SetUpFailed>(&report)) return failed->error;
    }
    if (bytes != "+") return Error(ErrorKind::Internal, "file opener ended without an answer");
    for (Fd& fd : packet->fds) fds_.push_back(std::move(fd));
  }
  return fds_.size() == expected_;
}

}  // namespace gangway::containers
