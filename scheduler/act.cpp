// What people do to jobs that are there: cancel, hold, release, requeue, signal, suspend, resume.
#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"
#include "scheduler/never_had.hpp"

namespace gangway::scheduler {

namespace {

Error conflict(std::string message) { return {ErrorKind::Conflict, std::move(message)}; }

}  // namespace

template <typename Request>
Result<std::vector<JobKey>> Controller::Impl::jobs_of(const Request& request) const {
  std::vector<JobKey> keys;
  std::set<JobKey> seen;
  const auto add = [&](JobKey key) {
    if (seen.insert(key).second) keys.push_back(key);
  };
  for (const wire::JobKey& key : request.keys()) add(wire::from_wire(key));
  for (const std::uint64_t id : request.workflows()) {
    const Workflow* const workflow = state.find_workflow({id});
    if (workflow == nullptr) {
      return Error(ErrorKind::NotFound,
                   cat("no workflow ", to_string(WorkflowId{id}), " is waiting or running"));
    }
    for (const WorkflowMember& member : workflow->members) add({member.job});
  }
  if (keys.size() > kMaxKeysInRequest) {
    return Error(ErrorKind::Exhausted, cat("a request names at most ", kMaxKeysInRequest, " jobs"));
  }
  return keys;
}

void Controller::Impl::on_act(io::PeerId from,
                              const io::LocalUser& user,
                              std::uint32_t stream,
                              const wire::Act& act) {
  const Result<std::vector<JobKey>> keys = jobs_of(act);
  if (!keys) return reply_error(from, stream, keys.error());
  // Each list of elements is a walk along its array's rows.
  constexpr int kMaxLists = 10'000;
  if (keys->size() + static_cast<std::size_t>(act.elements_size()) > kMaxKeysInRequest ||
      act.elements_size() > kMaxLists) {
    return reply_error(
        from, stream,
        Error(ErrorKind::Exhausted, cat("a request names at most ", kMaxKeysInRequest,
                                        " jobs, and ", kMaxLists, " lists of elements")));
  }
  std::set<JobKey> named;
  for (const wire::JobKey& key : act.keys()) named.insert(wire::from_wire(key));
  // Those that come last first: a job that waits for "any end" of one that is being cancelled with
  // it must not be set free by that.
  std::map<JobKey, Result<void>> results;
  for (auto key = keys->rbegin(); key != keys->rend(); ++key) {
    results.emplace(*key, act_on(*key, user, act));
  }
  wire::Response response;
  for (const JobKey key : *keys) {
    const Result<void>& result = results.at(key);
    // Members of a workflow that have ended are no failure of an order to the whole.
    if (!result && !named.contains(key) && result.error().kind() == ErrorKind::Conflict) continue;
    wire::Acted::One* const one = response.mutable_acted()->add_results();
    wire::to_wire(key, one->mutable_key());
    if (!result) wire::to_wire(result.error(), one->mutable_error());
  }
  for (const wire::Elements& some : act.elements()) {
    const Result<IndexList> indexes = wire::from_wire(some.indexes());
    const Result<void> result = indexes ? act_on_elements(JobId{some.job()}, *indexes, user, act)
                                        : Result<void>(indexes.error());
    wire::Acted::One* const one = response.mutable_acted()->add_results();
    wire::to_wire(JobKey{JobId{some.job()}}, one->mutable_key());
    if (!result) wire::to_wire(result.error(), one->mutable_error());
  }
  response.mutable_acted();
  reply(from, stream, std::move(response));
}

Result<void> Controller::Impl::act_on(JobKey key, const io::LocalUser& user, const wire::Act& act) {
  begin_now(key);
  const Job* const job = state.find_job(key);
  if (job == nullptr && find_array_with(key) != nullptr) {
    return act_on_elements(key.job, IndexList{{{key.index, key.index, 1}}}, user, act);
  }
  if (job == nullptr) {
    if (auto error = never_had(state.find_job({key.job}), key)) return *std::move(error);
    return state.is_given(key.job)
               ? conflict(cat("job ", to_string(key), " has ended already"))
               : Error(ErrorKind::NotFound, cat("there is no job ", to_string(key)));
  }
  if (!may_change(user, job->owner)) {
    return Error(ErrorKind::Denied, cat("job ", to_string(key), " is ", job->owner.user, "'s"));
  }
  if (job->is_finished()) return conflict(cat("job ", to_string(key), " has ended already"));
  if (job->array) return act_on_array(*job, user, act);
  const std::string by = users.name_of(user.uid);
  const bool as_operator = user.uid != job->owner.uid;
  switch (act.verb()) {
    case wire::Act::CANCEL:
      return cancel(*job, by);
    case wire::Act::HOLD:
      return hold(*job, as_operator);
    case wire::Act::RELEASE:
      return release(*job, as_operator || is_operator(user));
    case wire::Act::REQUEUE:
      return requeue(*job, by);
    case wire::Act::SIGNAL:
      return signal(*job, act.signal());
    case wire::Act::SUSPEND:
    case wire::Act::RESUME:
      // Not its owner's, because paused time is not charged while the nodes are held.
      if (!is_operator(user)) {
        return Error(ErrorKind::Denied, cat(by, " is no operator of this cluster"));
      }
      return act.verb() == wire::Act::SUSPEND ? suspend_by_hand(*job) : resume_by_hand(*job);
    default:
      return Error(ErrorKind::Unsupported, "unknown verb");
  }
}

// To all of its elements: those that run one by one, those that wait as they are in the record.
Result<void> Controller::Impl::act_on_array(const Job& array,
                                            const io::LocalUser& user,
                                            const wire::Act& act) {
  const JobKey whole = array.key;
  bool any = false;
  std::optional<Error> refused;
  for (const JobKey key : rows_of_array(whole.job)) {
    const Result<void> done = act_on(key, user, act);
    any = any || done.has_value();
    if (!done && done.error().kind() != ErrorKind::Conflict && !refused) refused = done.error();
  }
  const std::string by = users.name_of(user.uid);
  const bool as_operator = user.uid != array.owner.uid;
  switch (act.verb()) {
    case wire::Act::CANCEL:
      if (array.array->waiting.empty()) break;
      any = true;
      drop_elements(whole, IntervalSet(array.array->waiting),
                    make_outcome(OutcomeKind::Cancelled, 0, cat("cancelled by ", by)));
      break;
    case wire::Act::HOLD:
      return hold(array, as_operator);
    case wire::Act::RELEASE:
      return release(array, as_operator || is_operator(user));
    default:
      break;
  }
  if (refused) return *refused;
  if (any) return {};
  return conflict(cat("of job ", to_string(whole), " no element ",
                      act.verb() == wire::Act::CANCEL ? "waits or runs" : "runs"));
}

Result<void> Controller::Impl::act_on_elements(JobId id,
                                               const IndexList& indexes,
                                               const io::LocalUser& user,
                                               const wire::Act& act) {
  const JobKey whole{id};
  begin_now(whole);
  const Job* const array = state.find_job(whole);
  if (array == nullptr || !array->array) {
    return !state.is_given(id) ? Error(ErrorKind::NotFound, cat("there is no job ", to_string(id)))
           : array == nullptr
               ? conflict(cat("job ", to_string(id), " has ended already"))
               : Error(ErrorKind::NotFound, cat("job ", to_string(id), " is no array"));
  }
  if (!may_change(user, array->owner)) {
    return Error(ErrorKind::Denied, cat("job ", to_string(id), " is ", array->owner.user, "'s"));
  }
  const IndexList own = array->spec->array->indexes;
  const IntervalSet named = positions_of(own, indexes);
  if (named.empty()) {
    return Error(ErrorKind::NotFound,
                 cat("array ", to_string(id), " has no element ", render_indexes(indexes),
                     "; it has ", render_indexes(own, IntervalSet::below(own.count()), 60)));
  }
  const IntervalSet in_record = array->array->waiting.intersect(named);
  bool any = false;
  std::optional<Error> refused;
  for (const JobKey key : rows_of_array(id)) {
    if (!named.contains(state.get_job(key).position)) continue;
    const Result<void> done = act_on(key, user, act);
    any = any || done.has_value();
    if (!done && !refused) refused = done.error();
  }
  if (act.verb() == wire::Act::CANCEL && !in_record.empty()) {
    any = true;
    drop_elements(
        whole, in_record,
        make_outcome(OutcomeKind::Cancelled, 0, cat("cancelled by ", users.name_of(user.uid))));
  }
  if (act.verb() == wire::Act::HOLD || act.verb() == wire::Act::RELEASE) {
    constexpr std::uint64_t kMostApart = 10'000;
    if (in_record.size() > kMostApart) {
      return Error(ErrorKind::Exhausted, cat(in_record.size(), " elements are too many to be held ",
                                             "apart from their array; at most ", kMostApart,
                                             " are possible, or the whole array"));
    }
    for (const Interval& interval : in_record.intervals()) {
      for (std::uint64_t p = interval.first; p <= interval.last; ++p) {
        const JobKey key{id, own.index_at(static_cast<std::uint32_t>(p))};
        set_apart(key);
        const Result<void> done = act_on(key, user, act);
        any = any || done.has_value();
        if (!done && !refused) refused = done.error();
      }
    }
  }
  if (any) return {};
  if (refused) return *refused;
  return conflict(in_record.empty() ? cat("these elements of job ", to_string(id), " have ended")
                                    : cat("these elements of job ", to_string(id), " wait"));
}

Result<void> Controller::Impl::cancel(const Job& job, const std::string& by) {
  Outcome outcome = make_outcome(OutcomeKind::Cancelled, 0, cat("cancelled by ", by));
  if (job.is_waiting()) {
    end_waiting(job.key, std::move(outcome));
    return {};
  }
  if (const auto* ending = std::get_if<phase::Completing>(&job.phase)) {
    if (!ending->requeue) return conflict(cat("job ", to_string(job.key), " is ending already"));
    // It was to run again: now it is not.
    state.record(job.key, job_event::Ended{job.attempt, std::move(outcome), false}, now.wall,
                 turn.batch);
    return {};
  }
  end_attempt(job.key, std::move(outcome), false);
  return {};
}

Result<void> Controller::Impl::hold(const Job& job, bool by_operator) {
  const bool already = by_operator ? job.hold.by_operator : job.hold.by_user;
  if (already) return {};
  const JobKey key = job.key;
  if (job.is_waiting()) take_out_of_plan(key);
  state.record(key, job_event::Held{by_operator}, now.wall, turn.batch);
  reconsider(key);
  return {};
}

Result<void> Controller::Impl::release(const Job& job, bool as_operator) {
  const JobKey key = job.key;
  if (job.hold.by_operator && !as_operator) {
    return Error(ErrorKind::Denied, cat("job ", to_string(key), " is held by an operator"));
  }
  for (const bool by_operator : {false, true}) {
    const Hold& held = state.get_job(key).hold;
    if (by_operator ? held.by_operator : held.by_user) {
      state.record(key, job_event::Released{by_operator}, now.wall, turn.batch);
    }
  }
  reconsider(key);
  return {};
}

Result<void> Controller::Impl::requeue(const Job& job, const std::string& by) {
  const std::string name = to_string(job.key);
  if (job.is_waiting()) return conflict(cat("job ", name, " is waiting already"));
  if (job.outcome() != nullptr) return conflict(cat("job ", name, " is ending already"));
  if (!job.spec->requeue) {
    return Error(ErrorKind::Invalid, cat("job ", name, " was submitted with --no-requeue"));
  }
  end_attempt(job.key, make_outcome(OutcomeKind::Cancelled, 0, cat("requeued by ", by)), true);
  return {};
}

Result<void> Controller::Impl::signal(const Job& job, std::uint32_t number) {
  constexpr std::uint32_t kLastSignal = 64;
  if (number == 0 || number > kLastSignal) {
    return Error(ErrorKind::Invalid, cat("there is no signal ", number));
  }
  // One that stands still gets it when it goes on.
  if (!std::holds_alternative<phase::Running>(job.phase) &&
      !std::holds_alternative<phase::Suspended>(job.phase)) {
    return conflict(cat("job ", to_string(job.key), " does not run"));
  }
  const Gang& gang = gangs.at(job.key);
  for (const Part& part : gang.parts) {
    if (part.state == PartState::Over) continue;
    wire::ToNode message;
    wire::Stop* const stop = message.mutable_stop();
    wire::to_wire(job.key, stop->mutable_key());
    stop->set_attempt(job.attempt);
    stop->set_signal(number);
    send_node(part.node, std::move(message));
  }
  return {};
}

template Result<std::vector<JobKey>> Controller::Impl::jobs_of(const wire::Act&) const;
template Result<std::vector<JobKey>> Controller::Impl::jobs_of(const wire::WaitFor&) const;

}  // namespace gangway::scheduler
