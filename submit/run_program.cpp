#include "submit/run_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "queues/base/check.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

extern char** environ;

namespace gangway::submit {
namespace {

// Both streams at once: a program that fills one while we wait for the other would never end.
void read_both(std::array<Fd, 2> pipes, std::array<std::string*, 2> texts) {
  while (pipes[0] || pipes[1]) {
    std::array<pollfd, 2> wait{pollfd{.fd = pipes[0].get(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = pipes[1].get(), .events = POLLIN, .revents = 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (!pipes[i] || wait[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(pipes[i].get(), buffer, sizeof buffer);
      if (got > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        pipes[i].reset();
      }
    }
  }
}

}  // namespace

Result<RanProgram> run_program(const std::vector<std::string>& argv) {
  CHECK(!argv.empty());
  GANGWAY_ASSIGN(Pipe out, make_pipe());
  GANGWAY_ASSIGN(Pipe err, make_pipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return errno_error(cat("start ", argv[0]), failed);

  out.write.reset();
  err.write.reset();
  RanProgram ran;
  read_both({std::move(out.read), std::move(err.read)}, {&ran.out, &ran.err});
  pid_t ended = 0;
  while ((ended = ::waitpid(pid, &ran.wait_status, 0)) < 0 && errno == EINTR) {
  }
  // Without its status (whoever has taken it) nothing is known of how it went.
  if (ended != pid) return errno_error(cat("wait for ", argv[0]), errno);
  return ran;
}

}  // namespace gangway::submit
