// DagLine: jobs of a workflow exchange their turns in line, so that those on the longest path to
// its end go first.
//
// A job's turn is the time from which it ages in the order of the line; at first the time at which
// it became eligible. The jobs of one workflow that wait at one time (in the same queue, charged to
// the same user of the same account) share their turns out among themselves: the earliest turn goes
// to the job with the longest path, and so on. A job that starts uses up the turn that it had. So
// the turns that a user has are those he would have had without a workflow, each used once: nobody
// gains on anybody else. All other terms of the priority stay a job's own.
//
// Path: the upward rank of list scheduling, the longest sum of time limits from a job to a sink,
// its own included. Source: T. Hu, "Parallel Sequencing and Assembly Line Problems", 1961; H.
// Topcuoglu, S. Hariri, M. Wu, IEEE TPDS 13(3), 2002.
//
// Sans-I/O; no clock. Entering costs O(log n) for each distinct turn between the job's own and the
// one it gets: jobs that become eligible together have one turn.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "scheduler/policy/usage.hpp"

namespace gangway::scheduler {

// Whose turns are exchanged with each other.
struct DagGroup {
  std::uint64_t workflow = 0;
  UserNumber payer = 0;
  QueueName queue;
  friend auto operator<=>(const DagGroup&, const DagGroup&) = default;
};

class DagLine {
 public:
  struct Turn {
    JobKey key;
    Time at;
    friend bool operator==(const Turn&, const Turn&) = default;
  };
  // The job stands in line with `turn` of its own. Returns by key the job itself and all whose turn
  // is another one now. Requires: it does not stand in line.
  std::vector<Turn> enter(const DagGroup& group, JobKey job, std::int64_t path_length, Time turn);
  // It leaves, and takes the turn that it has with it, which is returned. Requires: it stands in
  // line.
  Time leave(JobKey job);

  [[nodiscard]] bool stands(JobKey job) const { return standing_.contains(job); }

 private:
  using Ahead = std::pair<std::int64_t, JobKey>;  // minus the path: the first is the next
  using Turns = std::map<Time, std::set<Ahead>>;  // none is empty
  using Groups = std::map<DagGroup, Turns>;       // nor here
  struct Standing {
    Groups::iterator group;
    std::int64_t path_length = 0;
    Time turn;
  };

  Groups groups_;
  std::map<JobKey, Standing> standing_;
};

}  // namespace gangway::scheduler
