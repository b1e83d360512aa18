// Workflows in the order of the line: how far a member is from its workflow's end, and whose turn
// is whose (policy/dag_line.hpp).
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

// A job without a limit counts as longer than any that has a sensible one.
constexpr Duration kLengthWithoutLimit = hours(8760);  // a year

std::int64_t length_of(const JobSpec& spec) {
  const Duration limit = spec.time_limit.value_or(kLengthWithoutLimit);
  return (limit.ns + seconds(1).ns - 1) / seconds(1).ns;
}

}  // namespace

// Once for a workflow: limits and needs do not change, and how a member ends does not make the way
// from another one to the end any longer. Needs of a failure do not count: what is done about a
// failure is not on the way of a workflow that goes well.
const Controller::Impl::Paths& Controller::Impl::paths_of(const Workflow& workflow) const {
  const auto [found, is_new] = paths.try_emplace(workflow.id);
  Paths& out = found->second;
  if (!is_new) return out;
  std::vector<std::string> names;
  std::vector<std::int64_t> lengths;
  std::vector<GraphEdge> edges;
  for (std::size_t i = 0; i < workflow.members.size(); ++i) {
    const WorkflowMember& member = workflow.members[i];
    const Job* const job = state.find_job({member.job});
    names.push_back(member.name);
    lengths.push_back(job == nullptr ? 0 : length_of(*job->spec));
    out.member.emplace(member.job, i);
    out.first = i == 0 ? member.job : std::min(out.first, member.job);
  }
  const MemberIndex& index = members_by_name(workflow);
  for (std::size_t i = 0; i < workflow.members.size(); ++i) {
    for (const Need& need : workflow.members[i].needs) {
      if (need.outcome == NeedOutcome::Failure) continue;
      edges.push_back(
          {static_cast<std::uint32_t>(index.at(need.member)), static_cast<std::uint32_t>(i)});
    }
  }
  Result<GraphOrder> order = order_graph(names, lengths, edges);
  CHECK(order);  // it was looked at before the workflow was accepted
  out.to_end = std::move(order->length_to_end);
  for (const std::int64_t length : out.to_end) out.longest = std::max(out.longest, length);
  return out;
}

std::optional<DagPosition> Controller::Impl::dag_position_of(const Job& job) const {
  if (!job.membership) return std::nullopt;
  const Workflow* const workflow = state.find_workflow(job.membership->workflow);
  CHECK(workflow != nullptr);
  const Paths& of = paths_of(*workflow);
  const auto member = of.member.find(job.key.job);
  if (member == of.member.end()) return std::nullopt;  // of an older generation
  return DagPosition{of.first, of.to_end[member->second]};
}

// Puts the job into the plan. Others of its workflow may give it their turn, and stand elsewhere.
void Controller::Impl::stand_in_line(const Job& job) {
  const std::optional<DagPosition> position = dag_position_of(job);
  if (!position) return tell_planner_waits(job);
  const DagGroup group{job.membership->workflow.value, payer_number(job), job.spec->queue};
  const Time own = waiting.at(job.key).turn.value_or(job.eligible.value_or(now.wall));
  for (const DagLine::Turn& given : dag_line.enter(group, job.key, position->path_length, own)) {
    waiting.at(given.key).turn = given.at;
    tell_planner_waits(state.get_job(given.key));
  }
}

// With its turn: it keeps it if it is only held, and has used it up if it starts.
void Controller::Impl::leave_line(JobKey key) {
  if (dag_line.stands(key)) (void)dag_line.leave(key);
}

std::string Controller::Impl::describe_path(const Job& job) const {
  const Workflow& workflow = *state.find_workflow(job.membership->workflow);
  const Paths& of = paths_of(workflow);
  const std::int64_t length = of.to_end[of.member.at(job.key.job)];
  const auto in_words = [](std::int64_t s) {
    return seconds(s) < kLengthWithoutLimit ? render_duration(seconds(s)) : std::string("no limit");
  };
  return cat("critical path: ", in_words(length), " of ", in_words(of.longest), " of workflow ",
             to_string(workflow.id));
}

}  // namespace gangway::scheduler
