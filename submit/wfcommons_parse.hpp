// WfFormat (wfcommons.org), the JSON of recorded workflows, as workflows that can be run: each task
// takes the time that it took then, times a factor.
//
// Source: WfCommons, "WfFormat", schema versions 1.0 to 1.5. Pure.
#pragma once

#include "submit/workflow_parse.hpp"

namespace gangway::submit {

// A task that ran for `t` seconds runs `sleep t * time_scale` on one core: the machines of then may
// have been larger.
[[nodiscard]] WorkflowFile parse_wfcommons(const WorkflowInput& input, double time_scale);

}  // namespace gangway::submit
