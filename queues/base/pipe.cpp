#include "queues/base/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace gangway {

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("make a pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace gangway
