#include "submit/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/console.hpp"
#include "submit/scheduler_socket.hpp"

namespace gangway::submit {

namespace {

// From here on nobody waits any more.
constexpr BootTime kForever{std::numeric_limits<std::int64_t>::max()};

// Milliseconds for poll(2) until `until`, rounded up; -1 for ever.
int poll_timeout(BootTime until) {
  if (until == kForever) return -1;
  const std::int64_t left_ms = (until - SystemClock().now().boot).ns / 1'000'000 + 1;
  return static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, 1 << 30));
}

}  // namespace

std::string find_socket(std::string_view option) {
  if (!option.empty()) return std::string(option);
  const std::string_view from_environment = environment("GANGWAY_SOCKET");
  return std::string(from_environment.empty() ? kDefaultSocket : from_environment);
}

Client::Client(std::string program, std::string socket)
    : program_(std::move(program)), socket_(std::move(socket)) {}

Error Client::lost(std::string_view how) const {
  return Error(ErrorKind::Unavailable, cat("the scheduler at ", socket_, " ", how));
}

Result<wire::Response> Client::call(const wire::Request& request, Duration deadline) {
  wire::Response last;
  GANGWAY_TRY(exchange({&request, 1}, deadline,
                       [&last](wire::Response&& response) { last = std::move(response); }));
  return last;
}

Result<void> Client::exchange(std::span<const wire::Request> parts,
                              Duration deadline,
                              const std::function<void(wire::Response&&)>& on_response) {
  const BootTime until = deadline == kNoDeadline ? kForever : SystemClock().now().boot + deadline;
  Result<void> done = converse(parts, until, on_response);
  if (!done) {
    fd_.reset();
    welcomed_ = false;
    reader_ = wire::FrameReader();
  }
  return done;
}

Result<void> Client::connect() {
  GANGWAY_ASSIGN(fd_, connect_to_scheduler(socket_));
  return {};
}

Result<void> Client::write(std::string_view bytes, BootTime until) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd wait{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
      if (::poll(&wait, 1, poll_timeout(until)) == 0) return lost("takes no data in time");
    } else if (errno != EINTR) {
      return lost(cat("closed the connection (", std::strerror(errno), ")"));
    }
  }
  return {};
}

Result<wire::Frame> Client::read_frame(BootTime until) {
  for (;;) {
    GANGWAY_ASSIGN(std::optional<wire::Frame> frame, reader_.next());
    if (frame) return *std::move(frame);
    // With no deadline the read blocks by itself: one system call less.
    if (until != kForever) {
      pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      const int ready = ::poll(&wait, 1, poll_timeout(until));
      if (ready == 0) return lost("did not answer in time");
      if (ready < 0 && errno != EINTR) return errno_error("cannot wait for the scheduler", errno);
      if (ready < 0) continue;
    }
    char buffer[16384];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got > 0) {
      reader_.feed({buffer, static_cast<std::size_t>(got)});
    } else if (got == 0) {
      return lost("closed the connection before it answered");
    } else if (errno != EINTR) {
      return lost(cat("was lost (", std::strerror(errno), ")"));
    }
  }
}

Result<void> Client::converse(std::span<const wire::Request> parts,
                              BootTime until,
                              const std::function<void(wire::Response&&)>& on_response) {
  std::string bytes;
  if (!fd_) {
    GANGWAY_TRY(connect());
    wire::Hello hello;
    hello.set_protocol_min(wire::kProtocolMin);
    hello.set_protocol_max(wire::kProtocolMax);
    hello.set_program(program_);
    hello.set_version(GANGWAY_VERSION);
    wire::encode_to(
        {.type = wire::FrameType::Hello, .stream = 0, .payload = hello.SerializeAsString()}, bytes);
  }
  const std::uint32_t stream = ++stream_;
  Result<void> sent;
  for (const wire::Request& part : parts) {
    wire::encode_to(
        {.type = wire::FrameType::Request, .stream = stream, .payload = part.SerializeAsString()},
        bytes);
    // A large submission is not held twice in memory.
    if (bytes.size() < std::size_t{256} * 1024 && &part != &parts.back()) continue;
    sent = write(bytes, until);
    // The scheduler may have refused us and closed; its reason is then still to be read.
    if (!sent) break;
    bytes.clear();
  }
  for (;;) {
    Result<wire::Frame> frame = read_frame(until);
    if (!frame) return sent ? frame.error() : sent.error();
    switch (frame->type) {
      case wire::FrameType::Welcome:
        welcomed_ = true;
        break;
      case wire::FrameType::Refused: {
        wire::Refused refused;
        if (!refused.ParseFromString(frame->payload)) {
          return Error(ErrorKind::Corrupt, "the scheduler refused with an unreadable message");
        }
        return wire::from_wire(refused.error());
      }
      case wire::FrameType::Ping:
        GANGWAY_TRY(write(wire::encode({.type = wire::FrameType::Pong,
                                        .stream = frame->stream,
                                        .payload = frame->payload}),
                          until));
        break;
      case wire::FrameType::Response: {
        if (frame->stream != stream) break;  // of a call that is over
        wire::Response response;
        if (!welcomed_ || !response.ParseFromString(frame->payload)) {
          return Error(ErrorKind::Corrupt,
                       cat("what listens at ", socket_, " does not speak our protocol"));
        }
        if (response.has_error()) return wire::from_wire(response.error());
        const bool more = response.more();
        on_response(std::move(response));
        if (!more) return {};
        break;
      }
      default:
        break;
    }
  }
}

}  // namespace gangway::submit
