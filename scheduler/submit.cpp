// Submissions: collected by part, checked whole, accepted in one turn or not at all.
//
// Each part is decoded, checked and digested when it comes, so that a large submission is spread
// over many turns. An error is kept until the last part: an earlier answer would leave the parts
// behind it to be taken for a new submission.
#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"
#include "queues/model/dependency_graph.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"
#include "scheduler/policy/request.hpp"
#include "scheduler/user_checks.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMinKeyBytes = 16;
constexpr std::size_t kMaxKeyBytes = 64;
constexpr std::int64_t kWeightOfMember = 1;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

// A name of a workflow or of one of its categories.
Result<void> check_name(std::string_view what, std::string_view name) {
  if (name.size() > kMaxNameBytes) {
    return invalid(cat(what, ": its name is longer than ", kMaxNameBytes, " bytes"));
  }
  const bool has_control = std::ranges::any_of(
      name, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
  if (has_control) return invalid(cat(what, ": its name has a control character"));
  if (!is_utf8(name)) return invalid(cat(what, ": its name is not UTF-8"));
  return {};
}

// Which job of the submission an error is about: "" for a single one.
std::string name_of_job(const std::string& member,
                        std::uint32_t line,
                        std::size_t index,
                        bool is_only_one) {
  std::string out;
  if (!member.empty()) {
    out = cat("job ", member);
  } else if (!is_only_one) {
    out = cat("job number ", index + 1);
  }
  if (line > 0) out += cat(out.empty() ? "line " : " (line ", line, out.empty() ? "" : ")");
  return out;
}

}  // namespace

// ---- parts -------------------------------------------------------------------------------------

void Controller::Impl::on_submit(io::PeerId from,
                                 const io::LocalUser& user,
                                 std::uint32_t stream,
                                 const wire::Submit& part) {
  const std::pair at{from, stream};
  auto open = submissions.find(at);
  if (open != submissions.end()) {
    take_part(open->second, part);
    if (part.more()) return;
    Submission whole = std::move(open->second);
    submissions.erase(open);
    return finish_submission(from, stream, std::move(whole));
  }
  if (part.key().size() < kMinKeyBytes || part.key().size() > kMaxKeyBytes) {
    return reply_error(from, stream,
                       invalid(cat("a submission's key has ", kMinKeyBytes, " to ", kMaxKeyBytes,
                                   " characters, this one has ", part.key().size())));
  }
  Submission fresh;
  fresh.user = user;
  fresh.key = part.key();
  fresh.full_key = cat(user.uid, ':', part.key());
  fresh.test_only = part.test_only();
  if (part.has_workflow()) {
    // What is refused is not kept: the names of many parts are many bytes.
    const auto named = [&]() -> Result<void> {
      GANGWAY_TRY(check_name("workflow", part.workflow().name()));
      for (const auto& limit : part.workflow().limits()) {
        GANGWAY_TRY(check_name("category", limit.category()));
      }
      return {};
    }();
    auto limits = wire::limits_from_wire(part.workflow().limits());
    if (!named) {
      fresh.error = named.error();
    } else if (!limits) {
      fresh.error = invalid(limits.error().message());
    } else {
      fresh.workflow = part.workflow().name();
      fresh.limits = *std::move(limits);
    }
  }
  // A retry, the common case of which is one part, is answered without a second look.
  if (!part.more() && answer_repeated(from, stream, fresh.full_key)) return;
  if (user.uid == 0 && !config.allow_root_jobs) {
    fresh.error = Error(ErrorKind::Denied,
                        "root may not submit jobs here; submit as an ordinary user, or let the "
                        "operator set allow_root_jobs");
  }
  if (part.more()) {
    const auto of_peer = std::distance(submissions.lower_bound({from, 0}),
                                       submissions.lower_bound({io::PeerId{from.value + 1}, 0}));
    if (submissions.size() >= kMaxSubmissionsUnderWay ||
        static_cast<std::size_t>(of_peer) >= kMaxSubmissionsOfPeer) {
      // Nothing of it is kept, not even that it was refused; so its other parts must not come.
      reply_error(from, stream, Error(ErrorKind::Exhausted, "too many submissions are under way"));
      turn.effects.emplace_back(effect::ClosePeer{from});
      return;
    }
  }
  take_part(fresh, part);
  if (part.more()) {
    submissions.emplace(at, std::move(fresh));
    return;
  }
  if (fresh.may_be_known && !fresh.workflow && part.jobs_size() == 1 &&
      part.jobs(0).ByteSizeLong() <= kMaxKnownJobBytes) {
    fresh.source = part.jobs(0).SerializeAsString();
  }
  finish_submission(from, stream, std::move(fresh));
}

// The same job again, as a loop submits it: nothing of it is read a second time.
bool Controller::Impl::submit_known(io::PeerId from,
                                    const io::LocalUser& user,
                                    std::uint32_t stream,
                                    std::string_view key,
                                    std::string_view job) {
  if (submissions.contains({from, stream})) return false;  // the last part of a larger one
  const auto of_user = checked().jobs.find(user.uid);
  if (of_user == checked().jobs.end()) return false;
  const auto known = of_user->second.find(job);
  if (known == of_user->second.end()) return false;
  // What is unusual about it is told by the long way.
  if (key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes ||
      unfinished_jobs >= config.max_jobs) {
    return false;
  }
  Submission fresh;
  fresh.user = user;
  fresh.full_key = cat(user.uid, ':', key);
  NewMember& member = fresh.jobs.emplace_back();
  member.spec = known->second.spec;
  member.digest = known->second.digest;
  member.held = member.spec->held;
  finish_submission(from, stream, std::move(fresh));
  return true;
}

void Controller::Impl::take_part(Submission& submission, const wire::Submit& part) {
  if (!submission.error) {
    if (const Result<void> added = add_part(submission, part); !added) {
      submission.error = added.error();
    }
  }
  if (!submission.error) return;
  submission.jobs.clear();  // what was collected is of no use any more
  submission.specs.clear();
  submission.specs_made.clear();
}

Result<void> Controller::Impl::add_part(Submission& submission, const wire::Submit& part) {
  if (part.key() != submission.key) {
    return invalid("the parts of a submission have different keys");
  }
  for (const wire::NewJob& job : part.jobs()) submission.bytes += job.ByteSizeLong();
  if (submission.bytes > kMaxSubmissionBytes) {
    return Error(ErrorKind::Exhausted,
                 cat("a submission has at most ", kMaxSubmissionBytes >> 20, " MiB"));
  }
  std::size_t of_all = submission.bytes;
  for (const auto& [from, other] : submissions) {
    if (&other != &submission && !other.error) of_all += other.bytes;
  }
  if (of_all > 2 * kMaxSubmissionBytes) {
    return Error(ErrorKind::Exhausted, "large submissions of others are under way; try again");
  }
  const std::size_t count = submission.jobs.size() + static_cast<std::size_t>(part.jobs_size());
  if (count > config.max_jobs_per_submission) {
    return Error(ErrorKind::Exhausted,
                 cat("a submission has at most ", config.max_jobs_per_submission, " jobs"));
  }
  if (unfinished_jobs + count > config.max_jobs) {
    return Error(ErrorKind::Exhausted,
                 cat(unfinished_jobs, " jobs are waiting or running, more than ", config.max_jobs,
                     " are not taken; try again later"));
  }
  for (const wire::NewJob& job : part.jobs()) {
    const std::size_t index = submission.jobs.size();
    const bool is_only_one = !part.more() && part.jobs_size() == 1 && index == 0;
    if (const Result<void> added = add_job(submission, job); !added) {
      const std::string which = name_of_job(job.member(), job.line(), index, is_only_one);
      return which.empty() ? added.error() : added.error().with_context(which);
    }
  }
  return {};
}

Result<void> Controller::Impl::add_job(Submission& submission, const wire::NewJob& job) {
  GANGWAY_TRY(check_name("member", job.member()));
  GANGWAY_TRY(check_name("category", job.category()));
  NewMember member;
  member.name = job.member();
  member.line = job.line();
  member.category = job.category();
  member.is_final = job.is_final();
  for (const wire::Need& need : job.needs()) {
    if (need.outcome() > static_cast<std::uint32_t>(NeedOutcome::Each)) {
      return invalid(cat("unknown outcome of a need: ", need.outcome()));
    }
    member.needs.push_back({need.member(), static_cast<NeedOutcome>(need.outcome())});
  }
  GANGWAY_ASSIGN(JobSpec spec, wire::from_wire(job.spec()));
  const auto shared_with = [&](std::uint32_t number) -> Result<const JobSpec*> {
    if (number > submission.jobs.size()) {
      return invalid("shares with a job that does not come before it");
    }
    return submission.jobs[number - 1].spec.get();
  };
  if (job.env_of() > 0) {
    GANGWAY_ASSIGN(const JobSpec* const other, shared_with(job.env_of()));
    spec.env = other->env;
  }
  if (job.script_of() > 0) {
    GANGWAY_ASSIGN(const JobSpec* const other, shared_with(job.script_of()));
    spec.script = other->script;
  }
  GANGWAY_TRY(check_no_ports(spec));
  // A replica is a service's: what a queue says of times is said to everything else.
  spec.kind = JobKind::Batch;
  GANGWAY_TRY(validate(spec));
  if (spec.deadline && *spec.deadline <= now.wall) {
    return invalid(cat("--deadline: ", render_local_time(*spec.deadline), " is over already"));
  }
  GANGWAY_TRY(check_spec_of_user(spec, is_operator(submission.user)));
  GANGWAY_TRY(fill_defaults(spec, users.name_of(submission.user.uid)));
  GANGWAY_TRY(check_cluster(spec));
  member.held = spec.held;
  // A deadline may be over the next time, and its user be no operator any more.
  submission.may_be_known = submission.jobs.empty() && !spec.deadline && spec.nice >= 0;
  member.spec = intern_spec(submission, std::move(spec), member.digest);
  submission.jobs.push_back(std::move(member));
  return {};
}

Controller::Impl::Checked& Controller::Impl::checked() {
  if (checked_before.surroundings != state.surroundings()) {
    checked_before = {};
    checked_before.surroundings = state.surroundings();
  }
  return checked_before;
}

namespace {

// A replica runs until it is told to end.
Result<void> check_queue_of_service(const Queue& queue) {
  if (!queue.max_limit) return {};
  return invalid(cat("queue ", queue.name.value, " ends what runs longer than ",
                     render_duration(*queue.max_limit), "; a service needs one that does not"));
}

}  // namespace

// What is stored is complete: a later change of the configuration does not change a waiting job.
Result<void> Controller::Impl::fill_defaults(JobSpec& spec, const std::string& user) const {
  const Queue* const queue = find_queue(spec.queue);
  if (queue == nullptr) {
    std::vector<std::string> names;
    for (const Queue& q : config.queues) names.push_back(q.name.value);
    const std::string meant = nearest(spec.queue.value, names);
    return invalid(cat(
        "queue ", spec.queue.value, " does not exist; ",
        meant.empty() ? cat("there is: ", join(names, ", ")) : cat("did you mean ", meant, "?")));
  }
  spec.queue = queue->name;
  GANGWAY_TRY(fill_account(spec, user));
  GANGWAY_TRY(check_qos(spec));
  if (!spec.kill_grace) spec.kill_grace = config.kill_grace;
  const bool is_replica = spec.kind == JobKind::Service;
  if (is_replica) GANGWAY_TRY(check_queue_of_service(*queue));
  if (!spec.time_limit && !is_replica) spec.time_limit = queue->default_limit;
  if (!spec.time_limit) spec.time_limit = queue->max_limit;
  if (queue->max_limit && *spec.time_limit > *queue->max_limit) {
    return invalid(cat("time limit ", render_duration(*spec.time_limit), " is more than queue ",
                       queue->name.value, " allows (", render_duration(*queue->max_limit), ")"));
  }
  for (Component& component : spec.components) {
    if (component.memory_per_node.value != 0) continue;
    const std::int64_t cores = component.per_node().cores;
    if (queue->default_memory_per_core.value > kMaxMemoryPerNode.value / cores) {
      return invalid(cat("--mem is not given, and ", cores, " cores on a node have more than ",
                         render_bytes(kMaxMemoryPerNode), " with queue ", queue->name.value,
                         "'s memory_per_core of ", render_bytes(queue->default_memory_per_core)));
    }
    component.memory_per_node = queue->default_memory_per_core * cores;
  }
  return {};
}

Result<void> Controller::Impl::check_cluster(const JobSpec& spec) {
  std::string request = request_key(spec.queue, std::nullopt, spec.components);
  auto& can_run = checked().can_run;
  const auto known = can_run.find(request);
  if (known != can_run.end()) return known->second;
  for (const Component& c : spec.components) {
    for (const NodeName& name : c.only_nodes) {
      if (state.find_node(name) != nullptr) continue;
      return invalid(cat("node ", name.value, " does not exist; jnodes lists those there are"));
    }
  }
  std::vector<delta::NodeIs> nodes;
  for (const auto& [name, node] : state.nodes()) {
    nodes.push_back({name, capacity_of(node), true, node.features});
  }
  const Queue* const queue = find_queue(spec.queue);
  CHECK(queue != nullptr);
  Result<void> answer = can_ever_run(spec.components, *queue, nodes);
  if (can_run.size() >= kMaxKnownRequests) can_run.clear();
  can_run.emplace(std::move(request), answer);
  return answer;
}

// Equal specs are one in memory and in the store, whoever submits them.
std::shared_ptr<const JobSpec> Controller::Impl::intern_spec(Submission& submission,
                                                             JobSpec spec,
                                                             std::string& digest) {
  std::string bytes = wire::encode_spec(spec);
  digest = sha256_hex(bytes);
  if (const auto known = specs.find(digest); known != specs.end()) {
    if (auto living = known->second.lock()) return living;
  }
  auto& made = submission.specs_made[digest];
  if (made == nullptr) {
    made = std::make_shared<const JobSpec>(std::move(spec));
    submission.specs.emplace_back(digest, std::move(bytes));
  }
  return made;
}

// ---- the whole ---------------------------------------------------------------------------------

void Controller::Impl::finish_submission(io::PeerId from,
                                         std::uint32_t stream,
                                         Submission submission) {
  if (answer_repeated(from, stream, submission.full_key)) return;
  if (submission.error) return reply_error(from, stream, *submission.error);
  if (submission.jobs.empty()) {
    return reply_error(from, stream, invalid("a submission without jobs"));
  }
  if (const Result<void> fine = check_workflow(submission); !fine) {
    return reply_error(from, stream, fine.error());
  }
  const Result<std::vector<JobKey>> unknown = unknown_dependencies(submission, {});
  if (!unknown) return reply_error(from, stream, unknown.error());
  if (unknown->empty()) return accept(from, stream, submission, {});

  // They may have finished long ago: the store knows. Meanwhile a retry may overtake us.
  const Result<void> asked =
      ask_history(history_queries(*unknown, {}, {}, unknown->size(), true), {},
                  [this, from, stream, submission](const History& history) {
                    if (history.error) return reply_error(from, stream, *history.error);
                    if (answer_repeated(from, stream, submission.full_key)) return;
                    OldJobs old;
                    for (const Job& job : history.jobs) old.emplace(job.key, job);
                    if (const Result<void> fine = check_dependencies(submission, old); !fine) {
                      return reply_error(from, stream, fine.error());
                    }
                    accept(from, stream, submission, old);
                  });
  if (!asked) reply_error(from, stream, asked.error());
}

Result<void> Controller::Impl::check_workflow(const Submission& submission) const {
  const auto& jobs = submission.jobs;
  std::map<std::string, std::uint32_t> number_of;
  if (!submission.workflow) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!jobs[i].needs.empty()) return invalid("only members of a workflow have needs");
    }
    return {};
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& job = jobs[i];
    const std::string which = name_of_job(job.name, job.line, i, false);
    if (job.name.empty() || job.name.size() > kMaxNameBytes) {
      return invalid(
          cat(which, ": a member of a workflow has a name of 1 to ", kMaxNameBytes, " characters"));
    }
    if (!number_of.emplace(job.name, static_cast<std::uint32_t>(i)).second) {
      return invalid(cat(which, ": there are two members of this name"));
    }
    names.push_back(job.name);
  }
  std::vector<GraphEdge> edges;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (const Need& need : jobs[i].needs) {
      const auto on = number_of.find(need.member);
      if (on == number_of.end()) {
        const std::string meant = nearest(need.member, names);
        return invalid(cat(name_of_job(jobs[i].name, jobs[i].line, i, false), ": needs ",
                           need.member, ", which does not exist",
                           meant.empty() ? "" : cat("; did you mean ", meant, "?")));
      }
      edges.push_back({on->second, static_cast<std::uint32_t>(i)});
      if (need.outcome == NeedOutcome::Each) {
        const auto& own = jobs[i].spec->array;
        const auto& other = jobs[on->second].spec->array;
        if (!own || !other || own->indexes != other->indexes) {
          return invalid(cat(name_of_job(jobs[i].name, jobs[i].line, i, false), ": needs each of ",
                             need.member, ": both have to be arrays with the same indexes"));
        }
      }
    }
  }
  const std::vector<std::int64_t> weights(jobs.size(), kWeightOfMember);
  if (const auto order = order_graph(names, weights, edges); !order) return order.error();
  return {};
}

Result<std::vector<JobKey>> Controller::Impl::unknown_dependencies(const Submission& submission,
                                                                   const OldJobs& old) const {
  std::set<JobKey> unknown;
  // What is known now can be looked at now; the rest when the store has answered.
  const auto look_at = [&](const JobSpec& spec, const Dependency& dependency,
                           const Job& on) -> Result<void> {
    if (dependency.kind == DependencyKind::AfterCorr) return check_corresponding(spec, on);
    const bool has_it =
        dependency.index == JobKey::kNoIndex ||
        (on.spec->array && on.spec->array->indexes.position_of(dependency.index).has_value());
    if (has_it) return {};
    return invalid(cat("--dependency: there is no job ", to_string(dependency.key())));
  };
  for (const auto& job : submission.jobs) {
    for (const Dependency& dependency : job.spec->dependencies) {
      if (dependency.kind == DependencyKind::Singleton) continue;
      if (!state.is_given(dependency.on)) {
        return invalid(cat("--dependency: there is no job ", to_string(dependency.on)));
      }
      const Job* on = state.find_job({dependency.on});
      if (const auto found = old.find({dependency.on}); on == nullptr && found != old.end()) {
        on = &found->second;
      }
      if (on == nullptr) {
        unknown.insert({dependency.on});
      } else {
        GANGWAY_TRY(look_at(*job.spec, dependency, *on));
      }
    }
  }
  return std::vector(unknown.begin(), unknown.end());
}

Result<void> Controller::Impl::check_dependencies(const Submission& submission,
                                                  const OldJobs& old) const {
  GANGWAY_ASSIGN(const std::vector<JobKey> unknown, unknown_dependencies(submission, old));
  if (unknown.empty()) return {};
  return invalid(
      cat("--dependency: nothing is known of job ", to_string(unknown.front()), " any more"));
}

void Controller::Impl::accept(io::PeerId from,
                              std::uint32_t stream,
                              const Submission& submission,
                              const OldJobs& old) {
  wire::Response response;
  wire::Submitted* const answer = response.mutable_submitted();
  if (submission.test_only) {
    foresee(submission, *answer);
    return reply(from, stream, std::move(response));
  }

  const Owner owner{submission.user.uid, submission.user.gid, users.name_of(submission.user.uid)};
  store::SubmissionRecord record{
      .key = submission.full_key, .jobs = {}, .workflow = std::nullopt, .at = now.wall};
  for (std::size_t i = 0; i < submission.jobs.size(); ++i) {
    record.jobs.push_back(state.take_job_id(turn.batch));
    answer->add_jobs(record.jobs.back().value);
  }
  if (submission.workflow) {
    const WorkflowId id = state.take_workflow_id(turn.batch);
    record.workflow = id;
    answer->set_workflow(id.value);
    workflow_event::Submitted event{.name = *submission.workflow, .owner = owner, .members = {}};
    for (std::size_t i = 0; i < submission.jobs.size(); ++i) {
      const NewMember& job = submission.jobs[i];
      event.members.push_back({job.name, record.jobs[i], job.needs, job.category, job.is_final});
    }
    event.limits = submission.limits;
    state.record(id, std::move(event), now.wall, turn.batch);
    open_members[id] = submission.jobs.size();
  }
  for (const auto& spec : submission.specs) turn.batch.specs.push_back(spec);
  for (std::size_t i = 0; i < submission.jobs.size(); ++i) {
    const NewMember& job = submission.jobs[i];
    job_event::Submitted event{
        .owner = owner, .spec_digest = job.digest, .membership = std::nullopt, .held = job.held};
    if (job.spec->array) event.elements = job.spec->array->indexes.count();
    if (record.workflow) event.membership = Membership{*record.workflow, job.name};
    state.record_submitted({record.jobs[i]}, std::move(event), job.spec, now.wall, turn.batch);
  }
  for (const auto& [digest, spec] : submission.specs_made) specs[digest] = spec;
  unfinished_jobs += submission.jobs.size();
  for (const JobId id : record.jobs) begin_waiting({id}, old);
  // Last, because a user who was not known changes the accounts.
  if (!submission.source.empty()) {
    Checked& known = checked();
    if (known.jobs_known >= kMaxKnownJobs) {
      known.jobs.clear();
      known.jobs_known = 0;
    }
    ++known.jobs_known;
    known.jobs[submission.user.uid].insert_or_assign(
        submission.source, KnownSpec{submission.jobs[0].spec, submission.jobs[0].digest});
  }
  remember(record);
  turn.batch.submissions.push_back(std::move(record));
  sweep_specs();
  reply(from, stream, std::move(response));
}

// ---- repeated submissions ----------------------------------------------------------------------

bool Controller::Impl::answer_repeated(io::PeerId from,
                                       std::uint32_t stream,
                                       const std::string& full_key) {
  const auto known = remembered.find(full_key);
  if (known == remembered.end()) return false;
  wire::Response response;
  wire::Submitted* const answer = response.mutable_submitted();
  for (std::uint32_t i = 0; i < known->second.count; ++i) {
    answer->add_jobs(known->second.first.value + i);
  }
  if (known->second.workflow.value != 0) answer->set_workflow(known->second.workflow.value);
  answer->set_repeated_key(true);
  reply(from, stream, std::move(response));
  return true;
}

void Controller::Impl::remember(const store::SubmissionRecord& record) {
  while (!remembered_order.empty() &&
         (remembered_order.front().first + store::kSubmissionMemory < now.wall ||
          remembered_order.size() >= kMaxRememberedKeys)) {
    remembered.erase(*remembered_order.front().second);
    remembered_order.pop_front();
  }
  CHECK(!record.jobs.empty());
  const Answer answer{.first = record.jobs.front(),
                      .count = static_cast<std::uint32_t>(record.jobs.size()),
                      .workflow = record.workflow.value_or(WorkflowId{})};
  const auto [entry, is_new] = remembered.insert_or_assign(record.key, answer);
  if (is_new) remembered_order.emplace_back(record.at, &entry->first);
}

// Those that no job has any more.
void Controller::Impl::sweep_specs() {
  if (specs.size() > specs_swept_at) {
    std::erase_if(specs, [](const auto& entry) { return entry.second.expired(); });
    specs_swept_at = std::max<std::size_t>(1024, 2 * specs.size());
  }
}

}  // namespace gangway::scheduler
