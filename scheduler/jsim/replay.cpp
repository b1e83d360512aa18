#include "scheduler/jsim/replay.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/jsim/workflow_trace.hpp"
#include "scheduler/policy/dag_line.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::jsim {

namespace {

using scheduler::Candidate;
using scheduler::DagLine;
using scheduler::PlanDelta;
using scheduler::Planner;
using scheduler::PriorityRules;
using scheduler::Start;
namespace delta = scheduler::delta;

constexpr std::size_t kProgressEvery = 256;  // ends
constexpr int kNoBudget = std::numeric_limits<int>::max();
constexpr Duration kSharesEvery = minutes(5);

JobKey key_of(std::size_t job) { return JobKey{JobId{job + 1}}; }
std::size_t job_of(JobKey key) { return static_cast<std::size_t>(key.job.value - 1); }

// What fair shares need to know while the trace runs.
class ShareKeeper {
 public:
  explicit ShareKeeper(const Shares& shares)
      : shares_(shares), entries_(shares.entries), usage_(shares.half_life) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].key.user.empty()) numbers_[entries_[i].key] = i;
    }
  }
  void begin(std::size_t job, std::int32_t processors, Time now) {
    usage_.begin(key_of(job), shares_.payer[job], processors, now);
  }
  void end(std::size_t job, Time now) { (void)usage_.end(key_of(job), now); }

  // nullopt: they were looked at a short time ago.
  std::optional<delta::FairSharesAre> look(Time now) {
    if (next_look_ && now < *next_look_) return std::nullopt;
    next_look_ = now + kSharesEvery;
    const std::vector<double> used = usage_.usages_at(now);
    for (std::size_t i = 0; i < used.size(); ++i) entries_[i].usage = used[i];
    delta::FairSharesAre out{now, std::vector<double>(numbers_.size())};
    for (const scheduler::ShareRow& row : scheduler::fair_shares(entries_)) {
      if (row.is_user()) out.factors[numbers_.at(row.key)] = row.factor.value_or(0);
    }
    return out;
  }

 private:
  const Shares& shares_;
  std::vector<scheduler::ShareEntry> entries_;
  std::map<AssociationKey, std::size_t> numbers_;
  scheduler::UsageBook usage_;
  std::optional<Time> next_look_;
};

class Driver {
 public:
  Driver(const Trace& trace, const ReplayOptions& options)
      : trace_(trace), options_(options), planner_(options.policy), free_(trace.processors) {
    Queue queue;
    queue.name = queue_;
    queue.is_default = true;
    planner_.apply(delta::QueuesAre{{queue}});
    // In the order of submission, unless there are shares.
    planner_.apply(delta::RulesAre{
        options.shares != nullptr
            ? PriorityRules{}
            : PriorityRules{
                  .age = 0, .fair_share = 0, .size = 0, .queue = 0, .qos = 0, .resources = {}}});
    if (options.shares != nullptr) shares_.emplace(*options.shares);
    Resources node;
    node.cores = trace.processors / trace.nodes;
    for (std::int32_t i = 0; i < trace.nodes; ++i) {
      const std::string digits = cat(i);
      const NodeName name(
          cat("n", std::string(7 - std::min<std::size_t>(7, digits.size()), '0'), digits));
      first_place_[name] = i * (trace.processors / trace.nodes);
      planner_.apply(delta::NodeIs{name, node, true});
    }
    schedule_.runs.resize(trace.jobs.size());
    gone_.resize(trace.jobs.size(), false);
    if (!trace.workflows.empty()) read_needs();
  }

  Schedule run() {
    while (next_ < trace_.jobs.size() || !ends_.empty()) {
      const Time now = next_instant();
      if (options_.order == EventOrder::Batch) {
        while (!ends_.empty() && ends_.top().at == now) end_first();
        while (next_ < trace_.jobs.size() && trace_.jobs[next_].submit <= now) submit_next(now);
        pass(now);
      } else {
        one_by_one(now);
      }
    }
    CHECK(ended_ == trace_.jobs.size());
    return std::move(schedule_);
  }

 private:
  struct End {
    Time at;
    std::size_t order;  // of the starts, which breaks ties
    std::size_t job;
    friend bool operator<(const End& a, const End& b) {  // the first on top
      return std::pair(b.at, b.order) < std::pair(a.at, a.order);
    }
  };

  void read_needs() {
    open_needs_.resize(trace_.jobs.size(), 0);
    needed_by_.resize(trace_.jobs.size());
    for (std::uint32_t i = 0; i < trace_.jobs.size(); ++i) {
      open_needs_[i] = static_cast<std::uint32_t>(trace_.jobs[i].needs.size());
      for (const std::uint32_t on : trace_.jobs[i].needs) needed_by_[on].push_back(i);
    }
    if (options_.dag == DagOrder::CriticalPath) {
      paths_ms_ = paths_to_end_ms(trace_);
      std::int32_t workflow = -1;
      for (std::size_t i = 0; i < trace_.jobs.size(); ++i) {
        if (trace_.jobs[i].workflow == workflow) continue;
        workflow = trace_.jobs[i].workflow;
        first_of_.push_back(JobId{i + 1});
      }
    }
  }

  [[nodiscard]] Time next_instant() const {
    Time now = wake_.value_or(Time::infinity());
    if (next_ < trace_.jobs.size()) now = std::min(now, trace_.jobs[next_].submit);
    if (!ends_.empty()) now = std::min(now, ends_.top().at);
    return now;
  }

  void one_by_one(Time now) {
    let_expected_go(now);
    bool passed = false;
    while (next_ < trace_.jobs.size() && trace_.jobs[next_].submit <= now) {
      // Whether it fits among several nodes the planner knows alone.
      const bool fits = trace_.nodes > 1 || trace_.jobs[next_].processors <= free_;
      submit_next(now);
      if (!fits && !every_job_is_promised_) continue;
      pass(now);
      passed = true;
    }
    while (!ends_.empty() && ends_.top().at == now) {
      end_first();
      pass(now);
      passed = true;
    }
    if (wake_ && *wake_ <= now && !passed) pass(now);
  }

  void submit_next(Time now) {
    const std::size_t job = next_++;
    if (open_needs_.empty() || open_needs_[job] == 0) stand_in_line(job, now);
  }

  void stand_in_line(std::size_t job, Time now) {
    schedule_.runs[job].eligible = now;
    if (paths_ms_.empty()) return tell_planner(job, now);
    const scheduler::DagGroup group{static_cast<std::uint64_t>(trace_.jobs[job].workflow),
                                    payer_of(job), queue_};
    for (const DagLine::Turn& turn : dag_line_.enter(group, key_of(job), paths_ms_[job], now)) {
      tell_planner(job_of(turn.key), turn.at);
    }
  }

  [[nodiscard]] scheduler::UserNumber payer_of(std::size_t job) const {
    return options_.shares == nullptr ? 0 : options_.shares->payer[job];
  }
  // A job that takes no time at all has no limit of none.
  [[nodiscard]] static Duration limit_of(const TraceJob& job) {
    return job.estimate.ns > 0 ? job.estimate : seconds(1);
  }

  void tell_planner(std::size_t number, Time turn) {
    const TraceJob& job = trace_.jobs[number];
    Candidate candidate;
    candidate.key = key_of(number);
    candidate.queue = queue_;
    candidate.user = payer_of(number);
    candidate.eligible = turn;
    candidate.limit = limit_of(job);
    Component component;
    component.tasks = job.processors;
    candidate.components.push_back(std::move(component));
    if (!paths_ms_.empty()) {
      candidate.dag = scheduler::DagPosition{first_of_[static_cast<std::size_t>(job.workflow)],
                                             paths_ms_[number]};
    }
    planner_.apply(delta::Waits{std::move(candidate)});
  }

  void end_first() {
    const End end = ends_.top();
    ends_.pop();
    let_go(end.job);
    if (shares_) shares_->end(end.job, end.at);
    if (!needed_by_.empty()) {
      for (const std::uint32_t next : needed_by_[end.job]) {
        if (--open_needs_[next] == 0) stand_in_line(next, end.at);
      }
    }
    if (++ended_ % kProgressEvery == 0 && options_.on_progress) options_.on_progress(ended_);
  }

  // In the order of single events: those that should end now are gone for the pass before their
  // end is an event.
  void let_expected_go(Time now) {
    std::vector<End> later;
    while (!ends_.empty() && ends_.top().at == now) {
      const End end = ends_.top();
      ends_.pop();
      const TraceJob& job = trace_.jobs[end.job];
      if (job.run == job.estimate) let_go(end.job);
      later.push_back(end);
    }
    for (const End& end : later) ends_.push(end);
  }

  void let_go(std::size_t job) {
    if (gone_[job]) return;
    gone_[job] = true;
    planner_.apply(delta::Ended{key_of(job)});
    free_ += trace_.jobs[job].processors;
  }

  void pass(Time now) {
    if (shares_) {
      if (auto changed = shares_->look(now)) planner_.apply(*std::move(changed));
    }
    PlanDelta plan = planner_.pass(now, kNoBudget);
    ++schedule_.passes;
    schedule_.looks += static_cast<std::size_t>(plan.looked_at);
    wake_ = plan.wake;
    for (Start& start : plan.starts) {
      const std::size_t number = job_of(start.key);
      const TraceJob& job = trace_.jobs[number];
      JobRun& run = schedule_.runs[number];
      run.start = now;
      run.end = now + job.run;
      free_ -= job.processors;
      CHECK(free_ >= 0);
      ends_.push({run.end, started_++, number});
      if (options_.with_places) run.places = places_of(start.allocation);
      if (dag_line_.stands(start.key)) (void)dag_line_.leave(start.key);
      if (shares_) shares_->begin(number, job.processors, now);
      planner_.apply(delta::Started{start.key, std::move(start.allocation), now + limit_of(job)});
    }
  }

  [[nodiscard]] std::vector<std::int32_t> places_of(const Allocation& allocation) const {
    std::vector<std::int32_t> out;
    for (const NodeShare& share : allocation.shares) {
      const std::int32_t first = first_place_.at(share.node);
      for (const std::int32_t core : share.cores) out.push_back(first + core);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  const Trace& trace_;
  const ReplayOptions& options_;
  Planner planner_;
  std::optional<ShareKeeper> shares_;
  const bool every_job_is_promised_ = options_.policy.reservation_depth > 1;
  const QueueName queue_{"batch"};
  std::unordered_map<NodeName, std::int32_t> first_place_;
  Schedule schedule_;
  std::priority_queue<End> ends_;
  std::vector<bool> gone_;
  std::size_t next_ = 0;  // to be submitted
  std::size_t started_ = 0;
  std::size_t ended_ = 0;
  std::int64_t free_ = 0;
  std::optional<Time> wake_;

  // Of tasks of workflows; empty for logs.
  std::vector<std::uint32_t> open_needs_;
  std::vector<std::vector<std::uint32_t>> needed_by_;
  std::vector<std::int64_t> paths_ms_;  // empty too for the plain order
  std::vector<JobId> first_of_;         // of each workflow
  DagLine dag_line_;
};

}  // namespace

Schedule replay(const Trace& trace, const ReplayOptions& options) {
  return Driver(trace, options).run();
}

}  // namespace gangway::jsim
