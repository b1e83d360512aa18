#include "tests/scheduler/controller_world.hpp"

#include <algorithm>

#include "queues/base/overloaded.hpp"

namespace gangway::scheduler {

namespace {

// The row as its bytes say, with its spec as SqliteStore has it: that of a row which is there
// already stays, unless it is altered.
Job written(const Job& row, const Job* old, const std::map<std::string, std::string>& specs) {
  wire::JobState message;
  wire::to_wire(row, &message);
  const std::string digest = old != nullptr ? old->spec_digest : row.spec_digest;
  message.set_spec_digest(digest);
  const auto spec = wire::decode_spec(specs.at(digest));
  EXPECT_TRUE(spec.has_value()) << (spec ? "" : spec.error().message());
  auto job = wire::from_wire(message, std::make_shared<const JobSpec>(*spec));
  EXPECT_TRUE(job.has_value()) << (job ? "" : job.error().message());
  return *std::move(job);
}

}  // namespace

World::World() {
  Queue queue;
  queue.name = QueueName("batch");
  queue.is_default = true;
  queue.default_memory_per_core = Bytes{0};
  config.queues = {queue};
  config.operators = {"olga"};
  config.own_uid = 999;
}

World& World::start() {
  boot();
  settle();
  return *this;
}

void World::boot() {
  ++epoch;
  store::LiveState loaded;
  for (const auto& [key, row] : rows) {
    const bool of_live_workflow =
        row.membership && !workflow_rows.at(row.membership->workflow).ended;
    if (!row.is_finished() || of_live_workflow) loaded.jobs.emplace(key, row);
  }
  for (const auto& [id, row] : workflow_rows) {
    if (!row.ended) loaded.workflows.push_back(row);
  }
  for (const auto& [name, row] : node_rows) loaded.nodes.push_back(row);
  for (const auto& [key, row] : associations) loaded.associations.push_back(row);
  for (const auto& [key, row] : services) loaded.services.push_back(row);
  loaded.submissions = submissions;
  loaded.next_job = next_job;
  loaded.next_workflow = next_workflow;
  loaded.next_seq = next_seq;
  timers.clear();
  node_peers.clear();
  connected.clear();
  controller = std::make_unique<Controller>(
      config, Epoch{epoch}, std::move(loaded), kUsers,
      [](JobKey key, Attempt attempt) { return cat("secret of ", to_string(key), '.', attempt); },
      now);
  perform(controller->start(now));
}

void World::perform(Turn turn) {
  std::set<JobKey> altered;
  for (const Event& event : turn.batch.events) {
    EXPECT_EQ(event.seq, next_seq);
    next_seq = event.seq + 1;
    events.push_back(event);
    const auto* const of_job = std::get_if<Event::OfJob>(&event.subject);
    if (of_job != nullptr && std::holds_alternative<job_event::Altered>(of_job->what)) {
      altered.insert(of_job->key);
    }
  }
  for (const auto& spec : turn.batch.specs) specs.insert(spec);
  for (const Job& row : turn.batch.jobs) {
    const auto old = rows.find(row.key);
    const bool keeps_spec = old != rows.end() && !altered.contains(row.key);
    rows[row.key] = written(row, keeps_spec ? &old->second : nullptr, specs);
  }
  for (const Workflow& row : turn.batch.workflows) workflow_rows[row.id] = row;
  for (const Node& row : turn.batch.nodes) node_rows[row.name] = row;
  for (const AssociationKey& key : turn.batch.removed_associations) associations.erase(key);
  for (const Association& row : turn.batch.associations) associations[row.key] = row;
  for (const ServiceKey& key : turn.batch.removed_services) services.erase(key);
  for (const Service& row : turn.batch.services) services[row.key()] = row;
  for (const auto& record : turn.batch.submissions) submissions.push_back(record);
  if (turn.batch.next_job) next_job = *turn.batch.next_job;
  if (turn.batch.next_workflow) next_workflow = *turn.batch.next_workflow;
  std::vector<effect::AskHistory> questions;
  for (Effect& any : turn.effects) {
    std::visit(overloaded{
                   [&](effect::Reply& e) {
                     replies[{e.to, e.stream}].push_back(e.response);
                   },
                   [&](effect::SendNode& e) {
                     EXPECT_EQ(e.message.epoch(), epoch);
                     sent.emplace_back(e.to, e.message);
                   },
                   [&](effect::ClosePeer& e) { closed.push_back(e.peer); },
                   [&](effect::ArmTimer& e) { timers[e.token] = e.at; },
                   [&](effect::AskHistory& e) { questions.push_back(e); },
                   [&](effect::SendMail& e) { mails.push_back(cat(e.to, ": ", e.subject)); },
               },
               any);
  }
  for (const auto& question : questions) {
    History history;
    for (const store::HistoryQuery& query : question.jobs) {
      for (const auto& [key, row] : rows) {
        const bool named =
            query.keys.empty() || std::ranges::count(query.keys, key) > 0 ||
            (!query.only_whole && std::ranges::count(query.keys, JobKey{key.job}) > 0);
        const bool of_workflow =
            query.workflows.empty() ||
            (row.membership && std::ranges::count(query.workflows, row.membership->workflow) > 0);
        if (row.is_finished() && named && of_workflow) history.jobs.push_back(row);
      }
    }
    for (const WorkflowId id : question.workflows) {
      if (workflow_rows.contains(id)) history.workflows.push_back(workflow_rows.at(id));
    }
    for (const Event& event : events) {
      if (question.events_from == 0 || event.seq < question.events_from) continue;
      if (history.events.size() < question.max_events) history.events.push_back(event);
    }
    perform(controller->on_history(question.ticket, history, now));
  }
}

void World::settle() {
  for (bool fired = true; fired;) {
    fired = false;
    for (const auto& [token, at] : std::map(timers)) {
      if (at > now.boot) continue;
      timers.erase(token);
      perform(controller->on_timer(token, now));
      fired = true;
    }
  }
}

void World::advance(Duration by) {
  const BootTime until = now.boot + by;
  while (true) {
    settle();
    std::optional<BootTime> next;
    for (const auto& [token, at] : timers) {
      if (!next || at < *next) next = at;
    }
    if (!next || *next > until) break;
    step(*next - now.boot);
  }
  step(until - now.boot);
  settle();
}

void World::live(Duration by) {
  const BootTime until = now.boot + by;
  while (now.boot < until) {
    for (const auto& [node, peer] : std::map(node_peers)) {
      if (connected.contains(node)) heartbeat(node.c_str());
    }
    advance(std::min(config.heartbeat_every, until - now.boot));
  }
}

wire::Response World::ask(std::uint32_t uid, wire::Request request) {
  const std::uint32_t stream = ++last_stream;
  perform(controller->on_client_request(client, {uid, uid, 1}, stream, request, now));
  settle();
  const auto& answers = replies[{client, stream}];
  EXPECT_FALSE(answers.empty());
  return answers.empty() ? wire::Response{} : answers.back();
}

std::uint32_t World::ask_later(std::uint32_t uid, wire::Request request) {
  const std::uint32_t stream = ++last_stream;
  perform(controller->on_client_request(client, {uid, uid, 1}, stream, request, now));
  settle();
  return stream;
}

wire::Response World::try_submit(const SpecBuilder& builder, std::uint32_t uid, std::string key) {
  wire::Request request;
  request.mutable_submit()->set_key(key.empty() ? fresh_key() : key);
  wire::to_wire(builder.spec(), request.mutable_submit()->add_jobs()->mutable_spec());
  return ask(uid, std::move(request));
}

std::uint64_t World::submit(const SpecBuilder& builder, std::uint32_t uid) {
  const wire::Response response = try_submit(builder, uid);
  EXPECT_FALSE(response.has_error()) << response.error().message();
  return response.submitted().jobs_size() == 1 ? response.submitted().jobs(0) : 0;
}

wire::Response World::try_submit_workflow(const std::vector<MemberBuilder>& members) {
  wire::Request request;
  request.mutable_submit()->set_key(fresh_key());
  request.mutable_submit()->mutable_workflow()->set_name("flow");
  std::uint32_t line = 0;
  for (const MemberBuilder& m : members) {
    wire::NewJob* const one = request.mutable_submit()->add_jobs();
    wire::to_wire(m.spec.spec(), one->mutable_spec());
    one->set_member(m.name);
    one->set_line(line += 10);
    for (const Need& need : m.needs) {
      wire::Need* const n = one->add_needs();
      n->set_member(need.member);
      n->set_outcome(static_cast<std::uint32_t>(need.outcome));
    }
  }
  return ask(kAlice, std::move(request));
}

std::uint64_t World::submit_workflow(const std::vector<MemberBuilder>& members) {
  const wire::Response response = try_submit_workflow(members);
  EXPECT_FALSE(response.has_error()) << response.error().message();
  return response.submitted().jobs_size() > 0 ? response.submitted().jobs(0) : 0;
}

wire::Response World::act(wire::Act::Verb verb, std::uint64_t id, std::uint32_t uid) {
  wire::Request request;
  request.mutable_act()->set_verb(verb);
  wire::to_wire(key(id), request.mutable_act()->add_keys());
  return ask(uid, std::move(request));
}

io::PeerId World::connect(const char* node) {
  const io::PeerId peer{++last_peer};
  node_peers[node] = peer;
  connected.insert(node);
  perform(controller->on_node_connected(peer, NodeName(node), now));
  return peer;
}

World& World::node(const char* name, int cores, const Held& held, const char* boot_id) {
  connect(name);
  wire::FromNode message;
  wire::Register* const r = message.mutable_register_();
  r->set_node(name);
  r->mutable_capacity()->set_cores(cores);
  r->mutable_capacity()->set_memory_bytes(gibibytes(8).value);
  r->set_boot_id(boot_id);
  r->set_address(cat(name, ".example"));
  for (const auto& [id, attempt, state] : held) {
    wire::HeldAttempt* const h = r->add_attempts();
    wire::to_wire(key(id), h->mutable_key());
    h->set_attempt(attempt);
    h->set_state(state);
  }
  say(name, std::move(message));
  return *this;
}

void World::disconnect(const char* node) {
  connected.erase(node);
  perform(controller->on_node_closed(node_peers.at(node), now));
  settle();
}

void World::heartbeat(const char* node) {
  wire::FromNode message;
  message.mutable_heartbeat()->set_boot_ns(7);
  say(node, std::move(message));
}

void World::prepared(const char* node, std::uint64_t id, Attempt attempt) {
  wire::FromNode message;
  wire::to_wire(key(id), message.mutable_prepared()->mutable_key());
  message.mutable_prepared()->set_attempt(attempt);
  message.mutable_prepared()->set_address(cat(node, ".example"));
  message.mutable_prepared()->set_port(4000);
  say(node, std::move(message));
}

void World::finished(const char* node, std::uint64_t id, const Outcome& how, Attempt attempt) {
  wire::FromNode message;
  wire::to_wire(key(id), message.mutable_finished()->mutable_key());
  message.mutable_finished()->set_attempt(attempt);
  wire::to_wire(how, message.mutable_finished()->mutable_outcome());
  say(node, std::move(message));
}

void World::refused(const char* node, std::uint64_t id, ErrorKind kind, Attempt attempt) {
  wire::FromNode message;
  wire::to_wire(key(id), message.mutable_refused()->mutable_key());
  message.mutable_refused()->set_attempt(attempt);
  wire::to_wire(Error(kind, "no"), message.mutable_refused()->mutable_error());
  say(node, std::move(message));
}

void World::paused(const char* node, std::uint64_t id, Attempt attempt) {
  wire::FromNode message;
  wire::to_wire(key(id), message.mutable_paused()->mutable_key());
  message.mutable_paused()->set_attempt(attempt);
  message.mutable_paused()->set_number(get(id).version);
  message.mutable_paused()->set_on(phase(id) == "Suspended");
  say(node, std::move(message));
}

void World::run(std::uint64_t id) {
  const Job placed = get(id);
  for (const NodeShare& share : placed.allocation()->shares) {
    prepared(share.node.value.c_str(), id, placed.attempt);
  }
  EXPECT_EQ(phase(id), "Running");
}

void World::run_to_end(std::uint64_t id, const Outcome& how) {
  run(id);
  const Job placed = get(id);
  for (const NodeShare& share : placed.allocation()->shares) {
    finished(share.node.value.c_str(), id, how, placed.attempt);
  }
  EXPECT_TRUE(get(id).is_finished() || get(id).is_waiting());
}

std::vector<std::string> World::told(const char* node) {
  std::vector<std::string> out;
  const io::PeerId peer = node_peers.at(node);
  for (const auto& [to, m] : sent) {
    if (to != peer) continue;
    const auto name = [](const auto& order) {
      return cat(to_string(wire::from_wire(order.key())), '.', order.attempt());
    };
    if (m.has_prepare()) out.push_back("prepare " + name(m.prepare()));
    if (m.has_launch()) out.push_back("launch " + name(m.launch()));
    if (m.has_release()) out.push_back("release " + name(m.release()));
    if (m.has_stop()) {
      out.push_back(cat(m.stop().at_once() ? "kill " : "stop ", name(m.stop()),
                        m.stop().signal() != 0
                            ? cat(" signal ", m.stop().signal())
                            : cat(" ", to_string(wire::from_wire(m.stop().outcome())->kind))));
    }
    if (m.has_pause()) {
      out.push_back(cat(m.pause().on() ? "pause " : "go on ", name(m.pause())));
    }
    if (m.has_heartbeat_ack()) out.push_back("ack");
    if (m.has_registered()) out.push_back("registered");
  }
  std::erase_if(sent, [&](const auto& entry) { return entry.first == peer; });
  return out;
}

const wire::ToNode& World::last_sent(const char* node, wire::ToNode::WhatCase what) const {
  static const wire::ToNode none;
  for (auto at = sent.rbegin(); at != sent.rend(); ++at) {
    if (at->first == node_peers.at(node) && at->second.what_case() == what) return at->second;
  }
  ADD_FAILURE() << "nothing of the kind was sent to " << node;
  return none;
}

}  // namespace gangway::scheduler
