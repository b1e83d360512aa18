#include "queues/io/endpoint.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "queues/base/text.hpp"

namespace gangway::io {

namespace {

// A socket address and, for a path that does not fit into one, the directory it is reached by.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  Fd directory;
  [[nodiscard]] const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);  // the socket API's own cast
  }
};

Result<Address> unix_address(const std::string& path) {
  Address address;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::string reached = path;
  if (reached.size() >= sizeof name.sun_path) {
    // 107 bytes are soon used up below a spool; by the directory's descriptor every path is short.
    const std::filesystem::path full(path);
    address.directory = Fd(::open(full.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!address.directory) return errno_error(cat("open ", full.parent_path().string()), errno);
    reached = cat("/proc/self/fd/", address.directory.get(), "/", full.filename().string());
    if (reached.size() >= sizeof name.sun_path) {
      return Error(ErrorKind::Invalid, cat("socket name too long: ", path));
    }
  }
  std::memcpy(name.sun_path, reached.c_str(), reached.size() + 1);
  std::memcpy(&address.storage, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

Address tcp_address(const Endpoint& endpoint) {
  Address address;
  if (endpoint.is_v6) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(endpoint.port);
    CHECK(::inet_pton(AF_INET6, endpoint.address.c_str(), &name.sin6_addr) == 1);
    std::memcpy(&address.storage, &name, sizeof name);
    address.size = sizeof name;
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(endpoint.port);
    CHECK(::inet_pton(AF_INET, endpoint.address.c_str(), &name.sin_addr) == 1);
    std::memcpy(&address.storage, &name, sizeof name);
    address.size = sizeof name;
  }
  return address;
}

Result<Address> address_of(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return unix_address(endpoint.path);
  return tcp_address(endpoint);
}

int family_of(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return AF_UNIX;
  return endpoint.is_v6 ? AF_INET6 : AF_INET;
}

Result<Fd> open_socket(const Endpoint& endpoint) {
  Fd fd(::socket(family_of(endpoint), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("open a socket", errno);
  if (!endpoint.is_unix()) {
    const int on = 1;
    // Small frames must not wait for the answer to the one before.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

// Whether a socket's file has outlived the process that listened on it.
bool is_stale(const Endpoint& endpoint) {
  const Result<Connecting> trial = begin_connect(endpoint);
  return !trial && trial.error().kind() == ErrorKind::Unavailable;
}

Result<Fd> open_unix_listener(const Endpoint& endpoint, unsigned mode, int backlog) {
  const std::filesystem::path path(endpoint.path);
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) {
    return errno_error(cat("make directory ", path.parent_path().string()), failed.value());
  }
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      return Error(ErrorKind::Conflict, cat("exists and is no socket: ", endpoint.path));
    }
    if (!is_stale(endpoint)) {
      return Error(ErrorKind::Conflict, cat("somebody listens already on ", endpoint.path));
    }
    ::unlink(path.c_str());
  }
  GANGWAY_ASSIGN(Fd fd, open_socket(endpoint));
  GANGWAY_ASSIGN(const Address address, unix_address(endpoint.path));
  // The file gets the mode of the socket's own inode, less the umask, so that nobody meets it with
  // another one. (Linux; the umask is the process's, which has one thread.)
  const mode_t umask_before = ::umask(0);
  ::fchmod(fd.get(), mode);
  const int bound = ::bind(fd.get(), address.get(), address.size);
  const int reason = errno;
  ::umask(umask_before);
  if (bound != 0) return errno_error(cat("bind ", endpoint.path), reason);
  if (::listen(fd.get(), backlog) != 0) {
    return errno_error(cat("listen on ", endpoint.path), errno);
  }
  return fd;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint;
  if (text.starts_with('/')) {
    endpoint.path = text;
    return endpoint;
  }
  const Error wrong(ErrorKind::Invalid,
                    cat("not an absolute path or <address>:<port>: \"", text, "\""));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  const auto port = parse_integer<std::uint16_t>(text.substr(colon + 1));
  if (!port) return wrong;
  endpoint.port = *port;
  std::string_view address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
    endpoint.is_v6 = true;
  }
  endpoint.address = address;
  in6_addr parsed{};
  if (::inet_pton(endpoint.is_v6 ? AF_INET6 : AF_INET, endpoint.address.c_str(), &parsed) != 1) {
    return wrong;
  }
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return endpoint.path;
  if (endpoint.is_v6) return cat("[", endpoint.address, "]:", endpoint.port);
  return cat(endpoint.address, ":", endpoint.port);
}

Result<Fd> open_listener(const Endpoint& endpoint, unsigned mode, int backlog) {
  if (endpoint.is_unix()) return open_unix_listener(endpoint, mode, backlog);
  GANGWAY_ASSIGN(Fd fd, open_socket(endpoint));
  const int on = 1;
  // A restarted daemon gets its port back at once, although old connections still fade out.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const Address address = tcp_address(endpoint);
  if (::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), backlog) != 0) {
    if (errno == EADDRINUSE) {
      return Error(ErrorKind::Conflict, cat("somebody listens already on ", to_string(endpoint)));
    }
    return errno_error(cat("listen on ", to_string(endpoint)), errno);
  }
  return fd;
}

Result<std::uint16_t> port_of(int listening_fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(listening_fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return errno_error("find out the port of a socket", errno);
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 name{};
    std::memcpy(&name, &storage, sizeof name);
    return ntohs(name.sin6_port);
  }
  sockaddr_in name{};
  std::memcpy(&name, &storage, sizeof name);
  return ntohs(name.sin_port);
}

Result<Connecting> begin_connect(const Endpoint& endpoint) {
  const std::string clause = cat("connect to ", to_string(endpoint));
  Connecting connecting;
  auto fd = open_socket(endpoint);
  if (!fd) return fd.error().with_context(clause);
  connecting.fd = *std::move(fd);
  const Result<Address> address = address_of(endpoint);
  if (!address) return address.error().with_context(clause);
  if (::connect(connecting.fd.get(), address->get(), address->size) == 0) {
    connecting.finished = true;
    return connecting;
  }
  if (errno == EINPROGRESS) return connecting;
  // For a unix socket: its backlog is full.
  if (errno == EAGAIN) return Error(ErrorKind::Exhausted, cat(clause, ": too many are waiting"));
  return errno_error(clause, errno);
}

Result<void> finish_connect(int fd, const Endpoint& endpoint) {
  int reason = 0;
  socklen_t size = sizeof reason;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) reason = errno;
  if (reason != 0) return errno_error(cat("connect to ", to_string(endpoint)), reason);
  return {};
}

}  // namespace gangway::io
