// The only writer of a workflow's recorded state, as job_machine.hpp is of a job's. Pure.
#pragma once

#include "queues/base/result.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/workflow.hpp"

namespace gangway {

[[nodiscard]] Workflow make_workflow(WorkflowId id,
                                     const workflow_event::Submitted& event,
                                     Time at);

// The workflow after `event`. Errors: Internal (Submitted again, finished already).
[[nodiscard]] Result<Workflow> apply(const Workflow& workflow, const WorkflowEvent& event, Time at);

}  // namespace gangway
