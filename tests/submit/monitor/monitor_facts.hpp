// Facts as the scheduler tells them, for the monitor's tests.
#pragma once

#include <string>

#include "queues/wire/convert.hpp"
#include "submit/monitor/draw.hpp"

namespace gangway::monitor::test {

inline constexpr Time kNow{1'000'000 * 1'000'000'000LL};

struct JobFact {
  std::uint64_t id = 1;
  std::uint32_t phase = 0;  // 0 waits, 2 runs, 5 has ended
  std::string name = "solve";
  std::string user = "ann";
  std::string node{};
  std::uint64_t version = 1;
  std::int64_t priority = 0;
  std::uint64_t workflow = 0;
  std::string member{};
  OutcomeKind outcome = OutcomeKind::Completed;
};

inline wire::JobView view_of(const JobFact& fact) {
  wire::JobView view;
  wire::JobState& state = *view.mutable_state();
  wire::to_wire(JobKey{.job = {fact.id}}, state.mutable_key());
  state.set_phase(fact.phase);
  state.set_version(fact.version);
  state.mutable_owner()->set_user(fact.user);
  view.set_name(fact.name);
  view.set_queue("batch");
  view.set_nodes(1);
  view.set_tasks(1);
  view.set_cores(2);
  view.set_priority(fact.priority);
  if (!fact.node.empty()) state.mutable_allocation()->add_shares()->set_node(fact.node);
  if (fact.phase == 2) state.set_clock_since_ns((kNow - seconds(10)).ns);
  if (fact.phase == 5) {
    state.set_ended_at_ns((kNow - seconds(5)).ns);
    Outcome outcome;
    outcome.kind = fact.outcome;
    wire::to_wire(outcome, state.mutable_outcome());
  }
  if (fact.workflow != 0) {
    state.mutable_membership()->set_workflow(fact.workflow);
    state.mutable_membership()->set_member(fact.member);
  }
  return view;
}

inline wire::Jobs list_of(const std::vector<JobFact>& facts) {
  wire::Jobs jobs;
  jobs.set_now_ns(kNow.ns);
  for (const JobFact& fact : facts) *jobs.add_jobs() = view_of(fact);
  return jobs;
}

inline wire::News news_of(const std::vector<JobFact>& facts) {
  wire::News news;
  news.set_now_ns(kNow.ns);
  for (const JobFact& fact : facts) *news.add_jobs() = view_of(fact);
  return news;
}

inline wire::NodeView node_of(const std::string& name,
                              std::int64_t used,
                              std::int64_t cores,
                              std::int64_t memory_tenths = 0) {
  wire::NodeView view;
  view.mutable_state()->set_name(name);
  view.mutable_state()->set_contact(static_cast<std::uint32_t>(Contact::Reached));
  view.mutable_state()->mutable_capacity()->set_cores(cores);
  view.mutable_state()->mutable_capacity()->set_memory_bytes(std::int64_t{10} << 30);
  view.mutable_used()->set_cores(used);
  view.mutable_used()->set_memory_bytes(memory_tenths << 30);
  if (used > 0) wire::to_wire(JobKey{.job = {1}}, view.add_jobs());
  return view;
}

inline Event event_of(std::uint64_t job, std::uint64_t version) {
  return {.seq = 1,
          .time = kNow,
          .version = version,
          .subject = Event::OfJob{{.job = {job}}, job_event::Eligible{}}};
}

}  // namespace gangway::monitor::test
