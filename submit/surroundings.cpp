#include "submit/surroundings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "queues/base/text.hpp"
#include "submit/run_program.hpp"

extern char** environ;

namespace gangway::submit {

namespace {

constexpr const char* kLoginPatience = "10";  // seconds

Result<std::vector<std::string>> read_login_environment() {
  const auto variable = [](const char* name, const char* otherwise) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr || *value == 0 ? otherwise : value);
  };
  const std::string shell = variable("SHELL", "/bin/sh");
  const std::string user = variable("USER", "");
  GANGWAY_ASSIGN(
      const RanProgram ran,
      run_program({"timeout", kLoginPatience, "env", "-i", cat("HOME=", variable("HOME", "/")),
                   cat("USER=", user), cat("LOGNAME=", user), cat("SHELL=", shell), "TERM=dumb",
                   shell, "-l", "-c", "exec env -0"}));
  if (ran.wait_status != 0) {
    return Error(ErrorKind::Unavailable,
                 cat("--get-user-env: ", shell, " -l did not come to its end within ",
                     kLoginPatience, " seconds, or failed"));
  }
  std::vector<std::string> variables;
  for (const std::string_view entry : split(ran.out, '\0')) {
    // A login shell may print a greeting before the first of them.
    const std::size_t line = entry.substr(0, entry.find('=')).rfind('\n');
    const std::string_view assignment =
        line == std::string_view::npos ? entry : entry.substr(line + 1);
    if (assignment.find('=') == std::string_view::npos || assignment.starts_with("_=") ||
        assignment.starts_with("SHLVL=") || assignment.starts_with("PWD=") ||
        assignment.starts_with("TERM=")) {
      continue;
    }
    variables.emplace_back(assignment);
  }
  return variables;
}

}  // namespace

Result<Surroundings> look_around() {
  Surroundings around;
  char directory[4096];
  if (::getcwd(directory, sizeof directory) == nullptr) {
    return errno_error("cannot find the current directory", errno);
  }
  around.directory = directory;
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0) around.host = host;
  for (char** entry = environ; *entry != nullptr; ++entry) around.environment.emplace_back(*entry);
  // There is no way to read it but to set it.
  const mode_t mask = ::umask(022);
  ::umask(mask);
  around.umask = mask;
  around.now = SystemClock().now();
  around.login_environment = &read_login_environment;
  return around;
}

}  // namespace gangway::submit
