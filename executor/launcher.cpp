#include "executor/launcher.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "executor/spool.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

extern "C" char** environ;

namespace gangway::executor {

namespace {

constexpr std::size_t kMaxPacket = 128 << 10;  // below the kernel's default bound of a packet
constexpr int kMaxGroups = 16 << 10;

Result<void> send_packet(int socket, const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  for (;;) {
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return errno_error("send to the launcher", errno);
  }
}

// ---- in the launcher's process -----------------------------------------------------------------

Result<pid_t> spawn_shepherd(const wire::SpawnShepherd& what) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  // Descriptor 2 stays: the shepherd's log goes where jexecd's does.
  ::posix_spawn_file_actions_addchdir_np(&actions, "/");
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = what.program();
  std::string directory = what.directory();
  std::array<char*, 3> argv{program.data(), directory.data(), nullptr};
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return errno_error(cat("start ", what.program()), failed);
  return pid;
}

wire::FromLauncher answer(const wire::ToLauncher& request) {
  wire::FromLauncher reply;
  reply.set_id(request.id());
  if (request.has_spawn()) {
    const Result<pid_t> pid = spawn_shepherd(request.spawn());
    if (pid) {
      reply.set_spawned(*pid);
    } else {
      wire::to_wire(pid.error(), reply.mutable_error());
    }
  } else if (request.has_find_user()) {
    const Result<wire::UserRecord> user = find_user(request.find_user().uid());
    if (user) {
      *reply.mutable_user() = *user;
    } else {
      wire::to_wire(user.error(), reply.mutable_error());
    }
  }
  return reply;
}

class Launcher {
 public:
  explicit Launcher(int socket) : socket_(socket), packet_(kMaxPacket) {}
  [[noreturn]] void run();

 private:
  void reap();
  void take_request();
  void start_remover();

  int socket_;
  std::vector<char> packet_;
  std::vector<std::string> to_remove_;
  pid_t remover_ = 0;
};

void Launcher::run() {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) ::_exit(71);
  for (;;) {
    std::array<pollfd, 2> ready{pollfd{socket_, POLLIN, 0}, pollfd{signals, POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0) {
      if (errno == EINTR) continue;
      ::_exit(71);
    }
    if (ready[1].revents != 0) {
      signalfd_siginfo ignored{};
      while (::read(signals, &ignored, sizeof ignored) > 0) {
      }
      // Before the next request: so an answer goes out before a notice of the same process can.
      reap();
    }
    if (ready[0].revents != 0) take_request();
  }
}

void Launcher::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (pid == remover_) {
      remover_ = 0;
      start_remover();
      continue;
    }
    wire::FromLauncher notice;
    notice.mutable_ended()->set_pid(pid);
    notice.mutable_ended()->set_wait_status(status);
    if (!send_packet(socket_, notice)) ::_exit(0);  // jexecd is gone
  }
}

void Launcher::take_request() {
  const ssize_t got = ::recv(socket_, packet_.data(), packet_.size(), 0);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) ::_exit(0);
  wire::ToLauncher request;
  if (!request.ParseFromArray(packet_.data(), static_cast<int>(got))) ::_exit(70);
  if (request.has_remove()) {
    to_remove_.push_back(request.remove().path());
    start_remover();
  } else if (!send_packet(socket_, answer(request))) {
    ::_exit(0);
  }
}

void Launcher::start_remover() {
  if (remover_ != 0 || to_remove_.empty()) return;
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (const std::string& path : to_remove_) {
      if (const Result<void> removed = remove_directory(path); !removed) {
        log_warning("spool_remove_failed", {{"why", removed.error().message()}});
      }
    }
    ::_exit(0);
  }
  // Without a child they stay until the next request, or the next start of jexecd.
  if (pid < 0) return;
  remover_ = pid;
  to_remove_.clear();
}

[[noreturn]] void run_launcher(int socket) {
  ::prctl(PR_SET_NAME, "jexecd-launch");
  // jexecd's end is our end, not a key press in its terminal or a signal to its group.
  sigset_t blocked;
  ::sigfillset(&blocked);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  Launcher(socket).run();
}

}  // namespace

Result<wire::UserRecord> find_user(std::uint32_t uid) {
  std::vector<char> buffer(4 << 10);
  passwd entry{};
  passwd* found = nullptr;
  int failed = 0;
  do {
    failed = ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
    if (failed == ERANGE) buffer.resize(buffer.size() * 2);
  } while (failed == EINTR || (failed == ERANGE && buffer.size() <= (1 << 20)));
  if (failed != 0 && found == nullptr && failed != ENOENT && failed != ESRCH) {
    return Error(ErrorKind::Unavailable,
                 cat("look up uid ", uid, ": ", std::string_view(std::strerror(failed))));
  }
  if (found == nullptr) {
    return Error(ErrorKind::NotFound, cat("uid ", uid, " is not in this node's user database"));
  }
  wire::UserRecord user;
  user.set_name(found->pw_name);
  user.set_home(found->pw_dir);
  user.set_shell(found->pw_shell);
  user.set_gid(found->pw_gid);
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) {
    count = std::min(count, kMaxGroups);
    groups.resize(static_cast<std::size_t>(count));
    ::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count);
  }
  for (int i = 0; i < count && i < static_cast<int>(groups.size()); ++i) {
    user.add_groups(groups[static_cast<std::size_t>(i)]);
  }
  return user;
}

Result<LauncherProcess> fork_launcher() {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("make the launcher's socket pair", errno);
  }
  LauncherProcess launcher;
  launcher.socket.reset(pair[0]);
  Fd theirs(pair[1]);
  launcher.pid = ::fork();
  if (launcher.pid < 0) return errno_error("fork the launcher", errno);
  if (launcher.pid == 0) {
    launcher.socket.reset();
    run_launcher(theirs.get());
  }
  return launcher;
}

// ---- jexecd's end ------------------------------------------------------------------------------

LauncherLink::LauncherLink(io::EventLoop& loop,
                           Fd socket,
                           OnEnded on_ended,
                           std::function<void(const Error&)> on_lost)
    : loop_(loop),
      socket_(std::move(socket)),
      on_ended_(std::move(on_ended)),
      on_lost_(std::move(on_lost)) {
  watch_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
}

LauncherLink::~LauncherLink() {
  if (!lost_) loop_.unwatch(watch_);
}

void LauncherLink::spawn(const std::string& program,
                         const std::string& directory,
                         std::function<void(Result<pid_t>)> then) {
  wire::ToLauncher message;
  message.mutable_spawn()->set_program(program);
  message.mutable_spawn()->set_directory(directory);
  ask(std::move(message), [then = std::move(then)](const wire::FromLauncher& reply) {
    if (reply.has_error()) {
      then(wire::from_wire(reply.error()));
    } else {
      then(static_cast<pid_t>(reply.spawned()));
    }
  });
}

void LauncherLink::find_user(std::uint32_t uid,
                             std::function<void(Result<wire::UserRecord>)> then) {
  wire::ToLauncher message;
  message.mutable_find_user()->set_uid(uid);
  ask(std::move(message), [then = std::move(then)](const wire::FromLauncher& reply) {
    if (reply.has_error()) {
      then(wire::from_wire(reply.error()));
    } else {
      then(reply.user());
    }
  });
}

void LauncherLink::remove(const std::string& directory) {
  wire::ToLauncher message;
  message.mutable_remove()->set_path(directory);
  if (lost_) return;  // it is found at the next start
  if (const Result<void> sent = send_packet(socket_.get(), message); !sent) {
    loop_.post([this, why = sent.error()] { lose(why); });
  }
}

void LauncherLink::ask(wire::ToLauncher message, Then then) {
  const std::uint64_t id = next_id_++;
  message.set_id(id);
  waiting_.emplace(id, std::move(then));
  if (lost_) {
    loop_.post([this] { lose(Error(ErrorKind::Unavailable, "the launcher is gone")); });
    return;
  }
  // Small packets to a process that does nothing but read them: a full socket is a dead launcher.
  if (const Result<void> sent = send_packet(socket_.get(), message); !sent) {
    loop_.post([this, why = sent.error()] { lose(why); });
  }
}

void LauncherLink::on_readable() {
  std::vector<char> packet(kMaxPacket);
  const ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  wire::FromLauncher message;
  if (got <= 0 || !message.ParseFromArray(packet.data(), static_cast<int>(got))) {
    lose(Error(ErrorKind::Unavailable, "the launcher is gone"));
    return;
  }
  if (message.has_ended()) {
    on_ended_(message.ended().pid(), message.ended().wait_status());
    return;
  }
  const auto asked = waiting_.find(message.id());
  if (asked == waiting_.end()) return;
  const Then then = std::move(asked->second);
  waiting_.erase(asked);
  then(message);
}

void LauncherLink::lose(const Error& why) {
  const bool first = !lost_;
  if (first) {
    lost_ = true;
    loop_.unwatch(watch_);
  }
  wire::FromLauncher reply;
  wire::to_wire(why, reply.mutable_error());
  for (auto& [id, then] : std::exchange(waiting_, {})) then(reply);
  if (first) on_lost_(why);
}

}  // namespace gangway::executor
