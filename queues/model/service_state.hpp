// A service as it is kept: what is wanted, the revisions of its template, and its replicas.
//
// A replica is a job; what the service keeps of it is its number, its revision and how far it is on
// its way between the queue and the balancer. Pure values; apply() of service_machine.hpp is the
// only writer.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/service.hpp"

namespace gangway {

// Users have their own names.
struct ServiceKey {
  std::uint32_t uid = 0;
  std::string name;
  friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};

enum class ReplicaPhase {
  Waiting,   // in the queue
  Starting,  // has an allocation; not ready yet, or not any more
  Ready,     // its readiness probe is good: gets requests
  Draining,  // is being taken out of the balancer
  Drained,   // out of it, confirmed
  Stopping,  // was told to end
  Ended,
};
[[nodiscard]] std::string_view to_string(ReplicaPhase phase);  // "ready"

// What is remembered between two looks at a service (scheduler/policy/service_plan.hpp).
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

struct ServiceRevision {
  std::int64_t number = 0;
  ReplicaTemplate replica;
  JobSpec job;  // of its replicas, but for the name
  Time at;
  friend bool operator==(const ServiceRevision&, const ServiceRevision&) = default;
};

struct ServiceReplica {
  std::int64_t number = 0;  // never given twice
  std::int64_t revision = 0;
  JobId job;
  ReplicaPhase phase = ReplicaPhase::Waiting;
  Time since;         // of the phase
  bool alive = true;  // its liveness probe is not bad
  std::string note;   // what its probes say that is not well
  friend bool operator==(const ServiceReplica&, const ServiceReplica&) = default;
};

struct Service {
  Owner owner;
  ServiceSpec spec;                        // its template is that of the revision wanted
  std::vector<ServiceRevision> revisions;  // those that are kept; numbers rise
  ServiceProgress progress;
  std::vector<ServiceReplica> replicas;  // that have not been forgotten; numbers rise
  std::vector<Endpoint> endpoints;       // by name; a node_port is the one it listens at
  std::vector<IngressRule> rules;
  bool deleting = false;  // goes when its last replica has
  Time applied;
  std::uint64_t version = 0;
  friend bool operator==(const Service&, const Service&) = default;

  [[nodiscard]] ServiceKey key() const { return {owner.uid, spec.name}; }
  [[nodiscard]] const ServiceRevision* find_revision(std::int64_t number) const;
  [[nodiscard]] const ServiceReplica* find_replica(std::int64_t number) const;
};

}  // namespace gangway
