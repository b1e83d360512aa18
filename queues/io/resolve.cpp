#include "queues/io/resolve.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <memory>

#include "queues/base/text.hpp"
#include "queues/io/endpoint.hpp"

namespace gangway::io {

Result<std::string> resolve_endpoint(std::string_view endpoint) {
  if (parse_endpoint(endpoint)) return std::string(endpoint);
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !parse_integer<std::uint16_t>(endpoint.substr(colon + 1))) {
    return Error(ErrorKind::Invalid,
                 cat("not an absolute path or <host>:<port>: \"", endpoint, "\""));
  }
  const std::string host(endpoint.substr(0, colon));
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    const bool away = failed == EAI_AGAIN || failed == EAI_SYSTEM || failed == EAI_MEMORY;
    return Error(away ? ErrorKind::Unavailable : ErrorKind::NotFound,
                 cat("resolve host ", host, ": ", ::gai_strerror(failed)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  char text[NI_MAXHOST];
  if (::getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) != 0) {
    return Error(ErrorKind::NotFound, cat("resolve host ", host, ": no usable address"));
  }
  const std::string_view port = endpoint.substr(colon + 1);
  return found->ai_family == AF_INET6 ? cat("[", text, "]:", port) : cat(text, ":", port);
}

}  // namespace gangway::io
