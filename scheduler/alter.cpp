// Waiting jobs that ask for something else. Specs are immutable: the job gets another one, which is
// checked as one that is submitted.
#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"
#include "scheduler/never_had.hpp"

namespace gangway::scheduler {

std::string render_dependencies(const JobSpec& spec) {
  std::string out;
  for (const Dependency& d : spec.dependencies) {
    if (!out.empty()) out += spec.any_dependency ? '?' : ',';
    out += to_string(d.kind);
    if (d.kind == DependencyKind::Singleton) continue;
    out += cat(':', to_string(d.key()));
    if (d.delay.ns > 0) out += cat('+', d.delay.ns / minutes(1).ns);
  }
  return out;
}

namespace {

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

Result<Time> to_time(std::int64_t ns, std::string_view option) {
  if (ns < 0 || ns > kMaxDuration.ns) {
    return invalid(cat(option, ": not between the years 1970 and 2116"));
  }
  return Time{ns};
}

// What is asked of the first component; tasks keep what each node had of them.
Result<void> alter_component(Component& c, const wire::Alter& request) {
  if (request.has_nodes() && request.nodes() != c.nodes) {
    const std::int32_t per_node = c.tasks_on_fullest_node();
    c.nodes = request.nodes();
    if (c.nodes > 0 && c.nodes <= kMaxNodesPerJob && !request.has_tasks()) {
      c.tasks = static_cast<std::int32_t>(
          std::min<std::int64_t>(std::int64_t{per_node} * c.nodes, kMaxTasksPerJob));
    }
  }
  if (request.has_tasks()) c.tasks = request.tasks();
  if (request.has_cpus_per_task()) c.cpus_per_task = request.cpus_per_task();
  if (c.cores_per_node > 0) c.cores_per_node = std::max(c.cores_per_node, c.cpus_per_task);
  if (request.has_memory_per_node_bytes()) {
    c.memory_per_node = Bytes{request.memory_per_node_bytes()};
    if (request.memory_per_node_bytes() == 0) c.exclusive = true;  // all of it, as with --mem=0
  }
  if (request.has_constraint()) c.constraint = request.constraint();
  return {};
}

Result<void> alter_spec(JobSpec& spec, const wire::Alter& request) {
  if (request.has_name()) spec.name = request.name();
  if (request.has_queue()) spec.queue = QueueName(request.queue());
  if (request.has_account()) spec.account = AccountName(request.account());
  if (request.has_qos()) spec.qos = request.qos();
  if (request.has_comment()) spec.comment = request.comment();
  if (request.has_nice()) spec.nice = request.nice();
  if (request.has_requeue()) spec.requeue = request.requeue();
  if (request.has_time_limit_ns()) {
    spec.time_limit.reset();
    if (request.time_limit_ns() != 0) spec.time_limit = Duration{request.time_limit_ns()};
  }
  if (request.has_begin_ns()) {
    spec.not_before.reset();
    if (request.begin_ns() != 0) {
      GANGWAY_ASSIGN(spec.not_before, to_time(request.begin_ns(), "begin"));
    }
  }
  if (request.has_deadline_ns()) {
    spec.deadline.reset();
    if (request.deadline_ns() != 0) {
      GANGWAY_ASSIGN(spec.deadline, to_time(request.deadline_ns(), "deadline"));
    }
  }
  if (request.has_max_running()) {
    if (!spec.array) return invalid("array: the job is no array");
    spec.array->max_running = request.max_running();
  }
  if (request.set_dependencies()) {
    spec.dependencies.clear();
    for (const wire::Dependency& message : request.dependencies()) {
      GANGWAY_ASSIGN(const Dependency dependency, wire::from_wire(message));
      spec.dependencies.push_back(dependency);
    }
    spec.any_dependency = request.any_dependency();
  }
  return alter_component(spec.components.front(), request);
}

}  // namespace

void Controller::Impl::on_alter(io::PeerId from,
                                const io::LocalUser& user,
                                std::uint32_t stream,
                                const wire::Alter& request) {
  std::set<JobKey> keys;
  for (const wire::JobKey& key : request.keys()) keys.insert(wire::from_wire(key));
  for (const wire::Elements& some : request.elements()) {
    const Result<IndexList> indexes = wire::from_wire(some.indexes());
    if (!indexes) return reply_error(from, stream, indexes.error());
    if (keys.size() + indexes->count() > kMaxKeysInRequest) {
      return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many jobs are named"));
    }
    for (std::uint32_t i = 0; i < indexes->count(); ++i) {
      keys.insert({JobId{some.job()}, indexes->index_at(i)});
    }
  }
  if (keys.size() > kMaxKeysInRequest) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many jobs are named"));
  }
  wire::Response response;
  for (const JobKey key : keys) {
    const Result<void> result = alter(key, user, request);
    wire::Acted::One* const one = response.mutable_acted()->add_results();
    wire::to_wire(key, one->mutable_key());
    if (!result) wire::to_wire(result.error(), one->mutable_error());
  }
  response.mutable_acted();
  reply(from, stream, std::move(response));
}

Result<void> Controller::Impl::alter(JobKey key,
                                     const io::LocalUser& user,
                                     const wire::Alter& request) {
  const std::string name = to_string(key);
  begin_now(key);
  const Job* const in_record = find_array_with(key);
  const Job* const job = in_record != nullptr ? in_record : state.find_job(key);
  if (job == nullptr) {
    if (auto error = never_had(state.find_job({key.job}), key)) return *std::move(error);
    return state.is_given(key.job)
               ? Error(ErrorKind::Conflict, cat("job ", name, " has ended already"))
               : Error(ErrorKind::NotFound, cat("there is no job ", name));
  }
  if (!may_change(user, job->owner)) {
    return Error(ErrorKind::Denied, cat("job ", name, " is ", job->owner.user, "'s"));
  }
  if (!job->is_waiting() || (job->array && job->array->waiting.empty())) {
    return Error(ErrorKind::Conflict, cat("job ", name, " does not wait any more"));
  }
  JobSpec spec = *job->spec;
  if (request.has_nice() && request.nice() < std::min(spec.nice, 0) && !is_operator(user)) {
    return Error(ErrorKind::Denied, "nice: below 0 only an operator sets it");
  }
  GANGWAY_TRY(alter_spec(spec, request));
  GANGWAY_TRY(validate(spec));
  if (spec.deadline && *spec.deadline <= now.wall) {
    return invalid(cat("deadline: ", render_local_time(*spec.deadline), " is over already"));
  }
  GANGWAY_TRY(fill_defaults(spec, job->owner.user));
  Submission as_new;
  GANGWAY_TRY(check_cluster(spec));
  if (request.set_dependencies()) {
    for (const Dependency& d : spec.dependencies) {
      if (d.kind == DependencyKind::Singleton) continue;
      const Job* const on = state.find_job({d.on});
      if (on == nullptr) {
        return invalid(cat("dependency: job ", to_string(d.on),
                           state.is_given(d.on) ? " ended long ago" : " does not exist"));
      }
      if (d.kind == DependencyKind::AfterCorr) GANGWAY_TRY(check_corresponding(spec, *on));
    }
    // What waits for it may not be waited for.
    std::set<JobId> seen;
    std::vector<JobId> to_look_at;
    for (const Dependency& d : spec.dependencies) to_look_at.push_back(d.on);
    const auto look_behind = [&](JobKey waiter) {
      if (const auto* const conditions = book.find(waiter)) {
        for (const Condition& c : *conditions) to_look_at.push_back(c.on.job);
      }
    };
    while (!to_look_at.empty()) {
      const JobId one = to_look_at.back();
      to_look_at.pop_back();
      if (one == key.job) return invalid(cat("dependency: job ", name, " would wait for itself"));
      if (!seen.insert(one).second) continue;
      look_behind({one});
      for (const JobKey row : rows_of_array(one)) look_behind(row);
      if (const auto keeping = waiting.find({one}); keeping != waiting.end()) {
        for (const Keeping::Corresponding& c : keeping->second.corresponding) {
          to_look_at.push_back(c.on.job);
        }
      }
    }
  }

  if (in_record != nullptr) {
    set_apart(key);
    if (!waiting.contains(key)) {  // its array's deadline has passed
      return Error(ErrorKind::Conflict, cat("job ", name, " has ended already"));
    }
  }
  std::string digest;
  const std::shared_ptr<const JobSpec> made = intern_spec(as_new, std::move(spec), digest);
  for (const auto& fresh : as_new.specs) turn.batch.specs.push_back(fresh);
  specs[digest] = made;
  take_out_of_plan(key);
  const Job& altered = state.record_altered(key, digest, made, now.wall, turn.batch);
  if (altered.membership) paths.erase(altered.membership->workflow);
  if (request.set_dependencies()) {
    book.remove(key);
    for (const Keeping::Corresponding& one : waiting.at(key).corresponding) {
      corresponding_waiters[one.on.job].erase(key);
    }
    waiting.at(key).corresponding.clear();
    note_dependencies(altered, {});
  }
  reconsider(key);
  return {};
}

}  // namespace gangway::scheduler
