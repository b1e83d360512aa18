#include "submit/probe_tool.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "submit/console.hpp"

namespace gangway::submit {
namespace {

constexpr int kGood = 0;
constexpr int kBad = 1;

Fd connect_to(std::uint16_t port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Fd();
  }
  return socket;
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// "HTTP/1.1 204 No Content": the code; 0 if it is no such line.
int read_status(int socket) {
  constexpr std::size_t kMaxLine = 4096;
  std::string line;
  while (line.find('\n') == std::string::npos && line.size() < kMaxLine) {
    char bytes[512];
    const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    line.append(bytes, static_cast<std::size_t>(got));
  }
  const std::size_t space = line.find(' ');
  if (!line.starts_with("HTTP/") || space == std::string::npos) return 0;
  return parse_integer<int>(std::string_view(line).substr(space + 1, 3)).value_or(0);
}

}  // namespace

int run_probe(const std::vector<std::string>& words) {
  const auto port = words.empty() ? std::nullopt : parse_integer<std::uint16_t>(words[0]);
  if (!port || *port == 0 || words.size() > 2) return kExitUsage;
  const Fd socket = connect_to(*port);
  if (!socket) return kBad;
  if (words.size() < 2) return kGood;
  if (!send_all(socket.get(), cat("GET ", words[1], " HTTP/1.0\r\nHost: localhost:", *port,
                                  "\r\nUser-Agent: gangway-probe\r\nConnection: close\r\n\r\n"))) {
    return kBad;
  }
  const int status = read_status(socket.get());
  return status >= 200 && status < 400 ? kGood : kBad;
}

}  // namespace gangway::submit
