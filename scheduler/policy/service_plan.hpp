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
#include "queues/model/service.hpp"

namespace gangway::scheduler {

enum class ReplicaPhase {
  Waiting,   // in the queue
  Starting,  // has an allocation; not ready yet, or not any more
  Ready,     // its readiness probe is good: gets requests
  Draining,  // is being taken out of the balancer
  Drained,   // out of it, confirmed
  Stopping,  // was told to end
  Ended,
};

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

// What is remembered between calls, and kept with the service.
struct ServiceProgress {
  std::int64_t revision = 0;   // that is wanted
  std::int64_t whole = 0;      // the last one of which all replicas were available; 0: none
  std::int64_t given_up = 0;   // the last one that was given up; 0: none
  Time progressed_at;          // last progress of an update
  std::int32_t best = 0;       // available replicas of the wanted revision at that time
  std::int32_t failures = 0;   // ends in a row
  Time failed_at;              // the last one
  std::int32_t completed = 0;  // of this revision, ended for good (restart: no, on-failure)
  std::int64_t next_number = 1;
  friend bool operator==(const ServiceProgress&, const ServiceProgress&) = default;
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

// A new revision is wanted, or an older one again.
[[nodiscard]] ServiceProgress want_revision(ServiceProgress progress,
                                            std::int64_t revision,
                                            Time now);

// Requires: replicas sorted by number; `spec.update` has not both bounds 0.
[[nodiscard]] ServicePlan plan_service(const ServiceSpec& spec,
                                       const std::vector<Replica>& replicas,
                                       const ServiceProgress& progress,
                                       Time now);

// The pause before the replica after `failures` ends in a row.
[[nodiscard]] Duration restart_pause(std::int32_t failures);

}  // namespace gangway::scheduler
