// What a user may ask of a job or of a service's replica, whatever the cluster looks like.
//
// Pure.
#pragma once

#include "queues/base/result.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway::scheduler {

// Errors: Denied, Invalid, naming the option.
[[nodiscard]] Result<void> check_spec_of_user(const JobSpec& spec, bool is_operator);
// Ports are replicas' alone: no batch job asks for one by name. Errors: Invalid.
[[nodiscard]] Result<void> check_no_ports(const JobSpec& spec);

}  // namespace gangway::scheduler
