// StepLink: a session with a job's shepherd: over the socket inside the sandbox, or from outside
// through the scheduler and the node's executor.
//
// Frames both ways; when to read and write is the owner's matter (poll on fd()). Nothing blocks but
// open(). Errors: Unavailable, Denied, NotFound, Conflict, Corrupt.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::submit {

class StepLink {
 public:
  virtual ~StepLink() = default;
  [[nodiscard]] virtual int fd() const = 0;
  // Messages may be sent from then on; until then the job is waited for.
  [[nodiscard]] virtual bool is_open() const { return true; }
  virtual void send(const wire::ToStep& message) = 0;
  [[nodiscard]] virtual bool wants_to_write() const = 0;
  // What the kernel takes now.
  [[nodiscard]] virtual Result<void> write_some() = 0;
  // Reads what is there; false: the other side has closed.
  [[nodiscard]] virtual Result<bool> read_some() = 0;
  [[nodiscard]] virtual Result<std::optional<wire::FromStep>> next() = 0;
};

// Our own standard streams go along, for ranks on this node.
[[nodiscard]] Result<std::unique_ptr<StepLink>> open_local_link(const std::string& socket);

// Called now and then while the job waits; false: give up.
using WaitTick = std::function<bool(Duration waited)>;

// As the user who runs us, whom the scheduler asks the kernel for. A job that waits is waited for.
[[nodiscard]] Result<std::unique_ptr<StepLink>> open_tunnel(const std::string& program,
                                                            const std::string& scheduler_socket,
                                                            JobKey job,
                                                            const WaitTick& tick);

// The same without waiting: next() makes it open, or says why the job cannot be talked with.
[[nodiscard]] Result<std::unique_ptr<StepLink>> begin_tunnel(const std::string& program,
                                                             const std::string& scheduler_socket,
                                                             JobKey job);

// The socket of the allocation that we run in; "" outside of one.
[[nodiscard]] std::string find_step_socket();

}  // namespace gangway::submit
