#include "submit/console.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "submit/render.hpp"

namespace gangway::submit {

namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

void complain(std::string_view program, std::string_view message) {
  write_all(STDERR_FILENO, cat(program, ": ", printable(message, "\n\t"), "\n"));
}

int complain(std::string_view program, const Error& error) {
  complain(program, error.message());
  return exit_code_of(error.kind());
}

int complain_usage(std::string_view program, const Error& error) {
  complain(program, error.message());
  return kExitUsage;
}

bool print(std::string_view text) { return write_all(STDOUT_FILENO, text); }

void finish(int code, std::string_view text) {
  if (!print(text) && code == kExitOk) code = kExitCannotCreate;
  ::_exit(code);
}

std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) words.emplace_back(argv[i]);
  return words;
}

std::string_view environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::string version_line(std::string_view program) {
  return cat(program, " ", std::string_view(GANGWAY_VERSION), "\n");
}

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool colours_wanted() {
  if (!environment("NO_COLOR").empty() || ::isatty(STDOUT_FILENO) == 0) return false;
  const std::string_view terminal = environment("TERM");
  return !terminal.empty() && terminal != "dumb";
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  Fd opened;
  int fd = STDIN_FILENO;
  if (path != "-") {
    opened.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) return errno_error(cat("cannot read ", path), errno);
    fd = opened.get();
  }
  struct stat status {};
  std::size_t chunk = 65536;
  if (::fstat(fd, &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return Error(ErrorKind::Invalid, cat("cannot read ", path, ": it is a directory"));
    }
    // One byte more than the file has, so that the second read sees its end without a resize.
    if (S_ISREG(status.st_mode) && static_cast<std::size_t>(status.st_size) <= max_bytes) {
      chunk = static_cast<std::size_t>(status.st_size) + 1;
    }
  }
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + chunk);
    const ssize_t got = ::read(fd, text.data() + before, chunk);
    if (got < 0 && errno != EINTR) return errno_error(cat("cannot read ", path), errno);
    text.resize(before + static_cast<std::size_t>(got < 0 ? 0 : got));
    if (got == 0) return text;
    if (text.size() > max_bytes) {
      return Error(ErrorKind::Invalid,
                   cat(path, " is too large: more than ", max_bytes >> 10, " KiB"));
    }
  }
}

}  // namespace gangway::submit
