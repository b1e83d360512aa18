// What to do about a service: pure decisions from what is wanted and what there is.
//
// A service wants `wanted` replicas of its newest revision. Each call compares that with the
// replicas there are and answers with the steps to take now; the same question again, after nothing
// has changed, gives none. The caller makes replicas (jobs of the template, which wait in the queue
// like any other), asks their probes, and takes replicas out of the balancer; it tells the outcome
// by the phases it passes the next time.
//
// The rules:
//   * An update starts new replicas as far as `max_surge` allows above the wanted number, and
//   drains
//     old ones as far as `max_unavailable` allows below it, counted in replicas that are available:
//     ready, and for a new revision ready for `min_ready`. Old replicas that are not ready go
//     first: nobody misses them.
//   * A replica that ends by itself is replaced, after a pause that doubles with each end that
//   follows
//     an end: 10 s, 20 s, … 300 s (Kubernetes' numbers), and begins anew after 10 minutes of
//     health.
//   * A new revision that makes no progress for `progress_deadline` is given up: what is wanted
//   becomes
//     the last revision that was whole, and old replicas are what is kept.
//   * Draining comes before stopping, always and in this order: out of the balancer, confirmed,
//   then
//     the signal. This file asks only for Drain; a replica that is Drained gets Stop.
//
// Source of the bounds: Kubernetes' Deployment ("Rolling Update Deployment"); of the order: the
// losses reported where balancer and signal run at once.
//
// Pure: no clock, no I/O. Ties by replica number. Linear in the number of replicas but for sorting.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/service_state.hpp"

namespace gangway::scheduler {

struct Replica {
  std::int64_t number = 0;  // never given twice
  std::int64_t revision = 0;
  ReplicaPhase phase = ReplicaPhase::Waiting;
  Time since;              // of the phase
  bool wished = false;     // ended because it was told to
  bool failed = false;     // ended by itself with something else than success
  bool alive = true;       // its liveness probe is not bad
  bool must_move = false;  // its node drains: it is replaced before it goes
  friend bool operator==(const Replica&, const Replica&) = default;
};

struct ServiceStep {
  enum class Kind { Start, Cancel, Drain, Stop, Forget, GiveUp };
  Kind kind = Kind::Start;
  std::int64_t replica = 0;   // GiveUp: none
  std::int64_t revision = 0;  // Start: of the new one; GiveUp: what is wanted again
  friend bool operator==(const ServiceStep&, const ServiceStep&) = default;
};

struct ServicePlan {
  std::vector<ServiceStep> steps;
  ServiceProgress progress;        // to be kept
  std::optional<Time> look_again;  // when only time passing may change the answer
  bool is_settled = false;         // all that is wanted is available, and nothing else is there
};

// Requires: replicas sorted by number. Where both bounds of an update come to 0, one may be
// missing.
[[nodiscard]] ServicePlan plan_service(const ServiceSpec& spec,
                                       const std::vector<Replica>& replicas,
                                       const ServiceProgress& progress,
                                       Time now);

// The pause before the replica after `failures` ends in a row.
[[nodiscard]] Duration restart_pause(std::int32_t failures);

}  // namespace gangway::scheduler
