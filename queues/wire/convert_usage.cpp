#include "queues/wire/convert.hpp"

namespace gangway::wire {

void to_wire(const gangway::UsedAmounts& used, Usage* out) {
  out->set_cpu_ns(used.cpu.ns);
  out->set_peak_memory_bytes(used.peak_memory.value);
  out->set_wall_ns(used.wall.ns);
  out->set_read_bytes(used.read.value);
  out->set_written_bytes(used.written.value);
}

gangway::UsedAmounts from_wire(const Usage& m) {
  return {.cpu = Duration{m.cpu_ns()},
          .peak_memory = Bytes{m.peak_memory_bytes()},
          .wall = Duration{m.wall_ns()},
          .read = Bytes{m.read_bytes()},
          .written = Bytes{m.written_bytes()}};
}

void to_wire(const gangway::StepRecord& step, StepUsage* out) {
  out->set_step(step.step);
  out->set_name(step.name);
  out->set_nodes(static_cast<std::uint32_t>(step.nodes));
  out->set_tasks(static_cast<std::uint32_t>(step.tasks));
  out->set_exit_code(step.exit_code);
  out->set_started_at_ns(step.started.ns);
  to_wire(step.used, out->mutable_usage());
}

gangway::StepRecord from_wire(const StepUsage& m) {
  return {.step = m.step(),
          .name = m.name(),
          .nodes = static_cast<std::int32_t>(m.nodes()),
          .tasks = static_cast<std::int32_t>(m.tasks()),
          .exit_code = m.exit_code(),
          .started = Time{m.started_at_ns()},
          .used = from_wire(m.usage())};
}

void to_wire(const gangway::JobUsage& usage, JobUsage* out) {
  for (const gangway::NodeUsage& node : usage.nodes) {
    NodeUsage* const to = out->add_nodes();
    to->set_node(node.node.value);
    to_wire(node.used, to->mutable_usage());
  }
  for (const gangway::StepRecord& step : usage.steps) to_wire(step, out->add_steps());
}

gangway::JobUsage from_wire(const JobUsage& m) {
  gangway::JobUsage usage;
  for (const NodeUsage& node : m.nodes()) {
    usage.nodes.push_back({NodeName{node.node()}, from_wire(node.usage())});
  }
  for (const StepUsage& step : m.steps()) usage.steps.push_back(from_wire(step));
  return usage;
}

}  // namespace gangway::wire
