// PmiService: the sockets behind a node's PmiServer. Each rank inherits the end of a socket pair
// as descriptor 3 (PMI_FD=3); what the server has to tell goes to a PmixHandler, as from a PMIx
// server: to the shepherd the two are alike.
//
// In the loop's thread. The handler is called from turns of the loop, never from inside a call. A
// rank that does not read its answers is cut off; what it inherits, its children have too.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/pmi_server.hpp"
#include "executor/pmix_link.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/io/event_loop.hpp"

namespace gangway::executor {

class PmiService {
 public:
  PmiService(io::EventLoop& loop, PmixHandler& handler, PmiJob job);
  ~PmiService();
  PmiService(const PmiService&) = delete;
  PmiService& operator=(const PmiService&) = delete;

  // The rank's end: to be inherited and then closed here. Once for each local rank. Errors:
  // Exhausted.
  [[nodiscard]] Result<Fd> open(std::uint32_t rank);
  void on_fence_done(const wire::PmixFenceDone& done);
  // The ranks hear no more, and nor does the handler.
  void close();

 private:
  struct Line {
    Fd socket;
    io::WatchId readable;
    std::optional<io::WatchId> writable;
    std::string unsent;
  };
  void on_readable(std::uint32_t rank);
  void on_writable(std::uint32_t rank);
  void perform(PmiActions actions);
  void send(std::uint32_t rank, const std::string& bytes);
  void cut(std::uint32_t rank, const std::string& why);

  io::EventLoop& loop_;
  PmixHandler& handler_;
  PmiServer server_;
  std::map<std::uint32_t, Line> lines_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace gangway::executor
