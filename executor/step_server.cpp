#include "executor/step_server.hpp"

#include <csignal>
#include <utility>

#include "executor/step_streams.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

StepServer::StepServer(StepServerWorld world)
    : world_(std::move(world)),
      clients_(clients_world()),
      parts_(
          parts_world(),
          [this](std::uint32_t step, std::uint32_t place, wire::FromPart said) {
            part_says(step, place, std::move(said));
          },
          world_.tell_peer),
      alive_(std::make_shared<bool>(true)) {
  in_use_.resize(world_.order.allocation.shares.size());
  // The ranks that are the job itself are its step 0.
  if (world_.order.spec.launch == LaunchMode::Tasks) next_step_ = 1;
}

StepClientsWorld StepServer::clients_world() {
  return {.loop = world_.loop,
          .order = world_.order,
          .facts = world_.facts,
          .tell_peer = world_.tell_peer,
          .tell_outside = world_.tell_outside,
          .hear = [this](ClientId id, const wire::ToStep& message) { on_client_says(id, message); },
          .gone = [this](ClientId id, const ClientRole& role) { on_client_gone(id, role); }};
}

StepPartWorld StepServer::parts_world() {
  return {.loop = world_.loop,
          .runtime = world_.runtime,
          .order = world_.order,
          .facts = world_.facts,
          .sandbox = world_.sandbox,
          .make_pmix_link = world_.make_pmix_link,
          .next_program_id = [this] { return next_program_++; },
          .count_programs = world_.count_programs};
}

StepServer::~StepServer() {
  close();
  *alive_ = false;
}

void StepServer::close() {
  if (closed_) return;
  closed_ = true;
  cancel(owner_patience_);
  cancel(drain_patience_);
  for (auto& [number, step] : steps_) {
    for (const auto& [alarm, timer] : step.alarms) world_.loop.cancel(timer);
    if (!step.internal && step.control) remember(step.control->record(world_.loop.now()));
  }
  steps_.clear();
  waiting_.clear();
  parts_.clear();
  clients_.close(Error(ErrorKind::Unavailable, "the job has ended"));
}

void StepServer::cancel(std::optional<io::TimerId>& timer) {
  if (timer) world_.loop.cancel(*std::exchange(timer, std::nullopt));
}

void StepServer::remember(const StepRecord& record) {
  records_.push_back(record);
  if (records_.size() > kMaxRememberedSteps) records_.pop_front();
}

// A copy: steps end by what is said to them.
std::vector<std::uint32_t> StepServer::step_numbers() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, step] : steps_) numbers.push_back(number);
  return numbers;
}

// ---- readers of the job's files ----------------------------------------------------------------

bool StepServer::has_readers() const {
  for (const auto& [number, step] : steps_) {
    if (step.internal) return true;
  }
  return false;
}

void StepServer::drain(std::function<void()> then) {
  stopping_ = true;
  if (!has_readers() || closed_) return then();
  drained_ = std::move(then);
  drain_patience_ = world_.loop.arm(world_.loop.now().boot + kDrainPatience, [this] {
    drain_patience_.reset();
    end_drain();
  });
  // The end of its input, and no signal: it may not have come so far as to await one.
  wire::ToStep no_more;
  no_more.mutable_input()->set_end(true);
  for (const std::uint32_t number : step_numbers()) {
    const auto step = steps_.find(number);
    if (step == steps_.end() || !step->second.internal) continue;
    perform(number, step->second.control->on_client(no_more, world_.loop.now()));
  }
}

void StepServer::end_drain() {
  if (!drained_) return;
  cancel(drain_patience_);
  world_.loop.post(std::exchange(drained_, nullptr));
}

// ---- what clients want -------------------------------------------------------------------------

void StepServer::on_client_says(ClientId id, const wire::ToStep& message) {
  const ClientRole& client = *clients_.find(id);
  if (client.step) {
    const auto step = steps_.find(*client.step);
    if (step == steps_.end()) return;
    if (message.has_signal() && stopping_ && message.signal().number() != SIGKILL) return;
    if (client.observes && !message.has_input()) return;
    if (step->second.internal && message.has_input()) return;  // its end is ours to tell
    perform(*client.step, step->second.control->on_client(message, world_.loop.now()), id);
  } else if (client.waits) {
    return;  // it has said what it wants
  } else if (message.has_run()) {
    wire::StepRun run = message.run();
    run.set_host_files(false);  // what sees the node's files is ours to start
    run_step(id, std::move(run));
  } else if (message.has_attach()) {
    attach(id, message.attach());
  } else if (message.has_follow()) {
    follow(id, message.follow());
  } else if (message.has_hold()) {
    hold(id);
  }
}

void StepServer::on_client_gone(ClientId id, const ClientRole& role) {
  waiting_.remove_of(id);
  const auto running = role.step ? steps_.find(*role.step) : steps_.end();
  if (running == steps_.end()) return;
  if (role.observes) {
    std::erase(running->second.observers, id);
  } else {
    perform(*role.step, running->second.control->on_client_gone(world_.loop.now()));
  }
}

void StepServer::run_step(ClientId id, wire::StepRun run) {
  if (closed_ || stopping_) {
    return clients_.refuse(id, Error(ErrorKind::Conflict, "the job is ending"));
  }
  if (run.programs_size() == 0) {
    return clients_.refuse(id, Error(ErrorKind::Invalid, "no program to run"));
  }
  if (const Result<void> good = check_step_run(run); !good) {
    return clients_.refuse(id, good.error());
  }
  // Its turn comes after those that wait already.
  const bool others_wait = run.exact() && !waiting_.is_empty();
  if (!others_wait && try_run(id, run)) return;
  ClientRole* const client = clients_.find(id);
  if (client == nullptr) return;
  if (!waiting_.try_add(id, std::move(run))) {
    return clients_.refuse(id, Error(ErrorKind::Exhausted, "too many steps wait for cores"));
  }
  client->waits = true;
  wire::FromStep waits;
  waits.mutable_waits()->set_reason("waits for cores that other steps use");
  clients_.say(id, waits);
}

// False if it has to wait.
bool StepServer::try_run(ClientId id, wire::StepRun& run) {
  const StepOrder& order = world_.order;
  Result<std::optional<StepLayout>> layout =
      lay_out_step(run, order.allocation, order.spec.components.front().cpus_per_task, in_use_);
  if (!layout) {
    clients_.refuse(id, layout.error());
    return true;
  }
  if (!layout.value()) return false;
  ClientRole& client = *clients_.find(id);
  const bool internal = run.host_files();
  const std::uint32_t number = internal ? next_internal_step_++ : next_step_++;
  StepFacts facts;
  facts.step = number;
  for (const StepNode& node : layout.value()->nodes) {
    facts.node_names.push_back(order.allocation.shares[node.node_index].node.value);
  }
  facts.kill_grace = order.spec.kill_grace.value_or(kDefaultKillGrace);
  std::size_t parts = facts.node_names.size();
  for (const auto& [other, step] : steps_) parts += step.control->layout().nodes.size();
  facts.window = output_window(parts);

  Step& step = steps_[number];
  step.client = id;
  step.internal = internal;
  step.owns_job = run.owns_job();
  step.wants_input = choose_streams(run, *layout.value(), client.descriptors);
  client.step = number;
  take_cores(*layout.value(), in_use_);
  if (step.owns_job) cancel(owner_patience_);
  step.control =
      std::make_unique<StepControl>(std::move(facts), std::move(run), *std::move(layout.value()));
  perform(number, step.control->start(world_.loop.now()));
  return true;
}

void StepServer::try_waiting() {
  while (!waiting_.is_empty() && !closed_ && !stopping_) {
    // In their order, as far as they fit: a wide one is not overtaken for ever.
    WaitingRun next = waiting_.take_first();
    ClientRole* const client = clients_.find(next.client);
    if (client == nullptr) continue;
    client->waits = false;
    if (!try_run(next.client, next.run)) {
      client->waits = true;
      return waiting_.put_back(std::move(next));
    }
  }
}

void StepServer::follow(ClientId id, const wire::StepFollow& what) {
  if (world_.facts.step_tool.empty()) {
    return clients_.refuse(
        id, Error(ErrorKind::Unsupported, "this node has no jrun to read files with"));
  }
  run_step(id, plan_file_reader(world_.order, world_.facts, what));
}

void StepServer::attach(ClientId id, const wire::StepAttach& what) {
  const auto step = steps_.find(what.step());
  if (step == steps_.end() || step->second.internal) {
    return clients_.refuse(id,
                           Error(ErrorKind::NotFound, cat("step ", what.step(), " does not run")));
  }
  if (!step->second.control->sends_output()) {
    return clients_.refuse(
        id, Error(ErrorKind::Unsupported,
                  cat("the output of step ", what.step(),
                      " goes straight to its jrun's; start it with --label or --pty, or "
                      "on several nodes")));
  }
  ClientRole& client = *clients_.find(id);
  client.step = what.step();
  client.observes = true;
  step->second.observers.push_back(id);
  wire::FromStep started;
  started.mutable_started()->set_step(what.step());
  started.mutable_started()->set_tasks(step->second.control->layout().tasks);
  started.mutable_started()->set_wants_input(what.with_input() && step->second.wants_input);
  clients_.say(id, started);
}

void StepServer::hold(ClientId id) {
  clients_.find(id)->holds = true;
  if (end_code_) return end_job(*end_code_);
  bool has_owner = false;
  for (const auto& [number, step] : steps_) has_owner = has_owner || step.owns_job;
  if (has_owner || owner_patience_) return;
  owner_patience_ = world_.loop.arm(world_.loop.now().boot + kOwnerPatience, [this] {
    owner_patience_.reset();
    end_job(128 + SIGHUP);
  });
}

void StepServer::end_job(std::int32_t exit_code) {
  end_code_ = exit_code;
  for (const ClientId id : clients_.holders()) {
    wire::FromStep message;
    message.mutable_ended()->set_exit_code(exit_code);
    clients_.say(id, message);
    clients_.end(id);
  }
}

// ---- steps -------------------------------------------------------------------------------------

void StepServer::perform(std::uint32_t number, ControlActions actions, ClientId from) {
  for (ControlAction& action : actions) {
    const auto found = steps_.find(number);
    if (found == steps_.end() || closed_) return;
    Step& step = found->second;
    if (auto* part = std::get_if<control_action::ToPart>(&action)) {
      to_part(number, part->place, part->message);
    } else if (auto* client = std::get_if<control_action::ToClient>(&action)) {
      if (client->message.has_started()) {
        client->message.mutable_started()->set_wants_input(step.wants_input);
      }
      const std::vector<ClientId> observers = step.observers;
      clients_.say(step.client, client->message);
      for (const ClientId id : observers) clients_.say(id, client->message);
    } else if (const auto* alarm = std::get_if<control_action::Arm>(&action)) {
      arm(number, step, *alarm);
    } else if (const auto* lies = std::get_if<control_action::Cut>(&action)) {
      clients_.cut(from, lies->why);
    } else {
      over(number);
    }
  }
}

// Replaces an alarm of the kind.
void StepServer::arm(std::uint32_t number, Step& step, const control_action::Arm& wanted) {
  const StepAlarm alarm = wanted.alarm;
  if (const auto old = step.alarms.find(alarm); old != step.alarms.end()) {
    world_.loop.cancel(old->second);
  }
  step.alarms[alarm] = world_.loop.arm(wanted.at, [this, number, alarm] {
    const auto rung = steps_.find(number);
    if (rung == steps_.end()) return;
    rung->second.alarms.erase(alarm);
    perform(number, rung->second.control->on_alarm(alarm, world_.loop.now()));
  });
}

void StepServer::over(std::uint32_t number) {
  auto step = steps_.extract(number);
  for (const auto& [alarm, timer] : step.mapped().alarms) world_.loop.cancel(timer);
  const StepControl& control = *step.mapped().control;
  const StepRecord record = control.record(world_.loop.now());
  if (!step.mapped().internal) remember(record);
  give_back_cores(control.layout(), in_use_);
  clients_.end(step.mapped().client);
  for (const ClientId id : step.mapped().observers) clients_.end(id);
  if (step.mapped().owns_job) end_job(record.exit_code);
  if (drained_ && !has_readers()) end_drain();
  // What waits may start from a call of the step that has just ended.
  world_.loop.post([this, alive = alive_] {
    if (*alive) try_waiting();
  });
  // Kept until the turn is over: we may be inside of it.
  auto kept = std::make_shared<std::unique_ptr<StepControl>>(std::move(step.mapped().control));
  world_.loop.post([kept] { kept->reset(); });
}

void StepServer::to_part(std::uint32_t step, std::size_t place, const wire::ToPart& message) {
  const Step& running = steps_.at(step);
  const std::uint32_t node = running.control->layout().nodes[place].node_index;
  if (node == world_.order.node_index) {
    StepDescriptors descriptors;
    ClientRole* const client = message.has_start() ? clients_.find(running.client) : nullptr;
    if (client != nullptr) descriptors = std::exchange(client->descriptors, {});
    return parts_.order(step, message, std::move(descriptors));
  }
  wire::Peer peer;
  peer.mutable_step()->set_step(step);
  *peer.mutable_step()->mutable_to_part() = message;
  world_.tell_peer(node, peer);
}

void StepServer::from_part(std::uint32_t step, std::size_t place, wire::FromPart message) {
  const auto found = steps_.find(step);
  if (found == steps_.end()) return;
  perform(step, found->second.control->on_part(place, std::move(message), world_.loop.now()));
}

// A part of this node's, to the origin.
void StepServer::part_says(std::uint32_t step, std::uint32_t place, wire::FromPart said) {
  if (is_origin()) {
    // Not from inside of the part's own call: the step may end by it.
    auto passed = std::make_shared<wire::FromPart>(std::move(said));
    world_.loop.post([this, alive = alive_, step, place, passed] {
      if (*alive) from_part(step, place, std::move(*passed));
    });
    return;
  }
  wire::Peer peer;
  peer.mutable_step()->set_step(step);
  *peer.mutable_step()->mutable_from_part() = std::move(said);
  world_.tell_peer(0, peer);
}

// ---- other nodes -------------------------------------------------------------------------------

void StepServer::on_peer_step(std::uint32_t from, const wire::PeerStep& message) {
  if (closed_) return;
  const std::uint32_t step = message.step();
  if (message.has_to_part()) {
    if (from == 0 && !is_origin()) parts_.order(step, message.to_part(), {});
  } else if (message.has_from_part()) {
    const auto found = steps_.find(step);
    if (found == steps_.end()) return;
    const auto& nodes = found->second.control->layout().nodes;
    for (std::size_t place = 0; place < nodes.size(); ++place) {
      if (nodes[place].node_index == from) return from_part(step, place, message.from_part());
    }
  } else if (message.what_case() == wire::PeerStep::kExchange) {
    parts_.on_exchange(from, step, message.exchange());
  }
}

void StepServer::on_peer_session(std::uint32_t from, const wire::PeerSession& message) {
  clients_.on_peer_session(from, message);
}

void StepServer::on_peer_lost(std::uint32_t node_index) {
  if (closed_) return;
  for (const std::uint32_t number : step_numbers()) {
    const auto step = steps_.find(number);
    if (step == steps_.end()) continue;
    const auto& nodes = step->second.control->layout().nodes;
    for (std::size_t place = 0; place < nodes.size(); ++place) {
      if (nodes[place].node_index != node_index) continue;
      perform(number, step->second.control->on_part_lost(place, world_.loop.now()));
      break;
    }
  }
  parts_.on_node_lost(node_index);
  clients_.on_node_lost(node_index);
}

}  // namespace gangway::executor
