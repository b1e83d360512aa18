#include "submit/image_resolve.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "submit/console.hpp"

extern char** environ;

namespace gangway::submit {

namespace {

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("cannot make a pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Reads both pipes to their ends.
std::array<std::string, 2> drain(std::array<Fd, 2> pipes) {
  std::array<std::string, 2> texts;
  while (pipes[0] || pipes[1]) {
    std::array<pollfd, 2> wait{pollfd{.fd = pipes[0].get(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = pipes[1].get(), .events = POLLIN, .revents = 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) break;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (!pipes[i] || wait[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(pipes[i].get(), buffer, sizeof buffer);
      if (got > 0) {
        texts[i].append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        pipes[i].reset();
      }
    }
  }
  return texts;
}

ErrorKind kind_of_exit(int code) {
  switch (code) {
    case kExitUsage:
      return ErrorKind::Invalid;
    case kExitBadData:
      return ErrorKind::Corrupt;
    case kExitNoInput:
      return ErrorKind::NotFound;
    case kExitRefused:
      return ErrorKind::Denied;
    default:
      return ErrorKind::Internal;
  }
}

}  // namespace

std::string find_program(const std::string& name) {
  if (const std::string_view directory = environment("GANGWAY_LIBEXEC"); !directory.empty()) {
    std::string path = cat(directory, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return name;
  const std::string_view path(self, static_cast<std::size_t>(length));
  const std::string_view directory = path.substr(0, path.rfind('/'));
  std::string beside = cat(directory, "/", name);
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  // From bin to libexec, and (jsubmit-workflow looks for jimage) the other way.
  for (const char* const way : {"/../libexec/gangway/", "/../../bin/"}) {
    std::string there = cat(directory, way, name);
    if (::access(there.c_str(), X_OK) == 0) return there;
  }
  return beside;
}

Result<ImageSpec> parse_resolved(std::string_view answer) {
  ImageSpec image;
  std::optional<ImageKind> kind;
  for (const std::string_view line : split(answer, '\n')) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string_view word = line.substr(0, blank);
    const std::string_view value = line.substr(blank + 1);
    if (word == "kind") {
      if (value == "oci-layout") kind = ImageKind::OciLayout;
      if (value == "oci-archive") kind = ImageKind::OciArchive;
      if (value == "docker-archive") kind = ImageKind::DockerArchive;
    } else if (word == "path") {
      image.path = value;
    } else if (word == "reference") {
      image.reference = value;
    } else if (word == "digest") {
      image.manifest_digest = value;
    }
  }
  if (!kind || image.path.empty() || image.manifest_digest.empty()) {
    return Error(ErrorKind::Internal, cat("jimage resolve answered \"", answer, "\""));
  }
  image.kind = *kind;
  return image;
}

Result<ImageSpec> resolve_image(const std::string& image) {
  const std::string program = find_program("jimage");
  GANGWAY_ASSIGN(Pipe out, make_pipe());
  GANGWAY_ASSIGN(Pipe err, make_pipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  const char* const argv[] = {"jimage", "resolve", "--", image.c_str(), nullptr};
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program.c_str(), &actions, nullptr,
                                   const_cast<char* const*>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return Error(ErrorKind::Internal,
                 cat("cannot run ", program, " to look at the image: ", std::strerror(failed)));
  }
  out.write.reset();
  err.write.reset();
  const std::array<std::string, 2> texts = drain({std::move(out.read), std::move(err.read)});
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return parse_resolved(texts[0]);
  std::string_view reason = trim(texts[1]);
  if (reason.starts_with("jimage: ")) reason.remove_prefix(8);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (reason.empty()) {
    return Error(kind_of_exit(code), cat("image ", image, ": jimage ended with code ", code));
  }
  return Error(kind_of_exit(code), std::string(reason));
}

}  // namespace gangway::submit
