#include "submit/monitor/scheduler_link.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/message_frame.hpp"
#include "submit/scheduler_socket.hpp"

namespace gangway::monitor {

SchedulerLink::SchedulerLink(std::string program, std::string socket)
    : program_(std::move(program)), socket_(std::move(socket)) {}

Error SchedulerLink::lost(std::string_view how) const {
  return {ErrorKind::Unavailable, cat("the scheduler at ", socket_, " ", how)};
}

void SchedulerLink::close() {
  fd_.reset();
  out_.clear();
  reader_ = wire::FrameReader();
}

Result<void> SchedulerLink::open() {
  close();
  // A unix socket is connected at once, or its queue is full: then it is tried again like the rest.
  GANGWAY_ASSIGN(fd_, submit::connect_to_scheduler(socket_, SOCK_NONBLOCK));
  wire::Hello hello;
  hello.set_protocol_min(wire::kProtocolMin);
  hello.set_protocol_max(wire::kProtocolMax);
  hello.set_program(program_);
  hello.set_version(GANGWAY_VERSION);
  wire::encode_to(wire::make_frame(wire::FrameType::Hello, hello), out_);
  return {};
}

std::uint32_t SchedulerLink::ask(const wire::Request& request) {
  wire::encode_to(wire::make_frame(wire::FrameType::Request, request, ++stream_), out_);
  return stream_;
}

Result<void> SchedulerLink::write_some() {
  std::size_t written = 0;
  while (written < out_.size()) {
    const ssize_t sent = ::send(fd_.get(), out_.data() + written, out_.size() - written,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      written += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      written = out_.size();  // reading shows the end, and what was said before
    } else if (errno != EINTR) {
      return lost(cat("closed the connection (", std::strerror(errno), ")"));
    }
  }
  out_.erase(0, written);
  return {};
}

Result<void> SchedulerLink::read_some() {
  char buffer[65536];
  const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (got > 0) {
    reader_.feed({buffer, static_cast<std::size_t>(got)});
    return {};
  }
  if (got == 0) return lost("closed the connection");
  if (errno == EAGAIN || errno == EINTR) return {};
  return lost(cat("was lost (", std::strerror(errno), ")"));
}

Result<std::optional<SchedulerLink::Answer>> SchedulerLink::next() {
  while (true) {
    GANGWAY_ASSIGN(std::optional<wire::Frame> frame, reader_.next());
    if (!frame) return std::optional<Answer>();
    if (frame->type == wire::FrameType::Ping) {
      wire::encode_to({.type = wire::FrameType::Pong,
                       .stream = frame->stream,
                       .payload = std::move(frame->payload)},
                      out_);
    } else if (frame->type == wire::FrameType::Refused) {
      wire::Refused refused;
      if (refused.ParseFromString(frame->payload)) return wire::from_wire(refused.error());
      return Error(ErrorKind::Corrupt, "the scheduler refused with an unreadable message");
    } else if (frame->type == wire::FrameType::Response) {
      Answer answer{.stream = frame->stream, .response = {}};
      if (!answer.response.ParseFromString(frame->payload)) {
        return Error(ErrorKind::Corrupt,
                     cat("what listens at ", socket_, " does not speak our protocol"));
      }
      return std::optional<Answer>(std::move(answer));
    }
  }
}

}  // namespace gangway::monitor
