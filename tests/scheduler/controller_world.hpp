// A controller with a world of values around it: what it sends and replies is collected, its timers
// fire when the test advances the clock, and what it commits makes the rows that a restart loads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "scheduler/controller.hpp"

namespace gangway::scheduler {

class NamedUsers final : public UserDirectory {
 public:
  [[nodiscard]] std::string name_of(std::uint32_t uid) const override {
    switch (uid) {
      case 0:
        return "root";
      case 1000:
        return "alice";
      case 1001:
        return "bob";
      case 1002:
        return "olga";  // the operator
      default:
        return cat(uid);
    }
  }
};

inline constexpr std::uint32_t kAlice = 1000;
inline constexpr std::uint32_t kBob = 1001;
inline constexpr std::uint32_t kOlga = 1002;

class SpecBuilder {
 public:
  SpecBuilder() {
    spec_.name = "work";
    spec_.argv = {"true"};
    spec_.workdir = "/home/alice";
    spec_.components.push_back({});
  }
  SpecBuilder& nodes(int n) {
    spec_.components.back().nodes = n;
    spec_.components.back().tasks = std::max(n, spec_.components.back().tasks);
    return *this;
  }
  SpecBuilder& tasks(int n) {
    spec_.components.back().tasks = n;
    return *this;
  }
  SpecBuilder& cores(int n) {
    spec_.components.back().cpus_per_task = n;
    return *this;
  }
  SpecBuilder& name(const char* name) {
    spec_.name = name;
    return *this;
  }
  SpecBuilder& every_task() {
    spec_.launch = LaunchMode::Tasks;
    return *this;
  }
  SpecBuilder& mpi() {
    spec_.launch = LaunchMode::Tasks;
    spec_.mpi = MpiMode::Pmix;
    return *this;
  }
  SpecBuilder& limit(Duration d) {
    spec_.time_limit = d;
    return *this;
  }
  SpecBuilder& no_requeue() {
    spec_.requeue = false;
    return *this;
  }
  SpecBuilder& held() {
    spec_.held = true;
    return *this;
  }
  SpecBuilder& begin(Time at) {
    spec_.not_before = at;
    return *this;
  }
  SpecBuilder& after(DependencyKind kind, std::uint64_t on, Duration delay = {}) {
    spec_.dependencies.push_back({kind, JobId{on}, delay});
    return *this;
  }
  SpecBuilder& kill_on_invalid() {
    spec_.kill_on_invalid_dependency = true;
    return *this;
  }
  SpecBuilder& array(const char* text) {
    spec_.array = *parse_array(text);
    return *this;
  }
  SpecBuilder& any() {
    spec_.any_dependency = true;
    return *this;
  }
  SpecBuilder& deadline(Time at) {
    spec_.deadline = at;
    return *this;
  }
  SpecBuilder& retries(int count, Duration backoff = {}) {
    spec_.retries = count;
    spec_.retry_backoff = backoff;
    return *this;
  }
  SpecBuilder& mail(MailSpec wish) {
    spec_.mail = std::move(wish);
    return *this;
  }
  SpecBuilder& queue(const char* name) {
    spec_.queue = QueueName(name);
    return *this;
  }
  [[nodiscard]] const JobSpec& spec() const { return spec_; }

 private:
  JobSpec spec_;
};
inline SpecBuilder job() { return {}; }

// One member of a workflow file.
struct MemberBuilder {
  std::string name;
  SpecBuilder spec;
  std::vector<Need> needs;
  MemberBuilder&& needs_success(const char* on) && {
    needs.push_back({on, NeedOutcome::Success});
    return std::move(*this);
  }
  MemberBuilder&& needs_failure(const char* on) && {
    needs.push_back({on, NeedOutcome::Failure});
    return std::move(*this);
  }
  MemberBuilder&& needs_any(const char* on) && {
    needs.push_back({on, NeedOutcome::Any});
    return std::move(*this);
  }
};
inline MemberBuilder member(const char* name, SpecBuilder spec = {}) {
  return {name, std::move(spec), {}};
}

inline Outcome completed() { return {}; }
inline Outcome failed(int code) {
  return {.kind = OutcomeKind::Failed, .exit_code = code, .signal = 0, .detail = ""};
}
inline Outcome outcome(OutcomeKind kind, int code = 0) {
  return {.kind = kind, .exit_code = code, .signal = 0, .detail = ""};
}

class World {
 public:
  World() {
    Queue queue;
    queue.name = QueueName("batch");
    queue.is_default = true;
    queue.default_memory_per_core = Bytes{0};
    config.queues = {queue};
    config.operators = {"olga"};
    config.own_uid = 999;
  }

  // ---- the scheduler ----
  World& start() {
    ++epoch;
    store::LiveState loaded;
    for (const auto& [key, row] : rows) {
      const bool of_live_workflow =
          row.membership && !workflow_rows.at(row.membership->workflow).ended;
      if (!row.is_finished() || of_live_workflow) loaded.jobs.push_back(row);
    }
    for (const auto& [id, row] : workflow_rows) {
      if (!row.ended) loaded.workflows.push_back(row);
    }
    for (const auto& [name, row] : node_rows) loaded.nodes.push_back(row);
    for (const auto& [key, row] : associations) loaded.associations.push_back(row);
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
    settle();
    return *this;
  }
  // A crash: what was not committed is gone, and so are all connections.
  World& restart() { return start(); }

  void perform(Turn turn) {
    for (const Event& event : turn.batch.events) {
      EXPECT_EQ(event.seq, next_seq);
      next_seq = event.seq + 1;
      events.push_back(event);
    }
    for (const Job& row : turn.batch.jobs) rows[row.key] = row;
    for (const Workflow& row : turn.batch.workflows) workflow_rows[row.id] = row;
    for (const Node& row : turn.batch.nodes) node_rows[row.name] = row;
    for (const AssociationKey& key : turn.batch.removed_associations) associations.erase(key);
    for (const Association& row : turn.batch.associations) associations[row.key] = row;
    for (const auto& spec : turn.batch.specs) specs.insert(spec);
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
  // Fires what is due now, until nothing is.
  void settle() {
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
  void advance(Duration by) {
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

  // The whole machine was stopped for a while: timers come late.
  void jump(Duration by) {
    step(by);
    settle();
  }
  // As advance(), with heartbeats of all connected nodes.
  void live(Duration by) {
    const BootTime until = now.boot + by;
    while (now.boot < until) {
      for (const auto& [node, peer] : std::map(node_peers)) {
        if (connected.contains(node)) heartbeat(node.c_str());
      }
      advance(std::min(config.heartbeat_every, until - now.boot));
    }
  }

  // ---- people ----
  wire::Response ask(std::uint32_t uid, wire::Request request) {
    const std::uint32_t stream = ++last_stream;
    perform(controller->on_client_request(client, {uid, uid, 1}, stream, request, now));
    settle();
    const auto& answers = replies[{client, stream}];
    EXPECT_FALSE(answers.empty());
    return answers.empty() ? wire::Response{} : answers.back();
  }
  // Without waiting for an answer.
  std::uint32_t ask_later(std::uint32_t uid, wire::Request request) {
    const std::uint32_t stream = ++last_stream;
    perform(controller->on_client_request(client, {uid, uid, 1}, stream, request, now));
    settle();
    return stream;
  }
  [[nodiscard]] const std::vector<wire::Response>& answers(std::uint32_t stream) {
    return replies[{client, stream}];
  }
  std::string fresh_key() { return cat("key-of-submission-", ++last_key); }
  wire::Response try_submit(const SpecBuilder& builder,
                            std::uint32_t uid = kAlice,
                            std::string key = "") {
    wire::Request request;
    request.mutable_submit()->set_key(key.empty() ? fresh_key() : key);
    wire::to_wire(builder.spec(), request.mutable_submit()->add_jobs()->mutable_spec());
    return ask(uid, std::move(request));
  }
  std::uint64_t submit(const SpecBuilder& builder, std::uint32_t uid = kAlice) {
    const wire::Response response = try_submit(builder, uid);
    EXPECT_FALSE(response.has_error()) << response.error().message();
    return response.submitted().jobs_size() == 1 ? response.submitted().jobs(0) : 0;
  }
  wire::Response try_submit_workflow(const std::vector<MemberBuilder>& members) {
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
  // The id of the first member's job; the others follow.
  std::uint64_t submit_workflow(const std::vector<MemberBuilder>& members) {
    const wire::Response response = try_submit_workflow(members);
    EXPECT_FALSE(response.has_error()) << response.error().message();
    return response.submitted().jobs_size() > 0 ? response.submitted().jobs(0) : 0;
  }
  wire::Response act(wire::Act::Verb verb, std::uint64_t id, std::uint32_t uid = kAlice) {
    wire::Request request;
    request.mutable_act()->set_verb(verb);
    wire::to_wire(key(id), request.mutable_act()->add_keys());
    return ask(uid, std::move(request));
  }
  // "" if it was done.
  std::string cancel(std::uint64_t id, std::uint32_t uid = kAlice) {
    return act(wire::Act::CANCEL, id, uid).acted().results(0).error().message();
  }

  // ---- executors ----
  io::PeerId connect(const char* node) {
    const io::PeerId peer{++last_peer};
    node_peers[node] = peer;
    connected.insert(node);
    perform(controller->on_node_connected(peer, NodeName(node), now));
    return peer;
  }
  void say(const char* node, wire::FromNode message) {
    perform(controller->on_node_message(node_peers.at(node), message, now));
    settle();
  }
  using Held = std::vector<std::tuple<std::uint64_t, Attempt, wire::HeldAttempt::State>>;
  World& node(const char* name,
              int cores = 4,
              const Held& held = {},
              const char* boot_id = "boot-1") {
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
  World& nodes(int count, int cores = 4) {
    for (int i = 1; i <= count; ++i) node(cat("n", i).c_str(), cores);
    return *this;
  }
  void disconnect(const char* node) {
    connected.erase(node);
    perform(controller->on_node_closed(node_peers.at(node), now));
    settle();
  }
  void heartbeat(const char* node) {
    wire::FromNode message;
    message.mutable_heartbeat()->set_boot_ns(7);
    say(node, std::move(message));
  }
  void prepared(const char* node, std::uint64_t id, Attempt attempt = 1) {
    wire::FromNode message;
    wire::to_wire(key(id), message.mutable_prepared()->mutable_key());
    message.mutable_prepared()->set_attempt(attempt);
    message.mutable_prepared()->set_address(cat(node, ".example"));
    message.mutable_prepared()->set_port(4000);
    say(node, std::move(message));
  }
  void finished(const char* node, std::uint64_t id, const Outcome& how = {}, Attempt attempt = 1) {
    wire::FromNode message;
    wire::to_wire(key(id), message.mutable_finished()->mutable_key());
    message.mutable_finished()->set_attempt(attempt);
    wire::to_wire(how, message.mutable_finished()->mutable_outcome());
    say(node, std::move(message));
  }
  void refused(const char* node, std::uint64_t id, ErrorKind kind, Attempt attempt = 1) {
    wire::FromNode message;
    wire::to_wire(key(id), message.mutable_refused()->mutable_key());
    message.mutable_refused()->set_attempt(attempt);
    wire::to_wire(Error(kind, "no"), message.mutable_refused()->mutable_error());
    say(node, std::move(message));
  }
  // Says that it stands still, or goes on, as it was ordered last.
  void paused(const char* node, std::uint64_t id, Attempt attempt = 1) {
    wire::FromNode message;
    wire::to_wire(key(id), message.mutable_paused()->mutable_key());
    message.mutable_paused()->set_attempt(attempt);
    message.mutable_paused()->set_number(get(id).version);
    message.mutable_paused()->set_on(phase(id) == "Suspended");
    say(node, std::move(message));
  }
  // Prepares and launches a job that has been placed.
  void run(std::uint64_t id) {
    const Job placed = get(id);
    for (const NodeShare& share : placed.allocation()->shares) {
      prepared(share.node.value.c_str(), id, placed.attempt);
    }
    EXPECT_EQ(phase(id), "Running");
  }
  // From placed to the end on all of its nodes.
  void run_to_end(std::uint64_t id, const Outcome& how = {}) {
    run(id);
    const Job placed = get(id);
    for (const NodeShare& share : placed.allocation()->shares) {
      finished(share.node.value.c_str(), id, how, placed.attempt);
    }
    EXPECT_TRUE(get(id).is_finished() || get(id).is_waiting());
  }

  // ---- what has come of it ----
  static JobKey key(std::uint64_t id) { return {JobId{id}}; }
  static JobKey key(std::uint64_t id, std::uint32_t index) { return {JobId{id}, index}; }
  [[nodiscard]] const Job& get(std::uint64_t id) const {
    return controller->state().get_job(key(id));
  }
  [[nodiscard]] std::string phase(std::uint64_t id) const {
    return std::string(phase_name(get(id).phase));
  }
  [[nodiscard]] PendingReason reason(std::uint64_t id) const {
    return controller->reason_of(key(id));
  }
  [[nodiscard]] OutcomeKind end(std::uint64_t id) const {
    EXPECT_TRUE(get(id).outcome() != nullptr);
    return get(id).outcome()->kind;
  }
  [[nodiscard]] std::string detail(std::uint64_t id) const { return get(id).outcome()->detail; }
  // What the node was told since the last call: "prepare 1.1", "stop 1.1 CANCELLED", ...
  std::vector<std::string> told(const char* node) {
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
  // Of the last message of its kind to that node.
  [[nodiscard]] const wire::ToNode& last_sent(const char* node, wire::ToNode::WhatCase what) const {
    static const wire::ToNode none;
    for (auto at = sent.rbegin(); at != sent.rend(); ++at) {
      if (at->first == node_peers.at(node) && at->second.what_case() == what) return at->second;
    }
    ADD_FAILURE() << "nothing of the kind was sent to " << node;
    return none;
  }

  ControllerConfig config;
  static inline const NamedUsers kUsers{};
  Now now{Time{seconds(1'700'000'000).ns}, BootTime{seconds(1000).ns}};
  std::unique_ptr<Controller> controller;
  std::uint64_t epoch = 0;
  io::PeerId client{1};
  std::uint64_t last_peer = 100;
  std::uint32_t last_stream = 0;
  std::uint64_t last_key = 100;
  std::map<std::string, io::PeerId> node_peers;
  std::set<std::string> connected;
  std::map<std::uint64_t, BootTime> timers;
  std::map<std::pair<io::PeerId, std::uint32_t>, std::vector<wire::Response>> replies;
  std::vector<std::pair<io::PeerId, wire::ToNode>> sent;
  std::vector<io::PeerId> closed;
  std::vector<Event> events;
  std::vector<std::string> mails;
  std::map<JobKey, Job> rows;
  std::map<WorkflowId, Workflow> workflow_rows;
  std::map<NodeName, Node> node_rows;
  std::map<AssociationKey, Association> associations;
  std::map<std::string, std::string> specs;
  std::vector<store::SubmissionRecord> submissions;
  JobId next_job{1};
  WorkflowId next_workflow{1};
  std::uint64_t next_seq = 1;

 private:
  void step(Duration by) {
    now.boot = now.boot + by;
    now.wall = now.wall + by;
  }
};

using Told = std::vector<std::string>;

}  // namespace gangway::scheduler
