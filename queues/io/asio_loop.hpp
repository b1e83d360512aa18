// AsioLoop: the real EventLoop, a single-threaded Boost.Asio io_context.
//
// Timers stand on one timerfd of CLOCK_BOOTTIME, so that a machine that was suspended finds its
// leases and deadlines over when it wakes (Asio's own steady_timer would count them on). Children
// are watched by pidfd, signals come through a signalfd. Nothing here resolves names, so that
// static programs can use it.
//
// One thread: every call, also stop(), comes from the thread that calls run(), or from any thread
// before it. watch_signal() blocks the signal in the calling thread: call it before other threads
// are started, and unblock signals in children before they exec.
#pragma once

#include <functional>
#include <memory>

#include "queues/io/event_loop.hpp"

namespace gangway::io {

class AsioLoop final : public EventLoop {
 public:
  // Throws std::system_error if the kernel gives no descriptors: nothing works then.
  AsioLoop();
  ~AsioLoop() override;
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  // In a turn: the instant at which it began. Outside of run(): the present.
  [[nodiscard]] Now now() const override;
  TimerId arm(BootTime at, std::function<void()> then) override;
  void cancel(TimerId id) override;
  void post(std::function<void()> then) override;

  // At most one watch of each kind for one descriptor. One that cannot be polled (a regular file)
  // counts as always ready, as for poll(2).
  WatchId watch_readable(int fd, std::function<void()> then) override;
  WatchId watch_writable(int fd, std::function<void()> then) override;
  void unwatch(WatchId id) override;
  // Requires: `pid` is a child that has not been waited for.
  void watch_child(pid_t pid, std::function<void(int wait_status)> then) override;
  void watch_signal(int signal_number, std::function<void()> then) override;

  void run() override;
  void stop() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gangway::io
