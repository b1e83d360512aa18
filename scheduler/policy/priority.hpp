// Priority: Slurm's multifactor formula,
//
//     age * min(waited / max_age, 1) + fair_share * F + size * s + queue * p + qos * q
//         + sum of resource_i * t_i - nice
//
// with weights from the configuration and factors in [0, 1]: F of the job's user (fair_share.hpp);
// s the mean of the job's parts of the cluster's nodes and cores; p and q those of its queue and
// quality of service, of the highest there is; t_i its part of a resource of the cluster.
//
// All jobs age at the same pace until they are `max_age` old, so the order of two of them does not
// change while they wait: it is the order of Place, which needs no clock, and no pass has to sort.
// Who has aged fully is looked at when fair shares are computed anew (`reference`); in between,
// such a job gains on younger ones as if it still aged, at most by what that short time is worth.
//
// Source: Slurm's manual, "Multifactor Priority Plugin". Deviations: the order is that of
// thousandths of points, not of whole ones; a queue's or QOS's number may be negative, its factor
// then is too. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_spec.hpp"
#include "queues/model/resources.hpp"

namespace gangway::scheduler {

inline constexpr std::int64_t kMostPoints = 10'000'000;  // of a weight

struct PriorityRules {
  std::int64_t age = 1'000;
  std::int64_t fair_share = 10'000;
  std::int64_t size = 0;
  std::int64_t queue = 1'000;
  std::int64_t qos = 1'000;
  std::vector<std::pair<std::string, std::int64_t>> resources;  // "cores", "memory", "gpu"
  Duration max_age = hours(168);                                // at least a minute
  friend bool operator==(const PriorityRules&, const PriorityRules&) = default;
};

// Each term in points, as jwhy and jqueue show them.
struct PriorityTerms {
  double age = 0;
  double fair_share = 0;
  double size = 0;
  double queue = 0;
  double qos = 0;
  double resources = 0;
  std::int64_t nice = 0;
  friend bool operator==(const PriorityTerms&, const PriorityTerms&) = default;
  [[nodiscard]] double sum() const {
    return age + fair_share + size + queue + qos + resources - static_cast<double>(nice);
  }
  // Whole points, as Slurm counts them: 1 to 2^32 - 1; 0 is that of a job that is held.
  [[nodiscard]] std::int64_t total() const;
};

// What the factors are parts of.
struct ClusterSize {
  std::int64_t nodes = 0;
  Resources resources;
  friend bool operator==(const ClusterSize&, const ClusterSize&) = default;
};

// s, and the sum of resource_i * t_i in points.
[[nodiscard]] double size_factor(const std::vector<Component>& components,
                                 const ClusterSize& cluster);
[[nodiscard]] double resource_points(const std::vector<Component>& components,
                                     const ClusterSize& cluster,
                                     const PriorityRules& rules);

[[nodiscard]] double age_points(Time eligible, Time now, const PriorityRules& rules);

// Where a job stands in the workflow that it is a member of (dag_line.hpp).
struct DagPosition {
  JobId first;                   // the workflow's first job; its jobs have consecutive numbers
  std::int64_t path_length = 0;  // from the job's start to the end, in one unit for all of them
  friend bool operator==(const DagPosition&, const DagPosition&) = default;
};

// A job's place in the line: smaller is earlier.
struct Place {
  std::int64_t lateness = 0;  // thousandths of points that it is behind
  Time eligible;
  // Jobs equal so far go by their numbers, but those of one workflow by their paths, the longest
  // first: no job of anybody else is passed by that.
  JobId family;
  std::int64_t path_behind = 0;
  JobKey key;
  friend constexpr auto operator<=>(const Place&, const Place&) = default;
};

// `fixed`: the terms; its age is not looked at.
[[nodiscard]] Place place_of(JobKey key,
                             Time eligible,
                             const PriorityTerms& fixed,
                             Time reference,
                             const PriorityRules& rules,
                             const std::optional<DagPosition>& dag = std::nullopt);

}  // namespace gangway::scheduler
