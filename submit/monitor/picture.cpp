#include "submit/monitor/picture.hpp"

#include <algorithm>

#include "queues/wire/convert.hpp"

namespace gangway::monitor {

namespace {

WatchedWorkflow make_workflow(const wire::WorkflowState& state) {
  WatchedWorkflow made;
  made.name = state.name();
  made.user = state.owner().user();
  made.ended = state.has_ended_at_ns();
  for (const wire::WorkflowMember& member : state.members()) {
    WatchedWorkflow::Member one{.name = member.name(), .job = member.job(), .needs = {}};
    for (const wire::Need& need : member.needs()) one.needs.push_back(need.member());
    made.members.push_back(std::move(one));
  }
  return made;
}

}  // namespace

Duration WatchedJob::elapsed(Time now) const {
  return clock_runs && now > as_of ? row.elapsed + (now - as_of) : row.elapsed;
}

void Picture::clear() { *this = Picture(std::move(filter_)); }

const WatchedJob* Picture::find(JobKey key) const {
  const auto found = jobs_.find(key);
  return found == jobs_.end() ? nullptr : &found->second;
}

void Picture::put(const wire::Jobs& jobs) {
  told_at_ = std::max(told_at_, Time{jobs.now_ns()});
  is_cut_ = is_cut_ || jobs.truncated();
  for (const wire::JobView& view : jobs.jobs()) put(view, Time{jobs.now_ns()});
}

void Picture::put(const wire::JobView& view, Time now) {
  WatchedJob job;
  job.row = submit::make_row(view, now);
  job.as_of = now;
  job.clock_runs = view.state().has_clock_since_ns();
  job.version = view.state().version();
  const JobKey key = job.row.key;
  doubtful_.erase(key);
  const auto known = jobs_.find(key);
  if (known != jobs_.end() && known->second.version > job.version) return;
  // The record of an array whose elements all have rows says nothing that they do not say.
  const bool wanted = filter_.wants(job.row) && !submit::is_told_by_elements(job.row);
  const bool was_open = known != jobs_.end() && !known->second.row.finished;
  if (!wanted) {
    if (known == jobs_.end()) return;
    if (was_open) --open_;
    if (!was_open) std::erase(ended_, key);
    jobs_.erase(known);
    return;
  }
  if (known == jobs_.end() && !job.row.finished && open_ >= kMostJobs) {
    ++left_out_;
    return;
  }
  if (was_open) --open_;
  if (!job.row.finished) {
    ++open_;
  } else if (known == jobs_.end() || was_open) {
    ended_.push_back(key);
  }
  jobs_[key] = std::move(job);
  while (ended_.size() > kMostEnded) {
    const auto oldest = jobs_.find(ended_.front());
    // It may run again: then it is no ended one.
    if (oldest != jobs_.end() && oldest->second.row.finished) jobs_.erase(oldest);
    ended_.pop_front();
  }
}

void Picture::put(const wire::NodeView& view) {
  submit::NodeRow row = submit::make_node_row(view);
  std::string name = row.name;
  nodes_[std::move(name)] = std::move(row);
}

void Picture::put(const wire::Nodes& nodes) {
  for (const wire::NodeView& view : nodes.nodes()) put(view);
}

void Picture::put(const wire::Workflows& workflows) {
  for (const wire::WorkflowView& view : workflows.workflows()) {
    workflows_[view.state().id()] = make_workflow(view.state());
  }
}

void Picture::put(const Event& event) {
  if (const auto* const of_job = std::get_if<Event::OfJob>(&event.subject)) {
    // Of a job that ended long ago no view comes along; it matters if it is shown.
    const WatchedJob* const known = find(of_job->key);
    if (known != nullptr && known->version < event.version) doubtful_.insert(of_job->key);
    return;
  }
  const auto* const of_workflow = std::get_if<Event::OfWorkflow>(&event.subject);
  if (of_workflow == nullptr) return;
  const std::uint64_t id = of_workflow->id.value;
  if (const auto* made = std::get_if<workflow_event::Submitted>(&of_workflow->what)) {
    WatchedWorkflow workflow{.name = made->name, .user = made->owner.user, .members = {}};
    for (const WorkflowMember& member : made->members) {
      WatchedWorkflow::Member one{.name = member.name, .job = member.job.value, .needs = {}};
      for (const Need& need : member.needs) one.needs.push_back(need.member);
      workflow.members.push_back(std::move(one));
    }
    workflows_[id] = std::move(workflow);
  } else if (const auto found = workflows_.find(id); found != workflows_.end()) {
    found->second.ended = std::holds_alternative<workflow_event::Finished>(of_workflow->what);
    // Its members have new jobs now: asked for when it is shown as a tree.
    if (!found->second.ended) workflows_.erase(found);
  }
}

void Picture::put(const wire::News& news) {
  told_at_ = std::max(told_at_, Time{news.now_ns()});
  for (const wire::Event& one : news.events()) {
    if (const Result<Event> event = wire::from_wire(one)) put(*event);
  }
  for (const wire::JobView& view : news.jobs()) put(view, Time{news.now_ns()});
  for (const wire::NodeView& view : news.nodes()) put(view);
}

std::vector<std::uint64_t> Picture::unknown_workflows() const {
  std::set<std::uint64_t> unknown;
  for (const auto& [key, job] : jobs_) {
    if (job.row.workflow != 0 && !workflows_.contains(job.row.workflow)) {
      unknown.insert(job.row.workflow);
    }
  }
  return {unknown.begin(), unknown.end()};
}

}  // namespace gangway::monitor
