// Services and their events, of convert.hpp.
#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::wire {
namespace {
using gangway::Result;

// More than anybody means, and little enough to be walked through.
constexpr int kMaxEntries = 100'000;

gangway::Error corrupt(std::string message) { return {ErrorKind::Corrupt, std::move(message)}; }

template <typename E>
Result<E> to_enum(std::uint32_t value, E last, std::string_view field) {
  if (value > static_cast<std::uint32_t>(last)) {
    return corrupt(cat(field, ": unknown value ", value));
  }
  return static_cast<E>(value);
}

Result<gangway::Duration> to_duration(std::int64_t ns, std::string_view field) {
  if (ns < 0 || ns > kMaxDuration.ns) return corrupt(cat(field, ": ", ns, " is out of range"));
  return gangway::Duration{ns};
}

Result<gangway::Time> to_time(std::int64_t ns, std::string_view field) {
  GANGWAY_ASSIGN(const gangway::Duration since, to_duration(ns, field));
  return gangway::Time{since.ns};
}

template <typename List>
Result<void> check_size(const List& list, std::string_view field) {
  if (list.size() > kMaxEntries) return corrupt(cat(field, ": ", list.size(), " entries"));
  return {};
}

template <typename Pairs, typename List>
void put_pairs(const Pairs& pairs, List* out) {
  for (const auto& [name, value] : pairs) {
    auto* const entry = out->Add();
    entry->set_name(name);
    entry->set_value(value);
  }
}

template <typename List>
Result<Labels> get_labels(const List& list, std::string_view field) {
  GANGWAY_TRY(check_size(list, field));
  Labels labels;
  for (const Label& label : list) {
    if (!labels.emplace(label.name(), label.value()).second) {
      return corrupt(cat(field, ": a name stands there twice"));
    }
  }
  return labels;
}

template <typename List>
std::vector<std::string> get_strings(const List& list) {
  return {list.begin(), list.end()};
}

// Each of `list` through from_wire(), into `out`.
template <typename List, typename Value>
Result<void> get_all(const List& list, std::string_view field, std::vector<Value>& out) {
  GANGWAY_TRY(check_size(list, field));
  for (const auto& m : list) {
    auto value = from_wire(m);
    if (!value) return value.error().with_context(field);
    out.push_back(*std::move(value));
  }
  return {};
}

template <typename Message>
Result<std::optional<gangway::Probe>> get_probe(bool present, const Message& m) {
  if (!present) return std::optional<gangway::Probe>{};
  GANGWAY_ASSIGN(gangway::Probe probe, from_wire(m));
  return std::optional(std::move(probe));
}

void put(const ReplicaShare& share, ReplicaCount* out) {
  out->set_value(share.value);
  out->set_is_percent(share.is_percent);
}

ReplicaShare get(const ReplicaCount& m) { return {m.value(), m.is_percent()}; }

void put(const gangway::ServiceProgress& progress, ServiceProgress* out) {
  out->set_revision(progress.revision);
  out->set_whole(progress.whole);
  out->set_given_up(progress.given_up);
  out->set_progressed_at_ns(progress.progressed_at.ns);
  out->set_best(progress.best);
  out->set_failures(progress.failures);
  out->set_failed_at_ns(progress.failed_at.ns);
  out->set_completed(progress.completed);
  out->set_next_number(progress.next_number);
}

Result<gangway::ServiceProgress> get(const ServiceProgress& m) {
  gangway::ServiceProgress progress;
  progress.revision = m.revision();
  progress.whole = m.whole();
  progress.given_up = m.given_up();
  GANGWAY_ASSIGN(progress.progressed_at, to_time(m.progressed_at_ns(), "progressed_at_ns"));
  progress.best = m.best();
  progress.failures = m.failures();
  GANGWAY_ASSIGN(progress.failed_at, to_time(m.failed_at_ns(), "failed_at_ns"));
  progress.completed = m.completed();
  progress.next_number = m.next_number();
  return progress;
}

}  // namespace

// ---- what is wanted ----------------------------------------------------------------------------

void to_wire(const gangway::Probe& probe, Probe* out) {
  out->Clear();
  out->set_kind(static_cast<std::uint32_t>(probe.kind));
  for (const std::string& word : probe.command) out->add_command(word);
  out->set_shell(probe.shell);
  out->set_path(probe.path);
  out->set_port(probe.port);
  out->set_initial_delay_ns(probe.initial_delay.ns);
  out->set_period_ns(probe.period.ns);
  out->set_timeout_ns(probe.timeout.ns);
  out->set_successes(probe.successes);
  out->set_failures(probe.failures);
}

Result<gangway::Probe> from_wire(const Probe& m) {
  gangway::Probe probe;
  GANGWAY_ASSIGN(probe.kind, to_enum(m.kind(), gangway::Probe::Kind::Tcp, "probe.kind"));
  probe.command = get_strings(m.command());
  probe.shell = m.shell();
  probe.path = m.path();
  probe.port = m.port();
  GANGWAY_ASSIGN(probe.initial_delay, to_duration(m.initial_delay_ns(), "initial_delay_ns"));
  GANGWAY_ASSIGN(probe.period, to_duration(m.period_ns(), "period_ns"));
  GANGWAY_ASSIGN(probe.timeout, to_duration(m.timeout_ns(), "timeout_ns"));
  probe.successes = m.successes();
  probe.failures = m.failures();
  return probe;
}

void to_wire(const gangway::ContainerPort& port, ContainerPort* out) {
  out->set_name(port.name);
  out->set_port(port.port);
  out->set_protocol(port.protocol);
}

Result<gangway::ContainerPort> from_wire(const ContainerPort& m) {
  return gangway::ContainerPort{.name = m.name(), .port = m.port(), .protocol = m.protocol()};
}

void to_wire(const gangway::ReplicaTemplate& replica, ReplicaTemplate* out) {
  out->Clear();
  put_pairs(replica.labels, out->mutable_labels());
  out->set_image(replica.image);
  if (replica.build) {
    auto* const build = out->mutable_build();
    build->set_context(replica.build->context);
    build->set_dockerfile(replica.build->dockerfile);
    build->set_target(replica.build->target);
    put_pairs(replica.build->args, build->mutable_args());
  }
  if (replica.entrypoint) {
    out->set_own_entrypoint(true);
    for (const std::string& word : *replica.entrypoint) out->add_entrypoint(word);
  }
  for (const std::string& word : replica.arguments) out->add_arguments(word);
  put_pairs(replica.env, out->mutable_env());
  out->set_workdir(replica.workdir);
  out->set_hostname(replica.hostname);
  out->set_stop_signal(replica.stop_signal);
  for (const auto& port : replica.ports) to_wire(port, out->add_ports());
  for (const auto& mount : replica.mounts) {
    auto* const m = out->add_mounts();
    m->set_source(mount.source);
    m->set_target(mount.target);
    m->set_read_only(mount.read_only);
  }
  out->set_cpu_millis(replica.cpu_millis);
  out->set_memory_bytes(replica.memory.value);
  out->set_kill_grace_ns(replica.kill_grace.ns);
  if (replica.startup) to_wire(*replica.startup, out->mutable_startup());
  if (replica.readiness) to_wire(*replica.readiness, out->mutable_readiness());
  if (replica.liveness) to_wire(*replica.liveness, out->mutable_liveness());
}

Result<gangway::ReplicaTemplate> from_wire(const ReplicaTemplate& m) {
  gangway::ReplicaTemplate replica;
  GANGWAY_ASSIGN(replica.labels, get_labels(m.labels(), "labels"));
  replica.image = m.image();
  if (m.has_build()) {
    GANGWAY_ASSIGN(auto args, get_labels(m.build().args(), "build.args"));
    replica.build = {.context = m.build().context(),
                     .dockerfile = m.build().dockerfile(),
                     .target = m.build().target(),
                     .args = std::move(args)};
  }
  if (m.own_entrypoint()) replica.entrypoint = get_strings(m.entrypoint());
  replica.arguments = get_strings(m.arguments());
  for (const Label& variable : m.env()) replica.env.emplace_back(variable.name(), variable.value());
  replica.workdir = m.workdir();
  replica.hostname = m.hostname();
  replica.stop_signal = m.stop_signal();
  GANGWAY_TRY(get_all(m.ports(), "ports", replica.ports));
  for (const ServiceMount& mount : m.mounts()) {
    replica.mounts.push_back({mount.source(), mount.target(), mount.read_only()});
  }
  replica.cpu_millis = m.cpu_millis();
  if (m.memory_bytes() < 0 || m.memory_bytes() > kMaxMemoryPerNode.value) {
    return corrupt(cat("memory_bytes: ", m.memory_bytes(), " is out of range"));
  }
  replica.memory = Bytes{m.memory_bytes()};
  GANGWAY_ASSIGN(replica.kill_grace, to_duration(m.kill_grace_ns(), "kill_grace_ns"));
  GANGWAY_ASSIGN(replica.startup, get_probe(m.has_startup(), m.startup()));
  GANGWAY_ASSIGN(replica.readiness, get_probe(m.has_readiness(), m.readiness()));
  GANGWAY_ASSIGN(replica.liveness, get_probe(m.has_liveness(), m.liveness()));
  return replica;
}

void to_wire(const gangway::ServiceSpec& spec, ServiceSpec* out) {
  out->Clear();
  out->set_name(spec.name);
  put_pairs(spec.labels, out->mutable_labels());
  put_pairs(spec.selector, out->mutable_selector());
  out->set_replicas(spec.replicas);
  to_wire(spec.replica, out->mutable_replica());
  out->set_restart(static_cast<std::uint32_t>(spec.restart));
  auto* const update = out->mutable_update();
  update->set_recreate(spec.update.recreate);
  put(spec.update.max_surge, update->mutable_max_surge());
  put(spec.update.max_unavailable, update->mutable_max_unavailable());
  update->set_min_ready_ns(spec.update.min_ready.ns);
  update->set_progress_deadline_ns(spec.update.progress_deadline.ns);
  out->set_revisions_kept(spec.revisions_kept);
  for (const auto& [service, condition] : spec.depends_on) {
    auto* const m = out->add_depends_on();
    m->set_service(service);
    m->set_condition(static_cast<std::uint32_t>(condition));
  }
}

Result<gangway::ServiceSpec> from_wire(const ServiceSpec& m) {
  gangway::ServiceSpec spec;
  spec.name = m.name();
  GANGWAY_ASSIGN(spec.labels, get_labels(m.labels(), "labels"));
  GANGWAY_ASSIGN(spec.selector, get_labels(m.selector(), "selector"));
  spec.replicas = m.replicas();
  GANGWAY_ASSIGN(spec.replica, from_wire(m.replica()));
  GANGWAY_ASSIGN(spec.restart, to_enum(m.restart(), RestartPolicy::No, "restart"));
  spec.update.recreate = m.update().recreate();
  spec.update.max_surge = get(m.update().max_surge());
  spec.update.max_unavailable = get(m.update().max_unavailable());
  GANGWAY_ASSIGN(spec.update.min_ready, to_duration(m.update().min_ready_ns(), "min_ready_ns"));
  GANGWAY_ASSIGN(spec.update.progress_deadline,
                 to_duration(m.update().progress_deadline_ns(), "progress_deadline_ns"));
  spec.revisions_kept = m.revisions_kept();
  GANGWAY_TRY(check_size(m.depends_on(), "depends_on"));
  for (const auto& dependency : m.depends_on()) {
    GANGWAY_ASSIGN(const auto condition,
                   to_enum(dependency.condition(), ServiceCondition::CompletedSuccessfully,
                           "depends_on.condition"));
    spec.depends_on.emplace_back(dependency.service(), condition);
  }
  return spec;
}

void to_wire(const gangway::Endpoint& endpoint, ServiceEndpoint* out) {
  out->Clear();
  out->set_name(endpoint.name);
  put_pairs(endpoint.labels, out->mutable_labels());
  put_pairs(endpoint.selector, out->mutable_selector());
  out->set_reach(static_cast<std::uint32_t>(endpoint.reach));
  for (const auto& port : endpoint.ports) {
    auto* const m = out->add_ports();
    m->set_name(port.name);
    m->set_port(port.port);
    m->set_target(port.target);
    m->set_node_port(port.node_port);
  }
}

Result<gangway::Endpoint> from_wire(const ServiceEndpoint& m) {
  gangway::Endpoint endpoint;
  endpoint.name = m.name();
  GANGWAY_ASSIGN(endpoint.labels, get_labels(m.labels(), "labels"));
  GANGWAY_ASSIGN(endpoint.selector, get_labels(m.selector(), "selector"));
  GANGWAY_ASSIGN(endpoint.reach,
                 to_enum(m.reach(), gangway::Endpoint::Reach::LoadBalancer, "reach"));
  GANGWAY_TRY(check_size(m.ports(), "ports"));
  for (const EndpointPort& port : m.ports()) {
    endpoint.ports.push_back({.name = port.name(),
                              .port = port.port(),
                              .target = port.target(),
                              .node_port = port.node_port()});
  }
  return endpoint;
}

void to_wire(const gangway::IngressRule& rule, IngressRule* out) {
  out->set_host(rule.host);
  out->set_path(rule.path);
  out->set_exact(rule.exact);
  out->set_endpoint(rule.endpoint);
  out->set_port(rule.port);
  out->set_tls_secret(rule.tls_secret);
}

Result<gangway::IngressRule> from_wire(const IngressRule& m) {
  return gangway::IngressRule{.host = m.host(),
                              .path = m.path(),
                              .exact = m.exact(),
                              .endpoint = m.endpoint(),
                              .port = m.port(),
                              .tls_secret = m.tls_secret()};
}

// ---- what there is -----------------------------------------------------------------------------

void to_wire(const gangway::ServiceReplica& replica, ServiceReplica* out) {
  out->set_number(replica.number);
  out->set_revision(replica.revision);
  out->set_job(replica.job.value);
  out->set_phase(static_cast<std::uint32_t>(replica.phase));
  out->set_since_ns(replica.since.ns);
  out->set_alive(replica.alive);
  out->set_note(replica.note);
}

Result<gangway::ServiceReplica> from_wire(const ServiceReplica& m) {
  gangway::ServiceReplica replica;
  replica.number = m.number();
  replica.revision = m.revision();
  replica.job = JobId{m.job()};
  GANGWAY_ASSIGN(replica.phase, to_enum(m.phase(), ReplicaPhase::Ended, "phase"));
  GANGWAY_ASSIGN(replica.since, to_time(m.since_ns(), "since_ns"));
  replica.alive = m.alive();
  replica.note = m.note();
  return replica;
}

Result<gangway::ServiceRevision> from_wire(const ServiceRevision& m) {
  gangway::ServiceRevision revision;
  revision.number = m.number();
  GANGWAY_ASSIGN(revision.replica, from_wire(m.replica()));
  GANGWAY_ASSIGN(revision.job, from_wire(m.job()));
  GANGWAY_ASSIGN(revision.at, to_time(m.at_ns(), "at_ns"));
  return revision;
}

void to_wire(const gangway::Service& service, ServiceState* out) {
  out->Clear();
  to_wire(service.owner, out->mutable_owner());
  to_wire(service.spec, out->mutable_spec());
  for (const auto& revision : service.revisions) {
    auto* const m = out->add_revisions();
    m->set_number(revision.number);
    to_wire(revision.replica, m->mutable_replica());
    to_wire(revision.job, m->mutable_job());
    m->set_at_ns(revision.at.ns);
  }
  put(service.progress, out->mutable_progress());
  for (const auto& replica : service.replicas) to_wire(replica, out->add_replicas());
  for (const auto& endpoint : service.endpoints) to_wire(endpoint, out->add_endpoints());
  for (const auto& rule : service.rules) to_wire(rule, out->add_rules());
  out->set_deleting(service.deleting);
  out->set_applied_at_ns(service.applied.ns);
  out->set_version(service.version);
}

Result<gangway::Service> from_wire(const ServiceState& m) {
  gangway::Service service;
  service.owner = from_wire(m.owner());
  GANGWAY_ASSIGN(service.spec, from_wire(m.spec()));
  GANGWAY_TRY(get_all(m.revisions(), "revisions", service.revisions));
  GANGWAY_ASSIGN(service.progress, get(m.progress()));
  GANGWAY_TRY(get_all(m.replicas(), "replicas", service.replicas));
  GANGWAY_TRY(get_all(m.endpoints(), "endpoints", service.endpoints));
  GANGWAY_TRY(get_all(m.rules(), "rules", service.rules));
  service.deleting = m.deleting();
  GANGWAY_ASSIGN(service.applied, to_time(m.applied_at_ns(), "applied_at_ns"));
  service.version = m.version();
  return service;
}

void to_wire(const gangway::ServiceEvent& event, ServiceEvent* out) {
  std::visit(
      overloaded{
          [&](const service_event::Applied& e) {
            to_wire(e.owner, out->mutable_applied()->mutable_owner());
            to_wire(e.spec, out->mutable_applied()->mutable_spec());
            to_wire(e.job, out->mutable_applied()->mutable_job());
          },
          [&](const service_event::EndpointsSet& e) {
            auto* const m = out->mutable_endpoints_set();
            for (const auto& endpoint : e.endpoints) to_wire(endpoint, m->add_endpoints());
            for (const auto& rule : e.rules) to_wire(rule, m->add_rules());
          },
          [&](const service_event::Scaled& e) { out->mutable_scaled()->set_replicas(e.replicas); },
          [&](const service_event::Wanted& e) {
            out->mutable_wanted()->set_revision(e.revision);
            out->mutable_wanted()->set_why(e.why);
          },
          [&](const service_event::Started& e) {
            out->mutable_started()->set_number(e.number);
            out->mutable_started()->set_revision(e.revision);
            out->mutable_started()->set_job(e.job.value);
          },
          [&](const service_event::Phased& e) {
            auto* const m = out->mutable_phased();
            m->set_number(e.number);
            m->set_phase(static_cast<std::uint32_t>(e.phase));
            m->set_alive(e.alive);
            m->set_note(e.note);
          },
          [&](const service_event::Forgotten& e) {
            out->mutable_forgotten()->set_number(e.number);
          },
          [&](const service_event::Progressed& e) { put(e.progress, out->mutable_progressed()); },
          [&](const service_event::Deleted&) { out->mutable_deleted(); },
          [&](const service_event::Removed&) { out->mutable_removed(); },
      },
      event);
}

Result<gangway::ServiceEvent> from_wire(const ServiceEvent& m) {
  namespace e = gangway::service_event;
  using gangway::ServiceEvent;
  switch (m.what_case()) {
    case wire::ServiceEvent::kApplied: {
      GANGWAY_ASSIGN(auto spec, from_wire(m.applied().spec()));
      GANGWAY_ASSIGN(auto job, from_wire(m.applied().job()));
      return ServiceEvent(
          e::Applied{from_wire(m.applied().owner()), std::move(spec), std::move(job)});
    }
    case wire::ServiceEvent::kEndpointsSet: {
      e::EndpointsSet set;
      GANGWAY_TRY(get_all(m.endpoints_set().endpoints(), "endpoints", set.endpoints));
      GANGWAY_TRY(get_all(m.endpoints_set().rules(), "rules", set.rules));
      return ServiceEvent(std::move(set));
    }
    case wire::ServiceEvent::kScaled:
      return ServiceEvent(e::Scaled{m.scaled().replicas()});
    case wire::ServiceEvent::kWanted:
      return ServiceEvent(e::Wanted{m.wanted().revision(), m.wanted().why()});
    case wire::ServiceEvent::kStarted:
      return ServiceEvent(
          e::Started{m.started().number(), m.started().revision(), JobId{m.started().job()}});
    case wire::ServiceEvent::kPhased: {
      GANGWAY_ASSIGN(const auto phase,
                     to_enum(m.phased().phase(), ReplicaPhase::Ended, "phased.phase"));
      return ServiceEvent(
          e::Phased{m.phased().number(), phase, m.phased().alive(), m.phased().note()});
    }
    case wire::ServiceEvent::kForgotten:
      return ServiceEvent(e::Forgotten{m.forgotten().number()});
    case wire::ServiceEvent::kProgressed: {
      GANGWAY_ASSIGN(auto progress, get(m.progressed()));
      return ServiceEvent(e::Progressed{progress});
    }
    case wire::ServiceEvent::kDeleted:
      return ServiceEvent(e::Deleted{});
    case wire::ServiceEvent::kRemoved:
      return ServiceEvent(e::Removed{});
    case wire::ServiceEvent::WHAT_NOT_SET:
      break;
  }
  return corrupt("service event: of no known kind");
}

}  // namespace gangway::wire
