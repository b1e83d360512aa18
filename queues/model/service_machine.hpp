// The only writer of a service's recorded state, as job_machine.hpp is of a job's. Pure.
#pragma once

#include "queues/base/result.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/service_state.hpp"

namespace gangway {

// A new revision is wanted, or an older one again.
[[nodiscard]] ServiceProgress want_revision(ServiceProgress progress,
                                            std::int64_t revision,
                                            Time now);

// Whether applying these to the service needs a new revision: the template or the job differ.
[[nodiscard]] bool needs_revision(const Service& service,
                                  const ReplicaTemplate& replica,
                                  const JobSpec& job);

// The service after `event`; of one not yet known, start from Service{} and Applied. One that was
// removed is dropped by who keeps it. Errors: Internal (no such replica or revision, and what
// cannot happen to a service that is going).
[[nodiscard]] Result<Service> apply(const Service& service, const ServiceEvent& event, Time at);

}  // namespace gangway
