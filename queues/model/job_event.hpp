// Every fact that can happen to a job, a workflow, a node, an account or a service, in one
// envelope. The events are the log: replaying them gives the state rows (adr/0001).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/account.hpp"
#include "queues/model/job.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"

namespace gangway {

namespace job_event {
struct Submitted {
  Owner owner;
  std::string spec_digest;
  std::optional<Membership> membership;
  bool held = false;
  std::uint32_t elements = 0;  // of an array
};
struct Eligible {};  // nothing but resources keeps it now
struct ReasonChanged {
  PendingReason reason;
};  // why it waits, as people are told
struct Held {
  bool by_operator = false;
};
struct Released {
  bool by_operator = false;
};
struct Allocated {
  Attempt attempt = 0;
  Allocation allocation;
};
struct Launched {};  // every node prepared; the order is out
struct Suspended {
  bool by_operator = false;
};
struct Resumed {};
struct Ended {
  Attempt attempt = 0;
  Outcome outcome;
  bool requeue = false;
  bool retry = false;  // requeued because it has failed and may try again
};
struct Cleaned {
  Attempt attempt = 0;
  JobUsage usage{};
};  // every node of it is free again
struct CancelledWaiting {
  Outcome outcome;
};  // ended before it ever got nodes
// An element of an array becomes a job of its own; the event is the element's first.
struct Split {
  std::uint32_t position = 0;
};
// Elements that are no jobs of their own end before they ever got nodes; the event is the array's.
struct Dropped {
  IntervalSet positions;
  Outcome outcome;
};
struct ArrayEnded {};  // the last element has
struct Altered {       // its user asks for something else, while it waits
  std::string spec_digest;
};
}  // namespace job_event

using JobEvent = std::variant<job_event::Submitted,
                              job_event::Eligible,
                              job_event::ReasonChanged,
                              job_event::Held,
                              job_event::Released,
                              job_event::Allocated,
                              job_event::Launched,
                              job_event::Suspended,
                              job_event::Resumed,
                              job_event::Ended,
                              job_event::Cleaned,
                              job_event::CancelledWaiting,
                              job_event::Split,
                              job_event::Dropped,
                              job_event::ArrayEnded,
                              job_event::Altered>;
[[nodiscard]] std::string_view event_name(const JobEvent& event);  // "Submitted"

namespace workflow_event {
struct Submitted {
  std::string name;
  Owner owner;
  std::vector<WorkflowMember> members;
  std::vector<CategoryLimit> limits{};
};
// A new generation: these members run again, as new jobs, the others stand.
struct Resumed {
  struct Member {
    std::uint32_t number = 0;
    JobId job;
  };
  std::vector<Member> members;
};
struct Finished {
  OutcomeKind outcome = OutcomeKind::Completed;
};
}  // namespace workflow_event
using WorkflowEvent =
    std::variant<workflow_event::Submitted, workflow_event::Finished, workflow_event::Resumed>;

namespace node_event {
struct Registered {
  Resources capacity;
  std::string boot_id;
  std::string address;
  std::vector<std::string> features;
};
struct Drained {
  bool on = true;
  std::string reason;
  std::string by;
};
struct Lost {};  // silent past its lease
struct ConfirmedDown {
  std::string by;
};  // an operator's word: nothing runs there any more
}  // namespace node_event
using NodeEvent = std::variant<node_event::Registered,
                               node_event::Drained,
                               node_event::Lost,
                               node_event::ConfirmedDown>;

namespace account_event {
struct Set {  // made or changed
  AccountName parent;
  std::int64_t shares = 1;
};
struct Removed {};
// A time of running has ended and is charged to this user. `usage` is what the user has used in all
// after it, so that the log can be read without the half-life of its day.
struct Charged {
  JobKey job;
  Attempt attempt = 0;
  double amount = 0;
  double usage = 0;
};
}  // namespace account_event
using AccountEvent =
    std::variant<account_event::Set, account_event::Removed, account_event::Charged>;
[[nodiscard]] std::string_view event_name(const AccountEvent& event);  // "Charged"

namespace service_event {
struct Applied {  // made or changed; a new revision if the template or the job is another
  Owner owner;
  ServiceSpec spec;
  JobSpec job;
};
struct EndpointsSet {  // all it has from now on
  std::vector<Endpoint> endpoints;
  std::vector<IngressRule> rules;
};
struct Scaled {
  std::int32_t replicas = 0;
};
struct Wanted {  // an older revision again
  std::int64_t revision = 0;
  std::string why;
};
struct Started {  // a replica, as a job
  std::int64_t number = 0;
  std::int64_t revision = 0;
  JobId job;
};
struct Phased {  // a replica
  std::int64_t number = 0;
  ReplicaPhase phase = ReplicaPhase::Waiting;
  bool alive = true;
  std::string note{};
};
struct Forgotten {  // a replica that has ended
  std::int64_t number = 0;
};
struct Progressed {
  ServiceProgress progress;
};
struct Deleted {};  // its replicas are to end
struct Removed {};  // they have
}  // namespace service_event
using ServiceEvent = std::variant<service_event::Applied,
                                  service_event::EndpointsSet,
                                  service_event::Scaled,
                                  service_event::Wanted,
                                  service_event::Started,
                                  service_event::Phased,
                                  service_event::Forgotten,
                                  service_event::Progressed,
                                  service_event::Deleted,
                                  service_event::Removed>;
[[nodiscard]] std::string_view event_name(const ServiceEvent& event);  // "Scaled"

// The one envelope. `version` is the subject's version after this event.
struct Event {
  std::uint64_t seq = 0;
  Time time;
  std::uint64_t version = 0;
  struct OfJob {
    JobKey key;
    JobEvent what;
  };
  struct OfWorkflow {
    WorkflowId id;
    WorkflowEvent what;
  };
  struct OfNode {
    NodeName name;
    NodeEvent what;
  };
  struct OfAccount {
    AssociationKey key;
    AccountEvent what;
  };
  struct OfService {
    ServiceKey key;
    ServiceEvent what;
  };
  std::variant<OfJob, OfWorkflow, OfNode, OfAccount, OfService> subject;
};

}  // namespace gangway
