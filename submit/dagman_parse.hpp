// HTCondor's DAGMan files as workflows: JOB, PARENT … CHILD, VARS, RETRY, SCRIPT PRE and POST,
// CATEGORY and MAXJOBS, PRIORITY, SPLICE, SUBDAG EXTERNAL, FINAL, INCLUDE, inline submit
// descriptions, and of submit files what says what is run and with what.
//
// What would change what is run, in which order or how often, and cannot be had here, is an error
// that names it; what only tells HTCondor how to watch or log it is named in one warning.
//
// Source: HTCondor Manual, "DAGMan Workflows". Pure but for `input.read_script`.
#pragma once

#include "submit/workflow_parse.hpp"

namespace gangway::submit {

[[nodiscard]] WorkflowFile parse_dagman(const WorkflowInput& input);

}  // namespace gangway::submit
