#include "executor/pmix_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include "queues/base/text.hpp"
#include "queues/io/frame_socket.hpp"

namespace gangway::executor {
namespace {

class SocketPmixLink final : public PmixLink {
 public:
  SocketPmixLink(io::EventLoop& loop, PmixHandler& handler) : loop_(loop), handler_(handler) {}
  ~SocketPmixLink() override { close(); }
  SocketPmixLink(const SocketPmixLink&) = delete;
  SocketPmixLink& operator=(const SocketPmixLink&) = delete;

  Result<Fd> open() override {
    CHECK(!socket_);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return errno_error("make a socket pair for the PMIx server", errno);
    }
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    if (const int flags = ::fcntl(ours.get(), F_GETFL);
        flags < 0 || ::fcntl(ours.get(), F_SETFL, flags | O_NONBLOCK) != 0)
      return errno_error("set up the PMIx socket", errno);
    socket_.emplace(std::move(ours), wire::kMaxPayloadBytes);
    readable_ = loop_.watch_readable(socket_->fd(), [this] { on_readable(); });
    return theirs;
  }

  void send(const wire::ToPmix& message) override {
    if (!socket_ || failing_) return;
    wire::Frame frame{.type = wire::FrameType::ToPmix, .stream = 0, .payload = {}};
    if (!message.SerializeToString(&frame.payload) ||
        frame.payload.size() > wire::kMaxPayloadBytes) {
      return fail_later(Error(ErrorKind::Internal, "message to the PMIx server is too long"));
    }
    if (socket_->queued_bytes() + frame.payload.size() > kMaxPmixQueueBytes) {
      return fail_later(Error(ErrorKind::Exhausted, "it does not read"));
    }
    socket_->queue(frame);
    if (!writable_) writable_ = loop_.watch_writable(socket_->fd(), [this] { on_writable(); });
  }

  void close() override {
    if (!socket_) return;
    loop_.unwatch(*readable_);
    readable_.reset();
    stop_writing();
    socket_.reset();
    *alive_ = false;
    alive_ = std::make_shared<bool>(true);
  }

 private:
  void stop_writing() {
    if (writable_) loop_.unwatch(*writable_);
    writable_.reset();
  }

  void on_writable() {
    const Result<std::size_t> written = socket_->write_slice();
    // A server that is gone is noticed by the reader, after its last words have been read.
    if (!written || socket_->queued_bytes() == 0) stop_writing();
  }

  void on_readable() {
    const Result<io::FrameSocket::ReadEnd> end = socket_->read_slice();
    if (!end) return fail(end.error());
    // The handler may close or destroy the link in each call.
    const std::shared_ptr<bool> alive = alive_;
    while (*alive) {
      Result<std::optional<wire::Frame>> frame = socket_->next();
      if (!frame) return fail(frame.error());
      if (!frame->has_value()) break;
      wire::FromPmix message;
      if ((*frame)->type != wire::FrameType::FromPmix ||
          !message.ParseFromString((*frame)->payload)) {
        return fail(Error(ErrorKind::Corrupt, "unexpected message"));
      }
      hand_on(message);
    }
    if (*alive && *end == io::FrameSocket::ReadEnd::Eof) {
      fail(last_words_.value_or(Error(ErrorKind::Unavailable, "it has ended")));
    }
  }

  void hand_on(wire::FromPmix& message) {
    switch (message.what_case()) {
      case wire::FromPmix::kReady:
        if (!std::exchange(was_ready_, true)) {
          handler_.on_pmix_ready(std::move(*message.mutable_ready()));
        }
        return;
      case wire::FromPmix::kFence:
      case wire::FromPmix::kModexAsk:
      case wire::FromPmix::kModexAnswer:
      case wire::FromPmix::kNames:
      case wire::FromPmix::kEvent:
      case wire::FromPmix::kControl:
      case wire::FromPmix::kSpawn:
      case wire::FromPmix::kWorldReady:
        return handler_.on_pmix_exchange(std::move(message));
      case wire::FromPmix::kAbort:
        return handler_.on_pmix_abort(std::move(*message.mutable_abort()));
      case wire::FromPmix::kRankState:
        return handler_.on_pmix_rank_state(message.rank_state());
      case wire::FromPmix::kSynced:
        return handler_.on_pmix_synced();
      case wire::FromPmix::kFailed:
        last_words_ = Error(ErrorKind::Unavailable, message.failed().message());
        return;
      case wire::FromPmix::WHAT_NOT_SET:
        return;  // something a later version says
    }
  }

  void fail(const Error& why) {
    const Error error = why.with_context("PMIx server");
    close();
    handler_.on_pmix_closed(error);
  }

  void fail_later(Error why) {
    failing_ = true;
    loop_.post([this, alive = alive_, why = std::move(why)] {
      if (*alive) fail(why);
    });
  }

  io::EventLoop& loop_;
  PmixHandler& handler_;
  std::optional<io::FrameSocket> socket_;
  std::optional<io::WatchId> readable_;
  std::optional<io::WatchId> writable_;
  std::optional<Error> last_words_;
  bool was_ready_ = false;
  bool failing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false once closed
};

}  // namespace

std::unique_ptr<PmixLink> make_pmix_link(io::EventLoop& loop, PmixHandler& handler) {
  return std::make_unique<SocketPmixLink>(loop, handler);
}

}  // namespace gangway::executor
