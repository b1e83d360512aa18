// "#PBS" directives in terms of our options, so that a script written for PBS runs: OpenPBS' and
// Torque's qsub options with -l nodes, select, walltime, ncpus, mem and their kin.
//
// A chunk of "-l select" is taken as a node. What has no counterpart is named in the warning of
// options without effect.
//
// Source: OpenPBS 23 qsub(1B), pbs_resources(7B); Torque 6 qsub(1). Pure.
#pragma once

#include <span>
#include <string>

#include "queues/base/result.hpp"
#include "submit/job_options.hpp"

namespace gangway::submit {

// The words of one "#PBS" line. Errors: Invalid or Unsupported, with the place.
[[nodiscard]] Result<void> apply_pbs(JobDraft& draft,
                                     std::span<const std::string> words,
                                     const Place& place);

}  // namespace gangway::submit
