#include "tests/sim/random_run.hpp"

#include <functional>
#include <memory>

#include "queues/base/text.hpp"
#include "tests/sim/sim_cluster.hpp"
#include "tests/sim/workload.hpp"

namespace gangway::sim {

namespace {

constexpr Duration kUnrest = seconds(120);    // work arrives and things break
constexpr Duration kPatience = minutes(120);  // then all must end within this

// Breaks things, and mends each after a while.
class Nemesis {
 public:
  Nemesis(Cluster& cluster, int nodes) : cluster_(cluster), nodes_(nodes) {}

  void run() {
    World& world = cluster_.world();
    Rng& rng = world.rng();
    const Duration pause{rng.between(200'000'000, 20'000'000'000)};
    world.schedule(world.now().boot + pause, 0, [this] {
      if (at_peace_) return;
      strike();
      run();
    });
  }
  void make_peace() { at_peace_ = true; }
  [[nodiscard]] int strikes() const { return strikes_; }

 private:
  void after(Duration least, Duration most, std::function<void()> then) {
    World& world = cluster_.world();
    const Duration wait{world.rng().between(least.ns, most.ns)};
    world.schedule(world.now().boot + wait, 0, std::move(then));
  }

  void strike() {
    ++strikes_;
    Rng& rng = cluster_.world().rng();
    const int node = static_cast<int>(rng.between(0, nodes_ - 1));
    switch (rng.between(0, 6)) {
      case 0:
        if (!cluster_.scheduler_runs()) return;
        cluster_.crash_scheduler();
        after({}, seconds(5), [this] {
          if (!cluster_.scheduler_runs()) cluster_.start_scheduler();
        });
        return;
      case 1:
        cluster_.crash_agent(node);
        after({}, seconds(8), [this, node] { cluster_.start_agent(node); });
        return;
      case 2:
        cluster_.kill_shepherds(node);
        return;
      case 3:
        cluster_.crash_node(node);
        after(seconds(1), seconds(60), [this, node] { cluster_.boot_node(node); });
        return;
      case 4:  // shorter than the lease
        cluster_.cut_off(node, true);
        after(milliseconds(10), seconds(20), [this, node] { cluster_.cut_off(node, false); });
        return;
      case 5:  // longer
        cluster_.cut_off(node, true);
        after(seconds(35), seconds(90), [this, node] { cluster_.cut_off(node, false); });
        return;
      default:
        cluster_.world().jump_wall_clock(seconds(rng.between(-3600, 3600)));
        return;
    }
  }

  Cluster& cluster_;
  int nodes_;
  int strikes_ = 0;
  bool at_peace_ = false;
};

}  // namespace

RunResult random_run(std::uint64_t seed, bool trace) {
  Rng shape(seed ^ 0x5eed);
  ClusterOptions options;
  options.seed = seed;
  options.nodes = static_cast<int>(shape.between(1, 5));
  options.cores = static_cast<int>(shape.between(1, 6));
  const auto submissions = shape.between(5, 40);
  if (shape.chance(400)) {
    options.gangs = static_cast<int>(shape.between(2, 3));
    options.slice = milliseconds(shape.between(300, 6000));
  }
  const bool calm = shape.chance(150);  // some histories are without faults

  Cluster cluster(options);
  cluster.world().trace = trace;
  if (!calm) {
    NetworkFaults& network = cluster.world().faults;
    network.slow_per_mille = static_cast<int>(shape.between(0, 20));
    network.break_per_mille = static_cast<int>(shape.between(0, 8));
    network.repeat_per_mille = static_cast<int>(shape.between(0, 30));
    cluster.runtime_faults().prepare_fails_per_mille = static_cast<int>(shape.between(0, 100));
  }

  Rng changes(seed ^ 0xa17e);  // apart, so that the other histories of a seed stay what they were
  bool any_stands_still = options.gangs > 0;
  for (std::int64_t i = 0; i < submissions; ++i) {
    World& world = cluster.world();
    const Duration at{world.rng().between(0, kUnrest.ns)};
    const auto act_later = [&](Duration wait, std::function<void(JobId)> what) {
      world.schedule(world.now().boot + at + wait, 0, [&cluster, i, what = std::move(what)] {
        if (const auto job = cluster.job_of(cat("submission-key-", i))) what(*job);
      });
    };
    // Some are altered while they wait, or too late.
    if (changes.chance(200)) {
      act_later(Duration{changes.between(0, 20'000'000'000)},
                [&cluster, i](JobId job) { cluster.alter(job, cat("altered-", i)); });
    }
    // And some stand still, whatever the clock does meanwhile.
    if (options.gangs == 0 && changes.chance(100)) {
      any_stands_still = true;
      const Duration wait{changes.between(0, 20'000'000'000)};
      act_later(wait, [&cluster](JobId job) { cluster.act(wire::Act::SUSPEND, job); });
      act_later(wait + seconds(changes.between(1, 30)),
                [&cluster](JobId job) { cluster.act(wire::Act::RESUME, job); });
    }
    world.schedule(world.now().boot + at, 0, [&cluster, &options, i] {
      cluster.submit(random_submission(cluster.world().rng(), options.nodes, options.cores,
                                       cat("submission-key-", i), options.gangs > 0));
    });
    // Some are cancelled, at any moment of their life.
    if (!shape.chance(100)) continue;
    const Duration later = at + Duration{shape.between(0, 20'000'000'000)};
    world.schedule(world.now().boot + later, 0, [&cluster, i] {
      if (const auto job = cluster.job_of(cat("submission-key-", i))) {
        cluster.act(wire::Act::CANCEL, *job);
      }
    });
    // Some an operator lets stand still for a while.
    if (options.gangs == 0 || !shape.chance(300)) continue;
    for (const auto& [verb, wait] :
         {std::pair(wire::Act::SUSPEND, seconds(4)), std::pair(wire::Act::RESUME, seconds(12))}) {
      world.schedule(world.now().boot + at + wait, 0, [&cluster, i, verb] {
        const auto job = cluster.job_of(cat("submission-key-", i));
        if (job) cluster.act(verb, *job);
      });
    }
  }

  Nemesis nemesis(cluster, options.nodes);
  if (!calm) nemesis.run();
  cluster.run_for(kUnrest);
  nemesis.make_peace();
  cluster.world().faults = NetworkFaults{};
  cluster.runtime_faults() = RuntimeFaults{};
  // What was broken mends itself within a minute and a half.
  cluster.run_for(seconds(100));
  // What an operator has suspended would stand still for ever.
  if (any_stands_still) {
    for (const JobId id : cluster.acknowledged()) cluster.act(wire::Act::RESUME, id);
  }
  RunResult result;
  const bool ended = cluster.run_until([&] { return cluster.all_ended(); }, kPatience);
  cluster.run_for(seconds(60));
  result.problems = cluster.violations_at_rest();
  if (!ended && result.problems.empty()) {
    std::string left;
    for (const JobId id : cluster.acknowledged()) {
      const auto job = cluster.row(id);
      if (job && job->is_finished()) continue;
      left += cat(" ", id.value, ":", job ? phase_name(job->phase) : "lost",
                  job && job->is_waiting() && cluster.scheduler_runs()
                      ? cat("(", to_string(cluster.reason_of(id)), ")")
                      : std::string());
    }
    result.problems.push_back(cat("not all jobs ended after the faults had stopped:", left, "; ",
                                  cluster.unanswered(), " requests unanswered"));
  }
  if (ended && cluster.live_programs() != 0) {
    result.problems.push_back(
        cat(cluster.live_programs(), " programs live on after all jobs ended"));
  }
  if (trace) {
    for (const Event& event : cluster.disk().events) {
      if (const auto* of_job = std::get_if<Event::OfJob>(&event.subject)) {
        cluster.world().note(cat("event ", event.seq, " of ", to_string(of_job->key), ": ",
                                 event_name(of_job->what), " at ",
                                 event.time.ns / 1'000'000 % 100'000'000));
      }
    }
  }
  result.hash = cluster.world().history_hash();
  result.events = cluster.world().events_run();
  result.jobs = static_cast<int>(cluster.acknowledged().size());
  result.faults = nemesis.strikes();
  return result;
}

}  // namespace gangway::sim
