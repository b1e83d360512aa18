// What a Planner is made of, for the files that implement it: planner.cpp (deltas and passes) and
// explain.cpp.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/policy/backfill.hpp"
#include "scheduler/policy/class_line.hpp"
#include "scheduler/policy/memory.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/pricing.hpp"
#include "scheduler/policy/profile.hpp"
#include "scheduler/policy/request.hpp"
#include "scheduler/policy/time_slices.hpp"

namespace gangway::scheduler {

// Jobs with equal requests.
struct JobClass {
  Request request;
  ClassLine line;                                  // without those that have a promise
  std::size_t promised = 0;                        // so many have one
  PendingReason reason = PendingReason::Priority;  // of all but the first in line of all classes
  PendingReason told = PendingReason::Priority;
  Failed failed;  // what Impl::memory knows of it
};

using Classes = std::unordered_map<std::string, JobClass>;
// The first job of each class, in order; a place belongs to one job, so classes never compare.
using Heads = std::map<Place, JobClass*>;
// Jobs with a promise, in order.
struct Kept {
  JobClass* in;
  Reserved reserved;
};
using Promised = std::map<Place, Kept>;

struct Waiting {
  Candidate job;  // its place follows from it (Pricing::place_of())
  Classes::value_type* in;
  PendingReason told = PendingReason::None;
};

struct Planner::Impl {
  BackfillPolicy policy;
  std::vector<Queue> queues;
  Profile profile;
  TimeSlices slices;
  Pricing pricing;
  std::unordered_map<JobKey, Waiting> waiting;  // never walked where an order could show
  Classes classes;                              // nor this
  Heads heads;
  Promised promised;          // empty unless the policy keeps promises
  std::vector<JobKey> fresh;  // wait since the last pass; nobody was told why
  std::optional<JobKey> first_reserved;
  std::optional<Time> first_start;
  Memory memory;
  bool freed = true;         // something, so that promises may move
  bool complete = true;      // the last pass was not cut short
  bool odd_reasons = false;  // some class has another reason than its priority
  bool places_are_old = false;
  Time last_pass;

  // ---- deltas ----
  void on(const delta::RulesAre& d);
  void on(const delta::QueuesAre& d);
  void on(const delta::FairSharesAre& d);
  void on(const delta::NodeIs& d);
  void on(const delta::NodeGone& d);
  void on(const delta::Waits& d);
  void on(const delta::WaitsNoMore& d);
  void on(const delta::Started& d);
  void on(const delta::Ended& d);
  bool forget(JobKey key);  // says whether it had a promise
  // To another place of the line, with what it was promised.
  void move(Waiting& job, const Candidate& to);
  // What the order depends on has changed.
  void line_up_again();
  template <typename Change>
  void change_line(JobClass& job_class, Change change) {
    if (!job_class.line.empty()) heads.erase(job_class.line.front());
    change(job_class.line);
    if (!job_class.line.empty()) heads.emplace(job_class.line.front(), &job_class);
  }

  // ---- the pass ----
  PlanDelta pass(Time now, int budget);
  BackfillResult walk(Time now, int budget, std::vector<JobClass*>& looked_at);
  void keep(const std::vector<Reserved>& reserved);
  [[nodiscard]] bool is_first_as_before(const BackfillResult& result) const;
  std::vector<Reason> changed_reasons(const std::vector<Start>& starts,
                                      std::optional<JobKey> first,
                                      std::vector<JobClass*>& looked_at);
  void forget_odd_reasons(std::vector<JobClass*>& looked_at);
  [[nodiscard]] std::vector<Promise> kept_promises() const;

  // ---- explanations ----
  [[nodiscard]] std::optional<Explanation> explain(JobKey key, Time now, LookAhead look) const;
  [[nodiscard]] Explanation explain_as_if(const Candidate& job, Time now) const;
  class Play;
  [[nodiscard]] Explanation explain_place(const Candidate& job, const Place& place, Time now) const;
  [[nodiscard]] std::vector<Duration> explain_start(const Candidate& job,
                                                    Play& play,
                                                    Explanation& out) const;
  void explain_better(const Candidate& job,
                      const std::vector<Duration>& holes,
                      Play& play,
                      Explanation& out) const;
  [[nodiscard]] static std::string rests_on(const std::vector<JobKey>& frees);
  [[nodiscard]] std::string waits_for(const Request& request, const Explanation& why) const;
};

}  // namespace gangway::scheduler
