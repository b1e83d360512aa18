#include "tests/sim/sim_cluster.hpp"

#include <algorithm>

#include "executor/launch_plan.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "tests/sim/invariants.hpp"
#include "tests/sim/sim_pmix.hpp"

namespace gangway::sim {

namespace {

class Users final : public scheduler::UserDirectory {
 public:
  [[nodiscard]] std::string name_of(std::uint32_t uid) const override {
    return uid == 0 ? "root" : cat("user", uid);
  }
};
const Users kUsers;

scheduler::ControllerConfig controller_config(const ClusterOptions& options) {
  scheduler::ControllerConfig config;
  Queue batch;
  batch.name = QueueName{"batch"};
  batch.is_default = true;
  batch.default_memory_per_core = mebibytes(64);
  config.queues = {batch};
  if (options.gangs > 0) {
    Queue sliced = batch;
    sliced.name = QueueName{"sliced"};
    sliced.is_default = false;
    sliced.time_slicing = {options.gangs, options.slice};
    config.queues.push_back(sliced);
  }
  config.lease = options.lease;
  config.heartbeat_every = options.heartbeat;
  config.prepare_timeout = options.prepare_timeout;
  config.requeue_backoff = seconds(1);
  config.operators = {"root", "user1000"};  // the client's user, so that it may suspend
  // A restart looks at what waits over many turns.
  if (options.seed % 2 == 0) config.jobs_of_slice = 1;
  return config;
}

Resources capacity_of(const ClusterOptions& options) {
  Resources capacity;
  capacity.cores = options.cores;
  capacity.memory = gibibytes(8);
  return capacity;
}

}  // namespace

// ---- processes ----------------------------------------------------------------------------------

struct Cluster::SchedulerProcess {
  SchedulerProcess(Cluster& c, Epoch epoch_now, store::LiveState live)
      : process(c.world_, "sched", "jschedd"),
        transport(c.network_, process),
        store(process, c.disk_),
        controller(
            controller_config(c.options_),
            epoch_now,
            std::move(live),
            kUsers,
            [](JobKey key, Attempt attempt) { return cat(to_string(key), ".", attempt); },
            process.now()),
        daemon(process, transport, store, epoch_now, controller, [&c](store::CommitEnd) {
          c.world_.schedule(c.world_.now().boot, 0, [&c] {
            c.crash_scheduler();
            c.start_scheduler();
          });
        }) {}

  Process process;
  SimTransport transport;
  SimStore store;
  scheduler::Controller controller;
  scheduler::Daemon daemon;
};

struct Cluster::AgentProcess final : executor::AgentPorts, executor::ShepherdHost {
  AgentProcess(Cluster& c, SimNode& n)
      : cluster(c),
        node(n),
        process(c.world_, n.name, "jexecd@" + n.name),
        transport(c.network_, process),
        daemon({process, transport, *this, *this, [](const Error&) { CHECK(false); }},
               config(c, n),
               recovered(n),
               n.highest_epoch,
               0) {}

  static executor::AgentConfig config(const Cluster& c, const SimNode& n) {
    executor::AgentConfig config;
    config.node = NodeName{n.name};
    config.capacity = capacity_of(c.options_);
    config.boot_id = cat(n.name, "-boot-", n.boots);
    config.address = n.name;
    config.version = "sim";
    return config;
  }
  static std::vector<executor::RecoveredAttempt> recovered(const SimNode& n) {
    std::vector<executor::RecoveredAttempt> found;
    for (const auto& [key, entry] : n.spool) {
      found.push_back({key, entry.order.leased(), n.shepherds.contains(key), entry.finished});
    }
    return found;
  }

  void connect_scheduler(io::PeerHandler& handler) override {
    transport.connect("sched:6810", io::ClusterMember{NodeName{node.name}},
                      io::ClusterMember{NodeName{"scheduler"}}, handler, true);
  }

  void set_on_gone(OnGone told) override { on_gone = std::move(told); }
  void spawn(const executor::AttemptKey& key,
             const wire::Prepare& order,
             BootTime lease_until) override {
    node.spool[key] = {order, lease_until, std::nullopt};
    cluster.spawn_shepherd(node, key);
  }
  void forget(const executor::AttemptKey& key) override { node.spool.erase(key); }
  Result<void> note_epoch(std::uint64_t epoch) override {
    node.highest_epoch = epoch;
    return {};
  }

  Cluster& cluster;
  SimNode& node;
  Process process;
  SimTransport transport;
  OnGone on_gone;
  executor::AgentDaemon daemon;
};

struct Cluster::ShepherdProcess final : executor::ShepherdPorts, executor::SpoolRecords {
  ShepherdProcess(Cluster& c, SimNode& n, executor::AttemptKey k, std::uint16_t number)
      : cluster(c),
        node(n),
        key(k),
        port(number),
        process(c.world_, n.name, cat("jshepherd ", executor::to_string(k), "@", n.name)),
        transport(c.network_, process),
        runtime(process, c.ledger_, n.name, c.runtime_faults_),
        shepherd({process, transport, *this, runtime, *this,
                  [this](executor::PmixHandler& handler) {
                    return make_sim_pmix_link(process, cluster.ledger_, handler);
                  },
                  [this] {
                    cluster.world_.schedule(cluster.world_.now().boot, 0,
                                            [&cl = cluster, &nd = node, k2 = key] {
                                              cl.end_shepherd(nd, k2, "released");
                                            });
                  }},
                 order(n, k),
                 facts(n),
                 n.spool.at(k).lease_until,
                 1) {}

  static executor::StepOrder order(const SimNode& n, const executor::AttemptKey& k) {
    auto read = executor::read_order(n.spool.at(k).order);
    CHECK(read.has_value());
    return *std::move(read);
  }
  static executor::LaunchFacts facts(const SimNode& n) {
    executor::LaunchFacts facts;
    facts.node = NodeName{n.name};
    facts.user.uid = 1000;
    facts.user.name = "user1000";
    return facts;
  }

  void connect_agent(io::PeerHandler& handler) override {
    transport.connect(node.name + ":agent", io::LocalUser{0, 0, 1}, io::LocalUser{0, 0, 1}, handler,
                      true);
  }
  Result<std::uint16_t> listen_for_gang(io::PeerHandler& handler) override {
    transport.listen(cat(node.name, ":", port), handler);
    return port;
  }
  void connect_peer(const executor::PeerAddress& peer, io::PeerHandler& handler) override {
    transport.connect(cat(peer.node, ":", peer.port), io::ClusterMember{NodeName{node.name}},
                      io::ClusterMember{NodeName{peer.node}}, handler, false);
  }
  Result<void> write_finished(const wire::StepFinished& record) override {
    node.spool.at(key).finished = record;
    return {};
  }

  Cluster& cluster;
  SimNode& node;
  executor::AttemptKey key;
  std::uint16_t port;
  Process process;
  SimTransport transport;
  SimRuntime runtime;
  executor::Shepherd shepherd;
};

Cluster::Cluster(const ClusterOptions& options)
    : options_(options),
      world_(options.seed),
      network_(world_),
      ledger_(world_),
      client_(world_, network_, "login", "sched:client") {
  world_.after_each = [this] { check(); };
  ledger_.may_take_turns = [this](const std::string& a, const std::string& b) {
    return is_sliced(a) && is_sliced(b);
  };
  start_scheduler();
  for (int i = 0; i < options.nodes; ++i) {
    nodes_.push_back(std::make_unique<SimNode>());
    nodes_.back()->name = node_name(i);
    start_agent(i);
  }
}

Cluster::~Cluster() { world_.after_each = {}; }

bool Cluster::is_sliced(const std::string& sandbox) const {
  const auto key = executor::parse_attempt_key(sandbox);
  const auto job = key ? row(key->key.job) : std::nullopt;
  return job && job->spec->queue == QueueName{"sliced"};
}

std::string Cluster::node_name(int index) const {
  return cat("n", index < 9 ? "0" : "", index + 1);
}

void Cluster::start_scheduler() {
  CHECK(scheduler_ == nullptr);
  world_.note("scheduler starts");
  Process opener(world_, "sched", "opener");
  SimStore store(opener, disk_);
  const auto epoch = store.open_epoch();
  auto live = scheduler::complete_live_state(store.load_live().value(), store);
  CHECK(epoch.has_value() && live.has_value());
  scheduler_ = std::make_unique<SchedulerProcess>(*this, *epoch, *std::move(live));
  scheduler_->transport.listen("sched:6810", scheduler_->daemon);
  scheduler_->transport.listen("sched:client", scheduler_->daemon);
  scheduler_->daemon.start();
}

void Cluster::crash_scheduler() {
  world_.note("scheduler crashes");
  scheduler_.reset();
}

const scheduler::ClusterState* Cluster::state() const {
  return scheduler_ ? &scheduler_->controller.state() : nullptr;
}

void Cluster::start_agent(int node) {
  SimNode& n = *nodes_[static_cast<std::size_t>(node)];
  if (n.agent || !n.powered) return;
  world_.note("agent starts on " + n.name);
  n.agent = std::make_unique<AgentProcess>(*this, n);
  n.agent->transport.listen(n.name + ":agent", n.agent->daemon.shepherds());
  n.agent->daemon.start();
}

void Cluster::crash_agent(int node) {
  SimNode& n = *nodes_[static_cast<std::size_t>(node)];
  world_.note("agent crashes on " + n.name);
  n.agent.reset();
}

void Cluster::spawn_shepherd(SimNode& node, const executor::AttemptKey& key) {
  const auto number = static_cast<std::uint16_t>(10'000 + world_.rng().between(0, 50'000));
  auto process = std::make_unique<ShepherdProcess>(*this, node, key, number);
  ShepherdProcess& shepherd = *process;
  node.shepherds[key] = std::move(process);
  // A process takes a moment to start.
  const Duration takes{world_.rng().between(500'000, 5'000'000)};
  shepherd.process.arm(world_.now().boot + takes, [&shepherd] { shepherd.shepherd.start(); });
}

void Cluster::end_shepherd(SimNode& node, const executor::AttemptKey& key, const std::string& why) {
  if (node.shepherds.erase(key) == 0 || !node.agent) return;
  std::optional<wire::StepFinished> finished;
  if (const auto entry = node.spool.find(key); entry != node.spool.end()) {
    finished = entry->second.finished;
  }
  node.agent->process.post([&agent = *node.agent, key, why, finished] {
    if (agent.on_gone) agent.on_gone(key, why, finished);
  });
}

void Cluster::kill_shepherds(int node) {
  SimNode& n = *nodes_[static_cast<std::size_t>(node)];
  std::vector<executor::AttemptKey> keys;
  for (const auto& [key, shepherd] : n.shepherds) keys.push_back(key);
  for (const auto& key : keys) {
    world_.note("shepherd dies: " + executor::to_string(key));
    end_shepherd(n, key, "killed by signal 9");
  }
}

void Cluster::crash_node(int node) {
  SimNode& n = *nodes_[static_cast<std::size_t>(node)];
  world_.note(n.name + " loses power");
  n.powered = false;
  n.agent.reset();
  n.shepherds.clear();
}

void Cluster::boot_node(int node) {
  SimNode& n = *nodes_[static_cast<std::size_t>(node)];
  if (n.powered) return;
  world_.note(n.name + " boots");
  n.powered = true;
  ++n.boots;
  start_agent(node);
}

void Cluster::cut_off(int node, bool on) {
  const std::string self = node_name(node);
  world_.note(cat(self, on ? " is cut off" : " is reachable again"));
  std::vector<std::string> others{"sched", "login"};
  for (int i = 0; i < options_.nodes; ++i) others.push_back(node_name(i));
  for (const std::string& other : others) {
    if (other == self) continue;
    world_.cut(self, other, on);
    world_.cut(other, self, on);
  }
}

// ---- time ---------------------------------------------------------------------------------------

void Cluster::run_for(Duration time) {
  const BootTime limit = world_.now().boot + time;
  bool reached = false;
  world_.schedule(limit, 0, [&reached] { reached = true; });
  while (broken_.empty() && !reached && world_.step(limit)) {
  }
}

bool Cluster::run_until(const std::function<bool()>& done, Duration limit) {
  const BootTime last = world_.now().boot + limit;
  while (broken_.empty() && !done()) {
    if (!world_.step(last)) return done();
  }
  return broken_.empty();
}

void Cluster::check() {
  if (!broken_.empty()) return;
  broken_ = ledger_.violations();
  if (!broken_.empty() || !scheduler_) return;
  // The whole state is looked at when it has changed.
  std::uint64_t version = 1;
  for (const auto& [key, job] : scheduler_->controller.state().jobs()) {
    version = version * 31 + job.version * 7 + key.job.value;
  }
  if (version == checked_version_) return;
  checked_version_ = version;
  broken_ = check_now(scheduler_->controller, ledger_);
}

std::vector<std::string> Cluster::violations() const { return broken_; }

std::vector<std::string> Cluster::violations_at_rest() const {
  if (!broken_.empty()) return broken_;
  return check_disk(disk_, acknowledged());
}

// ---- people -------------------------------------------------------------------------------------

void Cluster::submit(wire::Request request) {
  const std::string key = request.submit().key();
  client_.ask(std::move(request), [this, key](const wire::Response& response) {
    if (response.has_error()) {
      world_.note(cat("refused ", key, ": ", response.error().message()));
      acknowledged_[key];
      return;
    }
    std::vector<JobId> ids;
    for (const std::uint64_t id : response.submitted().jobs()) ids.push_back({id});
    world_.note(cat("accepted ", key));
    acknowledged_[key] = ids;
  });
}

void Cluster::act(wire::Act::Verb verb, JobId id) {
  wire::Request request;
  request.mutable_act()->set_verb(verb);
  wire::to_wire(JobKey{id}, request.mutable_act()->add_keys());
  client_.ask(std::move(request), [](const wire::Response&) {});
}

void Cluster::alter(JobId id, const std::string& name) {
  wire::Request request;
  wire::to_wire(JobKey{id}, request.mutable_alter()->add_keys());
  request.mutable_alter()->set_name(name);
  client_.ask(std::move(request), [](const wire::Response&) {});
}

std::vector<JobId> Cluster::acknowledged() const {
  std::vector<JobId> all;
  for (const auto& [key, ids] : acknowledged_) all.insert(all.end(), ids.begin(), ids.end());
  return all;
}

std::optional<JobId> Cluster::job_of(const std::string& key) const {
  const auto found = acknowledged_.find(key);
  if (found == acknowledged_.end() || found->second.empty()) return std::nullopt;
  return found->second.front();
}

std::optional<Job> Cluster::row(JobId id) const {
  const auto found = disk_.jobs.find(JobKey{id});
  if (found == disk_.jobs.end()) return std::nullopt;
  return found->second;
}

PendingReason Cluster::reason_of(JobId id) const {
  return scheduler_->controller.reason_of(JobKey{id});
}

bool Cluster::all_ended() const {
  return client_.unanswered() == 0 && std::ranges::all_of(acknowledged(), [this](JobId id) {
           const auto job = row(id);
           return job && job->is_finished();
         });
}

int Cluster::programs_started(JobId id) const {
  int count = 0;
  for (const auto& [name, run] : ledger_.runs()) {
    const auto key = executor::parse_attempt_key(name);
    if (key && key->key.job == id) count += run.started;
  }
  return count;
}

int Cluster::live_programs() const {
  int count = 0;
  for (const auto& [name, run] : ledger_.runs()) count += run.programs;
  return count;
}

}  // namespace gangway::sim
