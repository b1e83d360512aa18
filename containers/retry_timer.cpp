#include "containers/retry_timer.hpp"

#include <sys/timerfd.h>

#include <cerrno>
#include <utility>

namespace gangway::containers {
namespace {

constexpr long kAgainNs = 2'000'000;

}  // namespace

Result<void> RetryTimer::arm(std::function<void()> then) {
  stop();
  const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kAgainNs}};
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer || timerfd_settime(timer.get(), 0, &soon, nullptr) != 0) {
    return errno_error("wait for the sandbox", errno);
  }
  fd_ = std::move(timer);
  then_ = std::move(then);
  watch_ = reactor_.watch_readable(fd_.get(), [this] { ring(); });
  return {};
}

void RetryTimer::stop() {
  if (watch_ != 0) reactor_.unwatch(watch_);
  watch_ = 0;
  fd_.reset();
  then_ = nullptr;
}

void RetryTimer::ring() {
  const auto then = std::exchange(then_, nullptr);
  stop();
  then();
}

}  // namespace gangway::containers
