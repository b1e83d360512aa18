// RetryTimer: a moment of two milliseconds, for what has to be tried again and does not say when it
// would work.
//
// In the reactor's thread. Armed again, it replaces what it was armed for.
#pragma once

#include <functional>

#include "containers/reactor.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

class RetryTimer {
 public:
  explicit RetryTimer(Reactor& reactor) : reactor_(reactor) {}
  ~RetryTimer() { stop(); }
  RetryTimer(const RetryTimer&) = delete;
  RetryTimer& operator=(const RetryTimer&) = delete;

  // `then` is called once, in a later turn, and may end the timer's owner.
  // Errors: the kernel's (no descriptor is left).
  Result<void> arm(std::function<void()> then);
  void stop();

 private:
  void ring();

  Reactor& reactor_;
  Fd fd_;
  Reactor::WatchId watch_ = 0;
  std::function<void()> then_;
};

}  // namespace gangway::containers
