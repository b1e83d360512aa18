// jpmixd: the PMIx server process of one job on one node. The shepherd starts it as the job's user,
// inside the job's namespaces, with a socket to itself as descriptor 3; PROTOCOL.md has the
// dialogue.
//
// It parses what the ranks send, which is why it is not the shepherd: a rank that breaks it breaks
// its own job. It lives until its socket closes. Signals to the job are for the ranks, not for it.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>

#include "executor/pmix_link.hpp"
#include "executor/pmix_server.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/io/frame_socket.hpp"

namespace gangway::executor {
namespace {

constexpr int kLinkFd = 3;
constexpr unsigned kFinalizeSeconds = 2;  // the library's own end, before it is ended

class Server {
 public:
  explicit Server(Fd link) : link_(std::move(link), wire::kMaxPayloadBytes) {}

  // Until the shepherd has closed the socket or has said to quit.
  Result<void> run() {
    while (!over_) {
      std::array<pollfd, 2> fds{{{link_.fd(), POLLIN, 0}, {-1, POLLIN, 0}}};
      if (link_.queued_bytes() > 0) fds[0].events |= POLLOUT;
      // A shepherd that is behind makes the ranks wait, not this process grow.
      if (server_ && link_.queued_bytes() < kMaxPmixQueueBytes) fds[1].fd = server_->fd();
      if (::poll(fds.data(), fds.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return errno_error("poll", errno);
      }
      // A socket that fails is a shepherd that is gone.
      if ((fds[0].revents & POLLOUT) != 0 && !link_.write_slice()) return {};
      if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) GANGWAY_TRY(hear());
      if (server_ && (fds[1].revents & POLLIN) != 0) {
        if (std::optional<wire::FromPmix> message = server_->next()) say(*message);
      }
    }
    return {};
  }

  // Tries to get `message` out before the end.
  void say_last(const Error& error) {
    wire::FromPmix message;
    message.mutable_failed()->set_message(error.message());
    say(message);
    pollfd fd{link_.fd(), POLLOUT, 0};
    while (link_.queued_bytes() > 0 && ::poll(&fd, 1, 1000) == 1) {
      if (!link_.write_slice()) return;
    }
  }

 private:
  Result<void> hear() {
    const Result<io::FrameSocket::ReadEnd> end = link_.read_slice();
    while (!over_) {
      GANGWAY_ASSIGN(std::optional<wire::Frame> frame, link_.next());
      if (!frame) break;
      wire::ToPmix message;
      if (frame->type != wire::FrameType::ToPmix || !message.ParseFromString(frame->payload)) {
        return Error(ErrorKind::Corrupt, "unexpected message from the shepherd");
      }
      GANGWAY_TRY(obey(std::move(message)));
    }
    if (!end || *end == io::FrameSocket::ReadEnd::Eof) over_ = true;
    return {};
  }

  Result<void> obey(wire::ToPmix message) {
    if (message.has_setup() && !server_) return set_up(message.setup());
    if (message.has_quit()) {
      over_ = true;
      if (server_) {
        ::alarm(kFinalizeSeconds);
        server_->finalize();
      }
    } else if (server_ && message.has_sync()) {
      // A rank's connection is in the pipe before the rank goes on.
      while (std::optional<wire::FromPmix> earlier = server_->next()) say(*earlier);
      wire::FromPmix synced;
      synced.mutable_synced();
      say(synced);
    } else if (server_) {
      if (std::optional<wire::FromPmix> answer = server_->on(std::move(message))) say(*answer);
    }
    return {};
  }

  Result<void> set_up(const wire::PmixSetup& setup) {
    // What the library makes of TMPDIR, and of nothing else in the environment.
    ::setenv("TMPDIR", setup.temporary_directory().c_str(), 1);
    GANGWAY_ASSIGN(server_, PmixServer::start(setup));
    wire::FromPmix message;
    GANGWAY_ASSIGN(*message.mutable_ready(), server_->rank_environments());
    say(message);
    return {};
  }

  void say(const wire::FromPmix& message) {
    wire::Frame frame{.type = wire::FrameType::FromPmix, .stream = 0, .payload = {}};
    CHECK(message.SerializeToString(&frame.payload));
    link_.queue(frame);
  }

  io::FrameSocket link_;
  std::unique_ptr<PmixServer> server_;
  bool over_ = false;
};

// The library reads its settings from the environment and from files in HOME: it gets ours only.
void set_environment() {
  ::clearenv();
  ::setenv("PATH", "/usr/bin:/bin", 1);
  ::setenv("HOME", "/nonexistent", 1);
  // Job data goes to the ranks by message: nothing of the server's needs to be visible in the
  // sandbox, and no segments are left behind.
  ::setenv("PMIX_MCA_gds", "hash", 1);
  // The ranks' own word for who they are; munge and the like need a socket in the image.
  ::setenv("PMIX_MCA_psec", "native", 1);
}

void ignore_signals() {
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP,
                           SIGTTIN, SIGTTOU, SIGXCPU}) {
    ::signal(number, SIG_IGN);
  }
}

int run() {
  set_log("jpmixd", LogLevel::Info);
  const int flags = ::fcntl(kLinkFd, F_GETFL);
  if (flags < 0) {
    std::fputs("jpmixd: is started by jshepherd, not by people\n", stderr);
    return 64;
  }
  // It runs from a copy in memory, whose name says nothing (containers/program_exec.hpp).
  ::prctl(PR_SET_NAME, "jpmixd");
  ignore_signals();
  set_environment();
  ::fcntl(kLinkFd, F_SETFL, flags | O_NONBLOCK);
  ::fcntl(kLinkFd, F_SETFD, FD_CLOEXEC);
  Server server{Fd(kLinkFd)};
  if (const Result<void> result = server.run(); !result) {
    log_error("pmix_server_failed", {{"why", result.error().message()}});
    server.say_last(result.error());
    ::_exit(70);
  }
  // Without the library's own clean-up if the shepherd is gone: its directory goes with the job.
  ::_exit(0);
}

}  // namespace
}  // namespace gangway::executor

int main() {
  try {
    return gangway::executor::run();
  } catch (const std::exception& error) {
    gangway::log_error("exception", {{"what", error.what()}});
    return 70;
  }
}
