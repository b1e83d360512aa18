// Failures: what of a walk's vain tries holds for the jobs behind. Where too few nodes can run a
// request from now to its end, there are no more for one that asks for as much of each, as long.
//
// Holds as long as things are only taken from the profile; the walk says when it is otherwise. Kept
// are a few, those that say most; which, decides no answer. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "queues/base/time.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

class Failures {
 public:
  // `nodes` of the queue can run `part` until `end`, and until any later moment.
  void note(Profile::QueueNumber queue, const RequestPart& part, Time end, std::size_t nodes) {
    if (!is_for_all_nodes(part)) return;
    const Failure failure{nodes, end, queue, part.exclusive, part.wanted, part.per_node};
    std::erase_if(known_, [&](const Failure& old) {
      return nodes <= old.nodes && failure.bounds(old.queue, old.exclusive, old.end, old.amounts);
    });
    if (known_.size() == kMost) known_.erase(known_.begin());
    known_.push_back(failure);
  }
  // So many nodes of the queue, as far as is known, have `amounts` free from now to `end`, all of
  // the node if `exclusive`; there may be fewer. nullopt: nothing is known.
  [[nodiscard]] std::optional<std::size_t> most_nodes(Profile::QueueNumber queue,
                                                      const Amounts& amounts,
                                                      bool exclusive,
                                                      Time end) const {
    std::optional<std::size_t> most;
    for (const Failure& failure : known_) {
      if (most && *most <= failure.nodes) continue;
      if (failure.bounds(queue, exclusive, end, amounts)) most = failure.nodes;
    }
    return most;
  }
  // Something has become free.
  void clear() { known_.clear(); }

 private:
  static constexpr std::size_t kMost = 64;

  struct Failure {
    std::size_t nodes = 0;  // what decides most often comes first
    Time end;
    Profile::QueueNumber queue = 0;
    bool exclusive = false;
    Wanted wanted;
    Amounts amounts;  // the same
    // Whether every node for such a request is one for this.
    [[nodiscard]] bool bounds(Profile::QueueNumber of,
                              bool is_exclusive,
                              Time until,
                              const Amounts& wants) const {
      return of == queue && end <= until && (is_exclusive || !exclusive) && wanted.fits_in(wants);
    }
  };
  [[nodiscard]] static bool is_for_all_nodes(const RequestPart& part) {
    return part.only.empty() && part.never.empty() && part.features.empty();
  }

  std::vector<Failure> known_;
};

}  // namespace gangway::scheduler
