#include "tests/sim/workload.hpp"

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::sim {

JobBuilder::JobBuilder() {
  spec_.name = "job";
  spec_.components = {Component{}};
  spec_.components[0].memory_per_node = mebibytes(64);
  spec_.launch = LaunchMode::Tasks;
  spec_.argv = {"sim"};
  spec_.workdir = "/";
  spec_.time_limit = minutes(10);
  spec_.kill_grace = seconds(5);
}
JobBuilder& JobBuilder::name(std::string text) {
  spec_.name = std::move(text);
  return *this;
}
JobBuilder& JobBuilder::nodes(int count) {
  spec_.components[0].nodes = count;
  if (spec_.components[0].tasks < count) spec_.components[0].tasks = count;
  return *this;
}
JobBuilder& JobBuilder::tasks(int count) {
  spec_.components[0].tasks = count;
  return *this;
}
JobBuilder& JobBuilder::cpus(int per_task) {
  spec_.components[0].cpus_per_task = per_task;
  return *this;
}
JobBuilder& JobBuilder::run(const std::string& duration) {
  spec_.argv.push_back("run=" + duration);
  return *this;
}
JobBuilder& JobBuilder::exits(int code) {
  spec_.argv.push_back(cat("exit=", code));
  return *this;
}
JobBuilder& JobBuilder::stubborn() {
  spec_.argv.emplace_back("stubborn");
  return *this;
}
JobBuilder& JobBuilder::limit(Duration limit) {
  spec_.time_limit = limit;
  return *this;
}
JobBuilder& JobBuilder::no_requeue() {
  spec_.requeue = false;
  return *this;
}
JobBuilder& JobBuilder::mpi() {
  spec_.mpi = MpiMode::Pmix;
  return *this;
}
JobBuilder& JobBuilder::sliced() {
  spec_.queue = QueueName{"sliced"};
  return *this;
}
JobBuilder& JobBuilder::held() {
  spec_.held = true;
  return *this;
}

wire::Request submit(const JobSpec& spec, const std::string& key) {
  wire::Request request;
  auto* what = request.mutable_submit();
  what->set_key(key);
  wire::to_wire(spec, what->add_jobs()->mutable_spec());
  return request;
}

wire::Request submit_workflow(const std::string& name,
                              const std::vector<MemberPlan>& members,
                              const std::string& key) {
  wire::Request request;
  auto* what = request.mutable_submit();
  what->set_key(key);
  what->mutable_workflow()->set_name(name);
  for (const MemberPlan& member : members) {
    auto* job = what->add_jobs();
    wire::to_wire(member.spec, job->mutable_spec());
    job->set_member(member.name);
    for (const Need& need : member.needs) {
      auto* one = job->add_needs();
      one->set_member(need.member);
      one->set_outcome(static_cast<std::uint32_t>(need.outcome));
    }
  }
  return request;
}

namespace {
JobSpec random_job(Rng& rng, int nodes, int cores, bool with_slices) {
  JobBuilder builder = job();
  if (with_slices && rng.chance(600)) builder.sliced();
  if (rng.chance(300)) {
    builder.nodes(static_cast<int>(rng.between(1, nodes)));
    const int per_node = static_cast<int>(rng.between(1, cores));
    builder.tasks(per_node * builder.spec().components[0].nodes);
    if (rng.chance(500)) builder.mpi();
  } else {
    builder.cpus(static_cast<int>(rng.between(1, cores)));
  }
  builder.run(cat(rng.between(1, 20'000), "ms"));
  if (rng.chance(150)) builder.exits(static_cast<int>(rng.between(1, 3)));
  if (rng.chance(100)) builder.stubborn();
  if (rng.chance(100)) builder.limit(seconds(rng.between(2, 10)));
  if (rng.chance(100)) builder.no_requeue();
  JobSpec spec = builder.spec();
  if (rng.chance(100)) {
    spec.retries = static_cast<std::int32_t>(rng.between(1, 3));
    spec.retry_backoff = seconds(rng.between(0, 3));
  }
  return spec;
}

// Small jobs, so that an array does not keep the cluster for the rest of the history.
JobSpec random_array(Rng& rng) {
  JobBuilder builder = job();
  builder.run(cat(rng.between(1, 5'000), "ms"));
  if (rng.chance(200)) builder.exits(1);
  JobSpec spec = builder.spec();
  const auto first = rng.between(0, 5);
  spec.array = *parse_array(cat(first, "-", first + rng.between(0, 20), ":", rng.between(1, 3)));
  if (rng.chance(500)) spec.array->max_running = static_cast<std::uint32_t>(rng.between(1, 3));
  if (rng.chance(200)) spec.retries = 1;
  return spec;
}
}  // namespace

wire::Request random_submission(
    Rng& rng, int nodes, int cores, const std::string& key, bool with_slices) {
  if (rng.chance(100)) return submit(random_array(rng), key);
  if (!rng.chance(200)) return submit(random_job(rng, nodes, cores, with_slices), key);
  std::vector<MemberPlan> members;
  const auto count = rng.between(2, 6);
  for (std::int64_t i = 0; i < count; ++i) {
    MemberPlan member{
        cat("m", i),
        rng.chance(150) ? random_array(rng) : random_job(rng, nodes, cores, with_slices),
        {}};
    for (std::int64_t before = 0; before < i; ++before) {
      if (!rng.chance(400)) continue;
      const auto outcome = rng.chance(700)   ? NeedOutcome::Success
                           : rng.chance(500) ? NeedOutcome::Any
                                             : NeedOutcome::Failure;
      member.needs.push_back({cat("m", before), outcome});
    }
    members.push_back(std::move(member));
  }
  return submit_workflow("random", members, key);
}

}  // namespace gangway::sim
