#include "containers/image_fetch.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "containers/namespaces.hpp"
#include "containers/program_exec.hpp"
#include "queues/base/check.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxReportBytes = 8 << 20;
constexpr std::size_t kMaxLastWords = 4096;

}  // namespace

std::vector<std::string> image_helper_argv(const ImageFetchRequest& request) {
  std::vector<std::string> groups;
  for (const gid_t group : request.user.groups) groups.push_back(cat(group));
  std::vector<std::string> argv{request.helper, "ensure",
                                "--store",      request.store,
                                "--kind",       std::string(to_string(request.source.kind)),
                                "--path",       request.source.path,
                                "--digest",     request.source.manifest_digest,
                                "--uid",        cat(request.user.uid),
                                "--gid",        cat(request.user.gid),
                                "--groups",     join(groups, ",")};
  if (request.readable_by_all) argv.emplace_back("--readable-by-all");
  if (request.bounds.quota) {
    argv.insert(argv.end(), {"--quota", cat(request.bounds.quota->value)});
  }
  if (request.bounds.unused_for) {
    const std::int64_t whole_seconds = request.bounds.unused_for->ns / 1'000'000'000;
    argv.insert(argv.end(), {"--unused-for", cat(whole_seconds)});
  }
  return argv;
}

Result<ImageFetch> ImageFetch::start(const ImageFetchRequest& request) {
  GANGWAY_ASSIGN(Pipe output, make_pipe());
  GANGWAY_ASSIGN(Pipe errors, make_pipe());
  const std::vector<std::string> argv = image_helper_argv(request);
  const std::vector<std::string> env{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  ProgramArguments arguments(argv, env);
  const pid_t pid = fork();
  if (pid < 0) return errno_error("fork", errno);
  if (pid == 0) {
    [[maybe_unused]] const Result<void> armed = set_parent_death_signal();
    const Error error = exec_program({.arguments = arguments,
                                      .workdir = "/",
                                      .cores = {},
                                      .in = -1,
                                      .out = output.write.get(),
                                      .err = errors.write.get()});
    const std::string line = error.message() + "\n";
    [[maybe_unused]] const ssize_t written = write(2, line.data(), line.size());
    _exit(image_exit_code(ErrorKind::Internal));
  }
  renounce_memory_protection(pid);
  ImageFetch fetch;
  fetch.pid_ = pid;
  fetch.output_ = std::move(output.read);
  fetch.errors_ = std::move(errors.read);
  fcntl(fetch.output_.get(), F_SETFL, O_NONBLOCK);
  fcntl(fetch.errors_.get(), F_SETFL, O_NONBLOCK);
  return fetch;
}

bool ImageFetch::read_output() {
  char block[16384];
  while (true) {
    const ssize_t got = read(output_.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return complete();
    if (got <= 0) return true;
    text_.append(block, static_cast<std::size_t>(got));
    if (text_.size() > kMaxReportBytes) return true;
  }
}

bool ImageFetch::read_errors() {
  char block[4096];
  while (true) {
    const ssize_t got = read(errors_.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) return true;
    last_words_.append(block, static_cast<std::size_t>(got));
    if (last_words_.size() > kMaxLastWords) {
      last_words_.erase(0, last_words_.size() - kMaxLastWords);
    }
  }
}

bool ImageFetch::complete() const { return text_ == "done\n" || text_.ends_with("\ndone\n"); }

Error ImageFetch::failure(int wait_status) {
  read_errors();
  // Before it may stand what was logged on the way.
  const std::string_view text = trim(last_words_);
  const std::size_t line_end = text.rfind('\n');
  const std::string_view line =
      trim(line_end == std::string_view::npos ? text : text.substr(line_end + 1));
  const ErrorKind kind =
      WIFEXITED(wait_status) ? image_error_kind(WEXITSTATUS(wait_status)) : ErrorKind::Internal;
  if (!line.empty()) return Error(kind, std::string(line));
  const std::string how = WIFSIGNALED(wait_status)
                              ? cat("was ended by signal ", WTERMSIG(wait_status))
                              : cat("ended with exit code ", WEXITSTATUS(wait_status));
  return Error(kind, cat("image helper ", how));
}

}  // namespace gangway::containers
