#include "executor/shepherd.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "executor/exit_status.hpp"
#include "executor/mpi_inspection.hpp"
#include "executor/mpi_plan.hpp"
#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/message_frame.hpp"

namespace gangway::executor {

namespace {

bool has_ranks(const StepOrder& order) {
  return order.spec.mpi != MpiMode::None && order.spec.launch == LaunchMode::Tasks;
}

bool needs_peers(const StepOrder& order) { return order.allocation.shares.size() > 1; }

// Our server is told that another node cannot answer any more.
bool tells_of_a_loss(const ExchangeAction& action) {
  const auto* tell = std::get_if<exchange_action::TellPmix>(&action);
  if (tell == nullptr) return false;
  const auto is_loss = [](std::int32_t status) {
    return status == kPmixLostConnection || status == kPmixUnreachable;
  };
  if (tell->message.has_fence_done()) return is_loss(tell->message.fence_done().status());
  if (tell->message.has_modex_answer()) return is_loss(tell->message.modex_answer().status());
  return false;
}

constexpr Duration kUsagePatience = seconds(2);

// Messages for a peer that is not connected yet; as much as the transport would hold for it.
constexpr std::size_t kMaxBytesForPeer = 64 << 20;

}  // namespace

Shepherd::Shepherd(
    ShepherdWorld world, StepOrder order, LaunchFacts facts, BootTime lease_until, std::int32_t pid)
    : world_(std::move(world)),
      facts_(std::move(facts)),
      machine_(std::move(order)),
      lease_until_(lease_until),
      pid_(pid),
      agent_side_(*this),
      dialled_side_(*this, true),
      accepted_side_(*this, false),
      pmix_side_(*this),
      alive_(std::make_shared<bool>(true)) {
  const StepOrder& o = machine_.order();
  if (has_ranks(o)) {
    exchange_.emplace(o.node_index, ranks_of_job(o).nodes);
  }
  peers_.resize(o.allocation.shares.size());
  steps_ = std::make_unique<StepServer>(StepServerWorld{
      .loop = world_.loop,
      .runtime = world_.runtime,
      .order = o,
      .facts = facts_,
      .sandbox = sandbox_,
      .make_pmix_link = world_.make_pmix_link,
      .tell_peer = [this](std::uint32_t node, const wire::Peer& peer) { tell_peer(node, peer); },
      .tell_outside = [this](const wire::NodeSession& session) { tell_outside(session); },
      // In a turn of its own: the machine may end the step that says so.
      .count_programs =
          [this](int by) {
            world_.loop.post([this, alive = alive_, by] {
              if (*alive) feed(step_event::GuestsChanged{by});
            });
          }});
}

Shepherd::~Shepherd() {
  *alive_ = false;
  for (const auto& [timer, id] : timers_) world_.loop.cancel(id);
  if (sync_) world_.loop.cancel(*sync_);
}

void Shepherd::start() {
  world_.ports.connect_agent(agent_side_);
  feed(step_event::Begin{lease_until_});
}

void Shepherd::stop(const Outcome& outcome) { feed(step_event::Stop{outcome, false}); }

// ---- the machine -------------------------------------------------------------------------------

void Shepherd::feed(const StepEvent& event) {
  events_.push_back(event);
  if (feeding_) return;  // its turn comes when the actions before it are done
  feeding_ = true;
  while (!events_.empty()) {
    const StepEvent next = std::move(events_.front());
    events_.pop_front();
    for (StepAction& action : machine_.on(next, world_.loop.now())) perform(std::move(action));
  }
  feeding_ = false;
}

void Shepherd::perform(StepAction action) {
  struct Performer {
    Shepherd& s;
    void operator()(const step_action::PrepareSandbox&) const { s.prepare_sandbox(); }
    void operator()(const step_action::StartPmix& a) const { s.start_pmix(a.peers); }
    void operator()(const step_action::StartPrograms& a) const {
      s.start_programs(a.ranks);
      s.begin_probes();
    }
    void operator()(const step_action::SignalPrograms& a) const {
      const int stop = s.machine_.order().stop_signal;
      if (a.number == stop || a.number == SIGKILL) s.prober_.reset();
      if (a.number == SIGTERM || a.number == SIGKILL) s.steps_->note_stopping();
      s.world_.runtime.signal(a.number, std::nullopt);
    }
    void operator()(const step_action::Warn& a) const { s.warn(a.number, a.script_only); }
    void operator()(const step_action::PausePrograms& a) const { s.pause_programs(a.on); }
    void operator()(const step_action::ReportPaused& a) const { s.report_paused(a); }
    void operator()(const step_action::CleanUp&) const { s.clean_up(); }
    void operator()(const step_action::ReportPrepared& a) const { s.report_prepared(a.peer_port); }
    void operator()(const step_action::ReportFinished& a) const { s.report_finished(a.report); }
    void operator()(const step_action::ArmTimer& a) const { s.arm(a.timer, a.at); }
    void operator()(const step_action::CancelTimer& a) const { s.cancel(a.timer); }
    void operator()(const step_action::Leave&) const {
      if (s.sync_) s.world_.loop.cancel(*std::exchange(s.sync_, std::nullopt));
      if (s.agent_) s.world_.transport.close(*s.agent_);
      s.world_.loop.post(s.world_.leave);
    }
    void operator()(const step_action::Note& a) const {
      log_warning("step_unexpected",
                  {{"job", to_string(s.machine_.order().key)}, {"what", a.text}});
    }
  };
  std::visit(Performer{*this}, action);
}

bool Shepherd::is_ending() const {
  const StepPhase phase = machine_.phase();
  return phase == StepPhase::CleaningUp || phase == StepPhase::Done || phase == StepPhase::Released;
}

void Shepherd::arm(StepTimer timer, BootTime at) {
  cancel(timer);
  timers_[timer] = world_.loop.arm(at, [this, timer] {
    timers_.erase(timer);
    feed(step_event::TimerFired{timer});
  });
}

void Shepherd::cancel(StepTimer timer) {
  const auto armed = timers_.find(timer);
  if (armed == timers_.end()) return;
  world_.loop.cancel(armed->second);
  timers_.erase(armed);
}

// ---- the sandbox and what runs in it -----------------------------------------------------------

void Shepherd::prepare_sandbox() {
  std::uint16_t port = 0;
  if (needs_peers(machine_.order())) {
    const Result<std::uint16_t> listening = world_.ports.listen_for_gang(accepted_side_);
    if (!listening) {
      feed(step_event::SandboxFailed{listening.error().with_context("listen for the gang")});
      return;
    }
    port = *listening;
  }
  world_.runtime.prepare(plan_sandbox(machine_.order(), facts_),
                         [this, port, alive = alive_](Result<containers::SandboxReady> ready) {
                           if (!*alive) return;
                           if (!ready) {
                             feed(step_event::SandboxFailed{ready.error().with_context(
                                 cat("prepare on ", facts_.node.value))});
                             return;
                           }
                           sandbox_ = *std::move(ready);
                           steps_->open(facts_.step_socket);
                           choose_mpi_mode(port);
                         });
}

// By what the program links, as seen inside; before anybody waits for the answer.
void Shepherd::choose_mpi_mode(std::uint16_t port) {
  const StepOrder& order = machine_.order();
  const bool is_here = order.allocation.shares[order.node_index].tasks > 0;
  if (!has_ranks(order) || order.spec.mpi != MpiMode::Auto || !is_here) {
    feed(step_event::SandboxReady{port, choose_mpi(order.spec.mpi, {})});
    return;
  }
  inspect_mpi(world_.runtime, plan_inspection(order, facts_, sandbox_),
              [this, alive = alive_, port](const MpiChoice& choice) {
                if (!*alive) return;
                log_info("mpi_chosen", {{"job", to_string(machine_.order().key)},
                                        {"mpi", std::string(to_string(choice.mode))},
                                        {"why", choice.why}});
                feed(step_event::SandboxReady{port, choice});
              });
}

void Shepherd::start_pmix(const std::vector<PeerAddress>& peers) {
  const StepOrder& order = machine_.order();
  note_addresses(peers);
  if (offers_pmi(order.spec.mpi)) {
    pmi_ = std::make_unique<PmiService>(world_.loop, pmix_side_, plan_pmi_job(ranks_of_job(order)));
  }
  if (!offers_pmix(order.spec.mpi)) {
    feed(step_event::PmixReady{});
    return;
  }
  pmix_ = world_.make_pmix_link(pmix_side_);
  Result<Fd> server_end = pmix_->open();
  if (!server_end) {
    feed(step_event::PmixFailed{server_end.error().message()});
    return;
  }
  pmix_server_end_ = *std::move(server_end);
  pmix_->setup(plan_pmix_setup(ranks_of_job(order), facts_));
  for (const wire::ToPmix& message : for_pmix_) pmix_->send(message);
  for_pmix_.clear();
  std::vector<containers::ProgramRequest> programs;
  programs.push_back(plan_pmix_server(order, facts_, pmix_server_end_.get()));
  world_.runtime.start(std::move(programs),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (*alive) on_program_end(end);
                       });
}

void Shepherd::note_addresses(const std::vector<PeerAddress>& peers) {
  addresses_.resize(machine_.order().allocation.shares.size());
  for (const PeerAddress& peer : peers) {
    if (const auto node = find_node(peer.node)) addresses_[*node] = peer;
  }
}

void Shepherd::start_programs(const std::vector<RankEnvironment>& ranks) {
  std::vector<containers::ProgramRequest> programs =
      plan_programs(machine_.order(), facts_, sandbox_, ranks);
  if (pmi_) {
    const auto first = machine_.order().allocation.shares[machine_.order().node_index].first_task;
    for (containers::ProgramRequest& program : programs) {
      Result<Fd> end = pmi_->open(static_cast<std::uint32_t>(first) + program.id);
      if (!end) continue;  // it will not meet the others, and that is told
      program.inherit_fd = end->get();
      pmi_rank_ends_.push_back(*std::move(end));
    }
  }
  world_.runtime.start(std::move(programs),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (!*alive) return;
                         if (!pmi_) return on_program_end(end);
                         // What the rank has said before is heard first: it lies in our sockets.
                         world_.loop.post([this, alive, end] {
                           if (*alive) on_program_end(end);
                         });
                       });
}

void Shepherd::on_program_end(const containers::ProgramEnd& end) {
  if (end.id == kPmixServerId) {
    const std::string why = end.started ? describe(read_wait_status(end.wait_status)) : end.message;
    feed(step_event::PmixFailed{why});
    return;
  }
  // Whether it has connected, its server knows: it may have had no time to tell.
  const bool is_heard = !pmix_ || !end.started || end.wait_status != 0 ||
                        machine_.order().spec.total_tasks() <= 1 ||
                        machine_.has_connected(task_of_program(machine_.order(), end.id));
  if (is_heard || is_ending()) return feed_end(end);
  unheard_.push_back(end);
  wire::ToPmix sync;
  sync.mutable_sync();
  pmix_->send(sync);
}

void Shepherd::feed_end(const containers::ProgramEnd& end) {
  feed(step_event::ProgramEnded{task_of_program(machine_.order(), end.id), end.started,
                                end.wait_status, end.message});
}

// The ranks of steps are warned as ranks; without any, what a script runs by itself. A script that
// does not ask for the signal would die of it.
void Shepherd::warn(int number, bool script_only) {
  const StepOrder& order = machine_.order();
  if (order.spec.launch == LaunchMode::Tasks) {
    world_.runtime.signal(number, std::nullopt);
  } else if (script_only) {
    if (order.node_index == 0) world_.runtime.signal(number, kScriptId);
  } else if (!steps_->signal_ranks(number) && order.node_index == 0) {
    world_.runtime.signal_others(number, kScriptId);
  }
}

void Shepherd::pause_programs(bool on) {
  world_.runtime.pause(on, [this, on, alive = alive_](const Result<void>& done) {
    if (!*alive) return;
    if (done) return feed(step_event::PauseSettled{on});
    // It is not told that they stand still, so the scheduler does not count on it.
    log_error("pause_failed", {{"job", to_string(machine_.order().key)},
                               {"on", on ? "true" : "false"},
                               {"why", done.error().message()}});
  });
}

void Shepherd::report_paused(const step_action::ReportPaused& paused) {
  wire::FromShepherd message;
  wire::to_wire(machine_.order().key, message.mutable_paused()->mutable_key());
  message.mutable_paused()->set_attempt(machine_.order().attempt);
  message.mutable_paused()->set_number(paused.number);
  message.mutable_paused()->set_on(paused.on);
  tell_agent(message);
}

void Shepherd::begin_probes() {
  const StepOrder& order = machine_.order();
  if (!order.replica) return;
  prober_ = std::make_unique<Prober>(
      Prober::World{.loop = world_.loop,
                    .runtime = world_.runtime,
                    .order = order,
                    .facts = facts_,
                    .sandbox = sandbox_,
                    .tell = [this](const ReplicaHealth& health) { report_health(health); }});
}

void Shepherd::report_health(const ReplicaHealth& health) {
  wire::FromShepherd message;
  wire::ReplicaHealth* const out = message.mutable_health();
  wire::to_wire(machine_.order().key, out->mutable_key());
  out->set_attempt(machine_.order().attempt);
  out->set_ready(health.ready);
  out->set_alive(health.alive);
  out->set_note(health.note);
  tell_agent(message);
}

// First what is inside is heard to its end; told again, at once.
void Shepherd::clean_up() {
  prober_.reset();
  if (std::exchange(cleaning_up_, true)) return take_down();
  steps_->drain([this, alive = alive_] {
    if (!*alive) return;
    write_usage([this, alive] {
      if (*alive) take_down();
    });
  });
}

void Shepherd::write_usage(std::function<void()> then) {
  const StepOrder& order = machine_.order();
  if (!order.spec.report_usage || !machine_.has_launched() || order.node_index != 0 ||
      facts_.step_tool.empty()) {
    return then();
  }
  const containers::SandboxUsage usage = world_.runtime.usage();
  containers::ProgramRequest program;
  program.id = kUsageWriterId;
  program.argv = {facts_.step_tool, "--say",
                  render_used(order, facts_,
                              {.cpu = usage.cpu,
                               .peak_memory = usage.peak_memory,
                               .wall = machine_.wall(),
                               .read = usage.read,
                               .written = usage.written})};
  program.workdir = "/";
  program.host_files = true;
  program.out = {.path = plan_output_path(order, facts_, 0, 1), .truncate = false};
  // Once, whichever comes first: the line is not worth waiting for.
  auto once = std::make_shared<std::function<void()>>(std::move(then));
  const auto go_on = [once] {
    if (const auto next = std::exchange(*once, nullptr)) next();
  };
  const io::TimerId patience = world_.loop.arm(world_.loop.now().boot + kUsagePatience, go_on);
  std::vector<containers::ProgramRequest> programs;
  programs.push_back(std::move(program));
  world_.runtime.start(std::move(programs),
                       [this, alive = alive_, patience, go_on](const containers::ProgramEnd&) {
                         if (!*alive) return;
                         world_.loop.cancel(patience);
                         go_on();
                       });
}

void Shepherd::take_down() {
  if (std::exchange(taken_down_, true)) return;
  steps_->close();
  if (pmix_) pmix_->close();
  if (pmi_) pmi_->close();
  pmi_rank_ends_.clear();
  pmix_server_end_.reset();
  for (Peer& peer : peers_) {
    peer.waiting.clear();
    peer.waiting_bytes = 0;
  }
  world_.runtime.cleanup([this, alive = alive_](containers::SandboxUsage usage) {
    if (*alive) {
      feed(step_event::CleanedUp{.cpu = usage.cpu,
                                 .peak_memory = usage.peak_memory,
                                 .out_of_memory = usage.out_of_memory,
                                 .read = usage.read,
                                 .written = usage.written});
    }
  });
}

// ---- the agent ---------------------------------------------------------------------------------

void Shepherd::AgentSide::on_connected(io::PeerId peer, const io::PeerIdentity&) {
  shepherd.agent_ = peer;
  wire::FromShepherd message;
  wire::ShepherdHello* hello = message.mutable_hello();
  wire::to_wire(shepherd.machine_.order().key, hello->mutable_key());
  hello->set_attempt(shepherd.machine_.order().attempt);
  hello->set_state(shepherd.held_state());
  hello->set_pid(shepherd.pid_);
  shepherd.tell_agent(message);
  shepherd.feed(step_event::AgentConnected{});
  if (shepherd.prober_) shepherd.report_health(shepherd.prober_->health());
}

void Shepherd::AgentSide::on_frame(io::PeerId peer, wire::Frame frame) {
  wire::ToShepherd message;
  if (frame.type != wire::FrameType::ToShepherd || !message.ParseFromString(frame.payload)) {
    log_error("agent_frame_bad", {{"bytes", cat(frame.payload.size())}});
    shepherd.world_.transport.close(peer);
    return;
  }
  shepherd.on_agent_message(message);
}

void Shepherd::AgentSide::on_closed(io::PeerId peer, const Error&) {
  if (shepherd.agent_ != peer) return;
  shepherd.agent_.reset();
  shepherd.steps_->on_outside_lost();
}

void Shepherd::on_agent_message(const wire::ToShepherd& message) {
  switch (message.what_case()) {
    case wire::ToShepherd::kLaunch: {
      step_event::Launch launch;
      for (const wire::GangPeer& peer : message.launch().peers()) {
        launch.peers.push_back(
            {peer.node(), peer.address(), static_cast<std::uint16_t>(peer.port())});
      }
      note_addresses(launch.peers);
      feed(std::move(launch));
      break;
    }
    case wire::ToShepherd::kStop: {
      if (message.stop().signal() != 0) {
        feed(step_event::Signal{static_cast<int>(message.stop().signal())});
        break;
      }
      Outcome outcome;
      outcome.kind = OutcomeKind::Cancelled;
      if (const Result<Outcome> told = wire::from_wire(message.stop().outcome())) outcome = *told;
      feed(step_event::Stop{outcome, message.stop().at_once()});
      break;
    }
    case wire::ToShepherd::kLeaseUntil:
      feed(step_event::LeaseRenewed{BootTime{message.lease_until().boot_ns()}});
      break;
    case wire::ToShepherd::kRelease:
      feed(step_event::Released{});
      break;
    case wire::ToShepherd::kSession:
      steps_->on_outside(message.session());
      break;
    case wire::ToShepherd::kPause:
      feed(step_event::Pause{message.pause().number(), message.pause().on()});
      break;
    case wire::ToShepherd::kStart:
    case wire::ToShepherd::WHAT_NOT_SET:
      break;
  }
}

void Shepherd::tell_agent(const wire::FromShepherd& message) {
  // Without the agent nothing is lost: it hears the state when it is back.
  if (!agent_) return;
  const Result<void> sent =
      world_.transport.send(*agent_, wire::make_frame(wire::FrameType::FromShepherd, message));
  if (!sent) log_warning("agent_unreachable", {{"why", sent.error().message()}});
}

wire::HeldAttempt::State Shepherd::held_state() const {
  switch (machine_.phase()) {
    case StepPhase::New:
    case StepPhase::Preparing:
      return wire::HeldAttempt::PREPARING;
    case StepPhase::Ready:
      return wire::HeldAttempt::PREPARED;
    case StepPhase::Launching:
    case StepPhase::Running:
      return wire::HeldAttempt::RUNNING;
    case StepPhase::CleaningUp:
      return machine_.has_launched() ? wire::HeldAttempt::RUNNING : wire::HeldAttempt::PREPARING;
    case StepPhase::Done:
    case StepPhase::Released:
      return wire::HeldAttempt::FINISHED;
  }
  return wire::HeldAttempt::PREPARING;
}

void Shepherd::report_prepared(std::uint16_t port) {
  wire::FromShepherd message;
  wire::Prepared* prepared = message.mutable_prepared();
  wire::to_wire(machine_.order().key, prepared->mutable_key());
  prepared->set_attempt(machine_.order().attempt);
  prepared->set_port(port);
  tell_agent(message);
}

void Shepherd::report_finished(const StepReport& report) {
  if (!finished_) {
    wire::StepFinished finished;
    wire::to_wire(machine_.order().key, finished.mutable_key());
    finished.set_attempt(machine_.order().attempt);
    wire::to_wire(report.outcome, finished.mutable_outcome());
    for (const FailedTask& failed : report.failed_tasks) {
      wire::TaskEnd* task = finished.add_failed_tasks();
      task->set_task(static_cast<std::int32_t>(failed.task));
      task->set_exit_code(failed.exit_code);
      task->set_signal(failed.signal);
    }
    finished.mutable_usage()->set_cpu_ns(report.cpu.ns);
    finished.mutable_usage()->set_peak_memory_bytes(report.peak_memory.value);
    finished.mutable_usage()->set_wall_ns(report.wall.ns);
    finished.mutable_usage()->set_read_bytes(report.read.value);
    finished.mutable_usage()->set_written_bytes(report.written.value);
    for (const StepRecord& step : steps_->records()) wire::to_wire(step, finished.add_steps());
    finished.set_never_launched(report.never_launched);
    finished.set_ended_at_ns(world_.loop.now().wall.ns);
    for (const std::string& waiver : sandbox_.waivers) finished.add_waivers(waiver);
    finished_ = finished;
    // A full disk must not keep the end secret: without a record it survives as long as we do.
    if (const Result<void> written = world_.records.write_finished(finished); !written) {
      log_error("finished_record_failed",
                {{"job", to_string(machine_.order().key)}, {"why", written.error().message()}});
    }
    sync_ = world_.loop.arm(world_.loop.now().boot + (agent_ ? kSyncPatience : Duration{}),
                            [this] { sync_finished(); });
  }
  wire::FromShepherd message;
  *message.mutable_finished() = *finished_;
  tell_agent(message);
}

void Shepherd::sync_finished() {
  sync_.reset();
  if (const Result<void> synced = world_.records.sync_finished(); !synced) {
    log_warning("finished_record_not_synced", {{"why", synced.error().message()}});
  }
}

// ---- the PMIx server process -------------------------------------------------------------------

void Shepherd::PmixSide::on_pmix_ready(wire::PmixReady ready) {
  shepherd.pmix_server_end_.reset();  // it has its own by now
  step_event::PmixReady event;
  for (const wire::RankEnv& rank : ready.ranks()) {
    event.ranks.push_back({rank.rank(), {rank.env().begin(), rank.env().end()}});
  }
  shepherd.feed(std::move(event));
}

void Shepherd::PmixSide::on_pmix_exchange(wire::FromPmix message) {
  if (!shepherd.exchange_ || shepherd.is_ending()) return;
  shepherd.exchange(shepherd.exchange_->on_pmix(message), shepherd.machine_.order().node_index);
}

void Shepherd::PmixSide::on_pmix_abort(wire::PmixAbort abort) {
  shepherd.feed(step_event::PmixAborted{abort.rank(), abort.status()});
}

void Shepherd::PmixSide::on_pmix_rank_state(wire::PmixRankState state) {
  if (!state.connected()) return;
  shepherd.pmi_rank_ends_.clear();  // all have been started: they have their own
  shepherd.feed(step_event::RankConnected{state.rank()});
}

void Shepherd::PmixSide::on_pmix_synced() {
  if (shepherd.unheard_.empty()) return;
  const containers::ProgramEnd end = shepherd.unheard_.front();
  shepherd.unheard_.pop_front();
  shepherd.feed_end(end);
}

void Shepherd::PmixSide::on_pmix_closed(const Error& why) {
  shepherd.feed(step_event::PmixFailed{why.message()});
  // Nobody will say more of these; the server's end is the reason by now.
  for (const containers::ProgramEnd& end : std::exchange(shepherd.unheard_, {})) {
    shepherd.feed_end(end);
  }
}

void Shepherd::tell_pmix(const wire::ToPmix& message) {
  if (message.has_fence_done() && message.fence_done().id() >= kFirstPmiFence) {
    if (pmi_) pmi_->on_fence_done(message.fence_done());
  } else if (pmix_) {
    pmix_->send(message);
  } else if (for_pmix_.size() < kMaxForPmix) {
    for_pmix_.push_back(message);
  }
}

// ---- the gang ----------------------------------------------------------------------------------

std::optional<std::uint32_t> Shepherd::find_node(std::string_view name) const {
  const auto& shares = machine_.order().allocation.shares;
  for (std::uint32_t i = 0; i < shares.size(); ++i) {
    if (shares[i].node.value == name) return i;
  }
  return std::nullopt;
}

void Shepherd::exchange(ExchangeActions actions, std::uint32_t with) {
  // First the reason, then what follows from it: the ranks that hear of a failed fence abort.
  if (std::any_of(actions.begin(), actions.end(), tells_of_a_loss)) {
    std::uint32_t lost = with;
    for (std::uint32_t i = 0; i < peers_.size(); ++i) {
      if (peers_[i].lost) lost = i;
    }
    feed(step_event::PeerLost{machine_.order().allocation.shares[lost].node.value});
  }
  for (ExchangeAction& action : actions) {
    if (const auto* tell = std::get_if<exchange_action::TellPeer>(&action)) {
      tell_peer(tell->node_index, tell->message);
    } else if (const auto* answer = std::get_if<exchange_action::TellPmix>(&action)) {
      tell_pmix(answer->message);
    } else if (const auto* signal = std::get_if<exchange_action::SignalRanks>(&action)) {
      signal_ranks(*signal);
    } else if (const auto* start = std::get_if<exchange_action::StartRanks>(&action)) {
      start_spawned(*start);
    }
  }
}

void Shepherd::tell_outside(const wire::NodeSession& session) {
  wire::FromShepherd message;
  *message.mutable_session() = session;
  wire::to_wire(machine_.order().key, message.mutable_session()->mutable_key());
  message.mutable_session()->set_attempt(machine_.order().attempt);
  tell_agent(message);
}

void Shepherd::signal_ranks(const exchange_action::SignalRanks& signal) {
  if (signal.all) return world_.runtime.signal(signal.number, std::nullopt);
  for (const std::uint32_t rank : signal.ranks) {
    world_.runtime.signal(signal.number, program_of_rank(machine_.order(), rank));
  }
}

void Shepherd::start_spawned(const exchange_action::StartRanks& start) {
  if (machine_.phase() != StepPhase::Running) return;
  feed(step_event::ProgramsAdded{static_cast<std::uint32_t>(start.ranks.size())});
  world_.runtime.start(plan_spawned(machine_.order(), facts_, sandbox_, start.world, start.ranks),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (*alive) on_program_end(end);
                       });
}

void Shepherd::tell_peer(std::uint32_t node, const wire::Peer& message) {
  CHECK(node < peers_.size());
  Peer& peer = peers_[node];
  if (peer.lost) return;
  wire::Frame frame = wire::make_frame(wire::FrameType::Peer, message);
  if (peer.out) {
    if (const Result<void> sent = world_.transport.send(*peer.out, std::move(frame)); !sent) {
      // on_closed follows and tells the rest.
      log_warning("peer_unreachable", {{"why", sent.error().message()}});
    }
    return;
  }
  peer.waiting_bytes += frame.payload.size();
  if (peer.waiting_bytes > kMaxBytesForPeer) {
    lose_peer(node);
    return;
  }
  peer.waiting.push_back(std::move(frame));
  if (!peer.dialling && node < addresses_.size() && addresses_[node].port != 0) {
    peer.dialling = true;
    world_.ports.connect_peer(addresses_[node], dialled_side_);
  }
}

void Shepherd::link_open(std::uint32_t node, io::PeerId link) {
  node_of_link_[link] = node;
  Peer& peer = peers_[node];
  if (peer.out || peer.lost) return;
  peer.out = link;
  peer.waiting_bytes = 0;
  const std::deque<wire::Frame> waiting = std::exchange(peer.waiting, {});
  for (const wire::Frame& frame : waiting) {
    if (!world_.transport.send(link, frame)) return;  // on_closed follows
  }
}

void Shepherd::lose_peer(std::uint32_t node) {
  Peer& peer = peers_[node];
  if (peer.lost) return;
  peer.lost = true;
  peer.out.reset();
  peer.waiting.clear();
  if (is_ending()) return;
  steps_->on_peer_lost(node);
  if (exchange_) exchange(exchange_->on_peer_lost(node), node);
}

void Shepherd::GangSide::on_connected(io::PeerId peer, const io::PeerIdentity& identity) {
  const auto* member = std::get_if<io::ClusterMember>(&identity);
  if (member == nullptr || !shepherd.find_node(member->name.value)) {
    shepherd.world_.transport.close(peer);
    return;
  }
  if (!dialled) {
    shepherd.unnamed_links_[peer] = member->name.value;
    return;
  }
  wire::Peer hello;
  hello.mutable_hello()->set_node_index(shepherd.machine_.order().node_index);
  if (shepherd.world_.transport.send(peer, wire::make_frame(wire::FrameType::Peer, hello))) {
    shepherd.link_open(*shepherd.find_node(member->name.value), peer);
  }
}

void Shepherd::GangSide::on_frame(io::PeerId peer, wire::Frame frame) {
  wire::Peer message;
  if (frame.type != wire::FrameType::Peer || !message.ParseFromString(frame.payload)) {
    shepherd.world_.transport.close(peer);
    return;
  }
  const auto unnamed = shepherd.unnamed_links_.find(peer);
  if (unnamed != shepherd.unnamed_links_.end()) {
    const auto node = shepherd.find_node(unnamed->second);
    shepherd.unnamed_links_.erase(unnamed);
    if (!node || !message.has_hello() || message.hello().node_index() != *node) {
      shepherd.world_.transport.close(peer);
      return;
    }
    shepherd.link_open(*node, peer);
    return;
  }
  const auto node = shepherd.node_of_link_.find(peer);
  if (node == shepherd.node_of_link_.end() || shepherd.is_ending()) return;
  if (message.has_step()) return shepherd.steps_->on_peer_step(node->second, message.step());
  if (message.has_session()) {
    return shepherd.steps_->on_peer_session(node->second, message.session());
  }
  if (!shepherd.exchange_) return;
  shepherd.exchange(shepherd.exchange_->on_peer(node->second, message), node->second);
}

void Shepherd::GangSide::on_closed(io::PeerId peer, const Error& why) {
  shepherd.unnamed_links_.erase(peer);
  const auto link = shepherd.node_of_link_.find(peer);
  if (link == shepherd.node_of_link_.end()) return;  // an attempt to connect that failed
  const std::uint32_t node = link->second;
  shepherd.node_of_link_.erase(link);
  if (!shepherd.is_ending()) {
    log_info("peer_closed", {{"node", shepherd.machine_.order().allocation.shares[node].node.value},
                             {"why", why.message()}});
  }
  shepherd.lose_peer(node);
}

}  // namespace gangway::executor
