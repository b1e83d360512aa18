#include "tests/scheduler/balancer/tiny_servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t port_of(const Fd& fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  CHECK(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return ntohs(address.sin_port);
}

Fd bound_socket() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(0);
  CHECK(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string read_until(int fd, std::string_view end) {
  std::string text;
  char buffer[4096];
  while (end.empty() || text.find(end) == std::string::npos) {
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

TinyServer::TinyServer(std::string name) : name_(std::move(name)), listening_(bound_socket()) {
  CHECK(::listen(listening_.get(), 128) == 0);
  port_ = port_of(listening_);
  thread_ = std::thread([this] { serve(); });
}

TinyServer::~TinyServer() {
  over_ = true;
  released_ = true;
  thread_.join();
  for (std::thread& connection : connections_) connection.join();
}

void TinyServer::serve() {
  while (true) {
    pollfd ready{.fd = listening_.get(), .events = POLLIN, .revents = 0};
    const int found = ::poll(&ready, 1, 10);
    if (found <= 0) {
      if (over_) return;
      continue;
    }
    Fd connection(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    connections_.emplace_back([this, fd = connection.release()] { answer(Fd(fd)); });
  }
}

void TinyServer::answer(Fd connection) {
  const std::string request = read_until(connection.get(), "\r\n\r\n");
  if (!request.starts_with("GET")) return;  // HAProxy only looked whether we are there
  if (request.starts_with("GET /slow")) {
    ++slow_;
    while (!released_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::string answer = cat("HTTP/1.1 200 OK\r\nContent-Length: ", name_.size(),
                                 "\r\nConnection: close\r\n\r\n", name_);
  ::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
}

std::string ask(std::uint16_t port, const std::string& path, const std::string& host) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return "";
  }
  const std::string request =
      cat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\nConnection: close\r\n\r\n");
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  const std::string answer = read_until(fd.get(), "");
  const std::size_t body = answer.find("\r\n\r\n");
  const bool good = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200");
  if (!good || body == std::string::npos) return "";
  return answer.substr(body + 4);
}

RequestLoop::RequestLoop(std::uint16_t port) {
  constexpr int kClients = 3;
  for (int i = 0; i < kClients; ++i) {
    threads_.emplace_back([this, port] {
      while (!over_) {
        const std::string answer = ask(port);
        if (answer.empty()) {
          ++failed_;
        } else {
          const std::lock_guard lock(mutex_);
          ++answers_[answer];
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    });
  }
}

void RequestLoop::stop() {
  over_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::map<std::string, int> RequestLoop::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

std::uint16_t free_port() { return port_of(bound_socket()); }

}  // namespace gangway::test
