// Memory: what passes have found out of the classes that failed, so that after one job's end only
// those are tried again that may start now.
//
// Where too few nodes can run a class beside the only reservation, it remembers how many do. What
// is taken leaves that number right, or too large; a node of which something has become free counts
// as one more for each class that can run there. As long as there are too few, and too few to
// spare from the reserved job, the class is not tried. Of one that failed by something else nothing
// is known once anything has happened.
//
// Holds while the same job has the reservation, at the same time or earlier: nodes that it leaves
// count as freed. Otherwise all is forgotten, as with all changes that nobody counts. No answer
// depends on it: the reference (schedule.hpp) tries every class. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/allocation.hpp"
#include "scheduler/policy/backfill.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

// How a class failed when it was tried last.
struct Failed {
  std::uint64_t in = 0;  // so often everything had been forgotten; 0: it did not
  std::size_t freed = 0;
  std::optional<std::size_t> could_run;  // on so many nodes at most, if it was for want of nodes
};

class Memory {
 public:
  // ---- changes between passes ----
  void on_change() { nothing_happened_ = false; }  // nothing is free that was not
  void on_freed(const std::vector<NodeClaim>& claims);
  void on_started(JobKey key, const Allocation& allocation);
  void forget();

  // ---- a pass ----
  void begin_pass();
  // All of it is as after the last pass.
  [[nodiscard]] bool nothing_happened() const { return nothing_happened_; }
  // Its only reservation is made; and so many nodes could be taken from it.
  void on_reserved(const Reserved& reserved);
  void on_spare(std::size_t nodes) { spare_ = nodes; }
  void note(Failed& failed, std::optional<std::size_t> could_run) const;
  // Whether what failed by `failed` would fail again.
  [[nodiscard]] bool fails_again(Failed& failed,
                                 const Request& request,
                                 const Profile& profile,
                                 Time now) const;
  void end_pass(const BackfillResult& result);

 private:
  struct Reservation {
    JobKey key;
    Time start;
    std::vector<NodeIndex> nodes;  // sorted
  };

  std::uint64_t times_forgotten_ = 1;
  bool nothing_happened_ = false;
  std::vector<NodeIndex> freed_;            // since it was forgotten
  std::optional<Reservation> reservation_;  // none: what has failed was not counted
  std::optional<std::size_t> spare_;        // none: not yet reserved in this pass
  std::map<JobKey, Allocation> planned_;    // starts that the caller has not done yet
};

}  // namespace gangway::scheduler
