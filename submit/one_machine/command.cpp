#include "submit/one_machine/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

extern char** environ;

namespace gangway::one_machine {
namespace {

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("make a pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Both streams at once: a program that fills one while we wait for the other would never end.
void read_both(Fd out, Fd err, std::string& out_text, std::string& err_text) {
  std::array<pollfd, 2> polls{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}};
  std::array<std::string*, 2> texts{&out_text, &err_text};
  while (polls[0].fd >= 0 || polls[1].fd >= 0) {
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].fd < 0 || polls[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(polls[i].fd, buffer, sizeof buffer);
      if (got > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        polls[i].fd = -1;
      }
    }
  }
}

}  // namespace

Result<std::string> run_command(const Argv& argv) {
  CHECK(!argv.empty());
  GANGWAY_ASSIGN(Pipe out, make_pipe());
  GANGWAY_ASSIGN(Pipe err, make_pipe());

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return errno_error(cat("start ", argv[0]), failed);

  out.write.reset();
  err.write.reset();
  std::string out_text;
  std::string err_text;
  read_both(std::move(out.read), std::move(err.read), out_text, err_text);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::string why(trim(err_text));
    if (why.empty()) why = cat("wait status ", status);
    return Error(ErrorKind::Internal, cat(join(argv, " "), ": ", why));
  }
  return out_text;
}

Result<std::string> find_program(const std::string& name) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return errno_error("read /proc/self/exe", failed.value());
  const auto here = self.parent_path();
  std::vector<std::filesystem::path> places{here};
  for (const char* sibling : {"bin", "sbin", "libexec/gangway"}) {
    if (auto place = here.parent_path() / sibling; place != here)
      places.push_back(std::move(place));
  }
  if (const char* given = std::getenv("GANGWAY_LIBEXEC")) places.emplace_back(given);
  std::vector<std::string> looked;
  for (const auto& place : places) {
    const auto path = place / name;
    if (::access(path.c_str(), X_OK) == 0) return path.lexically_normal().string();
    looked.push_back(place.string());
  }
  return Error(ErrorKind::NotFound, cat("program ", name, ": not in ", join(looked, ", ")));
}

}  // namespace gangway::one_machine
