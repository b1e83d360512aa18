#include "submit/one_machine/daemon_start.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "queues/base/fd.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "submit/one_machine/files.hpp"

namespace gangway::one_machine {
namespace {

// What a daemon may learn from the shell it was started in: nothing that could leak into jobs.
std::vector<std::string> daemon_environment() {
  std::vector<std::string> environment{
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : {"LANG", "TZ", "GANGWAY_LIBEXEC", "GANGWAY_SENDMAIL", "ASAN_OPTIONS",
                           "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(cat(name, '=', value));
  }
  return environment;
}

// The child tells through a pipe, closed by exec, what failed.
struct Failure {
  int error = 0;
  char step[60] = {};
};

[[noreturn]] void give_up(int report, const char* step) {
  Failure failure;
  failure.error = errno;
  std::strncpy(failure.step, step, sizeof failure.step - 1);
  const ssize_t ignored = ::write(report, &failure, sizeof failure);
  static_cast<void>(ignored);
  ::_exit(127);
}

struct Prepared {  // all that the child needs, made before fork()
  std::vector<char*> argv;
  std::vector<char*> environment;
  int log = -1;
  int network = -1;
  const std::string* host_name = nullptr;
};

[[noreturn]] void become_daemon(const Prepared& prepared, int report) {
  if (::setsid() < 0) give_up(report, "start a session");
  if (prepared.network >= 0 && ::setns(prepared.network, CLONE_NEWNET) != 0) {
    give_up(report, "enter the network namespace");
  }
  if (!prepared.host_name->empty()) {
    if (::unshare(CLONE_NEWUTS) != 0) give_up(report, "make a host name namespace");
    if (::sethostname(prepared.host_name->data(), prepared.host_name->size()) != 0) {
      give_up(report, "set the host name");
    }
  }
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) give_up(report, "open /dev/null");
  if (::dup2(null, 0) < 0 || ::dup2(prepared.log, 1) < 0 || ::dup2(prepared.log, 2) < 0) {
    give_up(report, "redirect the streams");
  }
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) give_up(report, "close descriptors");
  if (::chdir("/") != 0) give_up(report, "change to /");
  ::umask(022);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < 32; ++number) ::signal(number, SIG_DFL);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  give_up(report, "execute the program");
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (auto& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Result<ProcessId> start_daemon(const DaemonStart& what) {
  const std::string context = cat("start ", what.argv.at(0));
  auto argv = what.argv;
  auto environment = daemon_environment();
  const Fd log(::open(what.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return errno_error(cat(context, ": open ", what.log_file), errno);
  Fd network;
  if (!what.network_namespace.empty()) {
    network.reset(::open(what.network_namespace.c_str(), O_RDONLY | O_CLOEXEC));
    if (!network) return errno_error(cat(context, ": open ", what.network_namespace), errno);
  }
  GANGWAY_ASSIGN(Pipe verdict, make_pipe());

  const Prepared prepared{.argv = pointers(argv),
                          .environment = pointers(environment),
                          .log = log.get(),
                          .network = network.get(),
                          .host_name = &what.host_name};
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error(cat(context, ": fork"), errno);
  if (pid == 0) become_daemon(prepared, verdict.write.get());
  verdict.write.reset();

  Failure failure;
  ssize_t got = 0;
  while ((got = ::read(verdict.read.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (got > 0) {
    ::waitpid(pid, nullptr, 0);
    return errno_error(cat(context, ": ", failure.step), failure.error);
  }
  const auto process = find_process(pid);
  if (!process) return Error(ErrorKind::Internal, cat(context, ": it ended at once"));
  GANGWAY_TRY_CONTEXT(
      replace_file(what.record_file, render_record(*process), 0644, Durability::OnDisk), context);
  return *process;
}

}  // namespace gangway::one_machine
