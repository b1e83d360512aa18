#include "tests/submit/fake_scheduler.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

void send_frame(int fd, wire::FrameType type, std::uint32_t stream, const std::string& payload) {
  const std::string bytes = wire::encode({.type = type, .stream = stream, .payload = payload});
  static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

}  // namespace

FakeScheduler::FakeScheduler(Handler handler) : handler_(std::move(handler)) {
  std::string pattern = "/tmp/gangway-fake-XXXXXX";
  CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  socket_ = cat(directory_, "/socket");
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  CHECK(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::listen(listener_.get(), 64) == 0);
  int ends[2];
  CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  thread_ = std::thread([this] { serve(); });
}

FakeScheduler::~FakeScheduler() {
  stop_write_.reset();
  thread_.join();
  ::unlink(socket_.c_str());
  ::rmdir(directory_.c_str());
}

void FakeScheduler::serve() {
  for (;;) {
    std::array<pollfd, 2> wait{pollfd{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = stop_read_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0) continue;
    if (wait[1].revents != 0) return;
    const Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (peer) converse(peer.get());
  }
}

void FakeScheduler::converse(int fd) {
  wire::FrameReader reader;
  for (;;) {
    std::array<pollfd, 2> wait{pollfd{.fd = fd, .events = POLLIN, .revents = 0},
                               pollfd{.fd = stop_read_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0) continue;
    if (wait[1].revents != 0) return;
    char buffer[65536];
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    reader.feed({buffer, static_cast<std::size_t>(got)});
    for (;;) {
      auto frame = reader.next();
      if (!frame) return;
      if (!*frame) break;
      if ((*frame)->type == wire::FrameType::Hello) {
        if (refusal_) {
          wire::Refused refused;
          refused.mutable_error()->set_kind(static_cast<std::uint32_t>(ErrorKind::Denied));
          refused.mutable_error()->set_message(*refusal_);
          send_frame(fd, wire::FrameType::Refused, 0, refused.SerializeAsString());
          return;
        }
        send_frame(fd, wire::FrameType::Welcome, 0, wire::Welcome().SerializeAsString());
      } else if ((*frame)->type == wire::FrameType::Request) {
        wire::Request request;
        CHECK(request.ParseFromString((*frame)->payload));
        const FakeAnswer answer = handler_(request);
        if (answer.close_instead) return;
        for (const wire::Response& response : answer.responses) {
          send_frame(fd, wire::FrameType::Response, (*frame)->stream, response.SerializeAsString());
        }
      }
    }
  }
}

}  // namespace gangway::submit
