// A unix socket between a client and the scheduler that loses replies: the request goes through, is
// committed and answered, and the answer never arrives.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "queues/base/fd.hpp"

namespace gangway::e2e {

class SocketProxy {
 public:
  // Listens on `path` and forwards to `target`. Of the first `lost` connections the client gets
  // nothing back: the connection is closed once the scheduler has answered.
  SocketProxy(const std::string& path, std::string target, int lost);
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;
  [[nodiscard]] int replies_lost() const { return replies_lost_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve();
  void forward(Fd client, bool lose);

  std::string path_;
  std::string target_;
  int lost_;
  Fd listener_;
  Fd stop_read_;
  Fd stop_write_;
  std::atomic<int> replies_lost_{0};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

}  // namespace gangway::e2e
