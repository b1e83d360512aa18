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
  World();

  // ---- the scheduler ----
  World& start();
  void boot();  // its first turn alone
  // A crash: what was not committed is gone, and so are all connections.
  World& restart() { return start(); }

  void perform(Turn turn);
  // Fires what is due now, until nothing is.
  void settle();
  void advance(Duration by);

  // The whole machine was stopped for a while: timers come late.
  void jump(Duration by) {
    step(by);
    settle();
  }
  // As advance(), with heartbeats of all connected nodes.
  void live(Duration by);

  // ---- people ----
  wire::Response ask(std::uint32_t uid, wire::Request request);
  // Without waiting for an answer.
  std::uint32_t ask_later(std::uint32_t uid, wire::Request request);
  [[nodiscard]] const std::vector<wire::Response>& answers(std::uint32_t stream) {
    return replies[{client, stream}];
  }
  std::string fresh_key() { return cat("key-of-submission-", ++last_key); }
  wire::Response try_submit(const SpecBuilder& builder,
                            std::uint32_t uid = kAlice,
                            std::string key = "");
  std::uint64_t submit(const SpecBuilder& builder, std::uint32_t uid = kAlice);
  wire::Response try_submit_workflow(const std::vector<MemberBuilder>& members);
  // The id of the first member's job; the others follow.
  std::uint64_t submit_workflow(const std::vector<MemberBuilder>& members);
  wire::Response act(wire::Act::Verb verb, std::uint64_t id, std::uint32_t uid = kAlice);
  // "" if it was done.
  std::string cancel(std::uint64_t id, std::uint32_t uid = kAlice) {
    return act(wire::Act::CANCEL, id, uid).acted().results(0).error().message();
  }

  // ---- executors ----
  io::PeerId connect(const char* node);
  void say(const char* node, wire::FromNode message) {
    perform(controller->on_node_message(node_peers.at(node), message, now));
    settle();
  }
  using Held = std::vector<std::tuple<std::uint64_t, Attempt, wire::HeldAttempt::State>>;
  World& node(const char* name,
              int cores = 4,
              const Held& held = {},
              const char* boot_id = "boot-1");
  World& nodes(int count, int cores = 4) {
    for (int i = 1; i <= count; ++i) node(cat("n", i).c_str(), cores);
    return *this;
  }
  void disconnect(const char* node);
  void heartbeat(const char* node);
  void prepared(const char* node, std::uint64_t id, Attempt attempt = 1);
  void finished(const char* node, std::uint64_t id, const Outcome& how = {}, Attempt attempt = 1);
  void refused(const char* node, std::uint64_t id, ErrorKind kind, Attempt attempt = 1);
  // Says that it stands still, or goes on, as it was ordered last.
  void paused(const char* node, std::uint64_t id, Attempt attempt = 1);
  // Prepares and launches a job that has been placed.
  void run(std::uint64_t id);
  // From placed to the end on all of its nodes.
  void run_to_end(std::uint64_t id, const Outcome& how = {});

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
  std::vector<std::string> told(const char* node);
  // Of the last message of its kind to that node.
  [[nodiscard]] const wire::ToNode& last_sent(const char* node, wire::ToNode::WhatCase what) const;

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
  std::map<ServiceKey, Service> services;
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
