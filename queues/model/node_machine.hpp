// The only writer of a node's recorded state, as job_machine.hpp is of a job's.
//
// `contact` beyond Reached (registered) and Lost is not recorded by events: it follows heartbeats
// and is Unknown again after a restart. Pure.
#pragma once

#include "queues/model/job_event.hpp"
#include "queues/model/node.hpp"

namespace gangway {

// The node after `event`; of one not yet known, start from Node{.name = ...}.
[[nodiscard]] Node apply(const Node& node, const NodeEvent& event);

// Equality of what events record: all but `contact`.
[[nodiscard]] bool same_state(const Node& a, const Node& b);

}  // namespace gangway
