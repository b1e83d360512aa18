// Picture: what the monitor knows of the cluster, made from lists asked for once and from the news
// that the scheduler pushes from then on.
//
// Bounded: at most kMostJobs jobs that have not ended (further ones are counted) and kMostEnded
// that have. A view that is older than what is known changes nothing.
//
// Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/model/job_event.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/job_list.hpp"
#include "submit/job_row.hpp"
#include "submit/node_row.hpp"

namespace gangway::monitor {

inline constexpr std::size_t kMostJobs = 20'000;
inline constexpr std::size_t kMostEnded = 1'000;

struct WatchedJob {
  submit::JobRow row;
  Time as_of;               // of the row, by the scheduler's clock
  bool clock_runs = false;  // it runs: its time goes on by itself
  std::uint64_t version = 0;

  [[nodiscard]] Duration elapsed(Time now) const;
};

// What belongs to a workflow, and how its jobs need each other.
struct WatchedWorkflow {
  struct Member {
    std::string name;
    std::uint64_t job = 0;
    std::vector<std::string> needs;
  };
  std::string name;
  std::string user;
  std::vector<Member> members;
  bool ended = false;
};

class Picture {
 public:
  explicit Picture(submit::JobFilter filter = {}) : filter_(std::move(filter)) {}

  // Everything is asked for anew.
  void clear();
  void put(const wire::Jobs& jobs);
  void put(const wire::Nodes& nodes);
  void put(const wire::Workflows& workflows);
  void put(const wire::News& news);

  [[nodiscard]] const std::map<JobKey, WatchedJob>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<std::string, submit::NodeRow>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<std::uint64_t, WatchedWorkflow>& workflows() const {
    return workflows_;
  }
  // Workflows of jobs here whose shape is not known.
  [[nodiscard]] std::vector<std::uint64_t> unknown_workflows() const;
  // Jobs of which events were told but no view: to be asked for, then they are not doubtful.
  [[nodiscard]] std::set<JobKey> take_doubtful() { return std::exchange(doubtful_, {}); }
  [[nodiscard]] const WatchedJob* find(JobKey key) const;
  [[nodiscard]] std::size_t left_out() const { return left_out_; }
  [[nodiscard]] bool is_cut() const { return is_cut_; }
  // Of the scheduler's clock, at the newest message.
  [[nodiscard]] Time told_at() const { return told_at_; }

 private:
  void put(const wire::JobView& view, Time now);
  void put(const wire::NodeView& view);
  void put(const Event& event);

  submit::JobFilter filter_;
  std::map<JobKey, WatchedJob> jobs_;
  std::map<std::string, submit::NodeRow> nodes_;
  std::map<std::uint64_t, WatchedWorkflow> workflows_;
  std::deque<JobKey> ended_;  // oldest first
  std::set<JobKey> doubtful_;
  std::size_t open_ = 0;  // jobs that have not ended
  std::size_t left_out_ = 0;
  bool is_cut_ = false;
  Time told_at_;
};

}  // namespace gangway::monitor
