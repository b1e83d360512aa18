#include "queues/model/service_machine.hpp"

#include <algorithm>
#include <set>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {

using Step = Result<void>;

Error impossible(const Service& service, std::string_view why) {
  return {ErrorKind::Internal, cat("service ", service.spec.name, ": ", why)};
}

// Of what users make long, as it is kept: in the template and in the job.
std::size_t bytes_of(const ServiceRevision& revision) {
  std::size_t bytes = 0;
  const auto add = [&](const std::vector<std::string>& words) {
    for (const std::string& word : words) bytes += word.size();
  };
  const ReplicaTemplate& replica = revision.replica;
  add(replica.arguments);
  if (replica.entrypoint) add(*replica.entrypoint);
  for (const auto& [name, value] : replica.env) bytes += name.size() + value.size();
  for (const auto* const probe : {&replica.startup, &replica.readiness, &replica.liveness}) {
    if (*probe) add((*probe)->command);
  }
  add(revision.job.argv);
  add(revision.job.container.env);
  return bytes;
}

// Those that nobody runs and that nobody can want back any more, and the oldest of those that are
// too much together: all are written again with each change of the service.
void forget_old_revisions(Service& service) {
  constexpr std::size_t kMaxBytes = 4 << 20;
  std::set<std::int64_t> needed{service.progress.revision, service.progress.whole};
  for (const ServiceReplica& replica : service.replicas) needed.insert(replica.revision);
  auto spare = std::ssize(service.revisions) - 1 - service.spec.revisions_kept;
  std::size_t bytes = 0;
  for (const ServiceRevision& revision : service.revisions) bytes += bytes_of(revision);
  std::erase_if(service.revisions, [&](const ServiceRevision& revision) {
    if (needed.contains(revision.number) || (spare <= 0 && bytes <= kMaxBytes)) return false;
    --spare;
    bytes -= bytes_of(revision);
    return true;
  });
}

Step on(Service& service, const service_event::Applied& e, Time at) {
  if (service.deleting) return impossible(service, "it is being deleted");
  const bool is_new = service.version == 0;
  const bool revises = is_new || needs_revision(service, e.spec.replica, e.job);
  // An update that stands still is not late because somebody has now asked for more.
  if (service.spec.replicas != e.spec.replicas) service.progress.progressed_at = at;
  service.owner = e.owner;
  service.spec = e.spec;
  service.applied = at;
  if (!revises) return {};
  const std::int64_t number = service.revisions.empty() ? 1 : service.revisions.back().number + 1;
  service.revisions.push_back(
      {.number = number, .replica = e.spec.replica, .job = e.job, .at = at});
  service.progress = want_revision(service.progress, number, at);
  forget_old_revisions(service);
  return {};
}

Step on(Service& service, const service_event::EndpointsSet& e, Time) {
  service.endpoints = e.endpoints;
  service.rules = e.rules;
  return {};
}

Step on(Service& service, const service_event::Scaled& e, Time at) {
  service.progress.progressed_at = at;  // as above
  service.spec.replicas = e.replicas;
  return {};
}

Step on(Service& service, const service_event::Wanted& e, Time at) {
  const ServiceRevision* const revision = service.find_revision(e.revision);
  if (revision == nullptr) return impossible(service, cat("no revision ", e.revision));
  service.spec.replica = revision->replica;
  service.progress = want_revision(service.progress, e.revision, at);
  return {};
}

Step on(Service& service, const service_event::Started& e, Time at) {
  if (!service.replicas.empty() && service.replicas.back().number >= e.number) {
    return impossible(service, cat("replica ", e.number, " is started twice"));
  }
  if (service.find_revision(e.revision) == nullptr) {
    return impossible(service, cat("no revision ", e.revision));
  }
  service.replicas.push_back(
      {.number = e.number, .revision = e.revision, .job = e.job, .since = at, .note = {}});
  return {};
}

Step on(Service& service, const service_event::Phased& e, Time at) {
  const auto replica = std::ranges::find(service.replicas, e.number, &ServiceReplica::number);
  if (replica == service.replicas.end()) return impossible(service, cat("no replica ", e.number));
  if (replica->phase != e.phase) replica->since = at;
  replica->phase = e.phase;
  replica->alive = e.alive;
  replica->note = e.note;
  return {};
}

Step on(Service& service, const service_event::Forgotten& e, Time) {
  if (std::erase_if(service.replicas,
                    [&](const ServiceReplica& r) { return r.number == e.number; }) == 0) {
    return impossible(service, cat("no replica ", e.number));
  }
  forget_old_revisions(service);
  return {};
}

Step on(Service& service, const service_event::Progressed& e, Time) {
  if (service.find_revision(e.progress.revision) == nullptr) {
    return impossible(service, cat("no revision ", e.progress.revision));
  }
  service.progress = e.progress;
  return {};
}

Step on(Service& service, const service_event::Deleted&, Time) {
  service.deleting = true;
  service.spec.replicas = 0;
  return {};
}

Step on(Service& service, const service_event::Removed&, Time) {
  if (!service.deleting || !service.replicas.empty()) {
    return impossible(service, "it still has replicas");
  }
  return {};
}

}  // namespace

std::string_view to_string(ReplicaPhase phase) {
  switch (phase) {
    case ReplicaPhase::Waiting:
      return "waiting";
    case ReplicaPhase::Starting:
      return "starting";
    case ReplicaPhase::Ready:
      return "ready";
    case ReplicaPhase::Draining:
      return "draining";
    case ReplicaPhase::Drained:
      return "drained";
    case ReplicaPhase::Stopping:
      return "stopping";
    case ReplicaPhase::Ended:
      return "ended";
  }
  return "?";
}

const ServiceRevision* Service::find_revision(std::int64_t number) const {
  const auto found = std::ranges::find(revisions, number, &ServiceRevision::number);
  return found == revisions.end() ? nullptr : &*found;
}

const ServiceReplica* Service::find_replica(std::int64_t number) const {
  const auto found = std::ranges::find(replicas, number, &ServiceReplica::number);
  return found == replicas.end() ? nullptr : &*found;
}

ServiceProgress want_revision(ServiceProgress progress, std::int64_t revision, Time now) {
  progress.revision = revision;
  progress.progressed_at = now;
  progress.best = 0;
  progress.failures = 0;
  progress.completed = 0;
  return progress;
}

bool needs_revision(const Service& service, const ReplicaTemplate& replica, const JobSpec& job) {
  const ServiceRevision* const wanted = service.find_revision(service.progress.revision);
  return wanted == nullptr || wanted->replica != replica || wanted->job != job;
}

Result<Service> apply(const Service& service, const ServiceEvent& event, Time at) {
  if (service.version == 0 && !std::holds_alternative<service_event::Applied>(event)) {
    return Error(ErrorKind::Internal, cat(event_name(event), " of a service that is not there"));
  }
  Service next = service;
  GANGWAY_TRY(std::visit([&](const auto& e) { return on(next, e, at); }, event));
  ++next.version;
  return next;
}

}  // namespace gangway
