#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "queues/base/text.hpp"
#include "scheduler/policy/planner_impl.hpp"
#include "scheduler/policy/what_if.hpp"

namespace gangway::scheduler {

namespace {

// The plan is played forward with at most so many jobs, and so many passes ...
constexpr std::size_t kMaxJobsPlayed = 2000;
constexpr int kMaxPassesPlayed = 2000;
// ... and all plays of one explanation cost no more than this: looks times nodes.
constexpr std::int64_t kMaxWork = 20'000'000;
constexpr std::size_t kMaxBetter = 4;
constexpr std::size_t kMaxHoles = 4;

}  // namespace

// The future as the policy would make it if nothing came between: everybody runs to their limit.
class Planner::Impl::Play {
  using Ended = std::vector<std::pair<JobKey, std::set<NodeIndex>>>;  // with the nodes they had

 public:
  struct Answer {
    std::optional<Time> start;
    std::vector<NodeName> nodes;
    std::vector<JobKey> frees;    // those whose ends let it start
    std::vector<Duration> holes;  // until promises to others fall due
    bool known = true;            // false: it was given up
  };

  // `extra` waits, too.
  Play(const Impl& of, Time now, const Candidate* extra) : of_(of), now_(now), extra_(extra) {
    std::vector<Place> line;
    line.reserve(of.waiting.size());
    const auto add = [&](const Place& place) { line.push_back(place); };
    for (const auto& [request, job_class] : of.classes) job_class.line.for_each(add);
    for (const auto& [place, promise] : of.promised) add(place);
    if (line.size() > kMaxJobsPlayed) {
      std::nth_element(line.begin(), line.begin() + kMaxJobsPlayed, line.end());
      line.resize(kMaxJobsPlayed);
    }
    std::sort(line.begin(), line.end());
    for (const Place& place : line) jobs_.push_back(&of.waiting.at(place.key));
  }

  // Of a job that waits, with what `job` says instead; only as far as it starts before `until`.
  [[nodiscard]] Answer run(const Candidate& job, std::optional<Time> until) {
    Impl played = stage();
    played.on(delta::Waits{job});
    Answer answer;
    Time now = now_;
    Ended ended;
    for (int passes = 0; passes < kMaxPassesPlayed; ++passes) {
      const PlanDelta plan = played.pass(now, static_cast<int>(kMaxJobsPlayed) + 1);
      work_ += (plan.looked_at + 1) * (std::int64_t{played.profile.node_count()} + 16);
      if (plan.promise && plan.promise->key != job.key && plan.promise->start > now &&
          answer.holes.size() < kMaxHoles) {
        answer.holes.push_back(plan.promise->start - now);
      }
      for (const Start& start : plan.starts) {
        if (start.key == job.key) {
          answer.start = now;
          note_start(start.allocation, ended, played.profile, answer);
          return answer;
        }
        const Candidate& starts = played.waiting.at(start.key).job;
        const QueueName queue = starts.queue;
        const Time end = end_of(now, played.slices.stretched(queue, starts.limit));
        played.on(delta::Started{start.key, start.allocation, end, queue});
      }
      const auto ends = played.profile.ends_after(now);
      std::optional<Time> next;
      if (!ends.empty() && ends.front().at < kUnlimitedEnd) next = ends.front().at;
      const bool wakes = plan.wake && *plan.wake > now && (!next || *plan.wake < *next);
      if (wakes) next = plan.wake;
      if (!next || (until && *next >= *until)) return answer;
      if (!has_work_left()) break;
      now = *next;
      ended.clear();
      for (const auto& end : ends) {
        if (wakes || end.at != now) break;
        std::set<NodeIndex> nodes;
        for (const NodeClaim& claim : played.profile.claims_of(end.key)) nodes.insert(claim.node);
        ended.emplace_back(end.key, std::move(nodes));
      }
      for (const auto& [key, nodes] : ended) played.on(delta::Ended{key});
    }
    answer.known = false;
    return answer;
  }

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] bool has_work_left() const { return work_ < kMaxWork; }

 private:
  // The planner as it is, with all that was promised.
  [[nodiscard]] Impl stage() {
    Impl played;
    played.policy = of_.policy;
    played.profile = of_.profile;
    played.slices = of_.slices;
    played.pricing = of_.pricing;
    played.pricing.settle();
    for (const Waiting* job : jobs_) played.on(delta::Waits{job->job});
    std::vector<Reserved> kept;
    for (const auto& [place, promise] : of_.promised) {
      const auto job = played.waiting.find(place.key);
      if (job == played.waiting.end()) continue;
      Reserved reserved = promise.reserved;
      reserved.request = &job->second.in->second.request;
      kept.push_back(std::move(reserved));
    }
    played.keep(kept);
    played.freed = of_.freed;
    if (extra_ != nullptr) played.on(delta::Waits{*extra_});
    work_ += static_cast<std::int64_t>(jobs_.size()) + played.profile.node_count();
    return played;
  }

  static void note_start(const Allocation& allocation,
                         const Ended& ended,
                         Profile& profile,
                         Answer& answer) {
    std::set<NodeIndex> mine;
    for (const NodeShare& share : allocation.shares) {
      answer.nodes.push_back(share.node);
      mine.insert(profile.index_of(share.node));
    }
    for (const auto& [key, nodes] : ended) {
      const bool frees = std::any_of(nodes.begin(), nodes.end(),
                                     [&](NodeIndex node) { return mine.contains(node); });
      if (frees) answer.frees.push_back(key);
    }
    std::sort(answer.frees.begin(), answer.frees.end());
  }

  const Impl& of_;
  Time now_;
  const Candidate* extra_;
  std::vector<const Waiting*> jobs_;
  std::int64_t work_ = 0;
};

std::optional<Explanation> Planner::Impl::explain(JobKey key, Time now, LookAhead look) const {
  const auto found = waiting.find(key);
  if (found == waiting.end()) return std::nullopt;
  const Waiting& job = found->second;
  const Place place = pricing.place_of(job.job);
  Explanation out = explain_place(job.job, place, now);
  out.reason = job.told;
  out.waits_for = waits_for(job.in->second.request, out);
  if (look == LookAhead::None) return out;
  Play play(*this, now, nullptr);
  const std::vector<Duration> holes = explain_start(job.job, play, out);
  const auto promise = promised.find(place);
  if (!out.expected_start && promise != promised.end() &&
      promise->second.reserved.start < kUnlimitedEnd) {
    out.expected_start = std::max(promise->second.reserved.start, now);
  }
  explain_better(job.job, holes, play, out);
  return out;
}

Explanation Planner::Impl::explain_as_if(const Candidate& job, Time now) const {
  Explanation out = explain_place(job, pricing.place_of(job), now);
  Play play(*this, now, &job);
  const std::vector<Duration> holes = explain_start(job, play, out);
  explain_better(job, holes, play, out);
  Kinds kinds = profile.kinds();
  out.waits_for = waits_for(make_request(job.queue, job.limit, job.components, kinds), out);
  return out;
}

Explanation Planner::Impl::explain_place(const Candidate& job, const Place& place, Time now) const {
  Explanation out;
  out.priority = pricing.terms_of(job, now);
  std::size_t ahead = 0;
  for (const auto& [request, job_class] : classes) ahead += job_class.line.count_before(place);
  for (const auto& [other, promise] : promised) ahead += other < place ? 1 : 0;
  out.ahead = static_cast<int>(ahead);
  out.rank = out.ahead + 1;
  return out;
}

// Returns the holes before promises to others.
std::vector<Duration> Planner::Impl::explain_start(const Candidate& job,
                                                   Play& play,
                                                   Explanation& out) const {
  if (static_cast<std::size_t>(out.ahead) >= kMaxJobsPlayed) return {};
  Play::Answer answer = play.run(job, std::nullopt);
  if (!answer.start) return std::move(answer.holes);
  out.expected_start = answer.start;
  out.nodes = std::move(answer.nodes);
  if (*answer.start > play.now()) out.rests_on = rests_on(answer.frees);
  return std::move(answer.holes);
}

std::string Planner::Impl::rests_on(const std::vector<JobKey>& frees) {
  constexpr std::size_t kMostNamed = 3;
  if (frees.empty()) return {};
  std::vector<std::string> names;
  for (const JobKey key : frees) {
    if (names.size() < kMostNamed) names.push_back(to_string(key));
  }
  if (frees.size() == 1) return cat("when job ", names.front(), " reaches its time limit");
  const std::size_t more = frees.size() - names.size();
  return cat("when jobs ", join(names, ", "), more > 0 ? cat(" and ", more, " more") : "",
             " reach their time limits");
}

// Of each kind of change the smallest that helps.
void Planner::Impl::explain_better(const Candidate& job,
                                   const std::vector<Duration>& holes,
                                   Play& play,
                                   Explanation& out) const {
  if (static_cast<std::size_t>(out.ahead) >= kMaxJobsPlayed) return;
  if (out.expected_start && *out.expected_start <= play.now()) return;
  std::set<Change> told;
  for (Variant& variant : make_variants(job, queues, holes)) {
    if (out.better.size() == kMaxBetter || !play.has_work_left()) return;
    if (told.contains(variant.change)) continue;
    const Play::Answer answer = play.run(variant.job, out.expected_start);
    if (!answer.start) continue;
    told.insert(variant.change);
    out.better.push_back({std::move(variant.text), *answer.start, std::move(variant.job)});
  }
}

std::string Planner::Impl::waits_for(const Request& request, const Explanation& why) const {
  const std::string wanted = describe(request, profile.kinds());
  switch (why.reason) {
    case PendingReason::NodesUnavailable:
      return cat("it needs ", wanted,
                 "; too many of the nodes that could serve it are down, "
                 "lost or drained");
    case PendingReason::BadConstraints:
      return cat("it needs ", wanted, "; the nodes of queue ", request.queue.value,
                 " do not have it any more");
    case PendingReason::QueueDown:
      return cat("its queue ", request.queue.value, " is not configured any more");
    case PendingReason::Resources:
      return cat("it is next and needs ", wanted, "; not so much is free at once yet");
    case PendingReason::Priority:
      return cat("it needs ", wanted, "; ", why.ahead, why.ahead == 1 ? " job is" : " jobs are",
                 " before it, and it would not fit beside them now");
    default:
      return cat("it needs ", wanted);
  }
}

}  // namespace gangway::scheduler
