// Random work for the simulated cluster, by seed: single jobs, gangs, DAGs, cancels and holds.
#pragma once

#include <string>
#include <vector>

#include "queues/base/rng.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/workflow.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::sim {

// A job spec in words: job().nodes(4).run("5s").limit(minutes(1)).
class JobBuilder {
 public:
  JobBuilder();
  JobBuilder& name(std::string text);
  JobBuilder& nodes(int count);
  JobBuilder& tasks(int count);
  JobBuilder& cpus(int per_task);
  JobBuilder& run(const std::string& duration);  // of every program of it
  JobBuilder& exits(int code);
  JobBuilder& stubborn();  // ignores TERM
  JobBuilder& limit(Duration limit);
  JobBuilder& no_requeue();
  JobBuilder& mpi();
  JobBuilder& held();
  JobBuilder& sliced();  // in the queue whose gangs take turns
  [[nodiscard]] JobSpec spec() const { return spec_; }

 private:
  JobSpec spec_;
};
[[nodiscard]] inline JobBuilder job() { return {}; }

[[nodiscard]] wire::Request submit(const JobSpec& spec, const std::string& key);

struct MemberPlan {
  std::string name;
  JobSpec spec;
  std::vector<Need> needs;
};
[[nodiscard]] wire::Request submit_workflow(const std::string& name,
                                            const std::vector<MemberPlan>& members,
                                            const std::string& key);

// A submission drawn from `rng`: mostly small jobs, some gangs of up to `nodes` nodes of `cores`
// cores, some DAGs, some that fail; `with_slices`: many in the queue "sliced".
[[nodiscard]] wire::Request random_submission(
    Rng& rng, int nodes, int cores, const std::string& key, bool with_slices = false);

}  // namespace gangway::sim
