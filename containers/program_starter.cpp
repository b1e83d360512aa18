#include "containers/program_starter.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>

#include "containers/init_protocol.hpp"
#include "containers/linkage.hpp"
#include "containers/program_exec.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// The parent's pid in /proc/<pid>/stat; -1 if the process is gone.
int parent_of(const std::string& pid) {
  const std::string path = cat("/proc/", pid, "/stat");
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return -1;
  char text[1024];
  const ssize_t got = read(fd.get(), text, sizeof text);
  if (got <= 0) return -1;
  std::string_view rest(text, static_cast<std::size_t>(got));
  // The name may contain anything, also ')': the last one ends it.
  const std::size_t name_end = rest.rfind(')');
  if (name_end == std::string_view::npos) return -1;
  const auto fields = split(rest.substr(name_end + 1), ' ');  // "", state, ppid, …
  return fields.size() > 2 ? parse_integer<int>(fields[2]).value_or(-1) : -1;
}

class Starter {
 public:
  Starter(Fd socket, StarterOptions options)
      : socket_(std::move(socket)), options_(std::move(options)) {}

  [[noreturn]] void run() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    const Fd child_ends(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!child_ends) _exit(70);
    while (true) {
      pollfd watched[2] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                           {.fd = child_ends.get(), .events = POLLIN, .revents = 0}};
      if (poll(watched, 2, -1) < 0 && errno != EINTR) _exit(70);
      if (watched[1].revents != 0) {
        signalfd_siginfo ignored[16];
        while (read(child_ends.get(), ignored, sizeof ignored) > 0) {
        }
        reap_all();
      }
      if (watched[0].revents != 0) take_order();
    }
  }

 private:
  struct Running {
    std::uint32_t id = 0;
    Fd reason;  // what exec_program() had to say, if it failed
  };

  void take_order() {
    Result<std::optional<Packet>> received = receive_packet(socket_.get(), /*wait=*/false);
    if (!received) _exit(70);
    if (!received.value()) return;
    Packet packet = *std::move(received.value());
    if (packet.bytes.empty()) end();
    const Result<InitOrder> order = decode_order(packet.bytes);
    if (!order) _exit(70);
    std::visit(overloaded{[&](const StartOrder&) { start(packet.fds); },
                          [&](const SignalOrder& signal) { send_signal(signal); },
                          [&](const PauseOrder& pausing) { pause(pausing); }},
               *order);
  }

  // The shepherd is gone, or has no more use for us. What an init started ends with it; another
  // starter takes its programs with it and reaps them: left to the node's first process, which may
  // take its time, they would keep the sandbox's process namespace from going.
  [[noreturn]] void end() {
    if (options_.sweep) _exit(0);
    for (const auto& [pid, program] : running_) {
      kill(-pid, SIGKILL);
      kill(pid, SIGKILL);
    }
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    _exit(0);
  }

  void report(const InitReport& what) {
    if (!send_packet(socket_.get(), encode_report(what), {}, /*wait=*/true)) _exit(0);
  }

  void start(const std::vector<Fd>& fds) {
    if (fds.empty()) _exit(70);
    const Result<std::string> bytes = read_memory_file(fds.front().get());
    if (!bytes) _exit(70);
    const Result<std::vector<ProgramOrder>> programs = decode_programs(*bytes);
    if (!programs) _exit(70);
    for (const ProgramOrder& program : *programs) {
      if (auto started = start_one(program, fds); !started) {
        ProgramOver over{.id = program.id, .started = false};
        over.message = started.error().message();
        report(over);
      }
    }
  }

  Result<void> start_one(const ProgramOrder& program, const std::vector<Fd>& fds) {
    const auto at = [&](int index) {
      // The first descriptor is the list of programs itself.
      const auto place = static_cast<std::size_t>(index) + 1;
      return index >= 0 && place < fds.size() ? fds[place].get() : -1;
    };
    int reason[2];
    if (pipe2(reason, O_CLOEXEC) != 0) return errno_error("start program", errno);
    Fd reason_in(reason[0]);
    const Fd reason_out(reason[1]);
    ProgramArguments arguments(program.argv, program.env);
    // A child that uses our memory until its exec costs a fraction of one with a copy. It may if
    // all that it does is to exec: no terminal to make, no rights to give up, not to be hidden.
    const bool shares_memory =
        options_.sweep && !options_.before_exec && !program.only_inspect && program.terminal < 0;
    // NOLINTNEXTLINE(clang-analyzer-unix.Vfork, clang-analyzer-security.insecureAPI.vfork)
    const pid_t pid = shares_memory ? vfork() : fork();
    if (pid < 0) return errno_error("start program", errno);
    // NOLINTNEXTLINE(clang-analyzer-unix.Vfork): it leaves its frame by exec or exit
    if (pid == 0) become_program(program, arguments, at, reason_out.get());
    running_.emplace(pid, Running{program.id, std::move(reason_in)});
    return {};
  }

  // Of what the child shares with us, nothing but the stack below our frame is touched.
  template <typename At>
  [[noreturn, gnu::noinline]] void become_program(const ProgramOrder& program,
                                                  ProgramArguments& arguments,
                                                  const At& at,
                                                  int reason) {
    // exec_program() moves descriptors about, below 10.
    const int out = fcntl(reason, F_DUPFD_CLOEXEC, 10);
    {
      const Error error = try_to_become(program, arguments, at);
      const std::string& message = error.message();
      [[maybe_unused]] const ssize_t written = write(out, message.data(), message.size());
    }
    _exit(127);
  }

  template <typename At>
  Error try_to_become(const ProgramOrder& program, ProgramArguments& arguments, const At& at) {
    if (options_.before_exec) {
      if (auto prepared = options_.before_exec(); !prepared) return prepared.error();
    }
    if (program.only_inspect) {
      // As the program will see it; a directory that is missing is the program's failure, later.
      [[maybe_unused]] const int changed = chdir(program.workdir.c_str());
      const std::string names =
          join(find_linked_libraries(program.argv.empty() ? "" : program.argv.front(), program.env),
               "\n");
      [[maybe_unused]] const ssize_t written =
          write(at(program.inherit), names.data(), names.size());
      _exit(0);
    }
    return exec_program({.arguments = arguments,
                         .workdir = program.workdir,
                         .cores = program.cores,
                         .umask = program.umask,
                         .in = at(program.in),
                         .out = at(program.out),
                         .err = at(program.err),
                         .inherit = at(program.inherit),
                         .terminal = at(program.terminal),
                         // Ours, with the node's directories: the job must not look into them.
                         .hidden = !options_.sweep});
  }

  // What it and the children it waited for have read from and written to storage; of a process
  // that has ended and is not reaped yet.
  static void read_io(pid_t pid, ProgramOver& over) {
    const std::string path = cat("/proc/", pid, "/io");
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return;
    char text[512];
    const ssize_t got = read(fd.get(), text, sizeof text);
    if (got <= 0) return;
    for (const std::string_view line :
         split(std::string_view(text, static_cast<std::size_t>(got)), '\n')) {
      const auto value = [&](std::string_view name) {
        return line.starts_with(name) ? parse_integer<std::int64_t>(line.substr(name.size()))
                                      : std::nullopt;
      };
      if (const auto bytes = value("read_bytes: ")) over.read = Bytes{*bytes};
      if (const auto bytes = value("write_bytes: ")) over.written = Bytes{*bytes};
    }
  }

  void reap_all() {
    while (true) {
      int status = 0;
      siginfo_t ended{};
      if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
      ProgramOver over;
      if (running_.contains(ended.si_pid)) read_io(ended.si_pid, over);
      rusage usage{};
      const pid_t pid = wait4(ended.si_pid, &status, WNOHANG, &usage);
      if (pid <= 0) return;
      const auto found = running_.find(pid);
      if (found == running_.end()) continue;  // an orphan that came to us
      over.id = found->second.id;
      over.wait_status = status;
      char message[4096];
      fcntl(found->second.reason.get(), F_SETFL, O_NONBLOCK);
      const ssize_t got = read(found->second.reason.get(), message, sizeof message);
      if (got > 0) {
        over.started = false;
        over.message.assign(message, static_cast<std::size_t>(got));
      }
      running_.erase(found);
      over.cpu = seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
      over.peak_memory = kibibytes(usage.ru_maxrss);
      report(over);
    }
  }

  // One sweep under the kernel's lock, as with KILL: no fork gets away. It takes the PMIx server
  // with it, as a freezer does: its ranks stand still too. A process in an uninterruptible wait
  // stops before it runs another instruction.
  void pause(const PauseOrder& order) {
    if (options_.sweep) kill(-1, order.on ? SIGSTOP : SIGCONT);
    report(PauseDone{order.number});
  }

  void send_signal(const SignalOrder& order) {
    if (order.id && !order.others) {
      for (const auto& [pid, program] : running_) {
        // Its session, so that what it started in the foreground gets it as well.
        if (program.id != *order.id) continue;
        // Not a session yet if it was started a moment ago.
        if (kill(-pid, order.number) != 0) kill(pid, order.number);
      }
      return;
    }
    if (!options_.sweep) {
      if (order.number != SIGKILL) return;
      for (const auto& [pid, program] : running_) {
        if (kill(-pid, SIGKILL) != 0) kill(pid, SIGKILL);
      }
      return;
    }
    if (order.number == SIGKILL) {
      kill(-1, SIGKILL);  // one sweep under the kernel's lock: no fork gets away
      return;
    }
    // Processes whose parent is outside of this process namespace are the shepherd's own (the PMIx
    // server): they outlast the polite signals that are meant for the job.
    DIR* directory = opendir("/proc");
    if (directory == nullptr) {
      kill(-1, order.number);
      return;
    }
    while (const dirent* entry = readdir(directory)) {
      const std::optional<int> pid = parse_integer<int>(entry->d_name);
      if (!pid || *pid <= 1 || parent_of(entry->d_name) == 0) continue;
      const auto program = running_.find(*pid);
      if (order.others && program != running_.end() && program->second.id == order.id) continue;
      kill(*pid, order.number);
    }
    closedir(directory);
  }

  Fd socket_;
  StarterOptions options_;
  std::map<pid_t, Running> running_;
};

}  // namespace

void run_program_starter(Fd socket, StarterOptions options) {
  Starter(std::move(socket), std::move(options)).run();
}

}  // namespace gangway::containers
