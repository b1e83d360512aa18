#include "tests/sim/invariants.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "executor/agent.hpp"
#include "queues/base/text.hpp"
#include "queues/model/service_ports.hpp"

namespace gangway::sim {

namespace {

// Each element is in one place, and no more run at once than may.
void check_arrays(const scheduler::ClusterState& state, std::vector<std::string>& broken) {
  std::map<JobId, std::uint64_t> live;
  std::map<JobId, std::uint64_t> running;
  for (const auto& [key, job] : state.jobs()) {
    if (!job.is_element() || job.is_finished()) continue;
    ++live[key.job];
    if (!job.is_waiting()) ++running[key.job];
  }
  for (const auto& [key, job] : state.jobs()) {
    if (!job.array) continue;
    const std::uint64_t known = job.array->waiting.size() + job.array->ended() + live[key.job];
    if (known != job.spec->array->indexes.count()) {
      broken.push_back(cat("array ", to_string(key), " knows of ", known, " elements of ",
                           job.spec->array->indexes.count()));
    }
    const std::uint32_t most = job.spec->array->max_running;
    if (most > 0 && running[key.job] > most) {
      broken.push_back(cat("array ", to_string(key), " runs ", running[key.job],
                           " elements at once, ", most, " may"));
    }
    if (job.is_finished() && (live[key.job] > 0 || !job.array->waiting.empty())) {
      broken.push_back(cat("array ", to_string(key), " has ended before its elements"));
    }
  }
}

}  // namespace

std::vector<std::string> check_now(const scheduler::Controller& controller, const Ledger& ledger) {
  const scheduler::ClusterState& state = controller.state();
  std::vector<std::string> broken = ledger.violations();
  std::map<NodeName, Resources> used;
  std::map<NodeName, std::map<std::int32_t, JobKey>> cores;
  std::map<NodeName, std::set<std::int32_t>> ports;
  // Gangs of a time-sliced queue may have cores in common, and then never run together.
  const auto take_turns = [](const Job& a, const Job& b) {
    const QueueName sliced{"sliced"};
    return a.spec->queue == sliced && b.spec->queue == sliced &&
           !(std::holds_alternative<phase::Running>(a.phase) &&
             std::holds_alternative<phase::Running>(b.phase));
  };
  for (const auto& [key, job] : state.jobs()) {
    const Allocation* allocation = job.allocation();
    if (allocation == nullptr) continue;
    // Of a job that is completing, the nodes that have cleaned up may be another's already; what is
    // really held there is the ledger's matter.
    if (std::holds_alternative<phase::Completing>(job.phase)) continue;
    for (const NodeShare& share : allocation->shares) {
      Resources holds = share.resources;
      for (const std::int32_t core : share.cores) {
        const auto [at, fresh] = cores[share.node].try_emplace(core, key);
        if (fresh) continue;
        --holds.cores;
        if (!take_turns(*state.find_job(at->second), job)) {
          broken.push_back(cat("core ", core, " of ", share.node.value, " is allocated to ",
                               to_string(at->second), " (",
                               phase_name(state.find_job(at->second)->phase), ") and to ",
                               to_string(key), " (", phase_name(job.phase), ")"));
        }
      }
      used[share.node] = used[share.node] + holds;
      if (const auto port = given_port(share); port && !ports[share.node].insert(*port).second) {
        broken.push_back(cat("port ", *port, " of ", share.node.value, " is given twice"));
      }
    }
    for (const NodeShare& share : allocation->shares) {
      const auto still = ledger.stands_still(
          share.node.value, executor::to_string(executor::AttemptKey{key, job.attempt}));
      const auto told = controller.stands_still(key);
      if (still && told && *still != *told) {
        broken.push_back(cat("job ", to_string(key),
                             *told ? " is believed to stand still on " : " is believed to run on ",
                             share.node.value));
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
  check_arrays(state, broken);
  for (const auto& [name, amount] : used) {
    const Node* node = state.find_node(name);
    Resources capacity = node == nullptr ? Resources{} : node->capacity;
    for (const auto& [resource, count] : amount.named) {
      if (resource.starts_with("tcp-")) capacity.set_named(resource, 1);
      if (resource == kServicePort) capacity.set_named(resource, count);
    }
    if (node == nullptr || !fits_in(amount, capacity)) {
      broken.push_back(
          cat("node ", name.value, " is given out beyond its capacity: ", to_string(amount)));
    }
  }
  return broken;
}

namespace {

// By the log alone: after Launched or Resumed, the next event that ends the run is followed by one
// charge, of the allocation's cores times that time.
void check_charges(const Disk& disk, std::vector<std::string>& broken) {
  struct Run {
    double cores = 0;
    Time since;
    bool runs = false;
    std::optional<double> owed;
  };
  std::map<JobKey, Run> runs;
  const auto end = [](Run& run, Time at) {
    if (!run.runs) return;
    run.runs = false;
    run.owed = run.cores * std::max(0.0, to_seconds(at - run.since));
  };
  for (const Event& event : disk.events) {
    if (const auto* of_job = std::get_if<Event::OfJob>(&event.subject)) {
      Run& run = runs[of_job->key];
      if (const auto* allocated = std::get_if<job_event::Allocated>(&of_job->what)) {
        run.cores = 0;
        for (const auto& share : allocated->allocation.shares) {
          run.cores += static_cast<double>(share.resources.cores);
        }
      }
      const std::string_view what = event_name(of_job->what);
      if (what == "Launched" || what == "Resumed") {
        run.runs = true;
        run.since = event.time;
      }
      if (what == "Ended" || what == "Suspended") end(run, event.time);
    }
    const auto* of_account = std::get_if<Event::OfAccount>(&event.subject);
    if (of_account == nullptr) continue;
    const auto* charged = std::get_if<account_event::Charged>(&of_account->what);
    if (charged == nullptr) continue;
    Run& run = runs[charged->job];
    if (!run.owed) {
      broken.push_back(cat("job ", to_string(charged->job), " is charged for nothing"));
      continue;
    }
    // Minutes, or hours where the clock is set, against a half-life of a week: what decays
    // meanwhile is a hundredth at most.
    if (std::abs(*run.owed - charged->amount) > 1e-2 * *run.owed + 1e-6) {
      broken.push_back(cat("job ", to_string(charged->job), " is charged ",
                           std::to_string(charged->amount), " for ", std::to_string(*run.owed)));
    }
    run.owed.reset();
  }
  for (const auto& [key, run] : runs) {
    if (run.owed) broken.push_back(cat("a run of job ", to_string(key), " is never charged"));
  }
}

}  // namespace

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
  if (again.associations != disk.associations) {
    broken.emplace_back("the accounts' rows differ from the replay of their events");
  }
  if (again.services != disk.services) {
    broken.emplace_back("the services' rows differ from the replay of their events");
  }
  check_charges(disk, broken);
  for (const JobId id : acknowledged) {
    if (!disk.jobs.contains(JobKey{id}))
      broken.push_back(cat("acknowledged job ", id.value, " is lost"));
  }
  return broken;
}

}  // namespace gangway::sim
