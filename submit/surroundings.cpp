#include "submit/surroundings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

extern char** environ;

namespace gangway::submit {

Result<Surroundings> look_around() {
  Surroundings around;
  char directory[4096];
  if (::getcwd(directory, sizeof directory) == nullptr) {
    return errno_error("cannot find the current directory", errno);
  }
  around.directory = directory;
  for (char** entry = environ; *entry != nullptr; ++entry) around.environment.emplace_back(*entry);
  // There is no way to read it but to set it.
  const mode_t mask = ::umask(022);
  ::umask(mask);
  around.umask = mask;
  around.now = SystemClock().now();
  return around;
}

}  // namespace gangway::submit
