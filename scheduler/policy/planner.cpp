#include "scheduler/policy/planner.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <queue>
#include <utility>

#include "queues/base/overloaded.hpp"
#include "scheduler/policy/planner_impl.hpp"

namespace gangway::scheduler {

namespace {

// The classes' lines and the promised jobs merged: what a pass looks at. A class that has failed
// costs one look, however many jobs are in it.
class MergedLine final : public Line {
 public:
  MergedLine(const Heads& heads,
             const Promised& promised,
             Memory& memory,
             const Profile& profile,
             Time now,
             Time not_promised_after)
      : not_fetched_(heads.begin()),
        end_(heads.end()),
        promised_(promised.begin()),
        promised_end_(promised.end()),
        memory_(memory),
        profile_(profile),
        now_(now),
        not_promised_after_(not_promised_after) {
    fetch_ahead();
  }

  std::optional<InLine> next() override {
    go_on();
    while (const auto head = take_first()) {
      // What failed in the pass before needs no second try, but for the jobs at the front: they
      // make the reservations again. Who has a promise may start where others of its class fail for
      // that very promise: one that was requeued and stands before it.
      if (reservations_are_made_ && head->promised == nullptr &&
          memory_.fails_again(head->in->failed, head->in->request, profile_, now_)) {
        continue;
      }
      last_ = head;
      if (head->promised == nullptr) {
        looked_at_.push_back(head->in);
        head->in->reason = PendingReason::Priority;
      }
      return InLine{head->place->key, &head->in->request};
    }
    return std::nullopt;
  }

  void pass_over_equals(PendingReason reason, std::optional<std::size_t> could_run) override {
    if (last_->promised != nullptr) return;
    memory_.note(last_->in->failed, could_run);
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

  void on_reserved(const Reserved& reserved) override { memory_.on_reserved(reserved); }
  void on_spare(std::size_t nodes) override { memory_.on_spare(nodes); }
  void on_freed() override { memory_.forget(); }

  [[nodiscard]] const std::vector<JobClass*>& looked_at() const { return looked_at_; }

 private:
  struct Head {
    JobClass* in;
    const Place* place;
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
    if (last_ && last_->promised == nullptr) {
      last_->place = last_->in->line.find_after(*last_->place);
      if (last_->place != nullptr) advanced_.push(*last_);
    }
    last_.reset();
  }

  std::optional<Head> take_first() {
    std::optional<Head> first;
    if (untouched_ != fetched_) {
      const Heads::value_type& head = *ahead_[untouched_ % kAhead];
      first = Head{head.second, &head.first};
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
      first = Head{promised_->second.in, &promised_->first, &promised_->second};
      ++promised_;
    } else if (from_advanced) {
      advanced_.pop();
    } else if (first) {
      ++untouched_;
      fetch_ahead();
    }
    return first;
  }

  // Classes lie about in memory, and a pass looks at each once: what it will look at is fetched
  // while it looks at those before.
  void fetch_ahead() {
    for (; fetched_ < untouched_ + kAhead && not_fetched_ != end_; ++not_fetched_) {
      ahead_[fetched_++ % kAhead] = &*not_fetched_;
      const JobClass* const in = not_fetched_->second;
      __builtin_prefetch(&in->request.parts);
      __builtin_prefetch(&in->reason);
    }
    if (const std::size_t soon = untouched_ + kAhead / 2; soon < fetched_) {
      const std::vector<RequestPart>& parts = ahead_[soon % kAhead]->second->request.parts;
      __builtin_prefetch(parts.data());
      if (!parts.empty()) __builtin_prefetch(&parts.front().exclusive);
    }
  }

  static constexpr std::size_t kAhead = 8;
  Heads::const_iterator not_fetched_;
  Heads::const_iterator end_;
  std::array<const Heads::value_type*, kAhead> ahead_{};  // fetched, and not looked at yet
  std::size_t untouched_ = 0;                             // the number of the first of them
  std::size_t fetched_ = 0;                               // so many have been
  Promised::const_iterator promised_;
  Promised::const_iterator promised_end_;
  Memory& memory_;
  const Profile& profile_;
  Time now_;
  Time not_promised_after_;
  bool by_length_ = false;
  std::optional<Time> first_if_before_;
  Advanced advanced_{Later{this}};
  std::optional<Head> last_;
  bool reservations_are_made_ = false;
  std::vector<JobClass*> looked_at_;
};

std::optional<JobKey> first_of(const BackfillResult& result) {
  if (result.reserved.empty()) return std::nullopt;
  return result.reserved.front().key;
}

bool is_same_request(const Candidate& a, const Candidate& b) {
  return a.queue == b.queue && a.limit == b.limit && a.components == b.components;
}

}  // namespace

// ---- deltas ----
void Planner::Impl::on(const delta::RulesAre& d) {
  pricing.set_rules(d.priority);
  line_up_again();
}
void Planner::Impl::on(const delta::QueuesAre& d) {
  queues = d.queues;
  profile.set_queues(d.queues);
  slices.set_queues(d.queues);
  pricing.set_queues(d.queues);
  line_up_again();
  freed = true;
}
void Planner::Impl::on(const delta::FairSharesAre& d) {
  pricing.set_fair_shares(d);
  line_up_again();
}
void Planner::Impl::on(const delta::NodeIs& d) {
  profile.set_node(d.name, d.capacity, d.usable, d.features);
  places_are_old = pricing.set_node(d.name, d.capacity) || places_are_old;
  memory.forget();
  freed = true;
}
void Planner::Impl::on(const delta::NodeGone& d) {
  profile.drop_node(d.name);
  places_are_old = pricing.drop_node(d.name) || places_are_old;
  memory.forget();
  freed = true;
}
void Planner::Impl::on(const delta::Waits& d) {
  const Candidate& job = d.job;
  const auto known = waiting.find(job.key);
  const PendingReason told = known == waiting.end() ? PendingReason::None : known->second.told;
  if (known != waiting.end() && known->second.job == job) return;
  if (known != waiting.end() && is_same_request(known->second.job, job)) {
    return move(known->second, job);
  }
  on(delta::WaitsNoMore{job.key});
  const std::optional<Duration> limit = slices.stretched(job.queue, job.limit);
  const auto [found, is_new] = classes.try_emplace(request_key(job.queue, limit, job.components));
  Classes::value_type* const in = &*found;
  if (is_new) {
    in->second.request = make_request(job.queue, limit, job.components, profile.kinds());
  }
  change_line(in->second,
              [&](ClassLine& line) { line.insert(pricing.place_of(job), payer_of(job)); });
  waiting.insert_or_assign(job.key, Waiting{job, in, told});
  fresh.push_back(job.key);
}
void Planner::Impl::move(Waiting& job, const Candidate& to) {
  JobClass& in = job.in->second;
  const Place before = pricing.place_of(job.job);
  const Place place = pricing.place_of(to);
  job.job = to;
  if (auto kept = promised.extract(before); !kept.empty()) {
    kept.key() = place;
    promised.insert(std::move(kept));
  } else {
    change_line(in, [&](ClassLine& line) {
      line.erase(before);
      line.insert(place, payer_of(to));
    });
  }
  memory.on_change();
}
void Planner::Impl::on(const delta::WaitsNoMore& d) {
  if (!forget(d.key)) return;
  memory.forget();  // what it was promised is free
  freed = true;
}
bool Planner::Impl::forget(JobKey key) {
  const auto found = waiting.find(key);
  if (found == waiting.end()) return false;
  const Waiting job = std::move(found->second);
  waiting.erase(found);
  JobClass& in = job.in->second;
  const Place place = pricing.place_of(job.job);
  const bool had_promise = promised.erase(place) == 1;
  if (had_promise) {
    --in.promised;
  } else {
    change_line(in, [&](ClassLine& line) { line.erase(place); });
  }
  if (in.line.empty() && in.promised == 0) classes.erase(classes.find(job.in->first));
  return had_promise;
}
void Planner::Impl::on(const delta::Started& d) {
  forget(d.key);
  const bool moves = profile.is_claimed_by(d.key);  // its end
  freed = freed || moves;
  if (complete) memory.on_change();
  memory.on_started(d.key, d.allocation);
  const Time end = planned_end(d.expected_end);
  std::vector<NodeClaim> claims = claims_of(profile, d.allocation);
  if (slices.is_sliced(d.queue)) {
    memory.forget();
    return slices.start(profile, d.key, d.queue, end, std::move(claims));
  }
  if (moves) {
    memory.on_freed(profile.claims_of(d.key));
    profile.end(d.key);
  }
  profile.start(d.key, end, std::move(claims));
}
void Planner::Impl::on(const delta::Ended& d) {
  freed = true;
  if (slices.holds(d.key)) {
    memory.forget();
    return slices.end(profile, d.key);
  }
  memory.on_change();
  if (!profile.is_claimed_by(d.key)) return;
  memory.on_freed(profile.claims_of(d.key));
  profile.end(d.key);
}

void Planner::Impl::line_up_again() {
  pricing.settle();
  places_are_old = false;
  heads.clear();
  for (auto& [request, job_class] : classes) {
    ClassLine& line = job_class.line;
    if (line.empty()) continue;
    // All of the class ask for the same.
    const Candidate& one = waiting.at(line.front().key).job;
    const PriorityTerms of_request = pricing.terms_of_request(one.queue, one.components);
    line.price_again([&](const Place& place, const Payer& payer) {
      return pricing.lateness_of(of_request, payer, place.eligible);
    });
    heads.emplace(line.front(), &job_class);
  }
  Promised in_new_places;
  for (auto& [old, kept] : promised) {
    in_new_places.emplace(pricing.place_of(waiting.at(old.key).job), std::move(kept));
  }
  promised = std::move(in_new_places);
  memory.on_change();
}

// ---- the pass ----
PlanDelta Planner::Impl::pass(Time now, int budget) {
  last_pass = now;
  if (places_are_old) line_up_again();
  if (profile.has_overrun(now)) {  // what waits for it moves on
    memory.on_change();
    freed = true;
  }
  memory.begin_pass();
  std::vector<JobClass*> looked_at;
  BackfillResult result = walk(now, budget, looked_at);
  if (memory.nothing_happened() && !is_first_as_before(result)) {
    // Another job has come to the front: what stood in the way of the old one may not stand in
    // the way of this one.
    memory.forget();
    result = walk(now, budget, looked_at);
  }
  memory.end_pass(result);
  PlanDelta plan{.starts = std::move(result.starts),
                 .reasons = {},
                 .promise = promise_of(result, profile),
                 .wake = wake_of(result, policy),
                 .complete = result.complete,
                 .looked_at = result.looked_at};
  const std::optional<JobKey> first = first_of(result);
  if (policy.keeps_promises) keep(result.reserved);
  complete = result.complete;
  freed = !result.complete;
  plan.reasons = changed_reasons(plan.starts, first, looked_at);
  first_start =
      result.reserved.empty() ? std::nullopt : std::optional(result.reserved.front().start);
  return plan;
}

BackfillResult Planner::Impl::walk(Time now, int budget, std::vector<JobClass*>& looked_at) {
  // Promises only move when something has become free, or fall due.
  MergedLine line(heads, promised, memory, profile, now, freed ? Time::infinity() : now);
  std::vector<Reserved> kept;
  kept.reserve(promised.size());
  for (const auto& [place, promise] : promised) kept.push_back(promise.reserved);
  BackfillResult result =
      backfill(profile, line, now, {.policy = policy, .budget = budget}, kept, &slices);
  looked_at = line.looked_at();
  return result;
}

// Jobs that were not reserved for any more go back to the lines of their classes.
void Planner::Impl::keep(const std::vector<Reserved>& reserved) {
  std::set<Place> lost;
  for (const auto& [place, promise] : promised) lost.insert(place);
  for (const Reserved& one : reserved) {
    const Waiting& job = waiting.at(one.key);
    const Place place = pricing.place_of(job.job);
    JobClass& in = job.in->second;
    lost.erase(place);
    if (promised.insert_or_assign(place, Kept{&in, one}).second) {
      ++in.promised;
      change_line(in, [&](ClassLine& line) { line.erase(place); });
    }
  }
  for (const Place& place : lost) {
    JobClass& in = *promised.at(place).in;
    promised.erase(place);
    --in.promised;
    const Payer payer = payer_of(waiting.at(place.key).job);
    change_line(in, [&](ClassLine& line) { line.insert(place, payer); });
  }
}

bool Planner::Impl::is_first_as_before(const BackfillResult& result) const {
  return first_of(result) == first_reserved &&
         (result.reserved.empty() || result.reserved.front().start == first_start);
}

std::vector<Reason> Planner::Impl::changed_reasons(const std::vector<Start>& starts,
                                                   std::optional<JobKey> first,
                                                   std::vector<JobClass*>& looked_at) {
  std::set<JobKey> starting;
  for (const Start& start : starts) starting.insert(start.key);
  std::vector<JobKey> to_tell = std::exchange(fresh, {});
  if (first) to_tell.push_back(*first);
  if (first_reserved) to_tell.push_back(*first_reserved);
  if (policy.reservation_depth == 0 && odd_reasons) forget_odd_reasons(looked_at);
  for (JobClass* const job_class : looked_at) {
    odd_reasons |= job_class->reason != PendingReason::Priority;
    if (job_class->told == job_class->reason) continue;
    job_class->told = job_class->reason;
    job_class->line.for_each([&](const Place& place) { to_tell.push_back(place.key); });
  }
  std::set<JobKey> with_promise;
  for (const auto& [place, promise] : promised) with_promise.insert(place.key);
  to_tell.insert(to_tell.end(), with_promise.begin(), with_promise.end());
  std::sort(to_tell.begin(), to_tell.end());
  to_tell.erase(std::unique(to_tell.begin(), to_tell.end()), to_tell.end());
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
    const PendingReason reason = key == first                 ? PendingReason::Resources
                                 : with_promise.contains(key) ? PendingReason::Priority
                                                              : job.in->second.reason;
    if (job.told == reason) continue;
    job.told = reason;
    out.push_back({key, reason});
  }
  return out;
}

// A pass that stops at the first job that waits does not look at the classes behind it.
void Planner::Impl::forget_odd_reasons(std::vector<JobClass*>& looked_at) {
  const std::set<JobClass*> seen(looked_at.begin(), looked_at.end());
  for (const auto& [place, job_class] : heads) {
    if (job_class->reason == PendingReason::Priority || seen.contains(job_class)) continue;
    job_class->reason = PendingReason::Priority;
    looked_at.push_back(job_class);
  }
  odd_reasons = false;
}

std::vector<Promise> Planner::Impl::kept_promises() const {
  std::vector<Promise> out;
  for (const auto& [place, promise] : promised) {
    out.push_back(promise_of(promise.reserved, profile));
  }
  return out;
}

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

std::optional<Explanation> Planner::explain(JobKey key, Time now, LookAhead look) const {
  return impl_->explain(key, now, look);
}

Explanation Planner::explain_as_if(const Candidate& job, Time now) const {
  return impl_->explain_as_if(job, now);
}

std::optional<PriorityTerms> Planner::priority_of(JobKey key) const {
  const auto found = impl_->waiting.find(key);
  if (found == impl_->waiting.end()) return std::nullopt;
  return impl_->pricing.terms_of(found->second.job, impl_->last_pass);
}

const SliceMatrix* Planner::slices_of(const QueueName& queue) const {
  return impl_->slices.find(queue);
}

std::optional<Duration> Planner::stretched(const QueueName& queue,
                                           std::optional<Duration> limit) const {
  return impl_->slices.stretched(queue, limit);
}

std::vector<Promise> Planner::kept_promises() const { return impl_->kept_promises(); }

}  // namespace gangway::scheduler
