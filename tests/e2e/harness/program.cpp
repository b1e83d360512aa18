#include "tests/e2e/harness/program.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::e2e {
namespace {

BootTime boot_now() { return SystemClock().now().boot; }

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    int ends[2];
    CHECK(::pipe2(ends, O_CLOEXEC) == 0);
    read = ends[0];
    write = ends[1];
  }
};

[[noreturn]] void fail(const char* what) {
  const std::string text = cat("cannot ", what, ": errno ", errno, "\n");
  const ssize_t ignored = ::write(2, text.data(), text.size());
  static_cast<void>(ignored);
  ::_exit(126);
}

[[noreturn]] void become(
    const std::vector<std::string>& argv, const RunOptions& options, int in, int out, int err) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (options.user) {
    if (::setgroups(0, nullptr) != 0) fail("drop supplementary groups");
    if (::setresgid(options.user->gid, options.user->gid, options.user->gid) != 0) fail("set gid");
    if (::setresuid(options.user->uid, options.user->uid, options.user->uid) != 0) fail("set uid");
  }
  if (::chdir(options.directory.c_str()) != 0) fail("change directory");
  std::vector<std::string> environment;
  for (const auto& [name, value] : options.env) environment.push_back(name + "=" + value);
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::vector<char*> variables;
  for (auto& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  const auto path = options.env.find("PATH");
  ::setenv("PATH",
           path == options.env.end() ? "/usr/sbin:/usr/bin:/sbin:/bin" : path->second.c_str(), 1);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(words[0], words.data(), variables.data());
  fail("execute the program");
}

// All of it at once, into a file in memory: nobody has to feed the program while it runs.
int input_file(const std::string& text) {
  const int fd = static_cast<int>(::syscall(SYS_memfd_create, "input", 1U));
  CHECK(fd >= 0);
  CHECK(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  CHECK(::lseek(fd, 0, SEEK_SET) == 0);
  return fd;
}

}  // namespace

Background::Background(const std::vector<std::string>& argv, const RunOptions& options)
    : limit_(options.limit), started_(boot_now()) {
  CHECK(!argv.empty());
  const int in = input_file(options.input);
  const Pipe out;
  const Pipe err;
  pid_ = ::fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) become(argv, options, in, out.write, err.write);
  ::close(in);
  ::close(out.write);
  ::close(err.write);
  out_ = out.read;
  err_ = err.read;
}

Background::Background(Background&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      limit_(other.limit_),
      started_(other.started_) {}

Background::~Background() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait(seconds(5));
  }
}

Ran Background::finish() { return wait(limit_); }

Ran Background::wait(Duration limit) {
  CHECK(pid_ > 0);
  Ran ran;
  const BootTime until = boot_now() + limit;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  std::array<pollfd, 3> polls{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0},
                              pollfd{pidfd, POLLIN, 0}};
  std::array<std::string*, 2> texts{&ran.out, &ran.err};
  bool ended = false;
  // Its end counts, not the end of its streams: something it started may keep them.
  while (!ended || polls[0].fd >= 0 || polls[1].fd >= 0) {
    const auto left = std::max<std::int64_t>(0, (until - boot_now()).ns / 1'000'000);
    const int ready = ::poll(polls.data(), polls.size(), ended ? 200 : static_cast<int>(left));
    if (ready == 0) {
      if (ended) break;
      ran.timed_out = true;
      ::kill(pid_, SIGKILL);
      break;
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (polls[i].fd < 0 || polls[i].revents == 0) continue;
      char buffer[8192];
      const ssize_t got = ::read(polls[i].fd, buffer, sizeof buffer);
      if (got > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        polls[i].fd = -1;
      }
    }
    if (polls[2].revents != 0) {
      ended = true;
      polls[2].fd = -1;
    }
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.took = boot_now() - started_;
  ::close(pidfd);
  ::close(std::exchange(out_, -1));
  ::close(std::exchange(err_, -1));
  pid_ = -1;
  return ran;
}

Ran run(const std::vector<std::string>& argv, const RunOptions& options) {
  return Background(argv, options).finish();
}

}  // namespace gangway::e2e
