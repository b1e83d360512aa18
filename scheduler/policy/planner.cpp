#include "scheduler/policy/planner.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <queue>
#include <set>
#include <unordered_map>
#include <utility>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "scheduler/policy/backfill.hpp"
#include "scheduler/policy/pricing.hpp"

namespace gangway::scheduler {

namespace {

// explain() plays the plan forward with at most so many jobs ahead, and so many passes.
constexpr int kMaxAheadPlayed = 2000;
constexpr int kMaxPassesPlayed = 2000;

// Jobs with equal requests.
struct JobClass {
  Request request;
  std::set<Place> line;
  PendingReason reason = PendingReason::Priority;  // of all but the first in line of all classes
  PendingReason told = PendingReason::Priority;
  std::uint64_t failed_in = 0;  // the memory (Impl::memory_) in which it has failed
};

using Classes = std::map<std::string, JobClass>;
// The first job of each class, in order; a place belongs to one job, so classes never compare.
using Heads = std::map<Place, JobClass*>;

struct Waiting {
  Candidate job;
  Place place;
  Classes::iterator in;
  PendingReason told = PendingReason::None;
};

// The classes' lines merged: what a pass looks at. A class that has failed costs one look, however
// many jobs are in it.
class MergedLine final : public Line {
 public:
  MergedLine(const Heads& heads, std::uint64_t memory)
      : untouched_(heads.begin()), end_(heads.end()), memory_(memory) {}

  std::optional<InLine> next() override {
    if (last_) {
      if (++last_->at != last_->in->line.end()) advanced_.push(*last_);
      last_.reset();
    }
    while (const auto head = take_first()) {
      // What failed in the unfinished pass before needs no second try, but for the jobs at the
      // front: they make the reservations again.
      if (head->in->failed_in == memory_ && reservations_are_made_) continue;
      last_ = head;
      looked_at_.push_back(head->in);
      head->in->reason = PendingReason::Priority;
      return InLine{head->at->key, &head->in->request};
    }
    return std::nullopt;
  }

  void pass_over_equals(PendingReason reason) override {
    last_->in->failed_in = memory_;
    last_->in->reason = reason;
    last_.reset();
    if (reason == PendingReason::Priority) reservations_are_made_ = true;
  }

  [[nodiscard]] const std::vector<JobClass*>& looked_at() const { return looked_at_; }

 private:
  struct Head {
    JobClass* in;
    std::set<Place>::const_iterator at;
    friend bool operator<(const Head& a, const Head& b) { return *b.at < *a.at; }  // first on top
  };

  std::optional<Head> take_first() {
    const bool from_heads =
        untouched_ != end_ && (advanced_.empty() || untouched_->first < *advanced_.top().at);
    if (from_heads) {
      JobClass* const in = (untouched_++)->second;
      return Head{in, in->line.begin()};
    }
    if (advanced_.empty()) return std::nullopt;
    const Head head = advanced_.top();
    advanced_.pop();
    return head;
  }

  Heads::const_iterator untouched_;
  Heads::const_iterator end_;
  std::uint64_t memory_;
  std::priority_queue<Head> advanced_;
  std::optional<Head> last_;
  bool reservations_are_made_ = false;
  std::vector<JobClass*> looked_at_;
};

}  // namespace

struct Planner::Impl {
  Profile profile;
  Pricing pricing;
  std::unordered_map<JobKey, Waiting> waiting;  // never walked where an order could show
  Classes classes;
  Heads heads;
  std::vector<JobKey> fresh;  // wait since the last pass; nobody was told why
  std::optional<JobKey> first_reserved;
  std::uint64_t memory = 1;  // a class that failed in this one need not be tried again
  bool places_are_old = false;
  bool unfinished = false;  // the last pass was cut short, and nothing has become free since
  Time last_pass;

  // ---- deltas ----
  void on(const delta::RulesAre& d) {
    pricing.set_rules(d.priority);
    line_up_again();
  }
  void on(const delta::QueuesAre& d) {
    profile.set_queues(d.queues);
    pricing.set_queues(d.queues);
    line_up_again();
  }
  void on(const delta::FairSharesAre& d) {
    pricing.set_fair_shares(d);
    line_up_again();
  }
  void on(const delta::NodeIs& d) {
    profile.set_node(d.name, d.capacity, d.usable);
    places_are_old = pricing.set_node(d.name, d.capacity) || places_are_old;
    unfinished = false;
  }
  void on(const delta::NodeGone& d) {
    profile.drop_node(d.name);
    places_are_old = pricing.drop_node(d.name) || places_are_old;
    unfinished = false;
  }
  void on(const delta::Waits& d) {
    const Candidate& job = d.job;
    const auto known = waiting.find(job.key);
    const PendingReason told = known == waiting.end() ? PendingReason::None : known->second.told;
    on(delta::WaitsNoMore{job.key});
    const auto [in, is_new] =
        classes.try_emplace(request_key(job.queue, job.limit, job.components));
    if (is_new) {
      in->second.request = make_request(job.queue, job.limit, job.components, profile.kinds());
    }
    const Place place = pricing.place_of(job);
    change_line(in->second, [&](std::set<Place>& line) { line.insert(place); });
    waiting.insert_or_assign(job.key, Waiting{job, place, in, told});
    fresh.push_back(job.key);
  }
  void on(const delta::WaitsNoMore& d) {
    const auto found = waiting.find(d.key);
    if (found == waiting.end()) return;
    const Waiting job = std::move(found->second);
    waiting.erase(found);
    change_line(job.in->second, [&](std::set<Place>& line) { line.erase(job.place); });
    if (job.in->second.line.empty()) classes.erase(job.in);
  }
  void on(const delta::Started& d) {
    on(delta::WaitsNoMore{d.key});
    if (profile.is_claimed_by(d.key)) profile.end(d.key);  // its end has moved
    profile.start(d.key, planned_end(d.expected_end), claims_of(profile, d.allocation));
  }
  void on(const delta::Ended& d) {
    profile.end(d.key);
    unfinished = false;
  }

  // What the order depends on has changed. Classes in which nobody's place has are left alone.
  void line_up_again() {
    places_are_old = false;
    heads.clear();
    for (auto& [request, job_class] : classes) {
      std::vector<Place> line;
      line.reserve(job_class.line.size());
      bool changed = false;
      for (const Place& old : job_class.line) {
        Waiting& job = waiting.at(old.key);
        job.place = pricing.place_of(job.job);
        changed = changed || job.place != old;
        line.push_back(job.place);
      }
      if (changed) {
        std::sort(line.begin(), line.end());
        job_class.line = {line.begin(), line.end()};
      }
      heads.emplace(*job_class.line.begin(), &job_class);
    }
    unfinished = false;
  }

  template <typename Change>
  void change_line(JobClass& job_class, Change change) {
    if (!job_class.line.empty()) heads.erase(*job_class.line.begin());
    change(job_class.line);
    if (!job_class.line.empty()) heads.emplace(*job_class.line.begin(), &job_class);
  }

  // ---- the pass ----
  PlanDelta pass(Time now, int budget) {
    last_pass = now;
    if (places_are_old) line_up_again();
    if (!unfinished) ++memory;
    std::vector<JobClass*> looked_at;
    BackfillResult result = walk(now, budget, looked_at);
    if (unfinished && first_of(result) != first_reserved) {
      // Another job has come to the front: what stood in the way of the old one may not stand in
      // the way of this one.
      ++memory;
      result = walk(now, budget, looked_at);
    }
    unfinished = !result.complete;
    PlanDelta plan{.starts = std::move(result.starts),
                   .reasons = {},
                   .promise = promise_of(result, profile),
                   .complete = result.complete,
                   .looked_at = result.looked_at};
    plan.reasons = changed_reasons(plan.starts, first_of(result), looked_at);
    return plan;
  }

  BackfillResult walk(Time now, int budget, std::vector<JobClass*>& looked_at) {
    MergedLine line(heads, memory);
    BackfillResult result =
        backfill(profile, line, now, {.reservation_depth = 1, .budget = budget});
    looked_at = line.looked_at();
    return result;
  }

  static std::optional<JobKey> first_of(const BackfillResult& result) {
    if (result.reserved.empty()) return std::nullopt;
    return result.reserved.front().key;
  }

  std::vector<Reason> changed_reasons(const std::vector<Start>& starts,
                                      std::optional<JobKey> first,
                                      const std::vector<JobClass*>& looked_at) {
    std::set<JobKey> starting;
    for (const Start& start : starts) starting.insert(start.key);
    std::set<JobKey> to_tell(fresh.begin(), fresh.end());
    if (first) to_tell.insert(*first);
    if (first_reserved) to_tell.insert(*first_reserved);
    for (JobClass* const job_class : looked_at) {
      if (job_class->told == job_class->reason) continue;
      job_class->told = job_class->reason;
      for (const Place& place : job_class->line) to_tell.insert(place.key);
    }
    fresh.clear();
    first_reserved = first;

    std::vector<Reason> out;
    for (const JobKey key : to_tell) {
      const auto found = waiting.find(key);
      if (found == waiting.end()) continue;
      if (starting.contains(key)) {
        fresh.push_back(key);  // if the caller does not start it after all
        continue;
      }
      Waiting& job = found->second;
      const PendingReason reason = key == first ? PendingReason::Resources : job.in->second.reason;
      if (job.told == reason) continue;
      job.told = reason;
      out.push_back({key, reason});
    }
    return out;
  }

  // ---- explanations ----
  [[nodiscard]] std::optional<Explanation> explain(JobKey key, Time now) const {
    const auto found = waiting.find(key);
    if (found == waiting.end()) return std::nullopt;
    const Waiting& job = found->second;
    Explanation out;
    out.reason = job.told;
    out.priority = pricing.terms_of(job.job, now);
    std::vector<const Waiting*> ahead;
    for (const auto& [other_key, other] : waiting) {
      if (other.place < job.place) ahead.push_back(&other);
    }
    out.ahead = static_cast<int>(ahead.size());
    out.rank = out.ahead + 1;
    if (out.ahead <= kMaxAheadPlayed) out.expected_start = play_forward(job, ahead, now);
    out.waits_for = waits_for(job, out);
    return out;
  }

  // Jobs behind it are left out: backfilling does not let them delay the first in line.
  [[nodiscard]] std::optional<Time> play_forward(const Waiting& job,
                                                 const std::vector<const Waiting*>& ahead,
                                                 Time now) const {
    Impl played;
    played.profile = profile;
    played.pricing = pricing;
    for (const Waiting* other : ahead) played.on(delta::Waits{other->job});
    played.on(delta::Waits{job.job});
    for (int passes = 0; passes < kMaxPassesPlayed; ++passes) {
      const PlanDelta plan = played.pass(now, kMaxAheadPlayed + 1);
      for (const Start& start : plan.starts) {
        if (start.key == job.job.key) return now;
        const Waiting& started = played.waiting.at(start.key);
        const Time end = end_of(now, started.job.limit);
        played.on(delta::Started{start.key, start.allocation, end});
      }
      const auto ends = played.profile.ends_after(now);
      if (ends.empty() || ends.front().at >= kUnlimitedEnd) return std::nullopt;
      now = ends.front().at;
      for (const auto& end : ends) {
        if (end.at != now) break;
        played.on(delta::Ended{end.key});
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string waits_for(const Waiting& job, const Explanation& why) const {
    const Request& request = job.in->second.request;
    const std::string wanted = describe(request, profile.kinds());
    switch (why.reason) {
      case PendingReason::NodesUnavailable:
        return cat("it needs ", wanted,
                   "; too many of the nodes that could serve it are down, "
                   "lost or drained");
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
};

Planner::Planner() : impl_(std::make_unique<Impl>()) {}
Planner::~Planner() = default;
Planner::Planner(Planner&&) noexcept = default;
Planner& Planner::operator=(Planner&&) noexcept = default;

void Planner::apply(const Delta& delta) {
  std::visit([&](const auto& d) { impl_->on(d); }, delta);
}

PlanDelta Planner::pass(Time now, int budget) { return impl_->pass(now, budget); }

std::optional<Explanation> Planner::explain(JobKey key, Time now) const {
  return impl_->explain(key, now);
}

std::optional<PriorityTerms> Planner::priority_of(JobKey key) const {
  const auto found = impl_->waiting.find(key);
  if (found == impl_->waiting.end()) return std::nullopt;
  return impl_->pricing.terms_of(found->second.job, impl_->last_pass);
}

Result<void> can_ever_run(const std::vector<Component>& components,
                          const Queue& queue,
                          const std::vector<std::pair<NodeName, Resources>>& nodes) {
  Profile profile;
  profile.set_queues({queue});
  for (const auto& [name, capacity] : nodes) profile.set_node(name, capacity, true);
  const Request request = make_request(queue.name, std::nullopt, components, profile.kinds());
  if (would_fit_empty(profile, request, false)) return {};

  // Say what is missing: of each part the number of nodes that could serve it.
  const Profile::QueueNumber number = *profile.find_queue(queue.name);
  std::size_t in_queue = 0;
  for (NodeIndex node = 0; node < profile.node_count(); ++node) {
    if (profile.may_serve(node, number, RequestPart{})) ++in_queue;
  }
  const auto refuse = [&](const auto&... pieces) {
    return Error(ErrorKind::Invalid, cat(pieces...));
  };
  const auto nodes_word = [](auto count) { return count == 1 ? " node" : " nodes"; };
  if (request.total_nodes() > in_queue) {
    return refuse(request.total_nodes(), nodes_word(request.total_nodes()), " asked, queue ",
                  queue.name.value, " has ", in_queue);
  }
  for (const RequestPart& part : request.parts) {
    std::int32_t able = 0;
    for (NodeIndex node = 0; node < profile.node_count(); ++node) {
      if (profile.may_serve(node, number, part)) ++able;
    }
    if (able < part.nodes) {
      return refuse(describe(Request{queue.name, std::nullopt, {part}}, profile.kinds()),
                    " asked, queue ", queue.name.value, " has ", able, " such", nodes_word(able));
    }
  }
  return refuse(describe(request, profile.kinds()), " asked, queue ", queue.name.value,
                " has not enough such nodes for all of it at once");
}

}  // namespace gangway::scheduler
