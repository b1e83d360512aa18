#include "tests/sim/invariants.hpp"

#include <map>

#include "executor/agent.hpp"
#include "queues/base/text.hpp"

namespace gangway::sim {

std::vector<std::string> check_now(const scheduler::Controller& controller, const Ledger& ledger) {
  const scheduler::ClusterState& state = controller.state();
  std::vector<std::string> broken = ledger.violations();
  std::map<NodeName, Resources> used;
  std::map<NodeName, std::map<std::int32_t, JobKey>> cores;
  for (const auto& [key, job] : state.jobs()) {
    const Allocation* allocation = job.allocation();
    if (allocation == nullptr) continue;
    // Of a job that is completing, the nodes that have cleaned up may be another's already; what is
    // really held there is the ledger's matter.
    if (std::holds_alternative<phase::Completing>(job.phase)) continue;
    for (const NodeShare& share : allocation->shares) {
      used[share.node] = used[share.node] + share.resources;
      for (const std::int32_t core : share.cores) {
        const auto [at, fresh] = cores[share.node].try_emplace(core, key);
        if (!fresh) {
          broken.push_back(cat("core ", core, " of ", share.node.value, " is allocated to ",
                               to_string(at->second), " (",
                               phase_name(state.find_job(at->second)->phase), ") and to ",
                               to_string(key), " (", phase_name(job.phase), ")"));
        }
      }
    }
    // A gang runs only when it is whole.
    const auto run =
        ledger.runs().find(executor::to_string(executor::AttemptKey{key, job.attempt}));
    if (run != ledger.runs().end() && run->second.programs > 0 &&
        run->second.ever_prepared.size() != allocation->shares.size()) {
      broken.push_back(cat("job ", to_string(key), " runs on ", run->second.programs,
                           " programs while only ", run->second.ever_prepared.size(), " of ",
                           allocation->shares.size(), " nodes were ever prepared"));
    }
  }
  for (const auto& [name, amount] : used) {
    const Node* node = state.find_node(name);
    if (node == nullptr || !fits_in(amount, node->capacity)) {
      broken.push_back(
          cat("node ", name.value, " is given out beyond its capacity: ", to_string(amount)));
    }
  }
  return broken;
}

std::vector<std::string> check_disk(const Disk& disk, const std::vector<JobId>& acknowledged) {
  std::vector<std::string> broken;
  const Disk again = replay(disk.events, disk.specs);
  if (again.jobs.size() != disk.jobs.size()) {
    broken.push_back(
        cat("replay gives ", again.jobs.size(), " jobs, the rows are ", disk.jobs.size()));
  }
  for (const auto& [key, row] : disk.jobs) {
    const auto found = again.jobs.find(key);
    if (found == again.jobs.end()) {
      broken.push_back(cat("row of job ", to_string(key), " has no events"));
    } else if (!same_state(found->second, row)) {
      broken.push_back(
          cat("row of job ", to_string(key), " differs from the replay of its events"));
    }
  }
  for (const JobId id : acknowledged) {
    if (!disk.jobs.contains(JobKey{id}))
      broken.push_back(cat("acknowledged job ", id.value, " is lost"));
  }
  return broken;
}

}  // namespace gangway::sim
