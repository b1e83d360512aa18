// Message <-> model. Pure; the from_wire side takes bytes of strangers and is fuzzed: it checks
// every enumerator and bound and never trusts a count.
//
// Only this header names both worlds; generated types go no further than io, controller and agent.
#pragma once

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/model/account.hpp"
#include "queues/model/allocation.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::wire {

void to_wire(gangway::JobKey key, JobKey* out);
void to_wire(const gangway::Resources& r, Resources* out);
void to_wire(const gangway::Component& component, Component* out);
void to_wire(const gangway::IndexList& indexes, IndexList* out);
void to_wire(const gangway::Dependency& dependency, Dependency* out);
void to_wire(const gangway::JobSpec& spec, JobSpec* out);
void to_wire(const gangway::Owner& owner, Owner* out);
void to_wire(const gangway::Allocation& allocation, Allocation* out);
void to_wire(const gangway::Outcome& outcome, Outcome* out);
void to_wire(const gangway::Membership& membership, Membership* out);
void to_wire(const gangway::WorkflowMember& member, WorkflowMember* out);
void to_wire(const gangway::UsedAmounts& used, Usage* out);
[[nodiscard]] gangway::UsedAmounts from_wire(const Usage& m);
void to_wire(const gangway::StepRecord& step, StepUsage* out);
[[nodiscard]] gangway::StepRecord from_wire(const StepUsage& m);
void to_wire(const gangway::JobUsage& usage, JobUsage* out);
[[nodiscard]] gangway::JobUsage from_wire(const JobUsage& m);
void to_wire(const gangway::Job& job, JobState* out);
void to_wire(const gangway::Workflow& workflow, WorkflowState* out);
void to_wire(const gangway::Node& node, NodeState* out);
void to_wire(const gangway::Association& association, AssociationState* out);
void to_wire(const gangway::AccountEvent& event, AccountEvent* out);
void to_wire(const gangway::Probe& probe, Probe* out);
void to_wire(const gangway::ContainerPort& port, ContainerPort* out);
void to_wire(const gangway::ReplicaTemplate& replica, ReplicaTemplate* out);
void to_wire(const gangway::ServiceSpec& spec, ServiceSpec* out);
void to_wire(const gangway::Endpoint& endpoint, ServiceEndpoint* out);
void to_wire(const gangway::IngressRule& rule, IngressRule* out);
void to_wire(const gangway::ServiceReplica& replica, ServiceReplica* out);
void to_wire(const gangway::Service& service, ServiceState* out);
void to_wire(const gangway::ServiceEvent& event, ServiceEvent* out);
void to_wire(const gangway::Event& event, Event* out);
void to_wire(const gangway::Error& error, Error* out);

// Errors: Corrupt, naming the field.
[[nodiscard]] gangway::JobKey from_wire(const JobKey& m);
[[nodiscard]] gangway::Result<gangway::Resources> from_wire(const Resources& m);
[[nodiscard]] gangway::Result<gangway::Component> from_wire(const Component& m);
[[nodiscard]] gangway::Result<gangway::IndexList> from_wire(const IndexList& m);
[[nodiscard]] gangway::Result<gangway::Dependency> from_wire(const Dependency& m);
[[nodiscard]] gangway::Result<gangway::JobSpec> from_wire(const JobSpec& m);
[[nodiscard]] gangway::Owner from_wire(const Owner& m);
[[nodiscard]] gangway::Result<gangway::Allocation> from_wire(const Allocation& m);
[[nodiscard]] gangway::Result<gangway::Outcome> from_wire(const Outcome& m);
[[nodiscard]] gangway::Result<gangway::WorkflowMember> from_wire(const WorkflowMember& m);
// `spec` is what the state's spec_digest names.
[[nodiscard]] gangway::Result<gangway::Job> from_wire(const JobState& m,
                                                      std::shared_ptr<const gangway::JobSpec> spec);
[[nodiscard]] gangway::Result<gangway::Workflow> from_wire(const WorkflowState& m);
[[nodiscard]] gangway::Result<gangway::Node> from_wire(const NodeState& m);
[[nodiscard]] gangway::Result<gangway::Association> from_wire(const AssociationState& m);
[[nodiscard]] gangway::Result<gangway::AccountEvent> from_wire(const AccountEvent& m);
[[nodiscard]] gangway::Result<gangway::Probe> from_wire(const Probe& m);
[[nodiscard]] gangway::Result<gangway::ContainerPort> from_wire(const ContainerPort& m);
[[nodiscard]] gangway::Result<gangway::ReplicaTemplate> from_wire(const ReplicaTemplate& m);
[[nodiscard]] gangway::Result<gangway::ServiceSpec> from_wire(const ServiceSpec& m);
[[nodiscard]] gangway::Result<gangway::Endpoint> from_wire(const ServiceEndpoint& m);
[[nodiscard]] gangway::Result<gangway::IngressRule> from_wire(const IngressRule& m);
[[nodiscard]] gangway::Result<gangway::ServiceReplica> from_wire(const ServiceReplica& m);
[[nodiscard]] gangway::Result<gangway::ServiceRevision> from_wire(const ServiceRevision& m);
[[nodiscard]] gangway::Result<gangway::Service> from_wire(const ServiceState& m);
[[nodiscard]] gangway::Result<gangway::ServiceEvent> from_wire(const ServiceEvent& m);
[[nodiscard]] gangway::Result<gangway::Event> from_wire(const Event& m);
[[nodiscard]] gangway::Error from_wire(const Error& m);  // an unknown kind becomes Internal

void limits_to_wire(const std::vector<gangway::CategoryLimit>& limits,
                    google::protobuf::RepeatedPtrField<CategoryLimit>* out);
[[nodiscard]] gangway::Result<std::vector<gangway::CategoryLimit>> limits_from_wire(
    const google::protobuf::RepeatedPtrField<CategoryLimit>& list);

// Sets of positions, as ArrayState has them.
void to_wire(const IntervalSet& set, google::protobuf::RepeatedField<std::uint32_t>* out);
[[nodiscard]] gangway::Result<IntervalSet> set_from_wire(
    const google::protobuf::RepeatedField<std::uint32_t>& list);

// The features of a node: sorted, each once.
[[nodiscard]] gangway::Result<std::vector<std::string>> features_from_wire(
    const google::protobuf::RepeatedPtrField<std::string>& list);

// The bytes of a spec as they are stored and digested (deterministic), and back.
[[nodiscard]] std::string encode_spec(const gangway::JobSpec& spec);
[[nodiscard]] gangway::Result<gangway::JobSpec> decode_spec(std::string_view bytes);

}  // namespace gangway::wire
