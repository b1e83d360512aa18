// A Reactor over poll(2), for tests: turns until a condition holds or a minute has passed.
#pragma once

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "containers/reactor.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/time.hpp"

namespace gangway::containers {

class PollReactor final : public Reactor {
 public:
  WatchId watch_readable(int fd, std::function<void()> then) override {
    const WatchId id = next_++;
    watches_[id] = {fd, std::make_shared<std::function<void()>>(std::move(then))};
    return id;
  }
  void unwatch(WatchId id) override { watches_.erase(id); }
  void watch_child(pid_t pid, std::function<void(int)> then) override {
    children_[pid] = {Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))), std::move(then)};
  }
  void post(std::function<void()> then) override { posted_.push_back(std::move(then)); }

  // True when `done` holds; false after a minute. `outside`: it may come to hold without a turn
  // here.
  bool run_until(const std::function<bool()>& done, bool outside = false) {
    const BootTime end = SystemClock().now().boot + minutes(1);
    while (!done()) {
      if (SystemClock().now().boot > end) return false;
      turn(outside ? 1 : 1000);
    }
    return true;
  }
  void turn_once() { turn(1); }
  // All that can be done without waiting.
  void drain() {
    while (!posted_.empty()) turn();
  }
  [[nodiscard]] std::size_t children() const { return children_.size(); }

 private:
  struct Watch {
    int fd = -1;
    std::shared_ptr<std::function<void()>> then;
  };
  struct Child {
    Fd pidfd;
    std::function<void(int)> then;
  };

  void turn(int wait_ms = 0) {
    if (!posted_.empty()) {
      const auto then = std::move(posted_.front());
      posted_.pop_front();
      then();
      return;
    }
    std::vector<pollfd> polled;
    std::vector<WatchId> ids;
    std::vector<pid_t> pids;
    for (const auto& [id, watch] : watches_) {
      polled.push_back({.fd = watch.fd, .events = POLLIN, .revents = 0});
      ids.push_back(id);
    }
    for (const auto& [pid, child] : children_) {
      polled.push_back({.fd = child.pidfd.get(), .events = POLLIN, .revents = 0});
      pids.push_back(pid);
    }
    if (poll(polled.data(), polled.size(), wait_ms) <= 0) return;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (i < ids.size()) {
        const auto found = watches_.find(ids[i]);
        if (found == watches_.end()) continue;
        const auto then = found->second.then;  // may unwatch itself
        (*then)();
      } else {
        const auto found = children_.find(pids[i - ids.size()]);
        if (found == children_.end()) continue;
        int status = 0;
        waitpid(found->first, &status, 0);
        const auto then = std::move(found->second.then);
        children_.erase(found);
        then(status);
      }
    }
  }

  WatchId next_ = 1;
  std::map<WatchId, Watch> watches_;
  std::map<pid_t, Child> children_;
  std::deque<std::function<void()>> posted_;
};

}  // namespace gangway::containers
