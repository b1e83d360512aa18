#include "containers/program_exec.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "containers/privileges.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<void> pin_to(const std::vector<int>& cores) {
  if (cores.empty()) return {};
  int highest = 0;
  for (const int core : cores) highest = core > highest ? core : highest;
  cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(highest) + 1);
  if (set == nullptr) return errno_error("pin to cores", ENOMEM);
  const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(highest) + 1);
  CPU_ZERO_S(size, set);
  for (const int core : cores) {
    if (core >= 0) CPU_SET_S(static_cast<std::size_t>(core), size, set);
  }
  const int result = sched_setaffinity(0, size, set);
  const int error = errno;
  CPU_FREE(set);
  if (result == 0) return {};
  std::vector<std::string> numbers;
  numbers.reserve(cores.size());
  for (const int core : cores) numbers.push_back(cat(core));
  return errno_error(cat("pin to cores ", join(numbers, ",")), error);
}

// Puts the given descriptors at 0, 1, 2 (and 3). They are first moved out of the way, because one
// of them may lie where another has to go.
Result<void> place_descriptors(const ProgramStart& start) {
  int wanted[4] = {start.in, start.out, start.err, start.inherit};
  const int count = start.inherit >= 0 ? 4 : 3;
  for (int i = 0; i < count; ++i) {
    if (wanted[i] < 0) {
      wanted[i] = open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
      if (wanted[i] < 0) return errno_error("open /dev/null", errno);
    }
    wanted[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 10);
    if (wanted[i] < 0) return errno_error("duplicate descriptor", errno);
  }
  for (int i = 0; i < count; ++i) {
    if (dup2(wanted[i], i) < 0) return errno_error("place descriptor", errno);
  }
  return {};
}

// A terminal of this sandbox, so that ttyname() finds it; its other side goes to the shepherd.
Result<Fd> make_terminal(int socket) {
  const Fd other(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!other) return errno_error("open /dev/ptmx", errno);
  int unlock = 0;
  if (ioctl(other.get(), TIOCSPTLCK, &unlock) != 0) return errno_error("unlock terminal", errno);
  Fd terminal(ioctl(other.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) return errno_error("open terminal", errno);
  const int fds[] = {other.get()};
  if (send_with_fds(socket, "t", fds) != 1) return errno_error("send terminal", errno);
  return terminal;
}

char* to_pointer(const std::string& text) { return const_cast<char*>(text.c_str()); }

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(to_pointer(text));
  out.push_back(nullptr);
  return out;
}

const std::string kNoName;

// The directory was reached by a descriptor that no longer belongs to the sandbox's tree if the
// kernel cannot name it (CVE-2024-21626).
Result<void> enter_directory(const std::string& path) {
  if (path.empty()) return {};
  if (chdir(path.c_str()) != 0) return errno_error(cat("change directory to ", path), errno);
  char name[4096];
  if (getcwd(name, sizeof name) == nullptr || name[0] != '/') {
    return Error(ErrorKind::Denied, cat("change directory to ", path, ": it lies outside"));
  }
  return {};
}

// Where what a program needs to run ends in its file; behind it lies what debuggers want. The whole
// file if that cannot be told.
std::size_t end_of_segments(int file) {
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  Elf64_Ehdr header{};
  if (pread(file, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return kAll;
  }
  std::size_t end = 0;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (pread(file, &segment, sizeof segment, at) != static_cast<ssize_t>(sizeof segment)) {
      return kAll;
    }
    if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_offset + segment.p_filesz);
  }
  return end == 0 ? kAll : end;
}

// The copy lies in memory, that of the sandbox's control group, and may be run, not read: not even
// by its owner, who has no rights beyond a user's. The kernel makes what runs from such a file
// closed to others before its first instruction; to close itself would be too late.
Result<Fd> make_hidden_copy(const std::string& file) {
  constexpr unsigned kMayRun = 0x10;  // MFD_EXEC, to be asked for on some nodes since Linux 6.3
  const Fd original(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!original) return errno_error(cat("open ", file), errno);
  const std::string name = file.substr(file.rfind('/') + 1);  // some kernels call the process so
  Fd copy(memfd_create(name.c_str(), MFD_CLOEXEC | kMayRun));
  if (!copy && errno == EINVAL) copy = Fd(memfd_create(name.c_str(), MFD_CLOEXEC));
  if (!copy) return errno_error(cat("copy ", file), errno);
  std::vector<char> block(std::size_t{256} << 10);
  char magic[2] = {};
  bool first = true;
  std::size_t left = end_of_segments(original.get());
  while (left > 0) {
    const ssize_t got = read(original.get(), block.data(), std::min(block.size(), left));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(cat("read ", file), errno);
    if (got == 0) break;
    left -= static_cast<std::size_t>(got);
    if (std::exchange(first, false)) std::copy_n(block.begin(), std::min<ssize_t>(got, 2), magic);
    for (ssize_t done = 0; done < got;) {
      const ssize_t written =
          write(copy.get(), block.data() + done, static_cast<std::size_t>(got - done));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return errno_error(cat("copy ", file), errno);
      done += written;
    }
  }
  if (magic[0] == '#' && magic[1] == '!') {
    return Error(ErrorKind::Unsupported, cat(file, " is a script, which cannot be run hidden"));
  }
  if (fchmod(copy.get(), 0111) != 0) return errno_error(cat("close the copy of ", file), errno);
  // Nothing is run that somebody may write to.
  Fd to_run(open(cat("/proc/self/fd/", copy.get()).c_str(), O_PATH | O_CLOEXEC));
  if (!to_run) return errno_error(cat("open the copy of ", file), errno);
  return to_run;
}

Error exec_hidden(const std::string& file, char* const* argv, char* const* env) {
  const Result<Fd> copy = make_hidden_copy(file);
  if (!copy) return copy.error().with_context("cannot run");
  syscall(SYS_execveat, copy->get(), "", argv, env, AT_EMPTY_PATH);
  return errno_error(cat("cannot run a copy of ", file), errno);
}

// ENOENT of a file that is there means that its interpreter is not.
std::string explain_exec(const std::string& file, int error) {
  struct stat status {};
  if (error == ENOENT && stat(file.c_str(), &status) == 0) {
    return "the interpreter it names does not exist";
  }
  if (error == EACCES && stat(file.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return "it is a directory";
    if ((status.st_mode & 0111) == 0) return "it is not executable";
  }
  return std::strerror(error);
}

}  // namespace

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<std::string> program_candidates(const std::string& argv0,
                                            const std::vector<std::string>& env) {
  if (argv0.find('/') != std::string::npos) return {argv0};
  std::string_view path = kDefaultPath;
  for (const std::string& variable : env) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> candidates;
  for (const std::string_view directory : split(path, ':')) {
    candidates.push_back(directory.empty() ? argv0 : cat(directory, "/", argv0));
  }
  return candidates;
}

ProgramArguments::ProgramArguments(const std::vector<std::string>& argv,
                                   const std::vector<std::string>& env)
    : name_(argv.empty() ? &kNoName : &argv.front()),
      candidates_(program_candidates(*name_, env)),
      argv_(pointers(argv)),
      env_(pointers(env)) {
  static const std::string shell = "/bin/sh";
  shell_ = {to_pointer(shell), nullptr};
  if (!argv.empty()) shell_.insert(shell_.end(), argv_.begin() + 1, argv_.end());
}

char* const* ProgramArguments::shell_argv(const std::string& file) {
  shell_[1] = to_pointer(file);
  return shell_.data();
}

Error exec_program(const ProgramStart& start) {
  if (start.arguments.name().empty()) return Error(ErrorKind::Invalid, "empty command");
  setsid();  // fails only for a group leader, which a fresh child is not
  reset_signals();
  umask(start.umask);
  if (auto pinned = pin_to(start.cores); !pinned) return pinned.error();
  if (start.terminal >= 0) {
    Result<Fd> terminal = make_terminal(start.terminal);
    if (!terminal) return terminal.error();
    ProgramStart with_terminal = start;
    with_terminal.in = with_terminal.out = with_terminal.err = terminal->get();
    if (auto placed = place_descriptors(with_terminal); !placed) return placed.error();
    if (ioctl(0, TIOCSCTTY, 0) != 0) return errno_error("take the terminal", errno);
  } else if (auto placed = place_descriptors(start); !placed) {
    return placed.error();
  }
  if (auto entered = enter_directory(start.workdir); !entered) return entered.error();

  // Everything else closes at exec; the caller's pipe for the reason of a failure must live till
  // then.
  if (close_range(start.inherit >= 0 ? 4 : 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return errno_error("close descriptors", errno);
  }
  ProgramArguments& arguments = start.arguments;
  const std::string& name = arguments.name();
  int worst = ENOENT;
  const std::string* worst_file = &name;
  for (const std::string& file : arguments.candidates()) {
    if (start.hidden) {
      if (access(file.c_str(), X_OK) != 0) continue;
      return exec_hidden(file, arguments.argv(), arguments.env());
    }
    execve(file.c_str(), arguments.argv(), arguments.env());
    if (errno == ENOEXEC) {
      execve("/bin/sh", arguments.shell_argv(file), arguments.env());
      errno = ENOEXEC;
    }
    struct stat status {};
    const int error = errno;
    // "Not here" is not worth telling if another candidate exists but cannot run.
    if ((error != ENOENT && error != ENOTDIR) || stat(file.c_str(), &status) == 0) {
      worst = error;
      worst_file = &file;
      if (error != EACCES) break;
    }
  }
  const ErrorKind kind = errno_error("", worst).kind();
  if (worst == ENOENT && worst_file == &name && name.find('/') == std::string::npos) {
    return Error(kind, cat("cannot run ", name, ": no such program in PATH"));
  }
  return Error(kind, cat("cannot run ", *worst_file, ": ", explain_exec(*worst_file, worst)));
}

}  // namespace gangway::containers
