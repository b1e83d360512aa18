// A workflow as people see it: its jobs below the jobs they need, with their states.
//
// Each job stands below the last of those it needs; a job that is the only one to follow another
// stays at its depth, so that a long chain does not wander off to the right.
//
// Pure.
#pragma once

#include <string>

#include "queues/base/time.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/render.hpp"

namespace gangway::submit {

[[nodiscard]] std::string render_workflow(const wire::WorkflowView& view,
                                          Time now,
                                          const TableStyle& style,
                                          bool with_critical_path = false);
// The same for Graphviz: dot -Tsvg. Jobs on the critical path have bold frames.
[[nodiscard]] std::string render_dot(const wire::WorkflowView& view, Time now);
void write_workflow_json(const wire::WorkflowView& view, Time now, JsonWriter& json);

}  // namespace gangway::submit
