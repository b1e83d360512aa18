// A scheduler's socket for tests of the client: one thread, one connection at a time, answers made
// by a function. It speaks real frames, so that what is tested is the client and not a mock of it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::submit {

// What the fake does with one request.
struct FakeAnswer {
  std::vector<wire::Response> responses;
  bool close_instead = false;  // the connection ends without an answer
};

class FakeScheduler {
 public:
  using Handler = std::function<FakeAnswer(const wire::Request&)>;
  // Listens in a directory of its own, which goes with it.
  explicit FakeScheduler(Handler handler);
  ~FakeScheduler();
  FakeScheduler(const FakeScheduler&) = delete;
  FakeScheduler& operator=(const FakeScheduler&) = delete;

  [[nodiscard]] const std::string& socket() const { return socket_; }
  // Greets with Refused from now on.
  void refuse(std::string message) { refusal_ = std::make_shared<std::string>(std::move(message)); }

 private:
  void serve();
  void converse(int fd);

  Handler handler_;
  std::string directory_;
  std::string socket_;
  Fd listener_;
  Fd stop_read_, stop_write_;
  std::shared_ptr<std::string> refusal_;
  std::thread thread_;
};

}  // namespace gangway::submit
