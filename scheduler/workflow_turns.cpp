// Categories of workflows, of which only so many jobs run at once, and workflows that go on after a
// failure.
//
// A job of a category takes a turn when nothing else keeps it, and gives it back when it has ended.
// An array counts as one job, from its first element in the plan to the end of the last that runs:
// its own throttle says how many of its elements run.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

Controller::Impl::Category* Controller::Impl::find_category(const Job& job) {
  if (!job.membership) return nullptr;
  const Workflow* const workflow = state.find_workflow(job.membership->workflow);
  if (workflow == nullptr || workflow->limits.empty()) return nullptr;
  const MemberIndex& index = members_by_name(*workflow);
  const auto member = index.find(job.membership->member);
  if (member == index.end()) return nullptr;
  const std::string& name = workflow->members[member->second].category;
  const auto limit = std::find_if(workflow->limits.begin(), workflow->limits.end(),
                                  [&](const CategoryLimit& l) { return l.category == name; });
  if (limit == workflow->limits.end()) return nullptr;
  Category& category = categories[{workflow->id, name}];
  category.max_running = limit->max_running;
  return &category;
}

bool Controller::Impl::has_use_of_turn(const Job& job) const {
  if (!job.array && !job.is_element()) return false;
  const JobKey whole{job.key.job};
  if (running_elements.contains(whole.job)) return true;
  const auto is_planned = [&](JobKey key) {
    const auto keeping = waiting.find(key);
    return keeping != waiting.end() && keeping->second.in_plan;
  };
  if (is_planned(whole)) return true;
  const std::vector<JobKey> rows = rows_of_array(whole.job);
  return std::any_of(rows.begin(), rows.end(), is_planned);
}

bool Controller::Impl::take_category_turn(const Job& job) {
  const JobKey whole{job.key.job};
  Category* const category = find_category(job);
  if (category == nullptr || category->taken.contains(whole)) return true;
  if (category->taken.size() >= category->max_running) {
    category->waiting.insert(job.key);
    return false;
  }
  category->waiting.erase(job.key);
  category->taken.insert(whole);
  return true;
}

void Controller::Impl::give_back_category_turn(const Job& job) {
  Category* const category = find_category(job);
  if (category == nullptr) return;
  category->waiting.erase(job.key);
  if (has_use_of_turn(job) || category->taken.erase(JobKey{job.key.job}) == 0) return;
  while (!category->waiting.empty() && category->taken.size() < category->max_running) {
    const JobKey next = *category->waiting.begin();
    category->waiting.erase(category->waiting.begin());
    if (next != job.key) reconsider(next);
  }
}

// ---- going on after a failure ------------------------------------------------------------------

void Controller::Impl::on_resume_workflow(io::PeerId from,
                                          const io::LocalUser& user,
                                          std::uint32_t stream,
                                          const wire::ResumeWorkflow& request) {
  const WorkflowId id{request.workflow()};
  const std::string key = request.key();
  if (key.size() < 16 || key.size() > 64) {
    return reply_error(from, stream,
                       Error(ErrorKind::Invalid, "a request's key has 16 to 64 characters"));
  }
  if (answer_repeated(from, stream, cat(user.uid, ':', key))) return;
  const auto unknown = [id] {
    return Error(ErrorKind::NotFound, cat("there is no workflow ", to_string(id)));
  };
  if (!state.is_given(id)) return reply_error(from, stream, unknown());
  const auto may_resume = [this, user](const Workflow& workflow) -> Result<void> {
    if (may_change(user, workflow.owner)) return {};
    return Error(ErrorKind::Denied,
                 cat("workflow ", to_string(workflow.id), " is ", workflow.owner.user, "'s"));
  };
  // Some of its jobs may have been forgotten here: the store has them all.
  const auto read_jobs = [this, from, user, stream, id, key, unknown] {
    const Result<void> asked = ask_history(
        history_queries({}, {id}, {}, config.max_jobs_per_submission), {id},
        [this, from, user, stream, id, key, unknown](const History& history) {
          if (history.error) return reply_error(from, stream, *history.error);
          if (answer_repeated(from, stream, cat(user.uid, ':', key))) return;
          const Workflow* workflow = state.find_workflow(id);
          for (const Workflow& other : history.workflows) {
            if (workflow == nullptr && other.id == id) workflow = &other;
          }
          if (workflow == nullptr) return reply_error(from, stream, unknown());
          OldJobs old;
          for (const Job& job : history.jobs) old.emplace(job.key, job);
          Result<wire::Submitted> done = resume_workflow(user, key, Workflow(*workflow), old);
          if (!done) return reply_error(from, stream, done.error());
          wire::Response response;
          *response.mutable_submitted() = *std::move(done);
          reply(from, stream, std::move(response));
        });
    if (!asked) reply_error(from, stream, asked.error());
  };
  // Whose it is comes first: its jobs may be many, and all others wait while they are read.
  if (const Workflow* const known = state.find_workflow(id)) {
    const Result<void> may = may_resume(*known);
    return may ? read_jobs() : reply_error(from, stream, may.error());
  }
  const Result<void> asked =
      ask_history({}, {id}, [this, from, stream, unknown, may_resume, read_jobs](const History& h) {
        if (h.error) return reply_error(from, stream, *h.error);
        if (h.workflows.empty()) return reply_error(from, stream, unknown());
        const Result<void> may = may_resume(h.workflows.front());
        may ? read_jobs() : reply_error(from, stream, may.error());
      });
  if (!asked) reply_error(from, stream, asked.error());
}

Result<wire::Submitted> Controller::Impl::resume_workflow(const io::LocalUser& user,
                                                          const std::string& key,
                                                          const Workflow& workflow,
                                                          const OldJobs& old) {
  const std::string name = to_string(workflow.id);
  const auto job_of = [&](const WorkflowMember& member) -> const Job* {
    if (const Job* const job = state.find_job({member.job})) return job;
    const auto found = old.find({member.job});
    return found == old.end() ? nullptr : &found->second;
  };
  workflow_event::Resumed event;
  std::vector<JobSpec> again;
  std::size_t live = 0;
  bool any_failed = false;
  for (std::size_t i = 0; i < workflow.members.size(); ++i) {
    const WorkflowMember& member = workflow.members[i];
    const Job* const job = job_of(member);
    if (job == nullptr) {
      return Error(ErrorKind::NotFound,
                   cat("workflow ", name, ": nothing is known of ", member.name, " any more"));
    }
    if (!job->is_finished()) {
      ++live;
      continue;
    }
    const bool has_failed = !job->outcome()->is_success();
    if (!has_failed && !member.is_final) continue;
    any_failed = any_failed || has_failed;
    JobSpec spec = *job->spec;
    if (job->array && has_failed) {  // what has succeeded of an array is not repeated either
      IntervalSet rest = IntervalSet::below(spec.array->indexes.count());
      rest.remove(job->array->succeeded);
      GANGWAY_ASSIGN(spec.array->indexes,
                     parse_index_list(render_indexes(spec.array->indexes, rest)));
    }
    event.members.push_back({static_cast<std::uint32_t>(i), {}});
    again.push_back(std::move(spec));
  }
  if (!any_failed) {
    return Error(ErrorKind::Conflict, cat("of workflow ", name, " no job has failed"));
  }
  if (unfinished_jobs + again.size() > config.max_jobs) {
    return Error(ErrorKind::Exhausted,
                 cat(unfinished_jobs, " jobs are waiting or running already"));
  }

  // The members that stand are needed again by those that do not.
  state.recall(workflow);
  std::set<JobKey> standing;
  for (const WorkflowMember& member : workflow.members) {
    state.recall(*job_of(member));
    standing.insert({member.job});
  }
  for (const auto& [number, job] : event.members) {
    const JobKey replaced{workflow.members[number].job};
    standing.erase(replaced);
    if (!workflow.ended) finished.push_back(replaced);
  }
  std::erase_if(finished, [&](JobKey k) { return standing.contains(k); });
  std::erase(finished_workflows, workflow.id);

  store::SubmissionRecord record{
      .key = cat(user.uid, ':', key), .jobs = {}, .workflow = workflow.id, .at = now.wall};
  for (auto& member : event.members) {
    member.job = state.take_job_id(turn.batch);
    record.jobs.push_back(member.job);
  }
  state.record(workflow.id, event, now.wall, turn.batch);
  open_members[workflow.id] = live + again.size();
  paths.erase(workflow.id);
  wire::Submitted answer;
  answer.set_workflow(workflow.id.value);
  Submission as_new;
  for (std::size_t i = 0; i < again.size(); ++i) {
    std::string digest;
    const std::uint32_t elements = again[i].array ? again[i].array->indexes.count() : 0;
    const auto spec = intern_spec(as_new, std::move(again[i]), digest);
    specs[digest] = spec;
    const job_event::Submitted submitted{
        .owner = workflow.owner,
        .spec_digest = digest,
        .membership = Membership{workflow.id, workflow.members[event.members[i].number].name},
        .held = false,
        .elements = elements};
    state.record_submitted({record.jobs[i]}, submitted, spec, now.wall, turn.batch);
    answer.add_jobs(record.jobs[i].value);
  }
  for (const auto& fresh : as_new.specs) turn.batch.specs.push_back(fresh);
  unfinished_jobs += again.size();
  for (const JobId id : record.jobs) begin_waiting({id}, {});
  remember(record);
  turn.batch.submissions.push_back(std::move(record));
  return answer;
}

}  // namespace gangway::scheduler
