// Servers that answer "GET" with their name, and clients that ask in a loop and count what failed.
// Threads of the test; loopback only; both bounded.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "queues/base/fd.hpp"

namespace gangway::test {

class TinyServer {
 public:
  explicit TinyServer(std::string name);  // at a port of the kernel's choice
  ~TinyServer();                          // answers what it has accepted, then is gone
  TinyServer(const TinyServer&) = delete;
  TinyServer& operator=(const TinyServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // "GET /slow" is answered when this was called.
  void release() { released_ = true; }
  [[nodiscard]] int slow_ones() const { return slow_; }

 private:
  void serve();
  void answer(Fd connection);
  std::string name_;
  Fd listening_;
  std::uint16_t port_ = 0;
  std::atomic<bool> over_{false};
  std::atomic<bool> released_{false};
  std::atomic<int> slow_{0};
  std::vector<std::thread> connections_;
  std::thread thread_;
};

// One request on a connection of its own. The body; "" if there was none.
[[nodiscard]] std::string ask(std::uint16_t port,
                              const std::string& path = "/",
                              const std::string& host = "localhost");

// Asks again and again, some hundred times a second, until it is stopped.
class RequestLoop {
 public:
  explicit RequestLoop(std::uint16_t port);
  ~RequestLoop() { stop(); }
  void stop();
  [[nodiscard]] int failed() const { return failed_; }
  // How often each server has answered.
  [[nodiscard]] std::map<std::string, int> answers() const;

 private:
  std::atomic<bool> over_{false};
  std::atomic<int> failed_{0};
  mutable std::mutex mutex_;
  std::map<std::string, int> answers_;
  std::vector<std::thread> threads_;
};

// A port of loopback that is free now.
[[nodiscard]] std::uint16_t free_port();

}  // namespace gangway::test
