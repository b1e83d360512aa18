// LoopReactor: the event loop as the container runtime wants to see it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <utility>

#include "containers/reactor.hpp"
#include "queues/io/event_loop.hpp"

namespace gangway::executor {

class LoopReactor final : public containers::Reactor {
 public:
  explicit LoopReactor(io::EventLoop& loop) : loop_(loop) {}

  WatchId watch_readable(int fd, std::function<void()> then) override {
    return loop_.watch_readable(fd, std::move(then)).value;
  }
  void unwatch(WatchId id) override { loop_.unwatch(io::WatchId{id}); }
  void watch_child(pid_t pid, std::function<void(int wait_status)> then) override {
    loop_.watch_child(pid, std::move(then));
  }
  void post(std::function<void()> then) override { loop_.post(std::move(then)); }

 private:
  io::EventLoop& loop_;
};

}  // namespace gangway::executor
