// EventLoop: descriptors, timers and the ends of children; the second of the five faces.
//
// One thread. A callback is a turn: it runs to its end before the next one, and `now()` of the
// loop's clock is the same all through it. Callbacks may arm, cancel and watch, also themselves.
#pragma once

#include <sys/types.h>

#include <functional>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"

namespace gangway::io {

using TimerId = NumberId<struct TimerIdTag>;
using WatchId = NumberId<struct WatchIdTag>;

class EventLoop {
 public:
  virtual ~EventLoop() = default;

  [[nodiscard]] virtual Now now() const = 0;
  // Calls `then` once, not before `at`, unless cancelled.
  virtual TimerId arm(BootTime at, std::function<void()> then) = 0;
  virtual void cancel(TimerId id) = 0;  // of a timer that has fired: no effect
  // Calls `then` in a later turn, in the order of the posts.
  virtual void post(std::function<void()> then) = 0;

  // Calls `then` whenever `fd` can be read (or has hung up) until unwatched. The caller owns `fd`
  // and unwatches before closing it.
  virtual WatchId watch_readable(int fd, std::function<void()> then) = 0;
  virtual WatchId watch_writable(int fd, std::function<void()> then) = 0;
  virtual void unwatch(WatchId id) = 0;
  // Calls `then` once with the wait status of the child `pid`, which it reaps (pidfd + waitid).
  virtual void watch_child(pid_t pid, std::function<void(int wait_status)> then) = 0;
  // Calls `then` at each arrival of `signal_number`, which is blocked for ordinary delivery.
  virtual void watch_signal(int signal_number, std::function<void()> then) = 0;

  virtual void run() = 0;  // until stop()
  virtual void stop() = 0;
};

}  // namespace gangway::io
