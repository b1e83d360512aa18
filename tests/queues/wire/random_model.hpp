// Values of the model by chance, within the bounds of the wire: for round trips and as seeds of
// fuzzing. Equal seeds give equal values.
#pragma once

#include <string>

#include "queues/base/rng.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/node.hpp"
#include "queues/model/service_state.hpp"
#include "queues/model/workflow.hpp"

namespace gangway::tests {

class RandomModel {
 public:
  explicit RandomModel(Rng& rng) : rng_(rng) {}

  [[nodiscard]] std::string text();  // any bytes, also none
  [[nodiscard]] Resources resources();
  [[nodiscard]] JobSpec job_spec();
  [[nodiscard]] Allocation allocation();
  [[nodiscard]] Outcome outcome();
  [[nodiscard]] Phase phase();
  [[nodiscard]] UsedAmounts used();
  [[nodiscard]] JobUsage usage();
  [[nodiscard]] Job job(std::shared_ptr<const JobSpec> spec);
  [[nodiscard]] Workflow workflow();
  [[nodiscard]] Node node();
  [[nodiscard]] Service service();
  [[nodiscard]] Event event();

 private:
  template <typename E>
  E enumerator(E last) {
    return static_cast<E>(rng_.between(0, static_cast<std::int64_t>(last)));
  }
  bool coin() { return rng_.chance(500); }
  std::int32_t small(std::int32_t high) { return static_cast<std::int32_t>(rng_.between(0, high)); }
  Duration duration() { return {rng_.between(0, kMaxDuration.ns)}; }
  Time time() { return {rng_.between(0, kMaxDuration.ns)}; }
  std::optional<Time> maybe_time() { return coin() ? std::optional(time()) : std::nullopt; }
  std::vector<std::string> texts();
  std::vector<NodeName> node_names();
  std::vector<std::string> features();
  Component component();
  Owner owner();
  RunClock clock();
  Membership membership() { return {WorkflowId{rng_.next()}, text()}; }
  WorkflowMember member();
  JobKey key();
  JobEvent job_event();
  Labels labels();
  Probe probe();
  ReplicaTemplate replica_template();
  ServiceSpec service_spec();
  Endpoint endpoint();
  IngressRule rule();
  ServiceProgress progress();
  ServiceEvent service_event();

  Rng& rng_;
};

}  // namespace gangway::tests
