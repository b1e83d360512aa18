#include "random_model.hpp"

#include "queues/base/text.hpp"

namespace gangway::tests {

std::string RandomModel::text() {
  std::string out(static_cast<std::size_t>(rng_.between(0, 12)), '\0');
  for (char& c : out) c = static_cast<char>(rng_.between(-128, 127));
  return out;
}

std::vector<std::string> RandomModel::texts() {
  std::vector<std::string> out(static_cast<std::size_t>(rng_.between(0, 4)));
  for (auto& one : out) one = text();
  return out;
}

std::vector<NodeName> RandomModel::node_names() {
  std::vector<NodeName> out;
  for (auto& name : texts()) out.emplace_back(std::move(name));
  return out;
}

std::vector<std::string> RandomModel::features() {
  std::vector<std::string> out;
  for (const char* name : {"avx2", "ib", "skylake"}) {
    if (coin()) out.emplace_back(name);
  }
  return out;
}

Resources RandomModel::resources() {
  Resources r{.cores = rng_.between(0, 1'000'000), .memory = {rng_.between(0, 1LL << 60)}};
  for (auto count = rng_.between(0, 3); count > 0; --count) {
    r.set_named("r" + text(), rng_.between(1, kMaxNamedAmount));
  }
  return r;
}

Component RandomModel::component() {
  Component c;
  c.nodes = 1 + small(100);
  c.tasks = c.nodes + small(1000);
  c.cpus_per_task = 1 + small(100);
  if (coin()) c.cores_per_node = small(100);
  c.memory_per_node = {rng_.between(0, kMaxMemoryPerNode.value)};
  c.named_per_node.named = resources().named;
  c.exclusive = coin();
  c.only_nodes = node_names();
  c.not_nodes = node_names();
  if (coin()) c.constraint = text();
  return c;
}

JobSpec RandomModel::job_spec() {
  JobSpec spec;
  spec.name = text();
  spec.kind = enumerator(JobKind::Service);
  spec.queue = QueueName{text()};
  spec.account = AccountName{text()};
  spec.qos = text();
  spec.nice = small(1000) - 500;
  spec.held = coin();
  if (coin()) spec.time_limit = duration();
  if (coin()) spec.kill_grace = duration();
  if (coin()) {
    spec.warning = WarningSignal{.number = small(64), .before = duration(), .script_only = coin()};
  }
  spec.report_usage = coin();
  spec.requeue = coin();
  spec.not_before = maybe_time();
  for (auto count = rng_.between(1, 3); count > 0; --count) spec.components.push_back(component());
  spec.launch = enumerator(LaunchMode::Tasks);
  spec.mpi = enumerator(MpiMode::Auto);
  spec.script = text();
  spec.argv = texts();
  spec.env = texts();
  spec.workdir = text();
  spec.stdio = {.out = text(), .err = text(), .in = text(), .append = coin()};
  spec.umask = static_cast<std::uint32_t>(small(0777));
  if (coin()) {
    spec.image = ImageSpec{.kind = enumerator(ImageKind::DockerArchive),
                           .path = text(),
                           .reference = text(),
                           .manifest_digest = text()};
  }
  for (auto count = rng_.between(0, 3); count > 0; --count) {
    spec.binds.push_back({.source = text(), .destination = text(), .read_only = coin()});
    spec.dependencies.push_back({.kind = enumerator(DependencyKind::AfterCorr),
                                 .on = JobId{rng_.next()},
                                 .delay = duration()});
    if (coin()) spec.dependencies.back().index = static_cast<std::uint32_t>(small(1000));
  }
  spec.any_dependency = coin();
  spec.deadline = maybe_time();
  spec.retries = small(kMaxRetries);
  spec.retry_backoff = duration();
  if (coin()) {
    spec.array = *parse_array(
        cat(small(50), ",", 60 + small(9), "-", 70 + small(9), ":", 1 + small(4), "%", small(5)));
  }
  if (coin()) {
    spec.mail = {.begin = coin(),
                 .end = coin(),
                 .fail = coin(),
                 .requeue = coin(),
                 .invalid_depend = coin(),
                 .per_element = coin(),
                 .user = text()};
  }
  spec.kill_on_invalid_dependency = coin();
  spec.comment = text();
  return spec;
}

Allocation RandomModel::allocation() {
  Allocation a;
  for (auto count = rng_.between(0, 4); count > 0; --count) {
    NodeShare share{.component = static_cast<std::uint32_t>(small(3)),
                    .node = NodeName{text()},
                    .resources = resources(),
                    .first_task = small(1000),
                    .tasks = small(1000)};
    for (auto cores = rng_.between(0, 4); cores > 0; --cores) share.cores.push_back(small(255));
    a.shares.push_back(std::move(share));
  }
  return a;
}

Outcome RandomModel::outcome() {
  return {.kind = enumerator(OutcomeKind::LaunchFailed),
          .exit_code = small(255),
          .signal = small(127),
          .detail = text()};
}

RunClock RandomModel::clock() { return {.accumulated = duration(), .since = maybe_time()}; }

Phase RandomModel::phase() {
  switch (small(5)) {
    case 0:
      return phase::Waiting{enumerator(kLastPendingReason)};
    case 1:
      return phase::Starting{allocation()};
    case 2:
      return phase::Running{allocation(), clock()};
    case 3:
      return phase::Suspended{allocation(), clock(), coin()};
    case 4:
      return phase::Completing{allocation(), outcome(), coin()};
    default:
      return phase::Finished{outcome(), coin() ? allocation() : Allocation{}};
  }
}

Owner RandomModel::owner() {
  return {.uid = static_cast<std::uint32_t>(rng_.next()),
          .gid = static_cast<std::uint32_t>(rng_.next()),
          .user = text()};
}

JobKey RandomModel::key() {
  return {.job = JobId{rng_.next()},
          .index = coin() ? JobKey::kNoIndex : static_cast<std::uint32_t>(small(1000))};
}

UsedAmounts RandomModel::used() {
  return {.cpu = duration(),
          .peak_memory = Bytes{small(1000)},
          .wall = duration(),
          .read = Bytes{small(1000)},
          .written = Bytes{small(1000)}};
}

JobUsage RandomModel::usage() {
  JobUsage usage;
  for (auto count = rng_.between(0, 3); count > 0; --count) {
    usage.nodes.push_back({NodeName{text()}, used()});
    usage.steps.push_back({.step = static_cast<std::uint32_t>(small(9)),
                           .name = text(),
                           .nodes = small(9),
                           .tasks = small(99),
                           .exit_code = small(255),
                           .started = time(),
                           .used = used()});
  }
  return usage;
}

Job RandomModel::job(std::shared_ptr<const JobSpec> spec) {
  Job job;
  job.key = key();
  job.owner = owner();
  job.spec_digest = text();
  job.spec = std::move(spec);
  if (coin()) job.membership = membership();
  job.phase = phase();
  job.hold = {.by_user = coin(), .by_operator = coin()};
  job.attempt = static_cast<Attempt>(small(100));
  job.launch_failures = static_cast<std::uint32_t>(small(3));
  job.submitted = time();
  job.eligible = maybe_time();
  job.started = maybe_time();
  job.ended = maybe_time();
  job.usage = usage();
  job.paused = duration();
  job.version = rng_.next();
  job.retries_used = static_cast<std::uint32_t>(small(5));
  job.position = static_cast<std::uint32_t>(small(1000));
  if (coin()) {
    ArrayState& array = job.array.emplace();
    array.waiting.add({10, 10 + static_cast<std::uint32_t>(small(5))});
    array.succeeded.add({0, static_cast<std::uint32_t>(small(4))});
    array.unsuccessful.add(static_cast<std::uint32_t>(20 + small(5)));
    array.worst = outcome();
    array.worst_at = 20;
    array.dropped.add({30, 40});
    array.dropped_as = outcome();
  }
  return job;
}

WorkflowMember RandomModel::member() {
  WorkflowMember m{.name = text(), .job = JobId{rng_.next()}};
  for (auto& name : texts()) {
    m.needs.push_back({.member = std::move(name), .outcome = enumerator(NeedOutcome::Each)});
  }
  m.category = text();
  m.is_final = coin();
  return m;
}

Workflow RandomModel::workflow() {
  Workflow w{.id = WorkflowId{rng_.next()},
             .generation = static_cast<std::uint32_t>(small(9)),
             .name = text(),
             .owner = owner(),
             .submitted = time(),
             .ended = maybe_time(),
             .version = rng_.next()};
  for (auto count = rng_.between(0, 4); count > 0; --count) w.members.push_back(member());
  if (coin()) w.limits.push_back({text(), 1 + static_cast<std::uint32_t>(small(9))});
  return w;
}

Node RandomModel::node() {
  return {.name = NodeName{text()},
          .capacity = resources(),
          .features = features(),
          .address = text(),
          .boot_id = text(),
          .contact = enumerator(Contact::Lost),
          .drain = coin(),
          .drain_reason = text(),
          .version = rng_.next()};
}

JobEvent RandomModel::job_event() {
  namespace e = gangway::job_event;
  const auto attempt = static_cast<Attempt>(small(100));
  switch (small(15)) {
    case 11:
      return e::Split{static_cast<std::uint32_t>(small(1000))};
    case 12: {
      e::Dropped dropped{.positions = {}, .outcome = outcome()};
      dropped.positions.add({3, 3 + static_cast<std::uint32_t>(small(9))});
      return dropped;
    }
    case 13:
      return e::ArrayEnded{};
    case 14:
      return e::Altered{text()};
    case 0: {
      e::Submitted submitted{.owner = owner(), .spec_digest = text(), .held = coin()};
      if (coin()) submitted.membership = membership();
      return submitted;
    }
    case 1:
      return e::Eligible{};
    case 2:
      return e::ReasonChanged{enumerator(PendingReason::BadConstraints)};
    case 3:
      return e::Held{coin()};
    case 4:
      return e::Released{coin()};
    case 5:
      return e::Allocated{attempt, allocation()};
    case 6:
      return e::Launched{};
    case 7:
      return e::Suspended{coin()};
    case 8:
      return e::Resumed{};
    case 9:
      return e::Ended{attempt, outcome(), coin(), coin()};
    case 10:
      return e::Cleaned{attempt, usage()};
    default:
      return e::CancelledWaiting{outcome()};
  }
}

Labels RandomModel::labels() {
  Labels out;
  for (const std::string& name : texts()) out.emplace(name, text());
  return out;
}

Probe RandomModel::probe() {
  return {.kind = enumerator(Probe::Kind::Tcp),
          .command = texts(),
          .shell = coin(),
          .path = text(),
          .port = text(),
          .initial_delay = duration(),
          .period = duration(),
          .timeout = duration(),
          .successes = small(9),
          .failures = small(9)};
}

ReplicaTemplate RandomModel::replica_template() {
  ReplicaTemplate replica;
  replica.labels = labels();
  replica.image = text();
  if (coin()) {
    replica.build = {.context = text(), .dockerfile = text(), .target = text(), .args = labels()};
  }
  if (coin()) replica.entrypoint = texts();
  replica.arguments = texts();
  replica.env = {{text(), text()}, {text(), text()}};
  replica.workdir = text();
  replica.hostname = text();
  replica.stop_signal = text();
  if (coin()) replica.ports.push_back({.name = text(), .port = small(65535), .protocol = text()});
  if (coin()) replica.mounts.push_back({text(), text(), coin()});
  replica.cpu_millis = small(100'000);
  replica.memory = {rng_.between(0, kMaxMemoryPerNode.value)};
  replica.kill_grace = duration();
  if (coin()) replica.startup = probe();
  if (coin()) replica.readiness = probe();
  if (coin()) replica.liveness = probe();
  return replica;
}

ServiceSpec RandomModel::service_spec() {
  ServiceSpec spec;
  spec.name = text();
  spec.labels = labels();
  spec.selector = labels();
  spec.replicas = small(100);
  spec.replica = replica_template();
  spec.restart = enumerator(RestartPolicy::No);
  spec.update = {.recreate = coin(),
                 .max_surge = {small(100), coin()},
                 .max_unavailable = {small(100), coin()},
                 .min_ready = duration(),
                 .progress_deadline = duration()};
  spec.revisions_kept = small(10);
  if (coin()) {
    spec.depends_on.emplace_back(text(), enumerator(ServiceCondition::CompletedSuccessfully));
  }
  return spec;
}

Endpoint RandomModel::endpoint() {
  return {.name = text(),
          .labels = labels(),
          .selector = labels(),
          .reach = enumerator(Endpoint::Reach::LoadBalancer),
          .ports = {{text(), small(65535), text(), small(65535)}}};
}

IngressRule RandomModel::rule() {
  return {.host = text(),
          .path = text(),
          .exact = coin(),
          .endpoint = text(),
          .port = text(),
          .tls_secret = text()};
}

ServiceProgress RandomModel::progress() {
  return {.revision = small(9),
          .whole = small(9),
          .given_up = small(9),
          .progressed_at = time(),
          .best = small(9),
          .failures = small(9),
          .failed_at = time(),
          .completed = small(9),
          .next_number = small(1000)};
}

Service RandomModel::service() {
  Service service;
  service.owner = owner();
  service.spec = service_spec();
  service.revisions.push_back(
      {.number = small(9), .replica = replica_template(), .job = job_spec(), .at = time()});
  service.progress = progress();
  service.replicas.push_back({.number = small(99),
                              .revision = small(9),
                              .job = JobId{rng_.next()},
                              .phase = enumerator(ReplicaPhase::Ended),
                              .since = time(),
                              .alive = coin(),
                              .note = text()});
  service.endpoints.push_back(endpoint());
  service.rules.push_back(rule());
  service.deleting = coin();
  service.applied = time();
  service.version = rng_.next();
  return service;
}

ServiceEvent RandomModel::service_event() {
  namespace e = gangway::service_event;
  switch (small(9)) {
    case 0:
      return e::Applied{owner(), service_spec(), job_spec()};
    case 1:
      return e::EndpointsSet{{endpoint()}, {rule(), rule()}};
    case 2:
      return e::Scaled{small(100)};
    case 3:
      return e::Wanted{small(9), text()};
    case 4:
      return e::Started{small(99), small(9), JobId{rng_.next()}};
    case 5:
      return e::Phased{small(99), enumerator(ReplicaPhase::Ended), coin(), text()};
    case 6:
      return e::Forgotten{small(99)};
    case 7:
      return e::Progressed{progress()};
    case 8:
      return e::Deleted{};
    default:
      return e::Removed{};
  }
}

Event RandomModel::event() {
  Event event{.seq = rng_.next(), .time = time(), .version = rng_.next()};
  switch (small(10)) {
    case 9:
    case 10:
      event.subject =
          Event::OfService{{static_cast<std::uint32_t>(small(99)), text()}, service_event()};
      break;
    case 6:
      event.subject = Event::OfAccount{
          {AccountName{text()}, text()},
          coin() ? AccountEvent(account_event::Set{AccountName{text()}, small(100)})
                 : AccountEvent(account_event::Removed{})};
      break;
    case 7:
      event.subject = Event::OfAccount{
          {AccountName{text()}, text()},
          account_event::Charged{key(), 1, static_cast<double>(small(1000)) / 7, 1e9}};
      break;
    case 0: {
      const Workflow w = workflow();
      event.subject =
          Event::OfWorkflow{w.id, workflow_event::Submitted{w.name, w.owner, w.members, w.limits}};
      if (coin()) {
        event.subject = Event::OfWorkflow{w.id, workflow_event::Resumed{{{3, JobId{rng_.next()}}}}};
      }
      break;
    }
    case 1:
      event.subject = Event::OfWorkflow{
          WorkflowId{rng_.next()}, workflow_event::Finished{enumerator(OutcomeKind::LaunchFailed)}};
      break;
    case 2:
      event.subject = Event::OfNode{
          NodeName{text()}, node_event::Registered{resources(), text(), text(), features()}};
      break;
    case 3:
      event.subject = Event::OfNode{NodeName{text()}, node_event::Drained{coin(), text(), text()}};
      break;
    case 4:
      event.subject =
          Event::OfNode{NodeName{text()}, coin() ? NodeEvent(node_event::Lost{})
                                                 : NodeEvent(node_event::ConfirmedDown{text()})};
      break;
    default:
      event.subject = Event::OfJob{key(), job_event()};
  }
  return event;
}

}  // namespace gangway::tests
