#include "tests/e2e/harness/socket_proxy.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/wire/framing.hpp"

namespace gangway::e2e {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::send(fd, data, size, MSG_NOSIGNAL);
    if (written <= 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

SocketProxy::SocketProxy(const std::string& path, std::string target, int lost)
    : path_(path), target_(std::move(target)), lost_(lost) {
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = address_of(path);
  CHECK(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::chmod(path.c_str(), 0666) == 0);
  CHECK(::listen(listener_.get(), 16) == 0);
  int ends[2];
  CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  thread_ = std::thread([this] { serve(); });
}

SocketProxy::~SocketProxy() {
  stop_write_.reset();
  thread_.join();
  ::unlink(path_.c_str());
}

void SocketProxy::serve() {
  while (true) {
    std::array<pollfd, 2> polls{pollfd{listener_.get(), POLLIN, 0},
                                pollfd{stop_read_.get(), POLLIN, 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[1].revents != 0) return;
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) forward(std::move(client), connections_++ < lost_);
  }
}

namespace {

// The scheduler believes what the kernel tells it of whoever connects: that has to be the client.
// The raw calls change this thread alone.
bool connect_as_peer_of(int client, int server, const sockaddr_un& address) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  const uid_t own_uid = ::geteuid();
  const gid_t own_gid = ::getegid();
  constexpr uid_t kAsItIs = static_cast<uid_t>(-1);
  const bool changed = own_uid == 0 && peer.uid != 0;
  if (changed && (::syscall(SYS_setresgid, kAsItIs, peer.gid, kAsItIs) != 0 ||
                  ::syscall(SYS_setresuid, kAsItIs, peer.uid, kAsItIs) != 0)) {
    return false;
  }
  const bool connected =
      ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (changed && (::syscall(SYS_setresuid, kAsItIs, own_uid, kAsItIs) != 0 ||
                  ::syscall(SYS_setresgid, kAsItIs, own_gid, kAsItIs) != 0)) {
    return false;
  }
  return connected;
}

}  // namespace

void SocketProxy::forward(Fd client, bool lose) {
  const Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = address_of(target_);
  if (!connect_as_peer_of(client.get(), server.get(), address)) return;
  wire::FrameReader answers;
  while (true) {
    std::array<pollfd, 3> polls{pollfd{client.get(), POLLIN, 0}, pollfd{server.get(), POLLIN, 0},
                                pollfd{stop_read_.get(), POLLIN, 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[2].revents != 0) return;
    char buffer[65536];
    if (polls[0].revents != 0) {
      const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return;
      if (!write_all(server.get(), buffer, static_cast<std::size_t>(got))) return;
    }
    if (polls[1].revents != 0) {
      const ssize_t got = ::recv(server.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return;
      if (!lose) {
        if (!write_all(client.get(), buffer, static_cast<std::size_t>(got))) return;
        continue;
      }
      // The greeting may pass or not; what matters is that the response has left the scheduler.
      answers.feed({buffer, static_cast<std::size_t>(got)});
      while (true) {
        const auto frame = answers.next();
        if (!frame || !frame->has_value()) break;
        if ((*frame)->type == wire::FrameType::Response) {
          ++replies_lost_;
          return;
        }
      }
    }
  }
}

}  // namespace gangway::e2e
