#include "scheduler/daemon.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::scheduler {

namespace {
constexpr std::size_t kMaxGlancedBytes = 64 << 10;
// Of one peer's answers that wait for the store; beyond it the peer is closed, as one that does not
// read what it is sent.
constexpr std::size_t kMaxUnsentBytes = 64 << 20;

// About what it takes while it waits, however short it is.
std::size_t unsent_bytes_of(const effect::Reply& reply) {
  return reply.response.ByteSizeLong() + 1024;
}
}  // namespace

Result<store::LiveState> complete_live_state(store::LiveState loaded, store::JobStore& store) {
  std::set<JobKey> missing;
  for (const auto& [key, job] : loaded.jobs) {
    if (!job.is_waiting()) continue;
    for (const Dependency& dependency : job.spec->dependencies) {
      if (dependency.kind != DependencyKind::Singleton) missing.insert({dependency.on});
    }
  }
  std::erase_if(missing, [&](JobKey key) { return loaded.jobs.contains(key); });
  // In slices, because a question has a bounded length.
  constexpr std::size_t kSlice = 500;
  for (auto at = missing.begin(); at != missing.end();) {
    store::HistoryQuery query;
    for (; at != missing.end() && query.keys.size() < kSlice; ++at) query.keys.push_back(*at);
    query.limit = query.keys.size();
    query.only_whole = true;
    GANGWAY_ASSIGN(std::vector<Job> found, store.query_history(query));
    for (Job& job : found) {
      const JobKey key = job.key;
      loaded.jobs.try_emplace(key, std::move(job));
    }
  }
  return loaded;
}

Daemon::Daemon(io::EventLoop& loop,
               io::Transport& transport,
               store::JobStore& store,
               Epoch epoch,
               Controller& controller,
               std::function<void(store::CommitEnd)> on_fatal)
    : loop_(loop),
      transport_(transport),
      store_(store),
      epoch_(epoch),
      controller_(controller),
      on_fatal_(std::move(on_fatal)) {}

void Daemon::start() { perform(controller_.start(loop_.now())); }

// ---- from the world ----------------------------------------------------------------------------

void Daemon::on_connected(io::PeerId peer, const io::PeerIdentity& identity) {
  if (stopped_) return;
  peers_.insert_or_assign(peer, identity);
  if (const auto* node = std::get_if<io::ClusterMember>(&identity)) {
    log_info("node_connected", {{"node", node->name.value}});
    perform(controller_.on_node_connected(peer, node->name, loop_.now()));
  }
}

void Daemon::on_closed(io::PeerId peer, const Error& why) {
  const auto found = peers_.find(peer);
  if (stopped_ || found == peers_.end()) return;
  const io::PeerIdentity identity = found->second;
  peers_.erase(found);
  if (const auto* node = std::get_if<io::ClusterMember>(&identity)) {
    log_info("node_disconnected", {{"node", node->name.value}, {"why", why.message()}});
    perform(controller_.on_node_closed(peer, loop_.now()));
  } else {
    perform(controller_.on_client_closed(peer, loop_.now()));
  }
}

void Daemon::on_frame(io::PeerId peer, wire::Frame frame) {
  const auto found = peers_.find(peer);
  if (stopped_ || found == peers_.end()) return;
  if (const auto* user = std::get_if<io::LocalUser>(&found->second)) {
    on_request(peer, io::LocalUser(*user), frame);
  } else {
    on_from_node(peer, frame);
  }
}

void Daemon::on_request(io::PeerId peer, const io::LocalUser& user, const wire::Frame& frame) {
  // Most requests of a busy scheduler are one job like another: a look is enough for them.
  if (frame.type == wire::FrameType::Request && frame.payload.size() <= kMaxGlancedBytes &&
      glance_.ParseFromString(frame.payload) && glance_.submit().jobs_size() == 1) {
    const wire::SubmitGlance& submit = glance_.submit();
    if (!submit.more() && !submit.test_only() && !submit.has_workflow()) {
      std::optional<Turn> turn = controller_.try_submit_known(
          peer, user, frame.stream, submit.key(), submit.jobs(0), loop_.now());
      if (turn) return perform(*std::move(turn));
    }
  }
  wire::Request request;
  if (frame.type != wire::FrameType::Request || !request.ParseFromString(frame.payload)) {
    wire::Response response;
    wire::to_wire(Error(ErrorKind::Corrupt, "the request cannot be read"),
                  response.mutable_error());
    send(peer, wire::FrameType::Response, frame.stream, response.SerializeAsString());
    return;
  }
  perform(controller_.on_client_request(peer, user, frame.stream, request, loop_.now()));
}

void Daemon::on_from_node(io::PeerId peer, const wire::Frame& frame) {
  wire::FromNode message;
  if (frame.type != wire::FrameType::FromNode || !message.ParseFromString(frame.payload)) {
    log_error("node_message_unreadable",
              {{"node", std::get<io::ClusterMember>(peers_.at(peer)).name.value}});
    transport_.close(peer);
    return;
  }
  perform(controller_.on_node_message(peer, message, loop_.now()));
}

// ---- to the world ------------------------------------------------------------------------------

void Daemon::perform(Turn turn) {
  if (stopped_) return;
  std::vector<Effect> later;
  later.reserve(turn.effects.size());
  for (Effect& effect : turn.effects) {
    if (const auto* timer = std::get_if<effect::ArmTimer>(&effect)) {
      arm(*timer);
    } else {
      later.push_back(std::move(effect));
    }
  }
  const std::set<io::PeerId> too_much = count_unsent(later);
  for (const io::PeerId peer : too_much) {
    log_warning("too_many_answers_wait", {{"peer", cat(peer.value)}});
    loop_.post([this, peer] { transport_.close(peer); });
  }
  if (turn.batch.empty()) {
    if (later.empty()) return;
    pending_.push_back({.durable = true, .effects = std::move(later)});
    release_durable();
    return;
  }
  const std::uint64_t number = first_pending_ + pending_.size();
  pending_.push_back({.durable = false, .effects = std::move(later)});
  store_.commit(std::move(turn.batch), epoch_, [this, number](store::CommitEnd end) {
    if (stopped_) return;
    if (end != store::CommitEnd::Durable) {
      stopped_ = true;
      log_error("commit_failed",
                {{"end", end == store::CommitEnd::Fenced ? "fenced by a newer scheduler"
                                                         : "the store is full or broken"}});
      on_fatal_(end);
      return;
    }
    CHECK(number >= first_pending_);
    pending_[number - first_pending_].durable = true;
    release_durable();
  });
}

std::set<io::PeerId> Daemon::count_unsent(const std::vector<Effect>& effects) {
  std::set<io::PeerId> too_much;
  for (const Effect& effect : effects) {
    const auto* const reply = std::get_if<effect::Reply>(&effect);
    if (reply == nullptr) continue;
    std::size_t& bytes = unsent_[reply->to];
    const bool was_within = bytes <= kMaxUnsentBytes;
    bytes += unsent_bytes_of(*reply);
    if (was_within && bytes > kMaxUnsentBytes) too_much.insert(reply->to);
  }
  return too_much;
}

void Daemon::release_durable() {
  // An effect may lead to the next turn: that one is released by the loop below, in its order.
  if (releasing_) return;
  releasing_ = true;
  while (!stopped_ && !pending_.empty() && pending_.front().durable) {
    std::vector<Effect> effects = std::move(pending_.front().effects);
    pending_.pop_front();
    ++first_pending_;
    for (Effect& effect : effects) apply(std::move(effect));
  }
  releasing_ = false;
}

void Daemon::apply(Effect effect) {
  std::visit(overloaded{
                 [&](const effect::Reply& e) {
                   const auto unsent = unsent_.find(e.to);
                   unsent->second -= unsent_bytes_of(e);
                   if (unsent->second == 0) unsent_.erase(unsent);
                   send(e.to, wire::FrameType::Response, e.stream, e.response.SerializeAsString());
                 },
                 [&](const effect::SendNode& e) {
                   send(e.to, wire::FrameType::ToNode, 0, e.message.SerializeAsString());
                 },
                 [&](const effect::ClosePeer& e) { transport_.close(e.peer); },
                 [&](const effect::ArmTimer& e) { arm(e); },
                 [&](const effect::AskHistory& e) { ask_store(e); },
                 [&](const effect::SendMail& e) {
                   if (mailer_) mailer_(e);
                 },
             },
             effect);
}

void Daemon::send(io::PeerId to, wire::FrameType type, std::uint32_t stream, std::string payload) {
  if (payload.size() > wire::kMaxPayloadBytes) {
    log_error("message_too_large", {{"bytes", cat(payload.size())}});
    if (type == wire::FrameType::Response) {
      wire::Response response;
      wire::to_wire(Error(ErrorKind::Exhausted, "the answer is too large; ask for less"),
                    response.mutable_error());
      payload = response.SerializeAsString();
    } else {
      transport_.close(to);
      return;
    }
  }
  // A peer that is gone needs no answer; a node is told again when it registers.
  (void)transport_.send(to, {.type = type, .stream = stream, .payload = std::move(payload)});
}

void Daemon::arm(const effect::ArmTimer& timer) {
  if (const auto old = timers_.find(timer.token); old != timers_.end()) loop_.cancel(old->second);
  timers_[timer.token] = loop_.arm(timer.at, [this, token = timer.token] {
    timers_.erase(token);
    perform(controller_.on_timer(token, loop_.now()));
  });
}

void Daemon::ask_store(const effect::AskHistory& question) {
  History history;
  for (const store::HistoryQuery& query : question.jobs) {
    Result<std::vector<Job>> jobs = store_.query_history(query);
    if (!jobs) {
      history.error = jobs.error();
      continue;
    }
    for (Job& job : *jobs) history.jobs.push_back(std::move(job));
  }
  for (const WorkflowId id : question.workflows) {
    Result<std::optional<Workflow>> workflow = store_.find_workflow(id);
    if (!workflow) {
      history.error = workflow.error();
    } else if (*workflow) {
      history.workflows.push_back(**std::move(workflow));
    }
  }
  if (question.events_from > 0) {
    Result<std::vector<Event>> events =
        store_.read_events(question.events_from, question.max_events);
    if (events) {
      history.events = *std::move(events);
    } else {
      history.error = events.error();
    }
  }
  if (history.error) {
    history.events.clear();
    history.jobs.clear();
    history.workflows.clear();
  }
  perform(controller_.on_history(question.ticket, history, loop_.now()));
}

}  // namespace gangway::scheduler
