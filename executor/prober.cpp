#include "executor/prober.hpp"

#include <csignal>
#include <utility>

#include "executor/exit_status.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/model/service_ports.hpp"

namespace gangway::executor {
namespace {

constexpr std::uint32_t kFirstProbeId = 0xfffffff0;
std::uint32_t id_of(ProbeKind kind) { return kFirstProbeId + static_cast<std::uint32_t>(kind); }

// Where the probe connects: the port of that name or number, or the only one.
std::int32_t port_of(const StepOrder& order, const Probe& probe) {
  const NodeShare& share = order.allocation.shares[order.node_index];
  for (const ContainerPort& port : order.replica->ports) {
    const bool is_meant = probe.port.empty() || port.name == probe.port ||
                          (port.port > 0 && cat(port.port) == probe.port);
    if (is_meant) return host_port(port, share).value_or(0);
  }
  return parse_integer<std::int32_t>(probe.port).value_or(0);
}

}  // namespace

containers::ProgramRequest plan_probe(const StepOrder& order,
                                      const LaunchFacts& facts,
                                      const containers::SandboxReady& sandbox,
                                      ProbeKind kind) {
  const Probe& probe = *order.replica->of(kind);
  containers::ProgramRequest program;
  program.id = id_of(kind);
  program.out = {.path = "/dev/null", .truncate = false};
  program.env = plan_environment(order, facts, sandbox).strings();
  program.workdir = plan_directory(order, sandbox);
  switch (probe.kind) {
    case Probe::Kind::Exec:
      program.argv = probe.command;
      if (probe.shell) program.argv = {"/bin/sh", "-c", join(probe.command, " ")};
      break;
    case Probe::Kind::Tcp:
      program.argv = {facts.step_tool, "--probe", cat(port_of(order, probe))};
      break;
    case Probe::Kind::Http:
      program.argv = {facts.step_tool, "--probe", cat(port_of(order, probe)), probe.path};
      break;
  }
  if (probe.kind != Probe::Kind::Exec) {
    program.host_files = true;
    program.workdir = "/";
  }
  return program;
}

Prober::Prober(World world)
    : world_(std::move(world)),
      machine_(*world_.order.replica, world_.loop.now().boot),
      alive_(std::make_shared<bool>(true)) {
  health_ = machine_.health();
  world_.tell(health_);
  go_on();
}

Prober::~Prober() {
  *alive_ = false;
  if (timer_) world_.loop.cancel(*timer_);
  for (const auto& [kind, timer] : timeouts_) world_.loop.cancel(timer);
}

void Prober::go_on() {
  for (const ProbeKind kind : machine_.ask(world_.loop.now().boot)) ask(kind);
  if (timer_) world_.loop.cancel(*std::exchange(timer_, std::nullopt));
  const auto next = machine_.next();
  if (!next) return;
  timer_ = world_.loop.arm(*next, [this] {
    timer_.reset();
    go_on();
  });
}

void Prober::ask(ProbeKind kind) {
  const Duration timeout = world_.order.replica->of(kind)->timeout;
  // It counts as answered when its program is gone: the next one has the same id.
  const auto late = std::make_shared<bool>(false);
  timeouts_[kind] = world_.loop.arm(world_.loop.now().boot + timeout, [this, kind, late] {
    timeouts_.erase(kind);
    *late = true;
    world_.runtime.signal(SIGKILL, id_of(kind));
  });
  std::vector<containers::ProgramRequest> programs;
  programs.push_back(plan_probe(world_.order, world_.facts, world_.sandbox, kind));
  world_.runtime.start(std::move(programs), [this, alive = alive_, kind, late,
                                             timeout](const containers::ProgramEnd& end) {
    if (!*alive) return;
    if (const auto timer = timeouts_.find(kind); timer != timeouts_.end()) {
      world_.loop.cancel(timer->second);
      timeouts_.erase(timer);
    }
    const bool good = end.started && end.wait_status == 0 && !*late;
    answer(kind, good,
           *late          ? cat("no answer for ", render_duration(timeout))
           : !end.started ? end.message
                          : describe(read_wait_status(end.wait_status)));
  });
}

void Prober::answer(ProbeKind kind, bool good, std::string why) {
  machine_.answered(kind, good, std::move(why), world_.loop.now().boot);
  if (ReplicaHealth now = machine_.health(); now != health_) {
    health_ = std::move(now);
    world_.tell(health_);
  }
  go_on();
}

}  // namespace gangway::executor
