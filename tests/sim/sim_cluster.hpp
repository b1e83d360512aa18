// The cluster in one process: the real controller, daemon, agents, shepherds and fence trees over a
// simulated world, on hosts "sched" and "n01", "n02", …
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "executor/agent_daemon.hpp"
#include "executor/shepherd.hpp"
#include "queues/store/job_store.hpp"
#include "scheduler/controller.hpp"
#include "scheduler/daemon.hpp"
#include "tests/sim/sim_client.hpp"
#include "tests/sim/sim_runtime.hpp"
#include "tests/sim/sim_store.hpp"
#include "tests/sim/sim_transport.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

struct ClusterOptions {
  std::uint64_t seed = 1;
  int nodes = 4;
  int cores = 4;
  Duration lease = seconds(30);
  Duration heartbeat = seconds(2);
  Duration prepare_timeout = minutes(2);
  int gangs = 0;  // so many share a core in a queue "sliced"; 0: there is none
  Duration slice = seconds(3);
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] Ledger& ledger() { return ledger_; }
  [[nodiscard]] Disk& disk() { return disk_; }
  [[nodiscard]] RuntimeFaults& runtime_faults() { return runtime_faults_; }
  [[nodiscard]] std::string node_name(int index) const;  // from 0

  // ---- processes ----
  void start_scheduler();
  void crash_scheduler();
  [[nodiscard]] bool scheduler_runs() const { return scheduler_ != nullptr; }
  [[nodiscard]] const scheduler::ClusterState* state()
      const;  // nullptr while the scheduler is down
  void start_agent(int node);
  void crash_agent(int node);
  void kill_shepherds(int node);
  void crash_node(int node);  // power off: everything on it dies, its spool stays
  void boot_node(int node);   // under a new boot id
  // Both ways, between the node and every other host.
  void cut_off(int node, bool on);

  // ---- time ----
  void run_for(Duration time);
  // False if `done` has not become true within `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit);

  // ---- people ----
  // Submits and notes what was acknowledged under `key`.
  void submit(wire::Request request);
  [[nodiscard]] std::vector<JobId> acknowledged() const;
  [[nodiscard]] std::optional<JobId> job_of(const std::string& key) const;
  void act(wire::Act::Verb verb, JobId id);
  // Another spec for a job that waits; what does not wait stays what it is.
  void alter(JobId id, const std::string& name);
  [[nodiscard]] std::size_t unanswered() const { return client_.unanswered(); }

  // ---- what became of it ----
  [[nodiscard]] std::optional<Job> row(JobId id) const;   // as stored
  [[nodiscard]] PendingReason reason_of(JobId id) const;  // requires: the scheduler runs
  [[nodiscard]] bool all_ended() const;                   // of the acknowledged, as stored
  [[nodiscard]] int programs_started(JobId id) const;
  [[nodiscard]] int live_programs() const;
  // Broken rules in words; checked after every event too, where the first one stops the run.
  [[nodiscard]] std::vector<std::string> violations() const;
  [[nodiscard]] std::vector<std::string> violations_at_rest() const;

 private:
  struct SchedulerProcess;
  struct AgentProcess;
  struct ShepherdProcess;
  struct SpoolEntry {
    wire::Prepare order;
    BootTime lease_until;
    std::optional<wire::StepFinished> finished;
  };
  struct SimNode {
    std::string name;
    int boots = 1;
    bool powered = true;
    std::uint64_t highest_epoch = 0;
    std::map<executor::AttemptKey, SpoolEntry> spool;
    std::unique_ptr<AgentProcess> agent;
    std::map<executor::AttemptKey, std::unique_ptr<ShepherdProcess>> shepherds;
  };
  void spawn_shepherd(SimNode& node, const executor::AttemptKey& key);
  void end_shepherd(SimNode& node, const executor::AttemptKey& key, const std::string& why);
  void check();
  [[nodiscard]] bool is_sliced(const std::string& sandbox) const;

  ClusterOptions options_;
  World world_;
  Network network_;
  Ledger ledger_;
  Disk disk_;
  RuntimeFaults runtime_faults_;
  std::unique_ptr<SchedulerProcess> scheduler_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  SimClient client_;
  std::map<std::string, std::vector<JobId>> acknowledged_;
  std::vector<std::string> broken_;
  std::uint64_t checked_version_ = 0;
};

}  // namespace gangway::sim
