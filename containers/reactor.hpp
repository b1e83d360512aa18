// Reactor: what a sandbox runtime needs of its caller's event loop, so that this folder knows no
// loop of its own. One thread; a callback is a turn of the loop.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace gangway::containers {

class Reactor {
 public:
  using WatchId = std::uint64_t;

  virtual ~Reactor() = default;
  // Calls `then` whenever `fd` can be read (or has hung up) until unwatched, which happens before
  // the caller closes it.
  virtual WatchId watch_readable(int fd, std::function<void()> then) = 0;
  virtual void unwatch(WatchId id) = 0;
  // Calls `then` once with the wait status of the child `pid`, which it reaps.
  virtual void watch_child(pid_t pid, std::function<void(int wait_status)> then) = 0;
  // Calls `then` in a later turn, in the order of the posts.
  virtual void post(std::function<void()> then) = 0;
};

}  // namespace gangway::containers
