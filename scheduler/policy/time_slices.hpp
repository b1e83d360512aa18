// TimeSlices: the gangs of time-sliced queues in the planner: where a new one may go on top of
// those that are there, and what all of them together hold of each node.
//
// Each time-sliced queue has a matrix of its own (slice_matrix.hpp). A core that several gangs
// share is held once, by the one that is expected to hold it longest; memory and named resources
// are held by each, because a gang that stands still keeps them. So the profile is right for every
// other queue, and a gang that comes into a row takes no more than the profile gives for its whole
// time.
//
// A gang runs a part of the time only: as long as every row gets its slice, it is through after its
// limit times the number of rows, and plans count on that.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/queue.hpp"
#include "scheduler/policy/placement.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"
#include "scheduler/policy/slice_matrix.hpp"

namespace gangway::scheduler {

class TimeSlices {
 public:
  void set_queues(const std::vector<Queue>& queues);

  [[nodiscard]] bool is_sliced(const QueueName& queue) const { return queues_.contains(queue); }
  // How long a job of this queue may take if others take turns with it. Of a queue without time
  // slices: its limit.
  [[nodiscard]] std::optional<Duration> stretched(const QueueName& queue,
                                                  std::optional<Duration> limit) const;
  [[nodiscard]] bool holds(JobKey gang) const { return gangs_.contains(gang); }
  // nullptr: not a time-sliced queue.
  [[nodiscard]] const SliceMatrix* find(const QueueName& queue) const;

  // It holds `claims` from now on; a gang that is there holds them instead of what it held. `end`
  // is in the words of the profile (planned_end()).
  void start(Profile& profile,
             JobKey gang,
             const QueueName& queue,
             Time end,
             std::vector<NodeClaim> claims);
  void end(Profile& profile, JobKey gang);

  // Where a request of a time-sliced queue that finds no cores of its own can start now, in the
  // first row in which it fits, and what it holds there.
  struct Placed {
    Placement placement;
    std::vector<NodeClaim> claims;
  };
  [[nodiscard]] std::optional<Placed> place(const Profile& profile,
                                            const Request& request,
                                            Time now) const;

 private:
  struct SlicedQueue {
    std::size_t most_rows = 1;
    SliceMatrix matrix;
    std::map<NodeIndex, std::set<JobKey>> on_node;
  };
  struct Gang {
    QueueName queue;
    Time end;
    std::vector<NodeClaim> claims;  // whole
    std::vector<NodeClaim> held;    // what the profile has of it
  };
  struct Seat;
  [[nodiscard]] std::optional<Placed> place_in_row(const Profile& profile,
                                                   const Request& request,
                                                   Time now,
                                                   const SlicedQueue& queue,
                                                   std::size_t row) const;
  [[nodiscard]] std::optional<Seat> seat_on(const Profile& profile,
                                            const SlicedQueue& queue,
                                            std::size_t row,
                                            NodeIndex node,
                                            const Amounts& wanted,
                                            Time now,
                                            Time end) const;
  [[nodiscard]] std::vector<NodeClaim> held_by(const SlicedQueue& queue, JobKey gang) const;
  void leave_nodes(SlicedQueue& queue, JobKey gang);
  void tell(Profile& profile, const SlicedQueue& queue, const std::set<JobKey>& gangs);
  [[nodiscard]] static std::set<JobKey> neighbours(const SlicedQueue& queue,
                                                   const std::vector<NodeClaim>& claims);

  std::map<QueueName, SlicedQueue> queues_;
  std::map<JobKey, Gang> gangs_;
};

}  // namespace gangway::scheduler
