// SqliteStore: whether the file, the specs, the rows and the log agree.
#include <algorithm>
#include <map>
#include <utility>

#include "queues/base/digest.hpp"
#include "queues/model/node_machine.hpp"
#include "queues/store/replay.hpp"
#include "queues/store/sqlite_store_impl.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::store {

namespace {

// Notes what differs between the rows and what the log says of the same subjects.
class Comparison {
 public:
  explicit Comparison(CheckReport& report) : report_(report) {}

  void problem(std::string text) {
    if (report_.problems.size() < CheckReport::kMaxProblems) {
      report_.problems.push_back(std::move(text));
    }
  }
  // `same` is asked only if the log has the subject.
  template <typename Key, typename Value, typename Same>
  void row(const std::map<Key, Value>& logged,
           const Key& key,
           const std::string& name,
           const Same& same) {
    const auto found = logged.find(key);
    if (found == logged.end()) {
      problem(cat(name, ": has a row and no events"));
    } else if (!same(found->second)) {
      problem(cat(name, ": its row is not what its events give"));
    }
  }

 private:
  CheckReport& report_;
};

}  // namespace

Result<CheckReport> SqliteStore::check() {
  Impl& impl = *impl_;
  CheckReport report;
  Comparison compare(report);
  // A view that does not move, although a scheduler may be writing.
  GANGWAY_TRY(impl.db.execute("BEGIN"));
  struct End {
    Impl& impl;
    ~End() {
      (void)impl.commit.run();
      impl.specs.clear();
    }
  } const end{impl};

  for (const char* pragma : {"PRAGMA quick_check", "PRAGMA foreign_key_check"}) {
    GANGWAY_ASSIGN(Statement structure, impl.db.prepare(pragma));
    for (;;) {
      GANGWAY_ASSIGN(const bool has_row, structure.step());
      if (!has_row) break;
      if (structure.text(0) != "ok") compare.problem(cat("file: ", structure.text(0)));
    }
  }

  GANGWAY_ASSIGN(Statement specs, impl.db.prepare("SELECT digest, bytes FROM spec"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, specs.step());
    if (!has_row) break;
    ++report.specs;
    if (sha256_hex(specs.blob(1)) != specs.text(0)) {
      compare.problem(cat("spec ", specs.text(0), ": its bytes have another digest"));
    }
  }

  Replay replay;
  for (;;) {
    constexpr std::size_t kSlice = 10'000;
    GANGWAY_ASSIGN(const std::vector<Event> events, read_events(replay.last_seq() + 1, kSlice));
    if (events.empty()) break;
    for (const Event& event : events) {
      ++report.events;
      if (const auto added = replay.add(event); !added) compare.problem(added.error().message());
    }
  }

  JobId highest_job;
  for (const char* table : {"job_state", "job_history"}) {
    GANGWAY_ASSIGN(
        Statement rows,
        impl.db.prepare(cat("SELECT j.job, j.idx, j.state, s.id, s.digest, s.bytes FROM ",
                            std::string_view(table), " j JOIN spec s ON s.id = j.spec")));
    const bool finished = std::string_view(table) == "job_history";
    for (;;) {
      GANGWAY_ASSIGN(const bool has_row, rows.step());
      if (!has_row) break;
      ++report.jobs;
      if (impl.specs.size() > 10'000) impl.specs.clear();
      const auto job = impl.read_job(rows);
      if (!job) {
        compare.problem(job.error().message());
        continue;
      }
      const std::string name = cat("job ", to_string(job->key));
      highest_job = std::max(highest_job, job->key.job);
      if (job->is_finished() != finished) compare.problem(cat(name, ": in the wrong table"));
      compare.row(replay.jobs(), job->key, name,
                  [&](const Job& logged) { return same_state(logged, *job); });
    }
  }
  if (replay.jobs().size() > report.jobs) {
    compare.problem(cat(replay.jobs().size() - report.jobs, " jobs have events and no row"));
  }

  WorkflowId highest_workflow;
  std::size_t workflow_rows = 0;
  GANGWAY_ASSIGN(Statement workflows, impl.db.prepare("SELECT id FROM workflow"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, workflows.step());
    if (!has_row) break;
    ++workflow_rows;
    const WorkflowId id{from_sql(workflows.integer(0))};
    highest_workflow = std::max(highest_workflow, id);
    const auto workflow = find_workflow(id);
    if (!workflow) {
      compare.problem(workflow.error().message());
      continue;
    }
    compare.row(replay.workflows(), id, cat("workflow ", to_string(id)),
                [&](const Workflow& w) { return w == **workflow; });
  }
  if (replay.workflows().size() > workflow_rows)
    compare.problem("workflows have events and no row");

  std::size_t node_rows = 0;
  GANGWAY_ASSIGN(Statement nodes, impl.db.prepare("SELECT name, state FROM node"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, nodes.step());
    if (!has_row) break;
    ++node_rows;
    const NodeName name{std::string(nodes.text(0))};
    wire::NodeState message;
    const bool parsed = message.ParseFromString(std::string(nodes.blob(1)));
    const auto node = wire::from_wire(message);
    if (!parsed || !node) {
      compare.problem(cat("node ", name.value, ": cannot be parsed"));
      continue;
    }
    compare.row(replay.nodes(), name, cat("node ", name.value),
                [&](const Node& logged) { return same_state(logged, *node); });
  }
  if (replay.nodes().size() > node_rows) compare.problem("nodes have events and no row");

  std::size_t association_rows = 0;
  GANGWAY_ASSIGN(Statement associations,
                 impl.db.prepare("SELECT account, user, state FROM association"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, associations.step());
    if (!has_row) break;
    ++association_rows;
    const auto association = Impl::read_association(associations);
    if (!association) {
      compare.problem(association.error().message());
      continue;
    }
    compare.row(replay.associations(), association->key,
                cat("account ", to_string(association->key)),
                [&](const Association& logged) { return logged == *association; });
  }
  if (replay.associations().size() > association_rows) {
    compare.problem("accounts have events and no row");
  }

  std::size_t service_rows = 0;
  GANGWAY_ASSIGN(Statement services, impl.db.prepare("SELECT uid, name, state FROM service"));
  for (;;) {
    GANGWAY_ASSIGN(const bool has_row, services.step());
    if (!has_row) break;
    ++service_rows;
    const auto service = Impl::read_service(services);
    if (!service) {
      compare.problem(service.error().message());
      continue;
    }
    compare.row(replay.services(), service->key(), cat("service ", service->spec.name),
                [&](const Service& logged) { return logged == *service; });
  }
  if (replay.services().size() > service_rows) compare.problem("services have events and no row");

  Query meta(impl.get_meta);
  GANGWAY_ASSIGN(const bool has_meta, meta->step());
  CHECK(has_meta);
  if (from_sql(meta->integer(0)) <= highest_job.value) {
    compare.problem(cat("the next job would be ", meta->integer(0), ", which exists"));
  }
  if (from_sql(meta->integer(1)) <= highest_workflow.value) {
    compare.problem(cat("the next workflow would be w", meta->integer(1), ", which exists"));
  }
  return report;
}

}  // namespace gangway::store
