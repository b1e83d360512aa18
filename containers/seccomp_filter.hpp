// The system call filters, as made at build time from seccomp_profile.hpp.
#pragma once

#include "queues/base/result.hpp"

namespace gangway::containers {

enum class SeccompProfile {
  Job,     // what programs in sandboxes may call
  Unpack,  // what the archive reader may call
  Build,   // a job's, but changes of owners and ids, and device nodes, only seem to be made
};

// Puts the filter on the calling thread and on whatever it starts, for good.
// Requires: no_new_privs is set. Errors: Unsupported (a kernel without filters), Internal.
Result<void> load_seccomp(SeccompProfile profile);

}  // namespace gangway::containers
