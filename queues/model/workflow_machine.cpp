#include "queues/model/workflow_machine.hpp"

#include "queues/base/text.hpp"

namespace gangway {

Workflow make_workflow(WorkflowId id, const workflow_event::Submitted& event, Time at) {
  Workflow workflow;
  workflow.id = id;
  workflow.name = event.name;
  workflow.owner = event.owner;
  workflow.submitted = at;
  workflow.members = event.members;
  workflow.limits = event.limits;
  workflow.version = 1;
  return workflow;
}

Result<Workflow> apply(const Workflow& workflow, const WorkflowEvent& event, Time at) {
  if (const auto* resumed = std::get_if<workflow_event::Resumed>(&event)) {
    Workflow next = workflow;
    for (const auto& [number, job] : resumed->members) {
      if (number >= next.members.size()) {
        return Error(ErrorKind::Internal,
                     cat("workflow ", to_string(workflow.id), ": has no member number ", number));
      }
      next.members[number].job = job;
    }
    next.ended.reset();
    ++next.generation;
    ++next.version;
    return next;
  }
  if (!std::holds_alternative<workflow_event::Finished>(event) || workflow.ended) {
    return Error(ErrorKind::Internal,
                 cat("workflow ", to_string(workflow.id),
                     workflow.ended ? ": is finished already" : ": submitted twice"));
  }
  Workflow next = workflow;
  next.ended = at;
  ++next.version;
  return next;
}

}  // namespace gangway
