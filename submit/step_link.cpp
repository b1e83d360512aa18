#include "submit/step_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "queues/base/fd.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/message_frame.hpp"
#include "submit/console.hpp"

namespace gangway::submit {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

// What both kinds share: a stream of frames.
class FrameLink : public StepLink {
 public:
  explicit FrameLink(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] int fd() const override { return fd_.get(); }
  [[nodiscard]] bool wants_to_write() const override { return written_ < out_.size(); }

  [[nodiscard]] Result<void> write_some() override {
    while (wants_to_write()) {
      const ssize_t sent = ::send(fd_.get(), out_.data() + written_, out_.size() - written_,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        written_ += static_cast<std::size_t>(sent);
        continue;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return {};
      // The other side has gone: what it said before is still to be heard, and reading shows the
      // end.
      if (errno == EPIPE || errno == ECONNRESET) break;
      return Error(ErrorKind::Unavailable, cat("connection lost (", std::strerror(errno), ")"));
    }
    out_.clear();
    written_ = 0;
    return {};
  }

  [[nodiscard]] Result<bool> read_some() override {
    buffer_.resize(kReadBytes);
    const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got > 0) {
      reader_.feed({buffer_.data(), static_cast<std::size_t>(got)});
      return true;
    }
    if (got == 0) return false;
    if (errno == EAGAIN || errno == EINTR) return true;
    return Error(ErrorKind::Unavailable, cat("connection lost (", std::strerror(errno), ")"));
  }

 protected:
  void queue(const wire::Frame& frame) { wire::encode_to(frame, out_); }
  [[nodiscard]] Result<std::optional<wire::Frame>> next_frame() { return reader_.next(); }
  Fd fd_;
  std::string out_;

 private:
  wire::FrameReader reader_;
  std::string buffer_;
  std::size_t written_ = 0;
};

class LocalLink final : public FrameLink {
 public:
  using FrameLink::FrameLink;

  void send(const wire::ToStep& message) override {
    queue(wire::make_frame(wire::FrameType::ToStep, message));
    if (!greeted_) greet();
  }

  [[nodiscard]] Result<std::optional<wire::FromStep>> next() override {
    GANGWAY_ASSIGN(std::optional<wire::Frame> frame, next_frame());
    if (!frame) return std::optional<wire::FromStep>();
    wire::FromStep message;
    if (frame->type != wire::FrameType::FromStep || !message.ParseFromString(frame->payload)) {
      return Error(ErrorKind::Corrupt, "the job's shepherd says what we do not understand");
    }
    return std::optional<wire::FromStep>(std::move(message));
  }

 private:
  // One byte that carries our standard streams; those that are closed are /dev/null.
  void greet() {
    greeted_ = true;
    for (int fd = 0; fd <= 2; ++fd) {
      if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", O_RDWR);
    }
    static constexpr int kStreams[] = {0, 1, 2};
    // The first byte of a fresh connection: there is room. A failure shows at the next write.
    (void)!send_with_fds(fd_.get(), "j", kStreams);
  }
  bool greeted_ = false;
};

class Tunnel final : public FrameLink {
 public:
  Tunnel(Fd fd, std::string program, JobKey job) : FrameLink(std::move(fd)) {
    wire::Hello hello;
    hello.set_protocol_min(wire::kProtocolMin);
    hello.set_protocol_max(wire::kProtocolMax);
    hello.set_program(std::move(program));
    hello.set_version(GANGWAY_VERSION);
    queue(wire::make_frame(wire::FrameType::Hello, hello));
    wire::Request request;
    wire::to_wire(job, request.mutable_open_session()->mutable_key());
    queue(wire::make_frame(wire::FrameType::Request, request, 1));
  }

  void send(const wire::ToStep& message) override {
    wire::Request request;
    *request.mutable_to_session() = message;
    queue(wire::make_frame(wire::FrameType::Request, request, 1));
  }

  // What concerns the tunnel itself is answered here.
  [[nodiscard]] Result<std::optional<wire::FromStep>> next() override {
    while (true) {
      GANGWAY_ASSIGN(std::optional<wire::Frame> frame, next_frame());
      if (!frame) return std::optional<wire::FromStep>();
      if (frame->type == wire::FrameType::Ping) {
        queue({.type = wire::FrameType::Pong, .stream = frame->stream, .payload = frame->payload});
        continue;
      }
      if (frame->type == wire::FrameType::Refused) {
        wire::Refused refused;
        if (refused.ParseFromString(frame->payload)) return wire::from_wire(refused.error());
        return Error(ErrorKind::Corrupt, "the scheduler refused with an unreadable message");
      }
      if (frame->type != wire::FrameType::Response || frame->stream != 1) continue;
      wire::Response response;
      if (!response.ParseFromString(frame->payload)) {
        return Error(ErrorKind::Corrupt, "the scheduler says what we do not understand");
      }
      if (response.has_error()) return wire::from_wire(response.error());
      is_open_ = true;
      if (response.has_from_session()) {
        return std::optional<wire::FromStep>(response.from_session());
      }
      if (!response.more()) return Error(ErrorKind::Unavailable, "the job has ended");
    }
  }
  [[nodiscard]] bool is_open() const override { return is_open_; }

 private:
  bool is_open_ = false;
};

Result<Fd> connect_to(const std::string& path, std::string_view whom) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(ErrorKind::Invalid, cat("the socket's path is too long: ", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("cannot make a socket", errno);
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int why = errno;
    if (why == EINTR || why == EAGAIN) {
      ::poll(nullptr, 0, 5);  // its queue is full: others are before us
      continue;
    }
    if (why == EACCES || why == EPERM) {
      return Error(ErrorKind::Denied, cat("may not open the socket ", path));
    }
    return Error(ErrorKind::Unavailable,
                 cat(whom, " does not listen at ", path, " (", std::strerror(why), ")"));
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<StepLink>> open_local_link(const std::string& socket) {
  GANGWAY_ASSIGN(Fd fd, connect_to(socket, "the job's shepherd"));
  return std::unique_ptr<StepLink>(std::make_unique<LocalLink>(std::move(fd)));
}

Result<std::unique_ptr<StepLink>> open_tunnel(const std::string& program,
                                              const std::string& scheduler_socket,
                                              JobKey job,
                                              const WaitTick& tick) {
  GANGWAY_ASSIGN(Fd fd, connect_to(scheduler_socket, "the scheduler"));
  auto tunnel = std::make_unique<Tunnel>(std::move(fd), program, job);
  const BootTime since = SystemClock().now().boot;
  // Until it is known that the job can be talked with.
  while (!tunnel->is_open()) {
    GANGWAY_TRY(tunnel->write_some());
    pollfd wait{.fd = tunnel->fd(), .events = POLLIN, .revents = 0};
    if (tunnel->wants_to_write()) wait.events |= POLLOUT;
    ::poll(&wait, 1, tick ? 200 : -1);
    if (tick && !tick(SystemClock().now().boot - since)) {
      return Error(ErrorKind::Unavailable, "given up");
    }
    GANGWAY_ASSIGN(const bool alive, tunnel->read_some());
    GANGWAY_ASSIGN(const std::optional<wire::FromStep> first, tunnel->next());
    (void)first;  // nothing has been asked yet
    if (!alive) return Error(ErrorKind::Unavailable, "the scheduler closed the connection");
  }
  return std::unique_ptr<StepLink>(std::move(tunnel));
}

Result<std::unique_ptr<StepLink>> begin_tunnel(const std::string& program,
                                               const std::string& scheduler_socket,
                                               JobKey job) {
  GANGWAY_ASSIGN(Fd fd, connect_to(scheduler_socket, "the scheduler"));
  return std::unique_ptr<StepLink>(std::make_unique<Tunnel>(std::move(fd), program, job));
}

std::string find_step_socket() {
  const std::string_view socket = environment("JOB_STEP_SOCKET");
  if (socket.empty() || ::access(std::string(socket).c_str(), F_OK) != 0) return "";
  return std::string(socket);
}

}  // namespace gangway::submit
