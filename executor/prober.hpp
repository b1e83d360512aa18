// Prober: asks a replica's probes and tells how it is.
//
// Each question is a short program in the replica's sandbox, so that it sees the network, the files
// and the user that the replica does: the probe's command in the image, or our own tool that
// connects to a port. Its exit code is the answer; one that takes longer than its timeout is killed
// and was a bad one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "containers/runtime.hpp"
#include "executor/launch_plan.hpp"
#include "executor/probe_machine.hpp"
#include "executor/step_machine.hpp"
#include "queues/io/event_loop.hpp"

namespace gangway::executor {

// The program of one question. Pure.
[[nodiscard]] containers::ProgramRequest plan_probe(const StepOrder& order,
                                                    const LaunchFacts& facts,
                                                    const containers::SandboxReady& sandbox,
                                                    ProbeKind kind);

class Prober final {
 public:
  struct World {
    io::EventLoop& loop;
    containers::ContainerRuntime& runtime;
    const StepOrder& order;
    const LaunchFacts& facts;
    const containers::SandboxReady& sandbox;
    std::function<void(const ReplicaHealth&)> tell;  // each time it changes, and once at first
  };
  // Requires: the order is a replica's, and its programs have been started.
  explicit Prober(World world);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  [[nodiscard]] const ReplicaHealth& health() const { return health_; }

 private:
  void go_on();
  void ask(ProbeKind kind);
  void answer(ProbeKind kind, bool good, std::string why);

  World world_;
  ProbeMachine machine_;
  ReplicaHealth health_;
  std::optional<io::TimerId> timer_;
  std::map<ProbeKind, io::TimerId> timeouts_;
  std::shared_ptr<bool> alive_;  // callbacks of the runtime may come after our end
};

}  // namespace gangway::executor
