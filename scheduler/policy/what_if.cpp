#include "scheduler/policy/what_if.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>

#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMaxQueuesTried = 16;
// Changes that give up no amount, against those that do.
constexpr double kOtherQueue = 0.2;
constexpr double kNoNames = 0.3;
constexpr double kNoConstraint = 0.3;
constexpr double kNotExclusive = 0.4;

// Amounts below `n`, not too many.
std::vector<std::int64_t> amounts_below(std::int64_t n) {
  std::set<std::int64_t, std::greater<>> out;
  for (std::int64_t less = 1; less <= 4; ++less) out.insert(n - less);
  for (const std::int64_t part : {n * 3 / 4, n / 2, n / 4, std::int64_t{1}}) out.insert(part);
  std::erase_if(out, [&](std::int64_t amount) { return amount < 1 || amount >= n; });
  return {out.begin(), out.end()};
}

double part_given_up(std::int64_t from, std::int64_t to) {
  return static_cast<double>(from - to) / static_cast<double>(from);
}

class Maker {
 public:
  explicit Maker(const Candidate& job) : job_(job) {}

  void make_all(const std::vector<Queue>& queues, const std::vector<Duration>& holes) {
    for (std::size_t c = 0; c < job_.components.size(); ++c) {
      fewer_nodes(c);
      fewer_tasks(c);
      fewer_cores(c);
      less_memory(c);
      fewer_named(c);
      fewer_wishes(c);
    }
    shorter(holes);
    elsewhere(queues);
  }

  std::vector<Variant> take() && {
    std::stable_sort(variants_.begin(), variants_.end(), [](const Variant& a, const Variant& b) {
      return std::pair(a.size, a.change) < std::pair(b.size, b.change);
    });
    return std::move(variants_);
  }

 private:
  // The job with one component changed.
  Component& add(std::size_t c, Change change, double size, std::string text) {
    if (job_.components.size() > 1) text += cat(" in component ", c);
    variants_.push_back({change, size, std::move(text), job_});
    return variants_.back().job.components[c];
  }

  void fewer_nodes(std::size_t c) {
    const Component& asked = job_.components[c];
    std::int64_t least = 1;
    if (const auto constraint = parse_constraint(asked.constraint)) {
      least = std::max(least, constraint->counted_nodes());
    }
    for (const std::int64_t nodes : amounts_below(asked.nodes)) {
      if (nodes < least) continue;
      Component& changed =
          add(c, Change::Nodes, part_given_up(asked.nodes, nodes),
              cat("with ", nodes, nodes == 1 ? " node" : " nodes", " instead of ", asked.nodes));
      // As many tasks on each as before.
      changed.nodes = static_cast<std::int32_t>(nodes);
      changed.tasks = static_cast<std::int32_t>(
          std::max(nodes, std::int64_t{asked.tasks} * nodes / asked.nodes));
    }
  }

  void fewer_tasks(std::size_t c) {
    const Component& asked = job_.components[c];
    if (asked.nodes != 1 || asked.cores_per_node > 0) return;
    for (const std::int64_t tasks : amounts_below(asked.tasks)) {
      add(c, Change::Tasks, part_given_up(asked.tasks, tasks),
          cat("with ", tasks, tasks == 1 ? " task" : " tasks", " instead of ", asked.tasks))
          .tasks = static_cast<std::int32_t>(tasks);
    }
  }

  void fewer_cores(std::size_t c) {
    const Component& asked = job_.components[c];
    if (asked.cores_per_node > 0) return;
    for (const std::int64_t cores : amounts_below(asked.cpus_per_task)) {
      add(c, Change::Cores, part_given_up(asked.cpus_per_task, cores),
          cat("with ", cores, cores == 1 ? " core" : " cores", " for each task instead of ",
              asked.cpus_per_task))
          .cpus_per_task = static_cast<std::int32_t>(cores);
    }
  }

  void less_memory(std::size_t c) {
    const std::int64_t asked = job_.components[c].memory_per_node.value;
    for (const std::int64_t quarters : {3, 2, 1}) {
      const Bytes less = mebibytes((asked / 4 * quarters) >> 20);
      if (less.value == 0 || less.value >= asked) continue;
      add(c, Change::Memory, part_given_up(asked, less.value),
          cat("with ", render_bytes(less), " of memory on each node instead of ",
              render_bytes(Bytes{asked})))
          .memory_per_node = less;
    }
  }

  void fewer_named(std::size_t c) {
    const Component& asked = job_.components[c];
    for (const auto& [name, amount] : asked.named_per_node.named) {
      for (const std::int64_t less : amounts_below(amount)) {
        add(c, Change::Named, part_given_up(amount, less),
            cat("with ", name, ':', less, " on each node instead of ", name, ':', amount))
            .named_per_node.set_named(name, less);
      }
    }
  }

  void fewer_wishes(std::size_t c) {
    const Component& asked = job_.components[c];
    if (!asked.constraint.empty()) {
      add(c, Change::Constraint, kNoConstraint, cat("without --constraint=", asked.constraint))
          .constraint.clear();
    }
    if (!asked.only_nodes.empty()) {
      add(c, Change::Names, kNoNames, "without --nodelist").only_nodes.clear();
    }
    if (!asked.not_nodes.empty()) {
      add(c, Change::Names, kNoNames, "without --exclude").not_nodes.clear();
    }
    if (asked.exclusive) {
      add(c, Change::Shared, kNotExclusive, "without --exclusive").exclusive = false;
    }
  }

  void shorter(const std::vector<Duration>& holes) {
    std::vector<Duration> limits = holes;
    if (job_.limit) {
      for (const std::int64_t quarters : {3, 2, 1}) limits.push_back(*job_.limit / 4 * quarters);
    }
    std::set<std::int64_t> seen;
    for (const Duration limit : limits) {
      // To the second, as people would write it.
      const Duration whole = seconds(limit.ns / seconds(1).ns);
      if (whole < seconds(1) || (job_.limit && whole >= *job_.limit)) continue;
      if (!seen.insert(whole.ns).second) continue;
      const double size = job_.limit ? part_given_up(job_.limit->ns, whole.ns) : kNoConstraint;
      variants_.push_back({Change::Limit, size,
                           cat("with a time limit of ", render_duration(whole), " instead of ",
                               job_.limit ? render_duration(*job_.limit) : "none"),
                           job_});
      variants_.back().job.limit = whole;
    }
  }

  void elsewhere(const std::vector<Queue>& queues) {
    std::size_t tried = 0;
    for (const Queue& queue : queues) {
      if (queue.name == job_.queue || tried == kMaxQueuesTried) continue;
      if (queue.max_limit && (!job_.limit || *job_.limit > *queue.max_limit)) continue;
      ++tried;
      variants_.push_back({Change::Queue, kOtherQueue, cat("in queue ", queue.name.value), job_});
      variants_.back().job.queue = queue.name;
    }
  }

  const Candidate& job_;
  std::vector<Variant> variants_;
};

}  // namespace

std::vector<Variant> make_variants(const Candidate& job,
                                   const std::vector<Queue>& queues,
                                   const std::vector<Duration>& holes) {
  Maker maker(job);
  maker.make_all(queues, holes);
  return std::move(maker).take();
}

}  // namespace gangway::scheduler
