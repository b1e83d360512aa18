// The only writer of an association's recorded state, as job_machine.hpp is of a job's. Pure.
#pragma once

#include "queues/base/result.hpp"
#include "queues/model/account.hpp"
#include "queues/model/job_event.hpp"

namespace gangway {

// The association after `event`; of one not yet known, start from Association{.key = ...}. One that
// was removed is dropped by who keeps it.
[[nodiscard]] Association apply(const Association& association, const AccountEvent& event, Time at);

}  // namespace gangway
