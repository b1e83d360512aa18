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
#include "scheduler/policy/request.hpp"

namespace gangway::scheduler {

namespace {

// explain() plays the plan forward with at most so many jobs ahead, and so many passes.
constexpr int kMaxAheadPlayed = 2000;
constexpr int kMaxPassesPlayed = 2000;

// Jobs with equal requests.
struct JobClass {
  Request request;
  std::set<Place> line;                            // without those that have a promise
  std::size_t promised = 0;                        // so many have one
  PendingReason reason = PendingReason::Priority;  // of all but the first in line of all classes
  PendingReason told = PendingReason::Priority;
  std::uint64_t failed_in = 0;  // the memory (Impl::memory_) in which it has failed
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
  Candidate job;
  Place place;
  Classes::value_type* in;
  PendingReason told = PendingReason::None;
};

// What the last pass found out still holds for those it looked at.
struct Memory {
  std::uint64_t number = 1;  // a class that failed in this one need not be tried again
  bool holds = false;        // it does
};

// The classes' lines and the promised jobs merged: what a pass looks at. A class that has failed
// costs one look, however many jobs are in it.
class MergedLine final : public Line {
 public:
  MergedLine(const Heads& heads,
             const Promised& promised,
             const Memory& memory,
             Time not_promised_after)
      : untouched_(heads.begin()),
        end_(heads.end()),
        promised_(promised.begin()),
        promised_end_(promised.end()),
        memory_(memory),
        not_promised_after_(not_promised_after) {}

  std::optional<InLine> next() override {
    go_on();
    while (const auto head = take_first()) {
      // What failed in the pass before needs no second try, but for the jobs at the front: they
      // make the reservations again.
      if (head->in->failed_in == memory_.number && reservations_are_made_) continue;
      last_ = head;
      if (head->promised == nullptr) {
        looked_at_.push_back(head->in);
        head->in->reason = PendingReason::Priority;
      }
      return InLine{head->place->key, &head->in->request};
    }
    return std::nullopt;
  }

  void pass_over_equals(PendingReason reason) override {
    if (last_->promised != nullptr) return;
    last_->in->failed_in = memory_.number;
    last_->in->reason = reason;
    last_.reset();
    if (reason == PendingReason::Priority) reservations_are_made_ = true;
  }

  void shortest_first(std::optional<Time> first_if_before) override {
    go_on();
    std::vector<Head> rest;
    while (const auto head = take_first()) rest.push_back(*head);
    by_length_ = true;
    first_if_before_ = first_if_before;
    advanced_ = Advanced(Later{this}, std::move(rest));
  }

  [[nodiscard]] const std::vector<JobClass*>& looked_at() const { return looked_at_; }

 private:
  struct Head {
    JobClass* in;
    const Place* place;
    std::set<Place>::const_iterator at;  // unless it is promised
    const Kept* promised = nullptr;
  };
  struct Later {  // for a queue with the first on top
    const MergedLine* line;
    bool operator()(const Head& a, const Head& b) const { return line->is_before(b, a); }
  };
  using Advanced = std::priority_queue<Head, std::vector<Head>, Later>;

  [[nodiscard]] bool is_before(const Head& a, const Head& b) const {
    if (by_length_) {
      const auto starves = [&](const Head& h) {
        return first_if_before_ && h.place->eligible <= *first_if_before_;
      };
      const bool a_starves = starves(a);
      if (a_starves != starves(b)) return a_starves;
      const auto limit = [](const Head& h) {
        return h.in->request.limit.value_or(Duration{kUnlimitedEnd.ns});
      };
      if (!a_starves && limit(a) != limit(b)) return limit(a) < limit(b);
    }
    return *a.place < *b.place;
  }

  // The one looked at last was not passed over: the next of its class comes up.
  void go_on() {
    if (last_ && last_->promised == nullptr && ++last_->at != last_->in->line.end()) {
      last_->place = &*last_->at;
      advanced_.push(*last_);
    }
    last_.reset();
  }

  std::optional<Head> take_first() {
    std::optional<Head> first;
    if (untouched_ != end_) {
      JobClass* const in = untouched_->second;
      first = Head{in, &untouched_->first, in->line.begin()};
    }
    bool from_advanced = false;
    if (!advanced_.empty() && (!first || is_before(advanced_.top(), *first))) {
      first = advanced_.top();
      from_advanced = true;
    }
    while (promised_ != promised_end_ && promised_->second.reserved.start > not_promised_after_) {
      ++promised_;
    }
    if (promised_ != promised_end_ && (!first || promised_->first < *first->place)) {
      first = Head{promised_->second.in, &promised_->first, {}, &promised_->second};
      ++promised_;
    } else if (from_advanced) {
      advanced_.pop();
    } else if (first) {
      ++untouched_;
    }
    return first;
  }

  Heads::const_iterator untouched_;
  Heads::const_iterator end_;
  Promised::const_iterator promised_;
  Promised::const_iterator promised_end_;
  const Memory& memory_;
  Time not_promised_after_;
  bool by_length_ = false;
  std::optional<Time> first_if_before_;
  Advanced advanced_{Later{this}};
  std::optional<Head> last_;
  bool reservations_are_made_ = false;
  std::vector<JobClass*> looked_at_;
};

}  // namespace

struct Planner::Impl {
  BackfillPolicy policy;
  Profile profile;
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
  void on(const delta::RulesAre& d) {
    pricing.set_rules(d.priority);
    line_up_again();
  }
  void on(const delta::QueuesAre& d) {
    profile.set_queues(d.queues);
    pricing.set_queues(d.queues);
    line_up_again();
    freed = true;
  }
  void on(const delta::FairSharesAre& d) {
    pricing.set_fair_shares(d);
    line_up_again();
  }
  void on(const delta::NodeIs& d) {
    profile.set_node(d.name, d.capacity, d.usable);
    places_are_old = pricing.set_node(d.name, d.capacity) || places_are_old;
    memory.holds = false;
    freed = true;
  }
  void on(const delta::NodeGone& d) {
    profile.drop_node(d.name);
    places_are_old = pricing.drop_node(d.name) || places_are_old;
    memory.holds = false;
    freed = true;
  }
  void on(const delta::Waits& d) {
    const Candidate& job = d.job;
    const auto known = waiting.find(job.key);
    const PendingReason told = known == waiting.end() ? PendingReason::None : known->second.told;
    const Place place = pricing.place_of(job);
    if (known != waiting.end() && known->second.job == job && known->second.place == place) return;
    on(delta::WaitsNoMore{job.key});
    const auto [found, is_new] =
        classes.try_emplace(request_key(job.queue, job.limit, job.components));
    Classes::value_type* const in = &*found;
    if (is_new) {
      in->second.request = make_request(job.queue, job.limit, job.components, profile.kinds());
    }
    change_line(in->second, [&](std::set<Place>& line) { line.insert(place); });
    waiting.insert_or_assign(job.key, Waiting{job, place, in, told});
    fresh.push_back(job.key);
  }
  void on(const delta::WaitsNoMore& d) {
    if (!forget(d.key)) return;
    memory.holds = false;  // what it was promised is free
    freed = true;
  }
  // Says whether it had a promise.
  bool forget(JobKey key) {
    const auto found = waiting.find(key);
    if (found == waiting.end()) return false;
    const Waiting job = std::move(found->second);
    waiting.erase(found);
    JobClass& in = job.in->second;
    const bool had_promise = promised.erase(job.place) == 1;
    if (had_promise) {
      --in.promised;
    } else {
      change_line(in, [&](std::set<Place>& line) { line.erase(job.place); });
    }
    if (in.line.empty() && in.promised == 0) classes.erase(classes.find(job.in->first));
    return had_promise;
  }
  void on(const delta::Started& d) {
    forget(d.key);
    if (profile.is_claimed_by(d.key)) {  // its end has moved
      profile.end(d.key);
      freed = true;
    }
    if (complete) memory.holds = false;
    profile.start(d.key, planned_end(d.expected_end), claims_of(profile, d.allocation));
  }
  void on(const delta::Ended& d) {
    profile.end(d.key);
    memory.holds = false;
    freed = true;
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
      if (!job_class.line.empty()) heads.emplace(*job_class.line.begin(), &job_class);
    }
    Promised in_new_places;
    for (auto& [old, kept] : promised) {
      Waiting& job = waiting.at(old.key);
      job.place = pricing.place_of(job.job);
      in_new_places.emplace(job.place, std::move(kept));
    }
    promised = std::move(in_new_places);
    memory.holds = false;
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
    if (profile.has_overrun(now)) {  // what waits for it moves on
      memory.holds = false;
      freed = true;
    }
    if (!memory.holds) ++memory.number;
    std::vector<JobClass*> looked_at;
    BackfillResult result = walk(now, budget, looked_at);
    if (memory.holds && !is_first_as_before(result)) {
      // Another job has come to the front: what stood in the way of the old one may not stand in
      // the way of this one.
      ++memory.number;
      memory.holds = false;
      result = walk(now, budget, looked_at);
    }
    PlanDelta plan{.starts = std::move(result.starts),
                   .reasons = {},
                   .promise = promise_of(result, profile),
                   .wake = wake_of(result, policy),
                   .complete = result.complete,
                   .looked_at = result.looked_at};
    const std::optional<JobKey> first = first_of(result);
    if (policy.keeps_promises) keep(result.reserved);
    // A pass that started something took nodes in an order of its own, and the next may find better
    // ones for those that failed.
    complete = result.complete;
    memory.holds = !result.complete || plan.starts.empty();
    freed = !result.complete;
    plan.reasons = changed_reasons(plan.starts, first, looked_at);
    first_start =
        result.reserved.empty() ? std::nullopt : std::optional(result.reserved.front().start);
    return plan;
  }

  BackfillResult walk(Time now, int budget, std::vector<JobClass*>& looked_at) {
    // Promises only move when something has become free, or fall due.
    MergedLine line(heads, promised, memory, freed ? Time::infinity() : now);
    std::vector<Reserved> kept;
    kept.reserve(promised.size());
    for (const auto& [place, promise] : promised) kept.push_back(promise.reserved);
    BackfillResult result =
        backfill(profile, line, now, {.policy = policy, .budget = budget}, kept);
    looked_at = line.looked_at();
    return result;
  }

  // Jobs that were not reserved for any more go back to the lines of their classes.
  void keep(const std::vector<Reserved>& reserved) {
    std::set<Place> lost;
    for (const auto& [place, promise] : promised) lost.insert(place);
    for (const Reserved& one : reserved) {
      const Waiting& job = waiting.at(one.key);
      JobClass& in = job.in->second;
      lost.erase(job.place);
      if (promised.insert_or_assign(job.place, Kept{&in, one}).second) {
        ++in.promised;
        change_line(in, [&](std::set<Place>& line) { line.erase(job.place); });
      }
    }
    for (const Place& place : lost) {
      JobClass& in = *promised.at(place).in;
      promised.erase(place);
      --in.promised;
      change_line(in, [&](std::set<Place>& line) { line.insert(place); });
    }
  }

  static std::optional<JobKey> first_of(const BackfillResult& result) {
    if (result.reserved.empty()) return std::nullopt;
    return result.reserved.front().key;
  }

  [[nodiscard]] bool is_first_as_before(const BackfillResult& result) const {
    return first_of(result) == first_reserved &&
           (result.reserved.empty() || result.reserved.front().start == first_start);
  }

  std::vector<Reason> changed_reasons(const std::vector<Start>& starts,
                                      std::optional<JobKey> first,
                                      std::vector<JobClass*>& looked_at) {
    std::set<JobKey> starting;
    for (const Start& start : starts) starting.insert(start.key);
    std::set<JobKey> to_tell(fresh.begin(), fresh.end());
    if (first) to_tell.insert(*first);
    if (first_reserved) to_tell.insert(*first_reserved);
    if (policy.reservation_depth == 0 && odd_reasons) forget_odd_reasons(looked_at);
    for (JobClass* const job_class : looked_at) {
      odd_reasons |= job_class->reason != PendingReason::Priority;
      if (job_class->told == job_class->reason) continue;
      job_class->told = job_class->reason;
      for (const Place& place : job_class->line) to_tell.insert(place.key);
    }
    for (const auto& [place, promise] : promised) to_tell.insert(place.key);
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
      const PendingReason reason = key == first                   ? PendingReason::Resources
                                   : promised.contains(job.place) ? PendingReason::Priority
                                                                  : job.in->second.reason;
      if (job.told == reason) continue;
      job.told = reason;
      out.push_back({key, reason});
    }
    return out;
  }

  // A pass that stops at the first job that waits does not look at the classes behind it.
  void forget_odd_reasons(std::vector<JobClass*>& looked_at) {
    const std::set<JobClass*> seen(looked_at.begin(), looked_at.end());
    for (const auto& [place, job_class] : heads) {
      if (job_class->reason == PendingReason::Priority || seen.contains(job_class)) continue;
      job_class->reason = PendingReason::Priority;
      looked_at.push_back(job_class);
    }
    odd_reasons = false;
  }

  [[nodiscard]] std::vector<Promise> kept_promises() const {
    std::vector<Promise> out;
    for (const auto& [place, promise] : promised) {
      out.push_back(promise_of(promise.reserved, profile));
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
    if (const auto promise = promised.find(job.place);
        promise != promised.end() && promise->second.reserved.start < kUnlimitedEnd) {
      out.expected_start = std::max(promise->second.reserved.start, now);
    } else if (out.ahead <= kMaxAheadPlayed) {
      out.expected_start = play_forward(job, ahead, now);
    }
    out.waits_for = waits_for(job, out);
    return out;
  }

  // Jobs behind it are left out: backfilling does not let them delay the first in line.
  [[nodiscard]] std::optional<Time> play_forward(const Waiting& job,
                                                 const std::vector<const Waiting*>& ahead,
                                                 Time now) const {
    Impl played;
    played.policy = policy;
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

Planner::Planner(BackfillPolicy policy) : impl_(std::make_unique<Impl>()) {
  impl_->policy = policy;
}
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

std::vector<Promise> Planner::kept_promises() const { return impl_->kept_promises(); }

namespace {

// "a node has at most 4 cores, 12G": of the nodes of a queue.
std::string most_on_a_node(Profile& profile,
                           Profile::QueueNumber queue,
                           const std::vector<std::pair<NodeName, Resources>>& nodes) {
  Resources most;
  for (const auto& [name, capacity] : nodes) {
    if (!profile.may_serve(profile.index_of(name), queue, RequestPart{})) continue;
    most.cores = std::max(most.cores, capacity.cores);
    most.memory = std::max(most.memory, capacity.memory);
  }
  return cat("a node has at most ", most.cores, " cores, ", render_bytes(most.memory));
}

}  // namespace

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
      const std::string most = able > 0 ? "" : cat("; ", most_on_a_node(profile, number, nodes));
      return refuse(describe(Request{queue.name, std::nullopt, {part}}, profile.kinds()),
                    " asked, queue ", queue.name.value, " has ", able == 0 ? "no" : cat(able),
                    " such", nodes_word(std::max(able, 1)), most);
    }
  }
  return refuse(describe(request, profile.kinds()), " asked, queue ", queue.name.value,
                " has not enough such nodes for all of it at once");
}

}  // namespace gangway::scheduler
