#include "executor/pmi_service.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "queues/base/log.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {
constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxUnsentBytes = std::size_t{4} << 20;
}  // namespace

PmiService::PmiService(io::EventLoop& loop, PmixHandler& handler, PmiJob job)
    : loop_(loop), handler_(handler), server_(std::move(job)) {}

PmiService::~PmiService() { close(); }

Result<Fd> PmiService::open(std::uint32_t rank) {
  CHECK(!lines_.contains(rank));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error(cat("make a socket pair for PMI of rank ", rank), errno);
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("set up a socket", errno);
  const int fd = ours.get();
  lines_[rank] = Line{.socket = std::move(ours),
                      .readable = loop_.watch_readable(fd, [this, rank] { on_readable(rank); }),
                      .writable = std::nullopt,
                      .unsent = {}};
  return theirs;
}

void PmiService::close() {
  while (!lines_.empty()) cut(lines_.begin()->first, {});
  *alive_ = false;
}

void PmiService::cut(std::uint32_t rank, const std::string& why) {
  const auto line = lines_.find(rank);
  if (line == lines_.end()) return;
  if (!why.empty()) log_warning("pmi_rank_cut_off", {{"rank", cat(rank)}, {"why", why}});
  loop_.unwatch(line->second.readable);
  if (line->second.writable) loop_.unwatch(*line->second.writable);
  lines_.erase(line);
}

void PmiService::on_readable(std::uint32_t rank) {
  std::array<char, kReadBytes> bytes{};
  const auto line = lines_.find(rank);
  if (line == lines_.end()) return;
  const ssize_t got = ::read(line->second.socket.get(), bytes.data(), bytes.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return cut(rank, {});
  perform(server_.on_bytes(rank, {bytes.data(), static_cast<std::size_t>(got)}));
}

void PmiService::on_fence_done(const wire::PmixFenceDone& done) {
  // In a turn of its own: the handler may be in the middle of telling of the fence.
  loop_.post([this, alive = alive_, done] {
    if (*alive) perform(server_.on_fence_done(done));
  });
}

void PmiService::perform(PmiActions actions) {
  // The handler may close the service.
  const std::shared_ptr<bool> alive = alive_;
  for (PmiAction& action : actions) {
    if (!*alive) return;
    std::visit(
        overloaded{[&](const pmi_action::Answer& answer) { send(answer.rank, answer.bytes); },
                   [&](const pmi_action::Cut& over) { cut(over.rank, over.why); },
                   [&](pmi_action::Tell& tell) {
                     if (tell.message.has_abort()) {
                       handler_.on_pmix_abort(tell.message.abort());
                     } else if (tell.message.has_rank_state()) {
                       handler_.on_pmix_rank_state(tell.message.rank_state());
                     } else {
                       handler_.on_pmix_exchange(std::move(tell.message));
                     }
                   }},
        action);
  }
}

void PmiService::send(std::uint32_t rank, const std::string& bytes) {
  const auto line = lines_.find(rank);
  if (line == lines_.end()) return;
  line->second.unsent += bytes;
  on_writable(rank);
}

void PmiService::on_writable(std::uint32_t rank) {
  const auto found = lines_.find(rank);
  if (found == lines_.end()) return;
  Line& line = found->second;
  while (!line.unsent.empty()) {
    const ssize_t sent =
        ::send(line.socket.get(), line.unsent.data(), line.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return;  // it is gone: the reader notices
    if (sent < 0) break;
    line.unsent.erase(0, static_cast<std::size_t>(sent));
  }
  if (line.unsent.size() > kMaxUnsentBytes) return cut(rank, "it does not read");
  if (!line.unsent.empty() && !line.writable) {
    line.writable = loop_.watch_writable(line.socket.get(), [this, rank] { on_writable(rank); });
  } else if (line.unsent.empty() && line.writable) {
    loop_.unwatch(*std::exchange(line.writable, std::nullopt));
  }
}

}  // namespace gangway::executor
