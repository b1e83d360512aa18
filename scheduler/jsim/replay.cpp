#include "scheduler/jsim/replay.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "queues/base/check.hpp"
#include "scheduler/policy/planner.hpp"

namespace gangway::jsim {

namespace {

using scheduler::Candidate;
using scheduler::PlanDelta;
using scheduler::Planner;
using scheduler::Start;
namespace delta = scheduler::delta;

constexpr std::size_t kProgressEvery = 256;  // ends
constexpr int kNoBudget = std::numeric_limits<int>::max();

JobKey key_of(std::size_t job) { return JobKey{JobId{job + 1}}; }
std::size_t job_of(JobKey key) { return static_cast<std::size_t>(key.job.value - 1); }

class Driver {
 public:
  Driver(const Trace& trace, const ReplayOptions& options)
      : trace_(trace), options_(options), planner_(options.policy), free_(trace.processors) {
    Queue queue;
    queue.name = queue_;
    queue.is_default = true;
    planner_.apply(delta::QueuesAre{{queue}});
    // In the order of submission.
    planner_.apply(delta::RulesAre{
        {.age = 0, .fair_share = 0, .size = 0, .queue = 0, .qos = 0, .resources = {}}});
    Resources machine;
    machine.cores = trace.processors;
    planner_.apply(delta::NodeIs{NodeName("machine"), machine, true});
    schedule_.runs.resize(trace.jobs.size());
    gone_.resize(trace.jobs.size(), false);
  }

  Schedule run() {
    while (next_ < trace_.jobs.size() || !ends_.empty()) {
      const Time now = next_instant();
      if (options_.order == EventOrder::Batch) {
        while (!ends_.empty() && ends_.top().at == now) end_first();
        while (next_ < trace_.jobs.size() && trace_.jobs[next_].submit <= now) submit_next();
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
      const bool fits = trace_.jobs[next_].processors <= free_;
      submit_next();
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

  void submit_next() {
    const TraceJob& job = trace_.jobs[next_];
    Candidate candidate;
    candidate.key = key_of(next_);
    candidate.queue = queue_;
    candidate.eligible = job.submit;
    candidate.limit = job.estimate;
    Component component;
    component.tasks = job.processors;
    candidate.components.push_back(std::move(component));
    planner_.apply(delta::Waits{std::move(candidate)});
    ++next_;
  }

  void end_first() {
    const std::size_t job = ends_.top().job;
    ends_.pop();
    let_go(job);
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
      if (options_.with_places) run.places = start.allocation.shares.front().cores;
      planner_.apply(delta::Started{start.key, std::move(start.allocation), now + job.estimate});
    }
  }

  const Trace& trace_;
  const ReplayOptions& options_;
  Planner planner_;
  const bool every_job_is_promised_ = options_.policy.reservation_depth > 1;
  const QueueName queue_{"batch"};
  Schedule schedule_;
  std::priority_queue<End> ends_;
  std::vector<bool> gone_;
  std::size_t next_ = 0;  // to be submitted
  std::size_t started_ = 0;
  std::size_t ended_ = 0;
  std::int64_t free_ = 0;
  std::optional<Time> wake_;
};

}  // namespace

Schedule replay(const Trace& trace, const ReplayOptions& options) {
  return Driver(trace, options).run();
}

}  // namespace gangway::jsim
