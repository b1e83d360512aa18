// Services made ready to be sent: each replica's job out of the template, with the rights of who
// submits.
//
// A replica's job depends on the template and on the image it names now, and on nothing of the
// shell it is submitted from: the same file again is the same revision.
#pragma once

#include <string>

#include "queues/base/result.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/service.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/client.hpp"

namespace gangway::submit {

struct ServiceSurroundings {
  std::string queue;      // empty: the default
  std::string account;    // empty: the user's
  std::string directory;  // absolute: of relative paths, and where replicas write their output
};

// Runs `jimage resolve` for each image that is named, once.
// Errors: Invalid, naming service and field (what a replica cannot be here: no image or one that is
// still to be built, a host name of its own, an unknown stop signal); those of resolve_image().
[[nodiscard]] Result<wire::SubmitServices> make_submission(const ServiceSet& set,
                                                           const ServiceSurroundings& around);

// The job of a replica, without its image. Errors: Invalid, naming the field.
[[nodiscard]] Result<JobSpec> make_replica_job(const ServiceSpec& spec,
                                               const ServiceSurroundings& around);

// "service web created (revision 1)\n", a line for each.
[[nodiscard]] std::string describe(const wire::ServicesApplied& applied);

}  // namespace gangway::submit
