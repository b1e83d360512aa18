#include "executor/launcher.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "executor/spare_shepherd.hpp"
#include "executor/spool.hpp"
#include "queues/base/log.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

extern "C" char** environ;

namespace gangway::executor {

namespace {

constexpr std::size_t kMaxPacket = 128 << 10;  // below the kernel's default bound of a packet
constexpr int kMaxGroups = 16 << 10;
constexpr std::ptrdiff_t kMaxLookUps = 16;  // at once; more wait
constexpr unsigned kLookUpSeconds = 60;     // then it is over, without an answer
constexpr int kQuietMs = 10;                // nobody has asked for anything: time for chores
constexpr int kRemoverNice = 10;            // nobody waits for what is removed

// 0 or an errno.
int send_packet(int socket, const std::string& bytes, int flags) {
  while (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// ---- in the launcher's process -----------------------------------------------------------------

// With `orders` it waits there for its attempt (spare_shepherd.hpp).
Result<pid_t> start_program(std::string program, std::vector<std::string> arguments, int orders) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  if (orders >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, orders, 0);
  } else {
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  }
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
  std::vector<char*> argv{program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return errno_error(cat("start ", program), failed);
  return pid;
}

// Which file a path leads to: an update in place is another program.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t changed_s = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity identify(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_ctim.tv_sec};
}

// Removes directories in a thread of its own, one after the other: they may be large, and a child
// would cost more than most of them do.
class Remover {
 public:
  ~Remover() { finish(); }
  void add(std::string path);
  void finish();  // all that was added is gone

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> paths_;  // by mutex_
  bool ending_ = false;            // by mutex_
  std::thread thread_;             // from the first path on
};

void Remover::add(std::string path) {
  {
    const std::lock_guard lock(mutex_);
    paths_.push_back(std::move(path));
  }
  changed_.notify_one();
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Remover::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Remover::run() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kRemoverNice);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !paths_.empty(); });
    if (paths_.empty()) return;
    const std::string path = std::move(paths_.front());
    paths_.pop_front();
    lock.unlock();
    if (const Result<void> removed = remove_directory(path); !removed) {
      log_warning("spool_remove_failed", {{"why", removed.error().message()}});
    }
    lock.lock();
  }
}

class Launcher {
 public:
  Launcher(int socket, FindUser find, Spares spares)
      : socket_(socket), find_(find), spares_(spares), packet_(kMaxPacket) {}
  [[noreturn]] void run();

 private:
  // A process that asks the user database, which may take its time, for all who want to know of the
  // same uid meanwhile.
  struct LookUp {
    pid_t pid = 0;
    Fd answer;  // its end tells that all has come
    std::string bytes;
    std::vector<std::uint64_t> asked;
  };

  // A shepherd that has begun and waits to be told what for. It has seen no job.
  struct Spare {
    pid_t pid = 0;
    std::string program;
    FileIdentity file;
    Fd orders;
  };

  [[noreturn]] void end();
  void reap();
  void take_request();
  wire::FromLauncher spawn(const wire::ToLauncher& request);
  std::optional<pid_t> use_spare(const wire::SpawnShepherd& what);
  void start_spare();
  void look_up(std::uint32_t uid, std::uint64_t id);
  void begin_look_up(std::uint32_t uid);
  void take_answer(std::uint32_t uid);
  void end_look_up(std::uint32_t uid, wire::FromLauncher reply);
  void say(const wire::FromLauncher& message) {
    if (send_packet(socket_, message.SerializeAsString(), 0) != 0) end();  // jexecd is gone
  }

  int socket_;
  FindUser find_;
  Spares spares_;
  std::optional<Spare> spare_;
  std::string spare_for_;  // the program that one is to be started of; "": of none
  std::vector<char> packet_;
  std::map<std::uint32_t, LookUp> look_ups_;  // by uid; one without a process waits for its turn
  std::set<pid_t> lookers_;                   // until they are reaped
  Remover remover_;
};

void Launcher::run() {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) ::_exit(71);
  for (;;) {
    std::vector<pollfd> ready{pollfd{socket_, POLLIN, 0}, pollfd{signals, POLLIN, 0}};
    std::vector<std::uint32_t> asked_for;
    for (const auto& [uid, one] : look_ups_) {
      if (one.pid == 0) continue;
      ready.push_back({one.answer.get(), POLLIN, 0});
      asked_for.push_back(uid);
    }
    const int polled = ::poll(ready.data(), ready.size(), spare_for_.empty() ? -1 : kQuietMs);
    if (polled < 0) {
      if (errno == EINTR) continue;
      ::_exit(71);
    }
    if (polled == 0) start_spare();
    if (ready[1].revents != 0) {
      signalfd_siginfo ignored{};
      while (::read(signals, &ignored, sizeof ignored) > 0) {
      }
      // Before the next request: so an answer goes out before a notice of the same process can.
      reap();
    }
    for (std::size_t i = 0; i < asked_for.size(); ++i) {
      if (ready[i + 2].revents != 0) take_answer(asked_for[i]);
    }
    if (ready[0].revents != 0) take_request();
  }
}

// What is to be removed is, also when jexecd is gone; the spare has never begun.
void Launcher::end() {
  if (spare_) {
    ::kill(spare_->pid, SIGKILL);
    ::waitpid(spare_->pid, nullptr, 0);
  }
  remover_.finish();
  ::_exit(0);
}

// Who asks for a shepherd often asks for the next at once: the spare does not stand in its way.
void Launcher::start_spare() {
  const std::string program = std::exchange(spare_for_, {});
  if (spare_) return;
  Result<Pipe> pipe = make_pipe();
  if (!pipe) return;  // the next shepherd begins when it is asked for
  const FileIdentity file = identify(program);
  const Result<pid_t> pid = start_program(
      program, {std::string(kSpareWord), std::string(kMaxSpareDirectory, ' ')}, pipe->read.get());
  if (pid) spare_ = Spare{*pid, program, file, std::move(pipe->write)};
}

std::optional<pid_t> Launcher::use_spare(const wire::SpawnShepherd& what) {
  if (!spare_) return std::nullopt;
  const Spare spare = *std::exchange(spare_, std::nullopt);
  const std::string line = what.directory() + "\n";
  const bool fits = spare.program == what.program() && spare.file == identify(what.program()) &&
                    what.directory().size() < kMaxSpareDirectory;
  if (fits &&
      ::write(spare.orders.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size())) {
    return spare.pid;
  }
  lookers_.insert(spare.pid);  // it ends with its pipe, and nobody is told
  return std::nullopt;
}

wire::FromLauncher Launcher::spawn(const wire::ToLauncher& request) {
  wire::FromLauncher reply;
  reply.set_id(request.id());
  const wire::SpawnShepherd& what = request.spawn();
  Result<pid_t> pid = Error(ErrorKind::Internal, "");
  if (const std::optional<pid_t> spare = use_spare(what)) {
    pid = *spare;
  } else {
    pid = start_program(what.program(), {what.directory()}, /*orders=*/-1);
  }
  if (pid) {
    reply.set_spawned(*pid);
    if (spares_ == Spares::Keep) spare_for_ = what.program();
  } else {
    wire::to_wire(pid.error(), reply.mutable_error());
  }
  return reply;
}

void Launcher::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (lookers_.erase(pid) > 0) continue;  // its answer has come, or its silence
    if (spare_ && pid == spare_->pid) {
      spare_.reset();
      continue;
    }
    wire::FromLauncher notice;
    notice.mutable_ended()->set_pid(pid);
    notice.mutable_ended()->set_wait_status(status);
    say(notice);
  }
}

void Launcher::take_request() {
  const ssize_t got = ::recv(socket_, packet_.data(), packet_.size(), 0);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) end();
  wire::ToLauncher request;
  if (!request.ParseFromArray(packet_.data(), static_cast<int>(got))) ::_exit(70);
  if (request.has_remove()) {
    remover_.add(request.remove().path());
  } else if (request.has_find_user()) {
    look_up(request.find_user().uid(), request.id());
  } else if (request.has_spawn()) {
    say(spawn(request));
  } else {
    wire::FromLauncher reply;
    reply.set_id(request.id());
    say(reply);
  }
}

void Launcher::look_up(std::uint32_t uid, std::uint64_t id) {
  look_ups_[uid].asked.push_back(id);
  begin_look_up(uid);
}

void Launcher::begin_look_up(std::uint32_t uid) {
  LookUp& one = look_ups_[uid];
  const auto is_running = [](const auto& entry) { return entry.second.pid != 0; };
  if (one.pid != 0 || std::ranges::count_if(look_ups_, is_running) >= kMaxLookUps) return;
  Result<Pipe> pipe = make_pipe();
  const pid_t pid = pipe ? ::fork() : -1;
  if (pid == 0) {
    ::close(socket_);  // jexecd is to see our parent's end
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::alarm(kLookUpSeconds);
    wire::FromLauncher reply;
    const Result<wire::UserRecord> user = find_(uid);
    if (user) {
      *reply.mutable_user() = *user;
    } else {
      wire::to_wire(user.error(), reply.mutable_error());
    }
    const std::string bytes = reply.SerializeAsString();
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t written = ::write(pipe->write.get(), bytes.data() + done, bytes.size() - done);
      if (written < 0 && errno != EINTR) ::_exit(1);
      done += static_cast<std::size_t>(std::max<ssize_t>(written, 0));
    }
    ::_exit(0);
  }
  if (pid < 0) {
    wire::FromLauncher reply;
    wire::to_wire(errno_error(cat("look up uid ", uid), errno), reply.mutable_error());
    return end_look_up(uid, std::move(reply));
  }
  lookers_.insert(pid);
  one.pid = pid;
  one.answer = std::move(pipe->read);
}

void Launcher::take_answer(std::uint32_t uid) {
  LookUp& one = look_ups_.at(uid);
  char block[4096];
  const ssize_t got = ::read(one.answer.get(), block, sizeof block);
  if (got < 0 && errno == EINTR) return;
  if (got > 0) {
    one.bytes.append(block, static_cast<std::size_t>(got));
    return;
  }
  wire::FromLauncher reply;
  if (one.bytes.empty() || !reply.ParseFromString(one.bytes)) {
    reply.Clear();
    wire::to_wire(Error(ErrorKind::Unavailable, cat("look up uid ", uid, ": no answer")),
                  reply.mutable_error());
  }
  end_look_up(uid, std::move(reply));
}

void Launcher::end_look_up(std::uint32_t uid, wire::FromLauncher reply) {
  const LookUp ended = std::move(look_ups_.extract(uid).mapped());
  for (const std::uint64_t id : ended.asked) {
    reply.set_id(id);
    say(reply);
  }
  for (const auto& [next, one] : look_ups_) {
    if (one.pid == 0) return begin_look_up(next);
  }
}

[[noreturn]] void run_launcher(int socket, FindUser find, Spares spares) {
  ::prctl(PR_SET_NAME, "jexecd-launch");
  // jexecd's end is our end, not a key press in its terminal or a signal to its group.
  sigset_t blocked;
  ::sigfillset(&blocked);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  Launcher(socket, find, spares).run();
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

Result<LauncherProcess> fork_launcher(FindUser find, Spares spares) {
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
    run_launcher(theirs.get(), find, spares);
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
  if (writable_) loop_.unwatch(*writable_);
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
  unsent_.push_back(message.SerializeAsString());
  send_what_waits();
}

void LauncherLink::ask(wire::ToLauncher message, Then then) {
  const std::uint64_t id = next_id_++;
  message.set_id(id);
  waiting_.emplace(id, std::move(then));
  if (lost_) {
    loop_.post([this] { lose(Error(ErrorKind::Unavailable, "the launcher is gone")); });
    return;
  }
  unsent_.push_back(message.SerializeAsString());
  send_what_waits();
}

// In order; a socket that is full takes more when the launcher has read.
void LauncherLink::send_what_waits() {
  while (!unsent_.empty() && !lost_) {
    const int failed = send_packet(socket_.get(), unsent_.front(), MSG_DONTWAIT);
    if (failed == EAGAIN) {
      if (!writable_) {
        writable_ = loop_.watch_writable(socket_.get(), [this] { send_what_waits(); });
      }
      return;
    }
    if (failed != 0) {
      loop_.post([this, failed] { lose(errno_error("send to the launcher", failed)); });
      break;
    }
    unsent_.pop_front();
  }
  if (writable_) loop_.unwatch(*std::exchange(writable_, std::nullopt));
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
    unsent_.clear();
  }
  wire::FromLauncher reply;
  wire::to_wire(why, reply.mutable_error());
  for (auto& [id, then] : std::exchange(waiting_, {})) then(reply);
  if (first) on_lost_(why);
}

}  // namespace gangway::executor
