// Questions: lists and waits. What is finished and forgotten here is asked of the store.
#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

std::string command_of(const JobSpec& spec) {
  if (!spec.script.empty()) return spec.name;
  std::string out;
  for (const std::string& arg : spec.argv) {
    if (!out.empty()) out += ' ';
    out += arg;
    if (out.size() > 200) return out.substr(0, 200) + "...";
  }
  return out;
}

Error no_job(JobKey key) { return {ErrorKind::NotFound, cat("there is no job ", to_string(key))}; }

}  // namespace

// ---- views -------------------------------------------------------------------------------------

void Controller::Impl::fill_view(const Job& job, wire::JobView* out) const {
  const JobSpec& spec = *job.spec;
  wire::to_wire(job, out->mutable_state());
  if (job.array) {
    // The view says it in fewer words, but for what the dropped ones ended as.
    const wire::Outcome dropped_as = out->state().array().dropped_as();
    out->mutable_state()->clear_array();
    if (!job.array->dropped.empty()) {
      *out->mutable_state()->mutable_array()->mutable_dropped_as() = dropped_as;
    }
    fill_array_view(job, out->mutable_array());
  }
  if (spec.deadline) out->set_deadline_ns(spec.deadline->ns);
  if (spec.not_before) out->set_begin_ns(spec.not_before->ns);
  out->set_dependency(render_dependencies(spec));
  out->set_nice(spec.nice);
  if (const auto keeping = waiting.find(job.key); keeping != waiting.end()) {
    out->mutable_state()->set_reason(static_cast<std::uint32_t>(keeping->second.reason));
    if (const auto terms = planner.priority_of(planned_key(job))) {
      out->set_priority(terms->total());
      wire::PriorityTerms* const view = out->mutable_priority_terms();
      view->set_age(terms->age);
      view->set_fair_share(terms->fair_share);
      view->set_size(terms->size);
      view->set_queue(terms->queue);
      view->set_qos(terms->qos);
      view->set_resources(terms->resources);
      view->set_nice(terms->nice);
    }
  }
  out->set_name(spec.name);
  out->set_queue(spec.queue.value);
  out->set_nodes(spec.total_nodes());
  out->set_tasks(spec.total_tasks());
  std::int64_t cores = 0;
  const auto* const over = std::get_if<phase::Finished>(&job.phase);
  const Allocation* const allocation =
      over != nullptr && !over->ran_on.shares.empty() ? &over->ran_on : job.allocation();
  if (allocation != nullptr) {
    for (const NodeShare& share : allocation->shares) cores += share.resources.cores;
  } else {
    for (const Component& c : spec.components) cores += c.total_cores();
  }
  out->set_cores(cores);
  for (const Component& c : spec.components) wire::to_wire(c, out->add_components());
  if (spec.time_limit) out->set_time_limit_ns(spec.time_limit->ns);
  out->set_workdir(spec.workdir);
  out->set_out(spec.stdio.out);
  if (spec.image) {
    out->set_image(spec.image->reference.empty()
                       ? spec.image->path
                       : cat(spec.image->path, ':', spec.image->reference));
  }
  if (promise && promise->key == planned_key(job)) out->set_expected_start_ns(promise->start.ns);
  out->set_account(spec.account.empty() ? job.owner.user : spec.account.value);
  out->set_qos(spec.qos);
  out->set_command(command_of(spec));
  out->set_comment(spec.comment);
}

std::vector<store::HistoryQuery> Controller::Impl::history_queries(
    const std::vector<JobKey>& keys,
    const std::vector<WorkflowId>& workflows,
    const std::vector<std::string>& users,
    std::size_t limit,
    bool only_whole) {
  // Within one query all lists have to hold, so keys and workflows are asked for apart.
  std::vector<store::HistoryQuery> queries;
  const auto add = [&]() -> store::HistoryQuery& {
    store::HistoryQuery& query = queries.emplace_back();
    query.users = users;
    query.limit = limit;
    query.only_whole = only_whole;
    return query;
  };
  if (!keys.empty()) add().keys = keys;
  if (!workflows.empty()) add().workflows = workflows;
  if (queries.empty()) add();
  return queries;
}

void Controller::Impl::send_jobs(io::PeerId to,
                                 std::uint32_t stream,
                                 const std::vector<const Job*>& jobs,
                                 std::size_t limit,
                                 bool is_cut) {
  wire::Response response;
  response.mutable_jobs()->set_now_ns(now.wall.ns);
  std::size_t bytes = 0;
  std::size_t all_bytes = 0;
  std::size_t count = 0;
  for (const Job* const job : jobs) {
    if (count == limit || all_bytes > kMaxListedBytes) {
      is_cut = true;
      break;
    }
    ++count;
    wire::JobView* const view = response.mutable_jobs()->add_jobs();
    fill_view(*job, view);
    const std::size_t size = view->ByteSizeLong();
    bytes += size;
    all_bytes += size;
    if (bytes > kResponseBytes) {
      response.set_more(true);
      reply(to, stream, std::exchange(response, {}));
      response.mutable_jobs()->set_now_ns(now.wall.ns);
      bytes = 0;
    }
  }
  response.mutable_jobs()->set_truncated(is_cut);
  reply(to, stream, std::move(response));
}

void Controller::Impl::on_list_jobs(io::PeerId from,
                                    std::uint32_t stream,
                                    const wire::ListJobs& request) {
  if (static_cast<std::size_t>(request.keys_size()) +
          static_cast<std::size_t>(request.workflows_size()) >
      kMaxKeysInRequest) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many jobs are named"));
  }
  std::set<JobKey> keys;
  std::set<JobId> with_elements;  // a key without index means all elements of an array
  for (const wire::JobKey& message : request.keys()) {
    const JobKey key = wire::from_wire(message);
    keys.insert(key);
    if (key.index == JobKey::kNoIndex) with_elements.insert(key.job);
  }
  // Beside elements that are named only the record of their array is meant: it tells of those
  // without rows.
  for (const wire::Elements& some : request.elements()) {
    const Result<IndexList> indexes = wire::from_wire(some.indexes());
    if (!indexes) return reply_error(from, stream, indexes.error());
    if (keys.size() + indexes->count() > kMaxKeysInRequest) {
      return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many jobs are named"));
    }
    keys.insert({JobId{some.job()}});
    for (std::uint32_t i = 0; i < indexes->count(); ++i) {
      keys.insert({JobId{some.job()}, indexes->index_at(i)});
    }
  }
  std::set<WorkflowId> workflows;
  for (const std::uint64_t id : request.workflows()) workflows.insert({id});
  // Some may be of another store's life; that all are is a mistake.
  const bool some_given =
      std::any_of(keys.begin(), keys.end(), [&](JobKey key) { return state.is_given(key.job); }) ||
      std::any_of(workflows.begin(), workflows.end(),
                  [&](WorkflowId id) { return state.is_given(id); });
  if (!some_given && !keys.empty()) return reply_error(from, stream, no_job(*keys.begin()));
  if (!some_given && !workflows.empty()) {
    return reply_error(
        from, stream,
        Error(ErrorKind::NotFound, cat("there is no workflow ", to_string(*workflows.begin()))));
  }
  const std::set<std::string> names(request.users().begin(), request.users().end());
  const std::size_t limit =
      request.limit() == 0 ? kMaxListed : std::min<std::size_t>(request.limit(), kMaxListed);
  // Of the jobs in memory only those that may be wanted are looked at.
  const auto for_each_possible = [this, keys, workflows, with_elements,
                                  names](const std::function<void(const Job&)>& look) {
    const auto with_rows = [&](const Job& job, bool elements) {
      if (job.array && elements) {
        for (const JobKey element : rows_of_array(job.key.job)) look(state.get_job(element));
      }
      look(job);
    };
    if (!keys.empty() && workflows.empty()) {
      for (const JobKey key : keys) {
        if (const Job* const job = state.find_job(key)) {
          with_rows(*job, with_elements.contains(key.job));
        }
      }
    } else if (!names.empty()) {
      std::vector<JobKey> own;
      for (const std::string& name : names) {
        const std::vector<JobKey> of_one = state.jobs_of_user(name);
        own.insert(own.end(), of_one.begin(), of_one.end());
      }
      std::sort(own.begin(), own.end());
      for (const JobKey key : own) with_rows(state.get_job(key), true);
    } else {
      for (const auto& [key, job] : state.jobs()) look(job);
    }
  };
  const auto is_wanted = [=](const Job& job) {
    if (!keys.empty() || !workflows.empty()) {
      const bool is_member = job.membership && workflows.contains(job.membership->workflow);
      const bool is_named = keys.contains(job.key) || with_elements.contains(job.key.job);
      if (!is_named && !is_member) return false;
    }
    return names.empty() || names.contains(job.owner.user);
  };

  if (!request.finished_too()) {
    std::vector<const Job*> found;
    for_each_possible([&](const Job& job) {
      // One more than is sent says that there are more.
      if (found.size() <= limit && !job.is_finished() && is_wanted(job)) found.push_back(&job);
    });
    return send_jobs(from, stream, found, limit);
  }

  // What has finished before this turn is in the store when it is asked; what finishes until it has
  // answered is still in memory.
  const std::size_t from_store = std::min(limit, kMaxListedFromStore);
  const Result<void> asked =
      ask_history(history_queries({keys.begin(), keys.end()}, {workflows.begin(), workflows.end()},
                                  {names.begin(), names.end()}, from_store, with_elements.empty()),
                  {},
                  [this, from, stream, limit, from_store, is_wanted,
                   for_each_possible](const History& history) {
                    if (history.error) return reply_error(from, stream, *history.error);
                    std::map<JobKey, const Job*> all;
                    for (const Job& job : history.jobs) {
                      if (is_wanted(job)) all.emplace(job.key, &job);
                    }
                    for_each_possible([&](const Job& job) {
                      if (is_wanted(job)) all[job.key] = &job;
                    });
                    std::vector<const Job*> found;
                    found.reserve(all.size());
                    for (const auto& [key, job] : all) found.push_back(job);
                    send_jobs(from, stream, found, limit, history.jobs.size() >= from_store);
                  });
  if (!asked) reply_error(from, stream, asked.error());
}

void Controller::Impl::on_list_workflows(io::PeerId from,
                                         std::uint32_t stream,
                                         const wire::ListWorkflows& request) {
  const std::set<std::string> names(request.users().begin(), request.users().end());
  std::vector<WorkflowId> wanted;
  for (const std::uint64_t id : request.ids()) wanted.push_back({id});
  if (wanted.size() > kMaxKeysInRequest) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many workflows are named"));
  }
  if (wanted.empty()) {
    for (const auto& [id, workflow] : state.workflows()) {
      if (workflow.ended && !request.finished_too()) continue;
      if (names.empty() || names.contains(workflow.owner.user)) wanted.push_back(id);
    }
  }
  // Of those that are not whole in memory the store has the rest.
  std::vector<WorkflowId> elsewhere;
  for (const WorkflowId id : wanted) {
    const Workflow* const workflow = state.find_workflow(id);
    const bool is_whole =
        workflow != nullptr &&
        std::all_of(workflow->members.begin(), workflow->members.end(),
                    [&](const WorkflowMember& m) { return state.find_job({m.job}) != nullptr; });
    if (!is_whole) elsewhere.push_back(id);
  }
  const auto answer = [this, from, stream, wanted](const History& history) {
    if (history.error) return reply_error(from, stream, *history.error);
    std::map<JobKey, const Job*> old;
    for (const Job& job : history.jobs) old.emplace(job.key, &job);
    wire::Response response;
    response.mutable_workflows()->set_now_ns(now.wall.ns);
    std::size_t bytes = 0;
    for (const WorkflowId id : wanted) {
      const Workflow* workflow = state.find_workflow(id);
      for (const Workflow& other : history.workflows) {
        if (workflow == nullptr && other.id == id) workflow = &other;
      }
      if (workflow == nullptr) {
        return reply_error(from, stream,
                           Error(ErrorKind::NotFound, cat("there is no workflow ", to_string(id))));
      }
      wire::WorkflowView* const view = response.mutable_workflows()->add_workflows();
      wire::to_wire(*workflow, view->mutable_state());
      for (const WorkflowMember& member : workflow->members) {
        const Job* job = state.find_job({member.job});
        if (const auto found = old.find({member.job}); job == nullptr && found != old.end()) {
          job = found->second;
        }
        if (job != nullptr) fill_view(*job, view->add_jobs());
      }
      bytes += view->ByteSizeLong();
      if (bytes > kResponseBytes) {
        response.set_more(true);
        reply(from, stream, std::exchange(response, {}));
        response.mutable_workflows()->set_now_ns(now.wall.ns);
        bytes = 0;
      }
    }
    reply(from, stream, std::move(response));
  };
  if (elsewhere.empty()) return answer({});
  const Result<void> asked =
      ask_history(history_queries({}, elsewhere, {}, kMaxListed), elsewhere, answer);
  if (!asked) reply_error(from, stream, asked.error());
}

void Controller::Impl::on_ping(io::PeerId from, std::uint32_t stream) {
  wire::Response response;
  wire::Pong* const pong = response.mutable_pong();
  pong->set_version(config.version);
  pong->set_epoch(epoch.value);
  pong->set_cluster(config.cluster);
  std::uint32_t reached = 0;
  for (const auto& [name, node] : state.nodes()) {
    if (node.contact == Contact::Reached) ++reached;
  }
  pong->set_nodes(static_cast<std::uint32_t>(state.nodes().size()));
  pong->set_nodes_reached(reached);
  pong->set_requests(requests);
  pong->set_followers(static_cast<std::uint32_t>(followers.size()));
  reply(from, stream, std::move(response));
}

// ---- waits -------------------------------------------------------------------------------------

void Controller::Impl::on_wait_for(io::PeerId from,
                                   std::uint32_t stream,
                                   const wire::WaitFor& request,
                                   std::uint32_t deadline_ms) {
  std::vector<JobKey> keys;
  std::vector<WorkflowId> elsewhere;
  wire::WaitFor here;
  *here.mutable_keys() = request.keys();
  for (const std::uint64_t id : request.workflows()) {
    if (state.find_workflow({id}) != nullptr) {
      here.add_workflows(id);
    } else {
      elsewhere.push_back({id});
    }
  }
  Result<std::vector<JobKey>> named = jobs_of(here);
  if (!named) return reply_error(from, stream, named.error());
  keys = *std::move(named);
  for (const wire::Elements& some : request.elements()) {
    const Result<IndexList> indexes = wire::from_wire(some.indexes());
    if (!indexes) return reply_error(from, stream, indexes.error());
    if (keys.size() + indexes->count() > kMaxKeysInRequest) {
      return reply_error(
          from, stream,
          Error(ErrorKind::Exhausted, cat("a request names at most ", kMaxKeysInRequest, " jobs")));
    }
    for (std::uint32_t i = 0; i < indexes->count(); ++i) {
      keys.push_back({JobId{some.job()}, indexes->index_at(i)});
    }
  }
  std::vector<JobKey> forgotten;
  for (const JobKey key : keys) {
    const bool is_known = state.find_job(key) != nullptr || find_array_with(key) != nullptr;
    if (!is_known && state.is_given(key.job)) {
      forgotten.push_back(key);
      // Of an element that was cancelled in the record of its array, the array knows.
      if (key.index != JobKey::kNoIndex) forgotten.push_back({key.job});
    }
  }
  if (forgotten.empty() && elsewhere.empty()) {
    return begin_wait(from, stream, std::move(keys), {}, deadline_ms);
  }
  const Result<void> asked = ask_history(
      history_queries(forgotten, elsewhere, {}, kMaxListed, true), elsewhere,
      [this, from, stream, keys, elsewhere, deadline_ms](const History& history) {
        if (history.error) return reply_error(from, stream, *history.error);
        std::vector<JobKey> all = keys;
        for (const WorkflowId id : elsewhere) {
          const auto workflow = std::find_if(history.workflows.begin(), history.workflows.end(),
                                             [&](const Workflow& w) { return w.id == id; });
          if (workflow == history.workflows.end()) {
            return reply_error(
                from, stream,
                Error(ErrorKind::NotFound, cat("there is no workflow ", to_string(id))));
          }
          for (const WorkflowMember& member : workflow->members) all.push_back({member.job});
        }
        OldJobs old;
        for (const Job& job : history.jobs) old.emplace(job.key, job);
        begin_wait(from, stream, std::move(all), std::move(old), deadline_ms);
      });
  if (!asked) reply_error(from, stream, asked.error());
}

void Controller::Impl::begin_wait(io::PeerId from,
                                  std::uint32_t stream,
                                  std::vector<JobKey> keys,
                                  OldJobs old,
                                  std::uint32_t deadline_ms) {
  if (waits.size() >= kMaxWaits) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many programs are waiting"));
  }
  const std::uint64_t ticket = next_ticket++;
  Wait wait{.peer = from, .stream = stream, .keys = std::move(keys), .old = std::move(old)};
  for (const JobKey key : wait.keys) {
    const Job* const job = state.find_job(key);
    if (job == nullptr ? find_array_with(key) == nullptr : job->is_finished()) continue;
    ++wait.open;
    waits_on[key].push_back(ticket);
  }
  const bool is_over = wait.open == 0;
  if (!is_over && deadline_ms > 0) {
    wait.due = Due{now.boot + milliseconds(deadline_ms), DueKind::Wait, JobKey{}, ticket};
    put_on_agenda(*wait.due);
  }
  waits_of_peer[from].insert(ticket);
  waits.emplace(ticket, std::move(wait));
  if (is_over) answer_wait(ticket);
}

void Controller::Impl::answer_wait(std::uint64_t ticket) {
  const Wait& wait = waits.at(ticket);
  wire::Response response;
  for (const JobKey key : wait.keys) {
    wire::Waited::One* const one = response.mutable_waited()->add_results();
    wire::to_wire(key, one->mutable_key());
    const Job* job = state.find_job(key);
    const auto find_old = [&](JobKey k) -> const Job* {
      const auto found = wait.old.find(k);
      return found == wait.old.end() ? nullptr : &found->second;
    };
    if (job == nullptr) job = find_old(key);
    const Job* array = job == nullptr ? state.find_job({key.job}) : nullptr;
    if (job == nullptr && array == nullptr) array = find_old({key.job});
    if (array != nullptr) {  // an element that never had a row, or has none any more
      if (const auto outcome = outcome_in_array(*array, key.index)) {
        wire::to_wire(*outcome, one->mutable_outcome());
        one->set_name(array->spec->name);
        continue;
      }
    }
    if (job == nullptr || job->outcome() == nullptr) {
      wire::to_wire(Error(ErrorKind::NotFound, cat("there is no job ", to_string(key))),
                    one->mutable_error());
      continue;
    }
    wire::to_wire(*job->outcome(), one->mutable_outcome());
    one->set_name(job->spec->name);
    if (job->membership) one->set_member(job->membership->member);
  }
  response.mutable_waited();
  reply(wait.peer, wait.stream, std::move(response));
  drop_wait(ticket);
}

void Controller::Impl::answer_waits_on(JobKey key) {
  const auto found = waits_on.find(key);
  if (found == waits_on.end()) return;
  const std::vector<std::uint64_t> tickets = std::move(found->second);
  waits_on.erase(found);
  for (const std::uint64_t ticket : tickets) {
    const auto wait = waits.find(ticket);
    if (wait != waits.end() && --wait->second.open == 0) answer_wait(ticket);
  }
}

void Controller::Impl::drop_wait(std::uint64_t ticket) {
  const auto found = waits.find(ticket);
  if (found == waits.end()) return;
  const Wait wait = std::move(found->second);
  waits.erase(found);
  if (wait.due) agenda.erase(*wait.due);
  for (const JobKey key : wait.keys) {
    const auto on = waits_on.find(key);
    if (on == waits_on.end()) continue;
    std::erase(on->second, ticket);
    if (on->second.empty()) waits_on.erase(on);
  }
  const auto of_peer = waits_of_peer.find(wait.peer);
  CHECK(of_peer != waits_of_peer.end());
  of_peer->second.erase(ticket);
  if (of_peer->second.empty()) waits_of_peer.erase(of_peer);
}

void Controller::Impl::on_wait_due(std::uint64_t ticket) {
  const auto wait = waits.find(ticket);
  if (wait == waits.end()) return;
  reply_error(
      wait->second.peer, wait->second.stream,
      Error(ErrorKind::Unavailable, cat(wait->second.open, " of the jobs had not ended in time")));
  drop_wait(ticket);
}

}  // namespace gangway::scheduler
