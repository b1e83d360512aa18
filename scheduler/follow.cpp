// The stream of events that people's programs follow instead of asking again and again.
//
// A follower gets what becomes durable, from its cursor on: what is old is read from the store in
// slices, what is new comes from memory in the turn in which it happens. Credit bounds what may
// wait for a slow reader; when it is used up the stream ends with the cursor to go on from.
#include <algorithm>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

namespace {

bool may_see(const Event& event, bool is_operator, const std::string& user) {
  const auto* const of_account = std::get_if<Event::OfAccount>(&event.subject);
  // What a service is made of (its environment) is nobody else's matter.
  if (std::holds_alternative<Event::OfService>(event.subject)) return is_operator;
  return of_account == nullptr || is_operator || of_account->key.user == user;
}

}  // namespace

void Controller::Impl::on_follow(io::PeerId from,
                                 const io::LocalUser& user,
                                 std::uint32_t stream,
                                 const wire::Follow& request) {
  if (followers.size() >= kMaxFollowers) {
    return reply_error(from, stream, Error(ErrorKind::Exhausted, "too many follow the events"));
  }
  if (request.from_seq() > state.next_seq()) {
    return reply_error(
        from, stream,
        Error(ErrorKind::NotFound, cat("no event has the number ", request.from_seq(),
                                       " yet; the next one is ", state.next_seq())));
  }
  const std::uint32_t asked = request.max_events();
  Follower follower{.peer = from,
                    .stream = stream,
                    .is_operator = is_operator(user),
                    .user = users.name_of(user.uid),
                    .next = request.from_seq() == 0 ? state.next_seq() : request.from_seq(),
                    .credit = asked == 0 ? kMaxEventsOfFollow : std::min(asked, kMaxEventsOfFollow),
                    .with_views = request.with_views()};
  wire::Response response;
  response.set_more(true);
  response.mutable_news()->set_next_seq(follower.next);
  response.mutable_news()->set_now_ns(now.wall.ns);
  reply(from, stream, std::move(response));
  followers.emplace(next_ticket++, std::move(follower));
}

void Controller::Impl::tell_followers() {
  if (followers.empty()) {
    recent.clear();
    nodes_changed.clear();
    return;
  }
  recent.insert(recent.end(), turn.batch.events.begin(), turn.batch.events.end());
  while (recent.size() > kRecentEvents) recent.pop_front();
  for (auto at = followers.begin(); at != followers.end();) {
    at = tell(at->first, at->second) ? std::next(at) : followers.erase(at);
  }
  const Shown shown{.jobs = {}, .nodes = std::exchange(nodes_changed, {})};
  if (shown.nodes.empty()) return;
  for (auto& [ticket, follower] : followers) {
    if (!follower.with_views) continue;
    wire::Response response;
    add_views(follower, shown, response);
    response.set_more(true);
    response.mutable_news()->set_next_seq(follower.next);
    reply(follower.peer, follower.stream, std::move(response));
  }
}

bool Controller::Impl::tell(std::uint64_t ticket, Follower& follower) {
  while (!follower.reads_store && follower.next < state.next_seq()) {
    const std::uint64_t oldest = recent.empty() ? state.next_seq() : recent.front().seq;
    if (follower.next >= oldest) {
      if (!send_news(follower, recent, follower.next - oldest)) return false;
      continue;
    }
    const Result<void> asked =
        ask_store({.events_from = follower.next, .max_events = kEventsOfNews},
                  [this, ticket](const History& history) { on_old_events(ticket, history); });
    if (!asked) {
      reply_error(follower.peer, follower.stream, asked.error());
      return false;
    }
    follower.reads_store = true;
  }
  return true;
}

void Controller::Impl::Shown::add(const Event& event) {
  if (const auto* const of_node = std::get_if<Event::OfNode>(&event.subject)) {
    nodes.insert(of_node->name);
    return;
  }
  const auto* const of_job = std::get_if<Event::OfJob>(&event.subject);
  if (of_job == nullptr) return;
  jobs.insert(of_job->key);
  if (of_job->key.index != JobKey::kNoIndex) jobs.insert({of_job->key.job});
}

// In further messages before `response`, if there are many.
void Controller::Impl::add_views(const Follower& follower,
                                 const Shown& shown,
                                 wire::Response& response) {
  std::size_t bytes = 0;
  const auto count = [&](std::size_t size) {
    bytes += size;
    if (bytes <= kResponseBytes) return;
    response.set_more(true);
    response.mutable_news()->set_next_seq(follower.next);
    response.mutable_news()->set_now_ns(now.wall.ns);
    reply(follower.peer, follower.stream, std::exchange(response, {}));
    bytes = 0;
  };
  for (const JobKey key : shown.jobs) {
    const Job* const job = state.find_job(key);
    if (job == nullptr) continue;
    wire::JobView* const view = response.mutable_news()->add_jobs();
    fill_view(*job, view);
    count(view->ByteSizeLong());
  }
  for (const NodeName& name : shown.nodes) {
    const Node* const node = state.find_node(name);
    if (node == nullptr) continue;
    wire::NodeView* const view = response.mutable_news()->add_nodes();
    fill_view(*node, view);
    count(view->ByteSizeLong());
  }
  response.mutable_news()->set_now_ns(now.wall.ns);
}

// One message: from `events[first]` on as many as it may hold.
template <typename Events>
bool Controller::Impl::send_news(Follower& follower, const Events& events, std::size_t first) {
  std::vector<const Event*> seen;
  Shown shown;
  std::uint64_t next = follower.next;
  for (std::size_t i = first; i < events.size() && follower.credit > 0; ++i) {
    if (seen.size() == kEventsOfNews) break;
    next = events[i].seq + 1;
    if (!may_see(events[i], follower.is_operator, follower.user)) continue;
    seen.push_back(&events[i]);
    if (follower.with_views) shown.add(events[i]);
    --follower.credit;
  }
  wire::Response response;
  if (follower.with_views && !seen.empty()) add_views(follower, shown, response);
  follower.next = next;
  for (const Event* const event : seen)
    wire::to_wire(*event, response.mutable_news()->add_events());
  response.mutable_news()->set_next_seq(next);
  response.set_more(follower.credit > 0);
  if (!seen.empty()) reply(follower.peer, follower.stream, std::move(response));
  return follower.credit > 0;
}

void Controller::Impl::on_old_events(std::uint64_t ticket, const History& history) {
  const auto found = followers.find(ticket);
  if (found == followers.end()) return;
  Follower& follower = found->second;
  follower.reads_store = false;
  std::optional<Error> error = history.error;
  if (!error && (history.events.empty() || history.events.front().seq != follower.next)) {
    error =
        Error(ErrorKind::NotFound,
              cat("the events from ", follower.next, " on are not kept any more",
                  history.events.empty() ? std::string()
                                         : cat("; the oldest is ", history.events.front().seq)));
  }
  if (error) {
    reply_error(follower.peer, follower.stream, *error);
    followers.erase(found);
  } else if (!send_news(follower, history.events, 0)) {
    followers.erase(found);
  }
}

}  // namespace gangway::scheduler
