// The events of convert.hpp, apart because they are many.
#include <string>
#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::wire {
namespace {
using gangway::Result;

gangway::Error corrupt(std::string message) { return {ErrorKind::Corrupt, std::move(message)}; }

void put(const gangway::JobEvent& event, JobEvent* out) {
  std::visit(
      overloaded{
          [&](const job_event::Submitted& e) {
            auto* m = out->mutable_submitted();
            to_wire(e.owner, m->mutable_owner());
            m->set_spec_digest(e.spec_digest);
            if (e.membership) to_wire(*e.membership, m->mutable_membership());
            m->set_held(e.held);
            m->set_elements(e.elements);
          },
          [&](const job_event::Eligible&) { out->mutable_eligible(); },
          [&](const job_event::ReasonChanged& e) {
            out->mutable_reason_changed()->set_reason(static_cast<std::uint32_t>(e.reason));
          },
          [&](const job_event::Held& e) { out->mutable_held()->set_by_operator(e.by_operator); },
          [&](const job_event::Released& e) {
            out->mutable_released()->set_by_operator(e.by_operator);
          },
          [&](const job_event::Allocated& e) {
            out->mutable_allocated()->set_attempt(e.attempt);
            to_wire(e.allocation, out->mutable_allocated()->mutable_allocation());
          },
          [&](const job_event::Launched&) { out->mutable_launched(); },
          [&](const job_event::Suspended& e) {
            out->mutable_suspended()->set_by_operator(e.by_operator);
          },
          [&](const job_event::Resumed&) { out->mutable_resumed(); },
          [&](const job_event::Ended& e) {
            auto* m = out->mutable_ended();
            m->set_attempt(e.attempt);
            to_wire(e.outcome, m->mutable_outcome());
            m->set_requeue(e.requeue);
            m->set_retry(e.retry);
          },
          [&](const job_event::Cleaned& e) {
            out->mutable_cleaned()->set_attempt(e.attempt);
            if (e.usage != gangway::JobUsage{}) {
              to_wire(e.usage, out->mutable_cleaned()->mutable_usage());
            }
          },
          [&](const job_event::CancelledWaiting& e) {
            to_wire(e.outcome, out->mutable_cancelled_waiting()->mutable_outcome());
          },
          [&](const job_event::Split& e) { out->mutable_split()->set_position(e.position); },
          [&](const job_event::Dropped& e) {
            to_wire(e.positions, out->mutable_dropped()->mutable_positions());
            to_wire(e.outcome, out->mutable_dropped()->mutable_outcome());
          },
          [&](const job_event::ArrayEnded&) { out->mutable_array_ended(); },
          [&](const job_event::Altered& e) {
            out->mutable_altered()->set_spec_digest(e.spec_digest);
          },
      },
      event);
}

Result<gangway::JobEvent> get(const JobEvent& m) {
  using gangway::JobEvent;
  switch (m.what_case()) {
    case wire::JobEvent::kSubmitted: {
      const auto& s = m.submitted();
      job_event::Submitted e{.owner = from_wire(s.owner()),
                             .spec_digest = s.spec_digest(),
                             .membership = std::nullopt,
                             .held = s.held(),
                             .elements = s.elements()};
      if (s.elements() > kMaxArrayElements) return corrupt(cat("elements: ", s.elements()));
      if (s.has_membership()) {
        e.membership = {.workflow = WorkflowId{s.membership().workflow()},
                        .member = s.membership().member()};
      }
      return JobEvent(std::move(e));
    }
    case wire::JobEvent::kEligible:
      return JobEvent(job_event::Eligible{});
    case wire::JobEvent::kReasonChanged: {
      const std::uint32_t reason = m.reason_changed().reason();
      if (reason > static_cast<std::uint32_t>(kLastPendingReason)) {
        return corrupt(cat("reason: unknown value ", reason));
      }
      return JobEvent(job_event::ReasonChanged{static_cast<PendingReason>(reason)});
    }
    case wire::JobEvent::kHeld:
      return JobEvent(job_event::Held{m.held().by_operator()});
    case wire::JobEvent::kReleased:
      return JobEvent(job_event::Released{m.released().by_operator()});
    case wire::JobEvent::kAllocated: {
      GANGWAY_ASSIGN(auto allocation, from_wire(m.allocated().allocation()));
      return JobEvent(job_event::Allocated{m.allocated().attempt(), std::move(allocation)});
    }
    case wire::JobEvent::kLaunched:
      return JobEvent(job_event::Launched{});
    case wire::JobEvent::kSuspended:
      return JobEvent(job_event::Suspended{m.suspended().by_operator()});
    case wire::JobEvent::kResumed:
      return JobEvent(job_event::Resumed{});
    case wire::JobEvent::kEnded: {
      GANGWAY_ASSIGN(auto outcome, from_wire(m.ended().outcome()));
      return JobEvent(job_event::Ended{m.ended().attempt(), std::move(outcome), m.ended().requeue(),
                                       m.ended().retry()});
    }
    case wire::JobEvent::kCleaned:
      return JobEvent(job_event::Cleaned{m.cleaned().attempt(), from_wire(m.cleaned().usage())});
    case wire::JobEvent::kCancelledWaiting: {
      GANGWAY_ASSIGN(auto outcome, from_wire(m.cancelled_waiting().outcome()));
      return JobEvent(job_event::CancelledWaiting{std::move(outcome)});
    }
    case wire::JobEvent::kSplit:
      if (m.split().position() >= kMaxArrayElements) return corrupt("position: too large");
      return JobEvent(job_event::Split{m.split().position()});
    case wire::JobEvent::kDropped: {
      GANGWAY_ASSIGN(auto positions, set_from_wire(m.dropped().positions()));
      GANGWAY_ASSIGN(auto outcome, from_wire(m.dropped().outcome()));
      return JobEvent(job_event::Dropped{std::move(positions), std::move(outcome)});
    }
    case wire::JobEvent::kArrayEnded:
      return JobEvent(job_event::ArrayEnded{});
    case wire::JobEvent::kAltered:
      return JobEvent(job_event::Altered{m.altered().spec_digest()});
    case wire::JobEvent::WHAT_NOT_SET:
      break;
  }
  return corrupt("job event: of no known kind");
}

void put(const gangway::WorkflowEvent& event, WorkflowEvent* out) {
  std::visit(overloaded{
                 [&](const workflow_event::Submitted& e) {
                   auto* m = out->mutable_submitted();
                   m->set_name(e.name);
                   to_wire(e.owner, m->mutable_owner());
                   for (const auto& member : e.members) to_wire(member, m->add_members());
                   limits_to_wire(e.limits, m->mutable_limits());
                 },
                 [&](const workflow_event::Finished& e) {
                   out->mutable_finished()->set_outcome(static_cast<std::uint32_t>(e.outcome));
                 },
                 [&](const workflow_event::Resumed& e) {
                   auto* m = out->mutable_resumed();
                   for (const auto& member : e.members) {
                     auto* one = m->add_members();
                     one->set_number(member.number);
                     one->set_job(member.job.value);
                   }
                 },
             },
             event);
}

Result<gangway::WorkflowEvent> get(const WorkflowEvent& m) {
  using gangway::WorkflowEvent;
  switch (m.what_case()) {
    case wire::WorkflowEvent::kSubmitted: {
      workflow_event::Submitted e{
          .name = m.submitted().name(), .owner = from_wire(m.submitted().owner()), .members = {}};
      for (const auto& member : m.submitted().members()) {
        GANGWAY_ASSIGN(auto converted, from_wire(member));
        e.members.push_back(std::move(converted));
      }
      GANGWAY_ASSIGN(e.limits, limits_from_wire(m.submitted().limits()));
      return WorkflowEvent(std::move(e));
    }
    case wire::WorkflowEvent::kFinished: {
      const std::uint32_t outcome = m.finished().outcome();
      if (outcome > static_cast<std::uint32_t>(OutcomeKind::LaunchFailed)) {
        return corrupt(cat("outcome: unknown value ", outcome));
      }
      return WorkflowEvent(workflow_event::Finished{static_cast<OutcomeKind>(outcome)});
    }
    case wire::WorkflowEvent::kResumed: {
      workflow_event::Resumed e;
      for (const auto& member : m.resumed().members()) {
        e.members.push_back({member.number(), JobId{member.job()}});
      }
      return WorkflowEvent(std::move(e));
    }
    case wire::WorkflowEvent::WHAT_NOT_SET:
      break;
  }
  return corrupt("workflow event: of no known kind");
}

void put(const gangway::NodeEvent& event, NodeEvent* out) {
  std::visit(
      overloaded{
          [&](const node_event::Registered& e) {
            auto* m = out->mutable_registered();
            to_wire(e.capacity, m->mutable_capacity());
            m->set_boot_id(e.boot_id);
            m->set_address(e.address);
            for (const auto& feature : e.features) m->add_features(feature);
          },
          [&](const node_event::Drained& e) {
            auto* m = out->mutable_drained();
            m->set_on(e.on);
            m->set_reason(e.reason);
            m->set_by(e.by);
          },
          [&](const node_event::Lost&) { out->mutable_lost(); },
          [&](const node_event::ConfirmedDown& e) { out->mutable_confirmed_down()->set_by(e.by); },
      },
      event);
}

Result<gangway::NodeEvent> get(const NodeEvent& m) {
  using gangway::NodeEvent;
  switch (m.what_case()) {
    case wire::NodeEvent::kRegistered: {
      GANGWAY_ASSIGN(auto capacity, from_wire(m.registered().capacity()));
      GANGWAY_ASSIGN(auto features, features_from_wire(m.registered().features()));
      return NodeEvent(node_event::Registered{std::move(capacity), m.registered().boot_id(),
                                              m.registered().address(), std::move(features)});
    }
    case wire::NodeEvent::kDrained:
      return NodeEvent(
          node_event::Drained{m.drained().on(), m.drained().reason(), m.drained().by()});
    case wire::NodeEvent::kLost:
      return NodeEvent(node_event::Lost{});
    case wire::NodeEvent::kConfirmedDown:
      return NodeEvent(node_event::ConfirmedDown{m.confirmed_down().by()});
    case wire::NodeEvent::WHAT_NOT_SET:
      break;
  }
  return corrupt("node event: of no known kind");
}
}  // namespace

void to_wire(const gangway::Event& event, Event* out) {
  out->Clear();
  out->set_seq(event.seq);
  out->set_at_ns(event.time.ns);
  out->set_version(event.version);
  std::visit(overloaded{
                 [&](const gangway::Event::OfJob& subject) {
                   to_wire(subject.key, out->mutable_job()->mutable_key());
                   put(subject.what, out->mutable_job()->mutable_what());
                 },
                 [&](const gangway::Event::OfWorkflow& subject) {
                   out->mutable_workflow()->set_id(subject.id.value);
                   put(subject.what, out->mutable_workflow()->mutable_what());
                 },
                 [&](const gangway::Event::OfNode& subject) {
                   out->mutable_node()->set_name(subject.name.value);
                   put(subject.what, out->mutable_node()->mutable_what());
                 },
                 [&](const gangway::Event::OfAccount& subject) {
                   out->mutable_account()->set_account(subject.key.account.value);
                   out->mutable_account()->set_user(subject.key.user);
                   to_wire(subject.what, out->mutable_account()->mutable_what());
                 },
                 [&](const gangway::Event::OfService& subject) {
                   out->mutable_service()->set_uid(subject.key.uid);
                   out->mutable_service()->set_name(subject.key.name);
                   to_wire(subject.what, out->mutable_service()->mutable_what());
                 },
             },
             event.subject);
}

Result<gangway::Event> from_wire(const Event& m) {
  gangway::Event event;
  event.seq = m.seq();
  if (m.at_ns() < 0 || m.at_ns() > kMaxDuration.ns) {
    return corrupt(cat("at_ns: ", m.at_ns(), " is out of range"));
  }
  event.time = gangway::Time{m.at_ns()};
  event.version = m.version();
  switch (m.subject_case()) {
    case Event::kJob: {
      GANGWAY_ASSIGN(auto what, get(m.job().what()));
      event.subject = gangway::Event::OfJob{from_wire(m.job().key()), std::move(what)};
      return event;
    }
    case Event::kWorkflow: {
      GANGWAY_ASSIGN(auto what, get(m.workflow().what()));
      event.subject = gangway::Event::OfWorkflow{WorkflowId{m.workflow().id()}, std::move(what)};
      return event;
    }
    case Event::kNode: {
      GANGWAY_ASSIGN(auto what, get(m.node().what()));
      event.subject = gangway::Event::OfNode{NodeName{m.node().name()}, std::move(what)};
      return event;
    }
    case Event::kAccount: {
      GANGWAY_ASSIGN(auto what, from_wire(m.account().what()));
      event.subject = gangway::Event::OfAccount{
          {AccountName{m.account().account()}, m.account().user()}, std::move(what)};
      return event;
    }
    case Event::kService: {
      GANGWAY_ASSIGN(auto what, from_wire(m.service().what()));
      event.subject =
          gangway::Event::OfService{{m.service().uid(), m.service().name()}, std::move(what)};
      return event;
    }
    case Event::SUBJECT_NOT_SET:
      break;
  }
  return corrupt("event: of no known subject");
}

}  // namespace gangway::wire
