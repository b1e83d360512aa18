// What a submission takes from the process that submits: directory, environment, umask, time.
#pragma once

#include "queues/base/result.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {

inline constexpr std::size_t kMaxWorkflowBytes = 64 << 20;

// Errors: NotFound (the directory is gone).
[[nodiscard]] Result<Surroundings> look_around();

}  // namespace gangway::submit
