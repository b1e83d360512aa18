// What a turn of the controller wants done: values, performed by the daemon after the commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/io/transport.hpp"
#include "queues/store/job_store.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::scheduler {

namespace effect {
struct Reply {
  io::PeerId to;
  std::uint32_t stream = 0;
  wire::Response response;
};
struct SendNode {
  io::PeerId to;
  wire::ToNode message;
};
struct ClosePeer {
  io::PeerId peer;
};
// Calls Controller::on_timer(token) at `at`; a later ArmTimer with the same token replaces it.
struct ArmTimer {
  std::uint64_t token = 0;
  BootTime at;
};
// Asks the store for what the controller has forgotten; Controller::on_history(ticket) gets it.
struct AskHistory {
  std::uint64_t ticket = 0;
  std::vector<store::HistoryQuery> jobs;  // the answers are put together
  std::vector<WorkflowId> workflows;      // finished ones; their jobs are found by `jobs`
  std::uint64_t events_from = 0;          // of the log, if not 0
  std::size_t max_events = 0;
};
// Fire and forget: a mail that cannot be sent is lost, with a line in the log.
struct SendMail {
  std::string to;
  std::string subject;
  std::string body;
};
}  // namespace effect

using Effect = std::variant<effect::Reply,
                            effect::SendNode,
                            effect::ClosePeer,
                            effect::ArmTimer,
                            effect::AskHistory,
                            effect::SendMail>;

// One turn. Everything but ArmTimer waits until `batch` and all batches before it are durable, and
// is performed in this order, also across turns.
struct Turn {
  store::Batch batch;
  std::vector<Effect> effects;
};

// The answer to AskHistory.
struct History {
  std::vector<Job> jobs;            // some perhaps twice
  std::vector<Workflow> workflows;  // those that exist
  std::vector<Event> events;        // seq rising
  std::optional<Error> error;       // the store could not answer; nothing else is set then
};

}  // namespace gangway::scheduler
