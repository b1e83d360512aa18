// SchedulerLink: one connection to the scheduler on which several requests are under way, for a
// program that waits for other things too. Like Client, but nothing blocks.
//
// Errors: those of Client. After one the link is closed; open() makes a new one, and answers to
// what was asked on the old one do not come any more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::monitor {

class SchedulerLink {
 public:
  SchedulerLink(std::string program, std::string socket);

  struct Answer {
    std::uint32_t stream = 0;
    wire::Response response;
  };

  [[nodiscard]] Result<void> open();
  void close();
  [[nodiscard]] int fd() const { return fd_.get(); }  // -1: closed
  // The number under which the answers come. Requires: open.
  std::uint32_t ask(const wire::Request& request);
  [[nodiscard]] bool wants_to_write() const { return !out_.empty(); }
  // What the kernel takes and has now.
  [[nodiscard]] Result<void> write_some();
  [[nodiscard]] Result<void> read_some();
  // The next answer that is there whole.
  [[nodiscard]] Result<std::optional<Answer>> next();

 private:
  [[nodiscard]] Error lost(std::string_view how) const;

  std::string program_;
  std::string socket_;
  Fd fd_;
  std::string out_;
  wire::FrameReader reader_;
  std::uint32_t stream_ = 0;
};

}  // namespace gangway::monitor
