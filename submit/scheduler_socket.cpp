#include "submit/scheduler_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "queues/base/text.hpp"

namespace gangway::submit {

Result<Fd> connect_to_scheduler(const std::string& socket, int flags) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return Error(ErrorKind::Invalid, cat("the socket's path is too long: ", socket));
  }
  std::memcpy(address.sun_path, socket.data(), socket.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return errno_error("cannot make a socket", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int why = errno;
    if (why == EACCES || why == EPERM) {
      return Error(ErrorKind::Denied, cat("may not open the scheduler's socket ", socket));
    }
    return Error(ErrorKind::Unavailable,
                 cat("no scheduler listens at ", socket, " (", std::strerror(why),
                     "); is jschedd running? --socket or GANGWAY_SOCKET name another"));
  }
  return fd;
}

}  // namespace gangway::submit
