// Services, carried out: what their plan asks for is done to jobs, and what happens to the jobs is
// told to the plan.
//
// A replica is a job like any other; only its end is the service's matter. A service is planned
// when something of it has changed in the turn, and when its plan said so; as the same question
// gives no steps, the loop in settle_services() ends.
#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

std::string name_of_replica(const ServiceKey& key, std::int64_t revision, std::int64_t number) {
  return cat(key.name, '-', revision, '-', number);
}

bool is_probed(const ReplicaTemplate& replica) { return replica.startup || replica.readiness; }

// How far a replica is by its job; where that does not tell, as it was.
ReplicaPhase phase_by_job(const Job& job, ReplicaPhase before, bool is_ready_at_once) {
  const bool is_going = before == ReplicaPhase::Draining || before == ReplicaPhase::Drained ||
                        before == ReplicaPhase::Stopping;
  return std::visit(
      overloaded{
          // After a lost node it is to run again, whatever was meant for it there.
          [&](const phase::Waiting&) { return ReplicaPhase::Waiting; },
          [&](const phase::Starting&) { return is_going ? before : ReplicaPhase::Starting; },
          [&](const phase::Running&) {
            if (is_going) return before;
            if (before == ReplicaPhase::Ready || is_ready_at_once) return ReplicaPhase::Ready;
            return ReplicaPhase::Starting;
          },
          // Its probes will say that it does not answer.
          [&](const phase::Suspended&) { return before; },
          [&](const phase::Completing& p) {
            return p.requeue && !is_going ? ReplicaPhase::Starting : ReplicaPhase::Stopping;
          },
          [&](const phase::Finished&) { return ReplicaPhase::Ended; },
      },
      job.phase);
}

}  // namespace

// ---- ports -------------------------------------------------------------------------------------

OfferedPorts Controller::Impl::ports_of_services() const {
  OfferedPorts ports;
  for (const auto& [key, service] : state.services()) {
    for (const ServiceRevision& revision : service.revisions) {
      for (const ContainerPort& port : revision.replica.ports) {
        if (port.port > 0) {
          ports.fixed.insert(port.port);
        } else {
          ports.range = config.service_ports;
        }
      }
    }
  }
  return ports;
}

void Controller::Impl::offer_ports(OfferedPorts ports) {
  if (ports == ports_offered) return;
  ports_offered = std::move(ports);
  checked_before = {};
  checked_before.surroundings = state.surroundings();
  for (const auto& [name, node] : state.nodes()) tell_planner_of(name);
}

Resources Controller::Impl::capacity_of(const Node& node) const {
  Resources capacity = node.capacity;
  ports_offered.add_to(capacity);
  return capacity;
}

// ---- turns -------------------------------------------------------------------------------------

void Controller::Impl::start_services() {
  std::vector<std::pair<ServiceKey, ServiceProgress>> under_way;
  for (const auto& [key, service] : state.services()) {
    for (const ServiceReplica& replica : service.replicas) {
      replica_of[replica.job] = {key, replica.number};
    }
    services_to_plan.insert(key);
    // Nobody made progress while we were away; that is not the update's fault.
    if (service.progress.whole == 0 || service.progress.whole == service.progress.revision)
      continue;
    ServiceProgress progress = service.progress;
    progress.progressed_at = now.wall;
    under_way.emplace_back(key, progress);
  }
  for (auto& [key, progress] : under_way) {
    state.record(key, service_event::Progressed{progress}, now.wall, turn.batch);
  }
  routes_touched = true;
}

void Controller::Impl::settle_services() {
  while (state.has_changed_replicas() || !services_to_plan.empty()) {
    for (const JobKey key : state.take_changed_replicas()) note_replica(key);
    if (services_to_plan.empty()) break;
    const ServiceKey key = *services_to_plan.begin();
    services_to_plan.erase(services_to_plan.begin());
    plan_of(key);
    follow_ends();
  }
  tell_routes();
}

void Controller::Impl::note_replica(JobKey key) {
  const auto known = replica_of.find(key.job);
  if (known == replica_of.end()) return;
  const Job& job = state.get_job(key);
  const auto& [service_key, number] = known->second;
  const Service* const service = state.find_service(service_key);
  CHECK(service != nullptr);
  const ServiceReplica* const replica = service->find_replica(number);
  const ServiceRevision* const revision = service->find_revision(replica->revision);
  CHECK(revision != nullptr);
  // Its new allocation has been asked nothing yet.
  const ReplicaPhase before =
      job.is_waiting() || std::holds_alternative<phase::Starting>(job.phase)
          ? (replica->phase == ReplicaPhase::Ready ? ReplicaPhase::Starting : replica->phase)
          : replica->phase;
  const ReplicaPhase phase = phase_by_job(job, before, !is_probed(revision->replica));
  if (phase == replica->phase) return;
  set_phase(service_key, number, phase);
}

void Controller::Impl::set_phase(const ServiceKey& key, std::int64_t number, ReplicaPhase phase) {
  const ServiceReplica& before = *state.find_service(key)->find_replica(number);
  // What the probes said is true of an attempt that has begun.
  const bool is_fresh = phase == ReplicaPhase::Waiting || phase == ReplicaPhase::Starting;
  service_event::Phased event{.number = number, .phase = phase};
  if (!is_fresh) {
    event.alive = before.alive;
    event.note = before.note;
  }
  state.record(key, std::move(event), now.wall, turn.batch);
  services_to_plan.insert(key);
  routes_touched = true;
}

// Where a service waits for others, until they are as it wants them; only its first start does.
bool Controller::Impl::may_begin(const Service& service) const {
  if (service.deleting || service.progress.whole != 0 || !service.replicas.empty()) return true;
  return std::ranges::all_of(service.spec.depends_on, [&](const auto& need) {
    const Service* const on = state.find_service({service.owner.uid, need.first});
    if (on == nullptr) return false;
    const auto ready =
        std::ranges::count(on->replicas, ReplicaPhase::Ready, &ServiceReplica::phase);
    switch (need.second) {
      case ServiceCondition::Started:
        // One that has run to its end has been started, too.
        return on->progress.completed > 0 || on->progress.whole != 0 ||
               std::ranges::any_of(on->replicas, [](const ServiceReplica& r) {
                 return r.phase == ReplicaPhase::Starting || r.phase == ReplicaPhase::Ready;
               });
      case ServiceCondition::Healthy:
        return ready >= on->spec.replicas;
      case ServiceCondition::CompletedSuccessfully:
        // One that is not started anew has ended for good also when it failed.
        return on->progress.completed >= on->spec.replicas &&
               (on->spec.restart != RestartPolicy::No || on->progress.failures == 0);
    }
    return false;
  });
}

void Controller::Impl::look_at_dependents(const ServiceKey& key) {
  for (const auto& [other, service] : state.services()) {
    if (other.uid != key.uid || service.progress.whole != 0 || !service.replicas.empty()) continue;
    for (const auto& [name, condition] : service.spec.depends_on) {
      if (name == key.name && may_begin(service)) services_to_plan.insert(other);
    }
  }
}

void Controller::Impl::plan_of(const ServiceKey& key) {
  const Service* service = state.find_service(key);
  if (service == nullptr) return;
  end_late_drains(key);
  routes_touched = true;
  settled_services.erase(key);
  if (!may_begin(*service)) return;
  std::vector<Replica> replicas;
  for (const ServiceReplica& kept : service->replicas) {
    Replica& replica = replicas.emplace_back(Replica{.number = kept.number,
                                                     .revision = kept.revision,
                                                     .phase = kept.phase,
                                                     .since = kept.since,
                                                     .alive = kept.alive});
    const Job* const job = state.find_job({kept.job});
    if (job == nullptr) {
      replica.phase = ReplicaPhase::Ended;
      replica.wished = true;
      continue;
    }
    if (const Outcome* const outcome = job->outcome()) {
      // One that its probes gave up has ended by itself, whoever told it to.
      replica.wished = outcome->kind == OutcomeKind::Cancelled && kept.alive;
      replica.failed = !outcome->is_success();
    }
    // One that runs to its end would run twice.
    const bool may_move = service->spec.restart == RestartPolicy::Always;
    if (may_move && job->allocation() != nullptr && job->outcome() == nullptr) {
      for (const NodeShare& share : job->allocation()->shares) {
        const Node* const node = state.find_node(share.node);
        replica.must_move |= node != nullptr && node->drain;
      }
    }
  }
  const ServicePlan plan = plan_service(service->spec, replicas, service->progress, now.wall);
  for (const ServiceStep& step : plan.steps) carry_out(key, step);
  service = state.find_service(key);
  if (service->progress != plan.progress) {
    state.record(key, service_event::Progressed{plan.progress}, now.wall, turn.batch);
  }
  if (plan.is_settled) settled_services.insert(key);
  look_at_service_at(key, plan.look_again);
  look_at_dependents(key);
  if (service->deleting && service->replicas.empty()) {
    state.record(key, service_event::Removed{}, now.wall, turn.batch);
    look_at_service_at(key, std::nullopt);
    settled_services.erase(key);
    offer_ports(ports_of_services());
  }
}

void Controller::Impl::carry_out(const ServiceKey& key, const ServiceStep& step) {
  const Service& service = *state.find_service(key);
  switch (step.kind) {
    case ServiceStep::Kind::Start:
      return start_replica(service, step);
    case ServiceStep::Kind::Cancel:
      return end_replica(key, step.replica, true);
    case ServiceStep::Kind::Drain:
      return begin_draining(key, step.replica);
    case ServiceStep::Kind::Stop:
      set_phase(key, step.replica, ReplicaPhase::Stopping);
      return end_replica(key, step.replica, false);
    case ServiceStep::Kind::Forget:
      replica_of.erase(service.find_replica(step.replica)->job);
      state.record(key, service_event::Forgotten{step.replica}, now.wall, turn.batch);
      return;
    case ServiceStep::Kind::GiveUp:
      state.record(
          key,
          service_event::Wanted{
              step.revision, cat("revision ", service.progress.revision, " made no progress for ",
                                 render_duration(service.spec.update.progress_deadline))},
          now.wall, turn.batch);
      return;
  }
}

void Controller::Impl::start_replica(const Service& service, const ServiceStep& step) {
  const ServiceKey key = service.key();
  const ServiceRevision* const revision = service.find_revision(step.revision);
  CHECK(revision != nullptr);
  JobSpec job = revision->job;
  job.name = name_of_replica(key, step.revision, step.replica);
  const Owner owner = service.owner;
  Submission one;
  std::string digest;
  const std::shared_ptr<const JobSpec> spec = intern_spec(one, std::move(job), digest);
  for (auto& made : one.specs) turn.batch.specs.push_back(std::move(made));
  specs[digest] = spec;
  const JobId id = state.take_job_id(turn.batch);
  replica_of[id] = {key, step.replica};
  state.record_submitted(
      {id},
      job_event::Submitted{
          .owner = owner, .spec_digest = digest, .membership = std::nullopt, .held = false},
      spec, now.wall, turn.batch);
  state.record(key, service_event::Started{step.replica, step.revision, id}, now.wall, turn.batch);
  ++unfinished_jobs;
  begin_waiting({id}, {});
  sweep_specs();
}

// Its programs get their time to end; one that waits is simply taken back.
void Controller::Impl::end_replica(const ServiceKey& key, std::int64_t number, bool only_waiting) {
  const Service& service = *state.find_service(key);
  const JobKey job_key{service.find_replica(number)->job};
  const Job* const job = state.find_job(job_key);
  if (job == nullptr || job->is_finished()) return;
  Outcome outcome = make_outcome(
      OutcomeKind::Cancelled, 0,
      cat(only_waiting ? "not needed any more by service " : "ended by service ", key.name));
  if (job->is_waiting()) return end_waiting(job_key, std::move(outcome));
  if (const auto* const ending = std::get_if<phase::Completing>(&job->phase)) {
    if (ending->requeue) {
      state.record(job_key, job_event::Ended{job->attempt, std::move(outcome), false}, now.wall,
                   turn.batch);
    }
    return;
  }
  end_attempt(job_key, std::move(outcome), false);
}

// ---- time --------------------------------------------------------------------------------------

void Controller::Impl::look_at_service_at(const ServiceKey& key, std::optional<Time> at) {
  if (const Service* const service = state.find_service(key)) {
    for (const ServiceReplica& replica : service->replicas) {
      if (replica.phase != ReplicaPhase::Draining) continue;
      const Time late = replica.since + config.drain_timeout;
      at = at ? std::min(*at, late) : late;
    }
  }
  if (at) {
    services_due[key] = now.boot + std::max(milliseconds(1), *at - now.wall);
  } else {
    services_due.erase(key);
  }
  if (service_due) agenda.erase(*service_due);
  service_due.reset();
  if (services_due.empty()) return;
  const auto first =
      std::ranges::min_element(services_due, {}, [](const auto& entry) { return entry.second; });
  service_due = Due{first->second, DueKind::Service, {}, 0};
  put_on_agenda(*service_due);
}

void Controller::Impl::on_services_due() {
  service_due.reset();
  std::erase_if(services_due, [this](const auto& entry) {
    if (entry.second > now.boot) return false;
    services_to_plan.insert(entry.first);
    return true;
  });
  look_at_service_at({}, std::nullopt);  // the rest
}

void Controller::Impl::look_at_services_on(const NodeName& node) {
  const auto link = links.find(node);
  if (link == links.end()) return;
  for (const JobKey key : link->second.gangs) {
    const auto replica = replica_of.find(key.job);
    if (replica != replica_of.end()) services_to_plan.insert(replica->second.service);
  }
}

// ---- probes ------------------------------------------------------------------------------------

void Controller::Impl::fill_replica_order(const Job& job, wire::Prepare* out) const {
  const auto known = replica_of.find(job.key.job);
  if (known == replica_of.end()) return;
  const Service& service = *state.find_service(known->second.service);
  const ServiceReplica& kept = *service.find_replica(known->second.number);
  const ReplicaTemplate& replica = service.find_revision(kept.revision)->replica;
  wire::ReplicaOrder* const order = out->mutable_replica();
  if (replica.startup) wire::to_wire(*replica.startup, order->mutable_startup());
  if (replica.readiness) wire::to_wire(*replica.readiness, order->mutable_readiness());
  if (replica.liveness) wire::to_wire(*replica.liveness, order->mutable_liveness());
  for (const ContainerPort& port : replica.ports) wire::to_wire(port, order->add_ports());
  order->set_stop_signal(replica.stop_signal);
}

void Controller::Impl::on_replica_health(const NodeName& node, const wire::ReplicaHealth& message) {
  const JobKey key = wire::from_wire(message.key());
  const auto known = replica_of.find(key.job);
  const auto part = find_part(node, key, message.attempt());
  if (known == replica_of.end() || !part || part->job->outcome() != nullptr) return;
  if (!std::holds_alternative<phase::Running>(part->job->phase)) return;
  const auto& [service_key, number] = known->second;
  const Service& service = *state.find_service(service_key);
  const ServiceReplica& replica = *service.find_replica(number);
  constexpr std::size_t kMaxNote = 200;
  const std::string note = message.note().substr(0, kMaxNote);
  ReplicaPhase phase = replica.phase;
  if (phase == ReplicaPhase::Starting && message.ready()) phase = ReplicaPhase::Ready;
  if (phase == ReplicaPhase::Ready && !message.ready()) phase = ReplicaPhase::Starting;
  if (phase == replica.phase && message.alive() == replica.alive && note == replica.note) return;
  state.record(service_key, service_event::Phased{number, phase, message.alive(), note}, now.wall,
               turn.batch);
  services_to_plan.insert(service_key);
  routes_touched = true;
}

}  // namespace gangway::scheduler
