#include "executor/step_layout.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

Error bad(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

class Layouter {
 public:
  Layouter(const wire::StepRun& run,
           const Allocation& allocation,
           std::int32_t job_cpus_per_task,
           const CoresInUse& in_use)
      : run_(run), allocation_(allocation), job_cpus_(job_cpus_per_task), in_use_(in_use) {}

  Result<std::optional<StepLayout>> make() {
    GANGWAY_TRY(find_nodes());
    GANGWAY_TRY(count());
    if (!choose_nodes()) return std::optional<StepLayout>();
    count_tasks_of_nodes();
    StepLayout layout;
    layout.tasks = static_cast<std::uint32_t>(tasks_);
    layout.counts = !run_.overlap();
    layout.nodes.resize(chosen_.size());
    deal_ranks(layout);
    // Large planes leave nodes without a task.
    std::erase_if(layout.nodes, [](const StepNode& node) { return node.ranks.empty(); });
    layout.cpus_per_task = cpus_per_task(layout);
    for (StepNode& node : layout.nodes) choose_cores(node, layout.cpus_per_task);
    return std::optional<StepLayout>(std::move(layout));
  }

 private:
  // Those that the step may run on, in order of the allocation.
  Result<void> find_nodes() {
    std::set<std::string> only(run_.only_nodes().begin(), run_.only_nodes().end());
    const std::set<std::string> without(run_.not_nodes().begin(), run_.not_nodes().end());
    for (std::uint32_t i = 0; i < allocation_.shares.size(); ++i) {
      const std::string& name = allocation_.shares[i].node.value;
      if (without.contains(name)) continue;
      if (run_.only_nodes_size() > 0 && only.erase(name) == 0) continue;
      usable_.push_back(i);
    }
    if (!only.empty()) return bad(cat("--nodelist: ", *only.begin(), " is not of this allocation"));
    if (usable_.empty()) return bad("--exclude leaves no node of the allocation");
    return {};
  }

  // Nodes and tasks, where the step says one of them or nothing.
  Result<void> count() {
    const auto usable = static_cast<std::int32_t>(usable_.size());
    nodes_ = run_.nodes();
    tasks_ = run_.tasks();
    if (nodes_ > usable) {
      return bad(cat("--nodes=", nodes_, ": ", usable, " of the allocation can be used"));
    }
    if (nodes_ == 0 && run_.only_nodes_size() > 0) nodes_ = usable;
    if (tasks_ == 0 && run_.tasks_per_node() > 0) {
      if (nodes_ == 0) nodes_ = usable;
      const std::int64_t all = std::int64_t{nodes_} * run_.tasks_per_node();
      if (all > kMaxStepTasks)
        return bad(
            cat("--ntasks-per-node=", run_.tasks_per_node(), ": ", all, " tasks are too many"));
      tasks_ = static_cast<std::int32_t>(all);
    }
    if (tasks_ == 0 && nodes_ == 0) {
      nodes_ = usable;
      for (const std::uint32_t i : usable_) tasks_ += tasks_given(i);
    }
    if (tasks_ == 0) {
      // So many as the job has on so many nodes.
      for (std::int32_t i = 0; i < nodes_; ++i) tasks_ += tasks_given(usable_[i]);
    }
    if (nodes_ == 0) {
      nodes_ = std::min(usable, tasks_);
      if (run_.tasks_per_node() > 0) {
        nodes_ = (tasks_ + run_.tasks_per_node() - 1) / run_.tasks_per_node();
        if (nodes_ > usable) {
          return bad(cat("--ntasks-per-node=", run_.tasks_per_node(), ": ", tasks_, " tasks need ",
                         nodes_, " nodes, ", usable, " can be used"));
        }
      }
    }
    if (tasks_ < nodes_) nodes_ = tasks_;
    if (tasks_ > kMaxStepTasks) return bad(cat("--ntasks=", tasks_, ": too many"));
    if (run_.tasks_per_node() > 0 &&
        std::int64_t{tasks_} > std::int64_t{nodes_} * run_.tasks_per_node()) {
      return bad(cat("--ntasks=", tasks_, ": ", nodes_, " nodes with --ntasks-per-node=",
                     run_.tasks_per_node(), " have no room for them"));
    }
    if (run_.exact()) {
      std::vector<std::int32_t> most;
      for (const std::uint32_t i : usable_) {
        most.push_back(static_cast<std::int32_t>(allocation_.shares[i].cores.size()) / each());
      }
      std::sort(most.rbegin(), most.rend());
      std::int64_t room = 0;
      for (std::int32_t i = 0; i < nodes_; ++i) room += most[static_cast<std::size_t>(i)];
      if (room < tasks_ || most[static_cast<std::size_t>(nodes_) - 1] < 1) {
        return bad(cat("--exact: ", tasks_, " tasks of ", each(), " cores on ", nodes_,
                       " nodes are more than the allocation has"));
      }
    }
    return {};
  }

  [[nodiscard]] std::int32_t tasks_given(std::uint32_t node) const {
    return std::max(allocation_.shares[node].tasks, 1);
  }
  [[nodiscard]] std::int32_t each() const {
    return std::max(run_.cpus_per_task() > 0 ? run_.cpus_per_task() : job_cpus_, 1);
  }

  [[nodiscard]] int uses(std::uint32_t node, std::int32_t core) const {
    if (run_.overlap() || node >= in_use_.size()) return 0;
    const auto found = in_use_[node].find(core);
    return found == in_use_[node].end() ? 0 : found->second;
  }
  [[nodiscard]] std::int32_t free_cores(std::uint32_t node) const {
    const auto& cores = allocation_.shares[node].cores;
    return static_cast<std::int32_t>(std::count_if(
        cores.begin(), cores.end(), [&](auto core) { return uses(node, core) == 0; }));
  }
  // Tasks that find cores of their own there.
  [[nodiscard]] std::int32_t room(std::uint32_t node) const { return free_cores(node) / each(); }

  // The least used first; with none in use that is the order of the allocation.
  bool choose_nodes() {
    std::vector<std::uint32_t> order = usable_;
    if (run_.only_nodes_size() == 0) {
      const auto used = [&](std::uint32_t node) {
        return static_cast<std::int32_t>(allocation_.shares[node].cores.size()) - free_cores(node);
      };
      if (run_.exact()) {
        std::erase_if(order, [&](std::uint32_t node) { return room(node) < 1; });
      } else {
        std::stable_sort(order.begin(), order.end(),
                         [&](auto a, auto b) { return used(a) < used(b); });
      }
    }
    if (order.size() < static_cast<std::size_t>(nodes_)) return false;
    order.resize(static_cast<std::size_t>(nodes_));
    std::sort(order.begin(), order.end());
    chosen_ = std::move(order);
    if (!run_.exact()) return true;
    std::int64_t all = 0;
    for (const std::uint32_t node : chosen_) all += room(node);
    return all >= tasks_;
  }

  [[nodiscard]] std::int32_t limit_of(std::size_t place) const {
    const std::uint32_t node = chosen_[place];
    const auto cores = static_cast<std::int32_t>(allocation_.shares[node].cores.size());
    std::int32_t limit = run_.exact() ? room(node) : std::max(cores / each(), 1);
    if (run_.tasks_per_node() > 0) limit = std::min(limit, run_.tasks_per_node());
    return limit;
  }

  void count_tasks_of_nodes() {
    counts_.assign(chosen_.size(), 0);
    const auto distribution = static_cast<NodeDistribution>(run_.distribution());
    if (distribution == NodeDistribution::Default && is_as_the_job()) {
      for (std::size_t i = 0; i < chosen_.size(); ++i) {
        counts_[i] = allocation_.shares[chosen_[i]].tasks;
      }
      return;
    }
    std::int32_t left = tasks_;
    const auto plane = static_cast<std::int32_t>(std::max(run_.plane(), 1));
    const std::int32_t at_once = distribution == NodeDistribution::Plane    ? plane
                                 : distribution == NodeDistribution::Cyclic ? 1
                                                                            : 0;
    for (std::size_t i = 0; i < counts_.size() && at_once == 0; ++i) {
      counts_[i] = 1;  // block: no node without a task
      --left;
    }
    bool full = false;
    while (left > 0) {
      const std::int32_t before = left;
      for (std::size_t i = 0; i < counts_.size() && left > 0; ++i) {
        const std::int32_t space = full ? tasks_ : std::max(limit_of(i) - counts_[i], 0);
        std::int32_t more = std::min(left, space);
        if (at_once > 0) more = std::min(more, at_once);
        // More tasks than the nodes have room for: shared out evenly.
        if (at_once == 0 && full) more = std::min(more, 1);
        counts_[i] += more;
        left -= more;
      }
      if (left == before) full = true;
    }
  }

  [[nodiscard]] bool is_as_the_job() const {
    if (chosen_.size() != allocation_.shares.size() || run_.exact()) return false;
    std::int32_t given = 0;
    for (const NodeShare& share : allocation_.shares) {
      if (share.tasks < 1) return false;
      given += share.tasks;
    }
    return given == tasks_;
  }

  void deal_ranks(StepLayout& layout) const {
    const auto distribution = static_cast<NodeDistribution>(run_.distribution());
    const std::size_t at_once = distribution == NodeDistribution::Cyclic ? 1
                                : distribution == NodeDistribution::Plane
                                    ? static_cast<std::size_t>(std::max(run_.plane(), 1))
                                    : static_cast<std::size_t>(tasks_);
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < chosen_.size(); ++i) layout.nodes[i].node_index = chosen_[i];
    while (rank < static_cast<std::uint32_t>(tasks_)) {
      for (std::size_t i = 0; i < chosen_.size(); ++i) {
        std::vector<std::uint32_t>& ranks = layout.nodes[i].ranks;
        for (std::size_t n = 0; n < at_once && ranks.size() < static_cast<std::size_t>(counts_[i]);
             ++n) {
          ranks.push_back(rank++);
        }
      }
    }
  }

  // As asked; else the job's, for exact; else the cores of the node are shared out.
  [[nodiscard]] std::int32_t cpus_per_task(const StepLayout& layout) const {
    if (run_.cpus_per_task() > 0 || run_.exact()) return each();
    std::int32_t least = std::numeric_limits<std::int32_t>::max();
    for (const StepNode& node : layout.nodes) {
      const std::int32_t cores = free_cores(node.node_index);
      least = std::min(least, cores / static_cast<std::int32_t>(node.ranks.size()));
    }
    return std::max(least, 1);
  }

  void choose_cores(StepNode& node, std::int32_t cpus) const {
    const std::vector<std::int32_t>& given = allocation_.shares[node.node_index].cores;
    const std::size_t wanted = node.ranks.size() * static_cast<std::size_t>(cpus);
    std::vector<std::int32_t> unused;
    for (const std::int32_t core : given) {
      if (uses(node.node_index, core) == 0) unused.push_back(core);
    }
    node.bound = unused.size() >= wanted;
    node.cores = node.bound ? unused : given;
    // Without `exact` the ranks spread over all that nobody uses, over all sockets.
    if (run_.exact()) node.cores.resize(wanted);
  }

  const wire::StepRun& run_;
  const Allocation& allocation_;
  std::int32_t job_cpus_;
  const CoresInUse& in_use_;
  std::vector<std::uint32_t> usable_;
  std::vector<std::uint32_t> chosen_;
  std::vector<std::int32_t> counts_;
  std::int32_t nodes_ = 0;
  std::int32_t tasks_ = 0;
};

void change_use(const StepLayout& layout, CoresInUse& in_use, int by) {
  if (!layout.counts) return;
  for (const StepNode& node : layout.nodes) {
    CHECK(node.node_index < in_use.size());
    std::map<std::int32_t, int>& cores = in_use[node.node_index];
    for (const std::int32_t core : node.cores) {
      if ((cores[core] += by) == 0) cores.erase(core);
    }
  }
}

}  // namespace

Result<void> check_step_run(const wire::StepRun& run) {
  const auto check = [](std::string_view name, std::int64_t value, std::int64_t most) {
    return value >= 0 && value <= most
               ? Result<void>()
               : Result<void>(bad(cat(name, '=', value, ": not between 0 and ", most)));
  };
  GANGWAY_TRY(check("--nodes", run.nodes(), kMaxStepTasks));
  GANGWAY_TRY(check("--ntasks", run.tasks(), kMaxStepTasks));
  GANGWAY_TRY(check("--cpus-per-task", run.cpus_per_task(), kMaxStepTasks));
  GANGWAY_TRY(check("--ntasks-per-node", run.tasks_per_node(), kMaxStepTasks));
  GANGWAY_TRY(check("plane", run.plane(), kMaxStepTasks));
  GANGWAY_TRY(check("distribution", run.distribution(),
                    static_cast<std::int64_t>(NodeDistribution::Plane)));
  GANGWAY_TRY(check("--time in nanoseconds", run.time_limit_ns(), kMaxStepTime.ns));
  GANGWAY_TRY(check("--wait in nanoseconds", run.wait_ns(), kMaxStepTime.ns));
  return check("umask", run.umask(), 0777);
}

Result<std::optional<StepLayout>> lay_out_step(const wire::StepRun& run,
                                               const Allocation& allocation,
                                               std::int32_t job_cpus_per_task,
                                               const CoresInUse& in_use) {
  GANGWAY_TRY(check_step_run(run));
  return Layouter(run, allocation, job_cpus_per_task, in_use).make();
}

void take_cores(const StepLayout& layout, CoresInUse& in_use) { change_use(layout, in_use, 1); }
void give_back_cores(const StepLayout& layout, CoresInUse& in_use) {
  change_use(layout, in_use, -1);
}

std::string render_ranks(const std::vector<std::uint32_t>& ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += cat(ranks[i]);
    if (last > i) text += cat('-', ranks[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace gangway::executor
