#include "tests/sim/sim_store.hpp"

#include <algorithm>
#include <set>

#include "queues/base/check.hpp"
#include "queues/model/account_machine.hpp"
#include "queues/model/job_machine.hpp"
#include "queues/model/service_machine.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::sim {

namespace {

// As SqliteStore writes it: the spec of a row that is there already stays, unless it is altered.
void write_job(Disk& disk, Job job, const std::set<JobKey>& altered) {
  const auto old = disk.jobs.find(job.key);
  if (old != disk.jobs.end() && !altered.contains(job.key)) {
    job.spec_digest = old->second.spec_digest;
  }
  disk.jobs.insert_or_assign(job.key, std::move(job));
}

// The row as its bytes say.
Job read_job(const Disk& disk, const Job& row) {
  wire::JobState message;
  wire::to_wire(row, &message);
  auto spec = wire::decode_spec(disk.specs.at(row.spec_digest));
  CHECK(spec.has_value());
  auto job = wire::from_wire(message, std::make_shared<const JobSpec>(*std::move(spec)));
  CHECK(job.has_value());
  return *std::move(job);
}

void write(Disk& disk, const store::Batch& batch) {
  std::set<JobKey> altered;
  for (const Event& event : batch.events) {
    CHECK(event.seq == disk.events.size() + 1);
    disk.events.push_back(event);
    const auto* const of_job = std::get_if<Event::OfJob>(&event.subject);
    if (of_job != nullptr && std::holds_alternative<job_event::Altered>(of_job->what)) {
      altered.insert(of_job->key);
    }
  }
  for (const Job& job : batch.jobs) write_job(disk, job, altered);
  for (const Workflow& w : batch.workflows) disk.workflows.insert_or_assign(w.id, w);
  for (const Node& node : batch.nodes) disk.nodes.insert_or_assign(node.name, node);
  for (const AssociationKey& key : batch.removed_associations) disk.associations.erase(key);
  for (const Association& row : batch.associations)
    disk.associations.insert_or_assign(row.key, row);
  for (const ServiceKey& key : batch.removed_services) disk.services.erase(key);
  for (const Service& row : batch.services) disk.services.insert_or_assign(row.key(), row);
  for (const auto& [digest, bytes] : batch.specs) disk.specs.emplace(digest, bytes);
  for (const auto& record : batch.submissions)
    disk.submissions.insert_or_assign(record.key, record);
  if (batch.next_job) disk.next_job = *batch.next_job;
  if (batch.next_workflow) disk.next_workflow = *batch.next_workflow;
}

}  // namespace

Result<Epoch> SimStore::open_epoch() {
  disk_.epoch = Epoch{disk_.epoch.value + 1};
  return disk_.epoch;
}

Result<store::LiveState> SimStore::load_live() {
  store::LiveState live;
  for (const auto& [key, job] : disk_.jobs) {
    const bool of_live_workflow = job.membership && !job.is_element() &&
                                  disk_.workflows.contains(job.membership->workflow) &&
                                  !disk_.workflows.at(job.membership->workflow).ended;
    if (!job.is_finished() || of_live_workflow) live.jobs.emplace(key, read_job(disk_, job));
  }
  for (const auto& [id, workflow] : disk_.workflows) {
    if (!workflow.ended) live.workflows.push_back(workflow);
  }
  for (const auto& [name, node] : disk_.nodes) live.nodes.push_back(node);
  for (const auto& [key, row] : disk_.associations) live.associations.push_back(row);
  for (const auto& [key, row] : disk_.services) live.services.push_back(row);
  for (const auto& [key, record] : disk_.submissions) live.submissions.push_back(record);
  live.next_job = disk_.next_job;
  live.next_workflow = disk_.next_workflow;
  live.next_seq = disk_.events.size() + 1;
  return live;
}

void SimStore::commit(store::Batch batch,
                      Epoch expected,
                      std::function<void(store::CommitEnd)> on_done) {
  const Duration takes{process_.world().rng().between(commit_min.ns, commit_max.ns)};
  last_ = std::max(last_, process_.now().boot) + takes;
  // Owned by the process: a crash before this moment loses the batch.
  process_.arm(last_, [this, batch = std::move(batch), expected, on_done = std::move(on_done)] {
    if (disk_.epoch != expected) {
      on_done(store::CommitEnd::Fenced);
      return;
    }
    write(disk_, batch);
    on_done(store::CommitEnd::Durable);
  });
}

Result<std::string> SimStore::find_spec(const std::string& digest) {
  const auto found = disk_.specs.find(digest);
  if (found == disk_.specs.end()) return Error{ErrorKind::NotFound, "spec " + digest};
  return found->second;
}

Result<std::vector<Event>> SimStore::read_events(std::uint64_t from_seq, std::size_t limit) {
  std::vector<Event> events;
  for (const Event& event : disk_.events) {
    if (event.seq >= from_seq && events.size() < limit) events.push_back(event);
  }
  return events;
}

Result<std::vector<Job>> SimStore::query_history(const store::HistoryQuery& query) {
  std::vector<Job> found;
  for (const auto& [key, job] : disk_.jobs) {
    if (!job.is_finished()) continue;
    const auto is_named = [&](JobKey k) {
      return std::ranges::find(query.keys, k) != query.keys.end();
    };
    const bool by_whole = !query.only_whole && is_named(JobKey{key.job});
    if (!query.keys.empty() && !is_named(key) && !by_whole) continue;
    if (!query.workflows.empty() &&
        (!job.membership || job.is_element() ||
         std::ranges::find(query.workflows, job.membership->workflow) == query.workflows.end())) {
      continue;
    }
    if (!query.users.empty() &&
        std::ranges::find(query.users, job.owner.user) == query.users.end()) {
      continue;
    }
    found.push_back(read_job(disk_, job));
  }
  std::ranges::stable_sort(found, [](const Job& a, const Job& b) { return a.ended > b.ended; });
  if (found.size() > query.limit) found.resize(query.limit);
  return found;
}

Result<std::optional<Workflow>> SimStore::find_workflow(WorkflowId id) {
  const auto found = disk_.workflows.find(id);
  if (found == disk_.workflows.end()) return std::optional<Workflow>{};
  return std::optional<Workflow>{found->second};
}

Disk replay(const std::vector<Event>& events, const std::map<std::string, std::string>& specs) {
  Disk disk;
  for (const Event& event : events) {
    if (const auto* of_account = std::get_if<Event::OfAccount>(&event.subject)) {
      Association& row = disk.associations[of_account->key];
      row.key = of_account->key;
      row = gangway::apply(row, of_account->what, event.time);
      CHECK(row.version == event.version);
      if (std::holds_alternative<account_event::Removed>(of_account->what)) {
        disk.associations.erase(of_account->key);
      }
      continue;
    }
    if (const auto* of_service = std::get_if<Event::OfService>(&event.subject)) {
      auto next = gangway::apply(disk.services[of_service->key], of_service->what, event.time);
      CHECK(next.has_value() && next->version == event.version);
      disk.services[of_service->key] = *std::move(next);
      if (std::holds_alternative<service_event::Removed>(of_service->what)) {
        disk.services.erase(of_service->key);
      }
      continue;
    }
    if (const auto* of_job = std::get_if<Event::OfJob>(&event.subject)) {
      if (const auto* submitted = std::get_if<job_event::Submitted>(&of_job->what)) {
        auto spec = wire::decode_spec(specs.at(submitted->spec_digest));
        CHECK(spec.has_value());
        disk.jobs.insert_or_assign(
            of_job->key, make_job(of_job->key, *submitted,
                                  std::make_shared<const JobSpec>(*std::move(spec)), event.time));
        continue;
      }
      if (const auto* split = std::get_if<job_event::Split>(&of_job->what)) {
        Job& array = disk.jobs.at({of_job->key.job});
        auto element = split_element(array, of_job->key, split->position);
        CHECK(element.has_value());
        CHECK(disk.jobs.emplace(of_job->key, *std::move(element)).second);
        continue;
      }
      const auto found = disk.jobs.find(of_job->key);
      CHECK(found != disk.jobs.end());
      auto next = apply(found->second, of_job->what, event.time);
      CHECK(next.has_value());
      CHECK(next->version == event.version);
      found->second = *std::move(next);
      if (found->second.is_element() && found->second.is_finished()) {
        tally(disk.jobs.at({of_job->key.job}), found->second);
      }
    }
  }
  return disk;
}

}  // namespace gangway::sim
