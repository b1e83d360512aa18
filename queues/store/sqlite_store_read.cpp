// SqliteStore: loading and queries.
#include <algorithm>
#include <optional>
#include <utility>

#include "queues/store/sqlite_store_impl.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::store {

Result<Job> SqliteStore::Impl::read_job(Statement& row) {
  const JobKey key{JobId{from_sql(row.integer(0))}, static_cast<std::uint32_t>(row.integer(1))};
  const std::string name = cat("job ", to_string(key));
  const std::string_view state = row.blob(2);
  if (!job_message.ParseFromArray(state.data(), static_cast<int>(state.size()))) {
    return corrupt_row(name, {ErrorKind::Corrupt, "its state cannot be parsed"});
  }
  auto& [digest, spec] = specs[row.integer(3)];
  if (spec == nullptr) {
    digest = row.text(4);
    auto decoded = wire::decode_spec(row.blob(5));
    if (!decoded) return corrupt_row(cat(name, ": spec ", digest), decoded.error());
    spec = std::make_shared<const JobSpec>(*std::move(decoded));
  }
  job_message.set_spec_digest(digest);
  auto job = wire::from_wire(job_message, spec);
  if (!job) return corrupt_row(name, job.error());
  if (job->key != key) {
    return corrupt_row(name,
                       {ErrorKind::Corrupt, cat("its state is that of ", to_string(job->key))});
  }
  return job;
}

Result<Association> SqliteStore::Impl::read_association(Statement& row) {
  const AssociationKey key{AccountName{std::string(row.text(0))}, std::string(row.text(1))};
  const std::string name = cat("account ", to_string(key));
  wire::AssociationState message;
  if (!message.ParseFromString(std::string(row.blob(2)))) {
    return corrupt_row(name, {ErrorKind::Corrupt, "cannot be parsed"});
  }
  auto association = wire::from_wire(message);
  if (!association) return corrupt_row(name, association.error());
  if (association->key != key) {
    return corrupt_row(
        name, {ErrorKind::Corrupt, cat("its state is that of ", to_string(association->key))});
  }
  return association;
}

Result<Service> SqliteStore::Impl::read_service(Statement& row) {
  const ServiceKey key{static_cast<std::uint32_t>(row.integer(0)), std::string(row.text(1))};
  const std::string name = cat("service ", key.uid, '/', key.name);
  wire::ServiceState message;
  if (!message.ParseFromString(std::string(row.blob(2)))) {
    return corrupt_row(name, {ErrorKind::Corrupt, "cannot be parsed"});
  }
  auto service = wire::from_wire(message);
  if (!service) return corrupt_row(name, service.error());
  if (service->key() != key) {
    return corrupt_row(name, {ErrorKind::Corrupt, "its state is that of another"});
  }
  return service;
}

Result<LiveState> SqliteStore::load_live(Time now) {
  Impl& impl = *impl_;
  LiveState live;
  impl.specs.clear();
  // All in one view of the store, whoever writes meanwhile.
  GANGWAY_TRY(impl.db.execute("BEGIN"));
  struct End {
    Impl& impl;
    ~End() {
      (void)impl.commit.run();
      impl.specs.clear();
    }
  } const end{impl};

  {
    Query meta(impl.get_meta);
    GANGWAY_ASSIGN(const bool has_row, meta->step());
    CHECK(has_row);
    live.next_job = JobId{from_sql(meta->integer(0))};
    live.next_workflow = WorkflowId{from_sql(meta->integer(1))};
    live.next_seq = from_sql(meta->integer(2)) + 1;
  }

  GANGWAY_ASSIGN(Statement jobs,
                 impl.db.prepare("SELECT j.job, j.idx, j.state, s.id, s.digest, s.bytes "
                                 "FROM job_state j JOIN spec s ON s.id = j.spec "
                                 "ORDER BY j.job, j.idx"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, jobs.step());
    if (!has_row) break;
    GANGWAY_ASSIGN(Job job, impl.read_job(jobs));
    const JobKey key = job.key;
    live.jobs.try_emplace(live.jobs.end(), key, std::move(job));
  }

  GANGWAY_ASSIGN(Statement workflows,
                 impl.db.prepare("SELECT id, state FROM workflow WHERE ended_at IS NULL "
                                 "ORDER BY id"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, workflows.step());
    if (!has_row) break;
    const std::string name = to_string(WorkflowId{from_sql(workflows.integer(0))});
    wire::WorkflowState message;
    if (!message.ParseFromString(std::string(workflows.blob(1)))) {
      return corrupt_row(cat("workflow ", name), {ErrorKind::Corrupt, "cannot be parsed"});
    }
    auto workflow = wire::from_wire(message);
    if (!workflow) return corrupt_row(cat("workflow ", name), workflow.error());
    // Its members that have ended decide what becomes of the others.
    Query finished(impl.history_by_workflow);
    finished->bind(1, to_sql(workflow->id.value));
    for (;;) {
      GANGWAY_ASSIGN(const bool has_job, finished->step());
      if (!has_job) break;
      GANGWAY_ASSIGN(Job job, impl.read_job(*finished));
      const JobKey key = job.key;
      live.jobs.try_emplace(key, std::move(job));
    }
    live.workflows.push_back(*std::move(workflow));
  }

  GANGWAY_ASSIGN(Statement nodes, impl.db.prepare("SELECT name, state FROM node ORDER BY name"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, nodes.step());
    if (!has_row) break;
    wire::NodeState message;
    const std::string name = cat("node ", nodes.text(0));
    if (!message.ParseFromString(std::string(nodes.blob(1)))) {
      return corrupt_row(name, {ErrorKind::Corrupt, "cannot be parsed"});
    }
    auto node = wire::from_wire(message);
    if (!node) return corrupt_row(name, node.error());
    live.nodes.push_back(*std::move(node));
  }

  GANGWAY_ASSIGN(Statement associations,
                 impl.db.prepare("SELECT account, user, state FROM association"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, associations.step());
    if (!has_row) break;
    GANGWAY_ASSIGN(Association association, impl.read_association(associations));
    live.associations.push_back(std::move(association));
  }

  GANGWAY_ASSIGN(Statement services,
                 impl.db.prepare("SELECT uid, name, state FROM service ORDER BY uid, name"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, services.step());
    if (!has_row) break;
    GANGWAY_ASSIGN(Service service, impl.read_service(services));
    live.services.push_back(std::move(service));
  }

  GANGWAY_ASSIGN(const std::int64_t answers,
                 impl.db.query_integer("SELECT coalesce((SELECT max(id) FROM submission_log) - "
                                       "(SELECT min(id) FROM submission_log) + 1, 0)"));
  constexpr std::int64_t kMostReserved = 4'000'000;
  live.submissions.reserve(static_cast<std::size_t>(std::min(answers, kMostReserved)));
  GANGWAY_ASSIGN(
      Statement submissions,
      impl.db.prepare(
          "SELECT key, at_ns, answer FROM submission_log WHERE at_ns >= ?1 ORDER BY id"));
  submissions.bind(1, (now - kSubmissionMemory).ns);
  wire::Submitted answer;
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, submissions.step());
    if (!has_row) break;
    SubmissionRecord& record = live.submissions.emplace_back();
    record.key = submissions.text(0);
    record.at = Time{submissions.integer(1)};
    if (!answer.ParseFromString(std::string(submissions.blob(2)))) {
      return corrupt_row(cat("submission ", record.key),
                         {ErrorKind::Corrupt, "its answer cannot be parsed"});
    }
    for (const std::uint64_t job : answer.jobs()) record.jobs.push_back(JobId{job});
    if (answer.workflow() != 0) record.workflow = WorkflowId{answer.workflow()};
  }
  return live;
}

Result<std::string> SqliteStore::find_spec(const std::string& digest) {
  Query query(impl_->get_spec);
  query->bind_text(1, digest);
  GANGWAY_ASSIGN(const bool has_row, query->step());
  if (!has_row) return Error(ErrorKind::NotFound, cat("store: no spec ", digest));
  return std::string(query->blob(0));
}

Result<std::vector<Event>> SqliteStore::read_events(std::uint64_t from_seq, std::size_t limit) {
  std::vector<Event> events;
  Query query(impl_->get_events);
  query->bind(1, to_sql(from_seq)).bind(2, static_cast<std::int64_t>(limit));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, query->step());
    if (!has_row) return events;
    const std::string name = cat("event ", query->integer(0));
    const std::string_view payload = query->blob(1);
    if (!impl_->event_message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return corrupt_row(name, {ErrorKind::Corrupt, "cannot be parsed"});
    }
    auto event = wire::from_wire(impl_->event_message);
    if (!event) return corrupt_row(name, event.error());
    events.push_back(*std::move(event));
  }
}

Result<std::vector<Job>> SqliteStore::query_history(const HistoryQuery& query) {
  Impl& impl = *impl_;
  impl.specs.clear();
  const std::int64_t since = query.ended_since.value_or(Time{0}).ns;
  const auto limit = static_cast<std::int64_t>(query.limit);
  std::vector<Job> found;
  // The most selective condition drives an index; the others are looked at here.
  const auto fits = [&](const Job& job) {
    const auto is_one_of = [](const auto& list, const auto& value) {
      return list.empty() || std::ranges::find(list, value) != list.end();
    };
    return job.ended.value_or(Time{0}).ns >= since && is_one_of(query.users, job.owner.user) &&
           (query.workflows.empty() ||
            (job.membership && is_one_of(query.workflows, job.membership->workflow)));
  };
  const auto newer_first = [](const Job& a, const Job& b) {
    return a.ended != b.ended ? a.ended > b.ended : a.key < b.key;
  };
  // Newest first, each once (two of the keys may name the same job), no more than were asked for.
  const auto cut = [&] {
    std::ranges::sort(found, newer_first);
    const auto same = [](const Job& a, const Job& b) { return a.key == b.key; };
    found.erase(std::unique(found.begin(), found.end(), same), found.end());
    if (found.size() > query.limit) found.erase(found.begin() + limit, found.end());
    impl.specs.clear();
  };
  // Each of the keys and users may have as many as were asked for of all.
  const auto collect = [&](Statement& statement) -> Result<void> {
    Query rows(statement);
    for (;;) {
      GANGWAY_ASSIGN(const bool has_row, rows->step());
      if (!has_row) return {};
      GANGWAY_ASSIGN(Job job, impl.read_job(*rows));
      if (fits(job)) found.push_back(std::move(job));
      if (found.size() / 2 > query.limit) cut();
    }
  };
  if (!query.keys.empty()) {
    for (const JobKey key : query.keys) {
      // "42" means all elements of job 42, "42_7" one of them.
      const bool one = key.index != JobKey::kNoIndex || query.only_whole;
      Statement& statement = one ? impl.history_by_key : impl.history_by_job;
      statement.bind(1, to_sql(key.job.value));
      one ? statement.bind(2, key.index) : statement.bind(2, limit);
      GANGWAY_TRY(collect(statement));
    }
  } else if (!query.workflows.empty()) {
    for (const WorkflowId workflow : query.workflows) {
      GANGWAY_TRY(collect(impl.history_by_workflow.bind(1, to_sql(workflow.value))));
    }
  } else if (!query.users.empty()) {
    for (const std::string& user : query.users) {
      // Those of the next user count only if they are newer than what there is already.
      cut();
      const bool is_full = found.size() == query.limit && !found.empty();
      const std::int64_t from = is_full ? found.back().ended.value_or(Time{0}).ns : since;
      GANGWAY_TRY(collect(impl.history_by_user.bind_text(1, user).bind(2, from).bind(3, limit)));
    }
  } else {
    GANGWAY_TRY(collect(impl.history_by_end.bind(1, since).bind(2, limit)));
  }
  impl.specs.clear();
  cut();
  return found;
}

Result<std::optional<Workflow>> SqliteStore::find_workflow(WorkflowId id) {
  Query query(impl_->get_workflow);
  query->bind(1, to_sql(id.value));
  GANGWAY_ASSIGN(const bool has_row, query->step());
  if (!has_row) return std::optional<Workflow>{};
  const std::string name = cat("workflow ", to_string(id));
  wire::WorkflowState message;
  if (!message.ParseFromString(std::string(query->blob(0)))) {
    return corrupt_row(name, {ErrorKind::Corrupt, "cannot be parsed"});
  }
  auto workflow = wire::from_wire(message);
  if (!workflow) return corrupt_row(name, workflow.error());
  return std::optional(*std::move(workflow));
}

}  // namespace gangway::store
