#include "executor/step_streams.hpp"

#include <algorithm>

#include "executor/binding.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

// Output that may be on its way to clients that do not read, of all parts of all steps; each part
// has at least one page of it.
constexpr std::uint32_t kOutputOnItsWay = 8 << 20;
constexpr std::uint32_t kMaxWindow = 256 << 10;
constexpr std::uint32_t kMinWindow = 4 << 10;

// One rank alone has the input, and it runs on the origin's node.
bool reader_is_here(const wire::StepRun& run, const StepLayout& layout) {
  const StepNode& first = layout.nodes.front();
  if (first.node_index != 0) return false;
  if (run.input() == wire::INPUT_ALL) return layout.tasks == 1;
  return run.input() == wire::INPUT_ONE &&
         std::binary_search(first.ranks.begin(), first.ranks.end(), run.input_rank());
}

}  // namespace

bool choose_streams(wire::StepRun& run, const StepLayout& layout, StepDescriptors& client) {
  // Who has no descriptors here gets frames.
  if (!client.out) run.set_pass_out(false);
  if (!client.err) run.set_pass_err(false);
  if (run.terminal() || !run.pass_out()) client.out.reset();
  if (run.terminal() || !run.pass_err()) client.err.reset();
  if (run.terminal() || !run.pass_in() || !reader_is_here(run, layout)) client.in.reset();
  if (run.terminal()) return true;
  if (run.host_files()) return false;  // the end of a reader's input is the origin's to tell
  return run.input() != wire::INPUT_NONE && !client.in && run.in().empty();
}

std::uint32_t output_window(std::size_t parts) {
  CHECK(parts > 0);
  return std::clamp(kOutputOnItsWay / static_cast<std::uint32_t>(parts), kMinWindow, kMaxWindow);
}

wire::StepRun plan_file_reader(const StepOrder& order,
                               const LaunchFacts& facts,
                               const wire::StepFollow& what) {
  const auto task = static_cast<std::int32_t>(what.task());
  wire::StepRun run;
  for (const NodeShare& share : order.allocation.shares) {
    const bool is_here = task >= share.first_task && task < share.first_task + share.tasks;
    if (is_here) run.add_only_nodes(share.node.value);
  }
  if (order.spec.launch == LaunchMode::Batch || run.only_nodes_size() != 1) {
    run.clear_only_nodes();
    run.add_only_nodes(order.allocation.shares.front().node.value);
  }
  LaunchFacts there = facts;
  there.node = NodeName(run.only_nodes(0));
  StepOrder of_node = order;
  for (std::uint32_t i = 0; i < order.allocation.shares.size(); ++i) {
    if (order.allocation.shares[i].node == there.node) of_node.node_index = i;
  }
  run.set_nodes(1);
  run.set_tasks(1);
  run.set_overlap(true);
  run.set_bind(static_cast<std::uint32_t>(BindTo::None));
  run.set_host_files(true);
  run.set_input(wire::INPUT_ALL);  // which ends with the job
  run.set_workdir("/");
  run.set_job_env(true);
  wire::StepProgram& program = *run.add_programs();
  program.add_argv(facts.step_tool);
  program.add_argv("--read-file");
  program.add_argv(what.follow() ? "follow" : "once");
  program.add_argv(cat(what.lines()));
  program.add_argv(plan_output_path(of_node, there, task, static_cast<int>(what.stream())));
  return run;
}

}  // namespace gangway::executor
