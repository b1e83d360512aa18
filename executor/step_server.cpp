#include "executor/step_server.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/message_frame.hpp"

namespace gangway::executor {
namespace {

constexpr std::size_t kMaxEarlyExchange = 4096;
// Output that may be on its way to clients that do not read, of all parts of all steps; each part
// has at least one page of it.
constexpr std::uint32_t kOutputOnItsWay = 8 << 20;
constexpr std::uint32_t kMaxWindow = 256 << 10;
constexpr std::uint32_t kMinWindow = 4 << 10;

}  // namespace

StepServer::StepServer(StepServerWorld world)
    : world_(std::move(world)), alive_(std::make_shared<bool>(true)) {
  in_use_.resize(world_.order.allocation.shares.size());
  // The ranks that are the job itself are its step 0.
  if (world_.order.spec.launch == LaunchMode::Tasks) next_step_ = 1;
}

StepServer::~StepServer() {
  close();
  *alive_ = false;
}

void StepServer::open(containers::SharedFd listener) {
  listener_ = std::move(listener);
  if (listener_ && !closed_) {
    accepting_ = world_.loop.watch_readable(listener_->get(), [this] { accept_clients(); });
  }
}

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
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, step] : steps_) {
    if (step.internal) numbers.push_back(number);
  }
  // The end of its input, and no signal: it may not have come so far as to await one.
  wire::ToStep no_more;
  no_more.mutable_input()->set_end(true);
  for (const std::uint32_t number : numbers) {
    const auto step = steps_.find(number);
    if (step == steps_.end()) continue;
    perform(number, step->second.control->on_client(no_more, world_.loop.now()));
  }
}

void StepServer::end_drain() {
  if (!drained_) return;
  if (drain_patience_) world_.loop.cancel(*std::exchange(drain_patience_, std::nullopt));
  world_.loop.post(std::exchange(drained_, nullptr));
}

void StepServer::close() {
  if (closed_) return;
  closed_ = true;
  pause_accepting();
  listener_.reset();
  if (owner_patience_) world_.loop.cancel(*std::exchange(owner_patience_, std::nullopt));
  if (drain_patience_) world_.loop.cancel(*std::exchange(drain_patience_, std::nullopt));
  for (auto& [number, step] : steps_) {
    for (const auto& [alarm, timer] : step.alarms) world_.loop.cancel(timer);
    if (!step.internal && step.control) {
      records_.push_back(step.control->record(world_.loop.now()));
      if (records_.size() > kMaxRememberedSteps) records_.pop_front();
    }
  }
  steps_.clear();
  waiting_.clear();
  waiting_bytes_ = 0;
  parts_.clear();
  std::vector<ClientId> all;
  for (const auto& [id, client] : clients_) all.push_back(id);
  for (const ClientId id : all) {
    wire::FromStep last;
    last.mutable_failure()->set_kind(static_cast<std::uint32_t>(ErrorKind::Unavailable));
    last.mutable_failure()->set_message("the job has ended");
    say(id, last);
    Client& client = clients_.at(id);
    if (client.socket) (void)client.socket->frames.write_slice();
    drop_client(id);
  }
}

// ---- clients -----------------------------------------------------------------------------------

void StepServer::pause_accepting() {
  if (accepting_) world_.loop.unwatch(*std::exchange(accepting_, std::nullopt));
}

void StepServer::accept_clients() {
  while (sockets_ < kMaxSessions) {
    Fd fd(::accept4(listener_->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno != EMFILE && errno != ENFILE) return;
      break;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        peer.uid != world_.facts.user.uid) {
      log_warning("stranger_turned_away", {{"uid", cat(peer.uid)}});
      continue;
    }
    const ClientId id = next_client_++;
    Client& client = clients_[id];
    client.socket = std::make_unique<Socket>(std::move(fd));
    client.relayed = !is_origin();
    client.socket->readable =
        world_.loop.watch_readable(client.socket->frames.fd(), [this, id] { on_readable(id); });
    ++sockets_;
  }
  // The others wait in the socket's queue until one has gone.
  if (sockets_ >= kMaxSessions) pause_accepting();
}

// The first byte carries the client's standard streams.
void StepServer::read_greeting(ClientId id, Client& client) {
  char byte = 0;
  ReceivedWithFds received = receive_with_fds(client.socket->frames.fd(), {&byte, 1});
  if (received.bytes < 0 && errno == EAGAIN) return;
  if (received.bytes <= 0) return client_gone(id);
  client.socket->greeted = true;
  containers::SharedFd* const places[3] = {&client.descriptors.in, &client.descriptors.out,
                                           &client.descriptors.err};
  for (std::size_t i = 0; i < received.fds.size() && i < 3; ++i) {
    *places[i] = std::make_shared<const Fd>(std::move(received.fds[i]));
  }
}

void StepServer::on_readable(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || !found->second.socket) return;
  if (!found->second.socket->greeted) {
    read_greeting(id, found->second);
    if (!clients_.contains(id) || !found->second.socket->greeted) return;
  }
  const Result<io::FrameSocket::ReadEnd> end = found->second.socket->frames.read_slice();
  while (true) {
    const auto still = clients_.find(id);
    if (still == clients_.end()) return;
    const Result<std::optional<wire::Frame>> frame = still->second.socket->frames.next();
    if (!frame) return client_gone(id);
    if (!frame.value()) break;
    wire::ToStep message;
    if (frame.value()->type != wire::FrameType::ToStep ||
        !message.ParseFromString(frame.value()->payload)) {
      return client_gone(id);
    }
    hear(id, message);
  }
  if (!end || *end == io::FrameSocket::ReadEnd::Eof) client_gone(id);
}

void StepServer::on_writable(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || !found->second.socket) return;
  Socket& socket = *found->second.socket;
  const Result<std::size_t> written = socket.frames.write_slice();
  if (!written) return client_gone(id);
  if (socket.frames.queued_bytes() > 0) return;
  if (socket.writable) world_.loop.unwatch(*std::exchange(socket.writable, std::nullopt));
  if (socket.closing) drop_client(id);
}

void StepServer::say(ClientId id, const wire::FromStep& message) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (client.socket) {
    Socket& socket = *client.socket;
    if (client.observes && socket.frames.queued_bytes() > kMaxWaitingBytesOfObserver) return;
    if (client.is_cut) return;
    if (has_too_much_queued(socket)) {
      return cut(id, Error(ErrorKind::Exhausted, "it does not read what it is told"));
    }
    socket.frames.queue(wire::make_frame(wire::FrameType::FromStep, message));
    if (socket.writable) return;
    // Most answers are short and fit at once.
    const Result<std::size_t> written = socket.frames.write_slice();
    if (!written || socket.frames.queued_bytes() > 0) {
      socket.writable =
          world_.loop.watch_writable(socket.frames.fd(), [this, id] { on_writable(id); });
    }
  } else if (client.node) {
    wire::Peer peer;
    peer.mutable_session()->set_session(client.number);
    *peer.mutable_session()->mutable_from_step() = message;
    world_.tell_peer(*client.node, peer);
  } else if (client.outside) {
    wire::NodeSession session;
    session.set_id(client.number);
    *session.mutable_from_step() = message;
    world_.tell_outside(session);
  }
}

// Windows bound output; a client that asks and asks for answers without reading them is bounded
// here.
bool StepServer::has_too_much_queued(const Socket& socket) const {
  if (socket.frames.queued_bytes() <= kFreeWaitingBytes) return false;
  std::size_t all = 0;
  for (const auto& [id, client] : clients_) {
    if (client.socket) all += client.socket->frames.queued_bytes();
  }
  return all > kMaxWaitingBytesOfClients;
}

// In a turn of its own: we may be inside of what it has said.
void StepServer::cut(ClientId id, const Error& why) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || std::exchange(found->second.is_cut, true)) return;
  log_warning("step_client_cut", {{"why", why.message()}});
  world_.loop.post([this, alive = alive_, id] {
    if (*alive) client_gone(id);
  });
}

void StepServer::end_client(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  client.step.reset();
  if (client.socket) {
    if (client.socket->frames.queued_bytes() == 0) return drop_client(id);
    client.socket->closing = true;
    return;
  }
  drop_client(id);
}

void StepServer::drop_client(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (client.socket) {
    if (client.socket->readable) world_.loop.unwatch(*client.socket->readable);
    if (client.socket->writable) world_.loop.unwatch(*client.socket->writable);
    --sockets_;
  } else if (client.node) {
    wire::Peer peer;
    peer.mutable_session()->set_session(client.number);
    peer.mutable_session()->set_closed(true);
    world_.tell_peer(*client.node, peer);
  } else if (client.outside) {
    wire::NodeSession session;
    session.set_id(client.number);
    session.set_closed(true);
    world_.tell_outside(session);
  }
  clients_.erase(found);
  if (listener_ && !accepting_ && !closed_ && sockets_ < kMaxSessions) open(listener_);
}

// The other side has left.
void StepServer::client_gone(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  const std::optional<std::uint32_t> step = client.step;
  const bool observes = client.observes;
  if (client.relayed) {
    wire::Peer peer;
    peer.mutable_session()->set_session(id);
    peer.mutable_session()->set_closed(true);
    world_.tell_peer(0, peer);
  }
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.client != id) return false;
    waiting_bytes_ -= waiting.bytes;
    return true;
  });
  drop_client(id);
  const auto running = step ? steps_.find(*step) : steps_.end();
  if (running == steps_.end()) return;
  if (observes) {
    std::erase(running->second.observers, id);
  } else {
    perform(*step, running->second.control->on_client_gone(world_.loop.now()));
  }
}

void StepServer::refuse(ClientId id, const Error& why) {
  wire::FromStep message;
  message.mutable_failure()->set_kind(static_cast<std::uint32_t>(why.kind()));
  message.mutable_failure()->set_message(why.message());
  say(id, message);
  end_client(id);
}

void StepServer::hear(ClientId id, const wire::ToStep& message) {
  Client& client = clients_.at(id);
  if (client.is_cut) return;
  if (client.relayed) {
    wire::Peer peer;
    peer.mutable_session()->set_session(id);
    wire::ToStep& passed = *peer.mutable_session()->mutable_to_step();
    passed = message;
    client.descriptors = {};
    return world_.tell_peer(0, peer);
  }
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

// ---- sessions from elsewhere -------------------------------------------------------------------

StepServer::ClientId StepServer::find_or_add(std::optional<std::uint32_t> node,
                                             std::uint64_t number) {
  for (const auto& [id, client] : clients_) {
    if (!client.socket && client.node == node && client.number == number) return id;
  }
  const ClientId id = next_client_++;
  Client& client = clients_[id];
  client.node = node;
  client.number = number;
  client.outside = !node;
  return id;
}

void StepServer::on_peer_session(std::uint32_t from, const wire::PeerSession& message) {
  if (closed_) return;
  if (is_origin()) {
    const ClientId id = find_or_add(from, message.session());
    if (message.has_to_step()) {
      hear(id, message.to_step());
    } else if (message.has_closed()) {
      client_gone(id);
    }
    return;
  }
  if (from != 0) return;
  const auto client = clients_.find(message.session());
  if (client == clients_.end() || !client->second.relayed) return;
  if (message.has_from_step()) {
    say(message.session(), message.from_step());
  } else if (message.has_closed()) {
    client->second.relayed = false;
    end_client(message.session());
  }
}

void StepServer::on_outside(const wire::NodeSession& message) {
  if (closed_ || !is_origin()) {
    if (!message.has_closed() && message.id() != 0) {
      wire::NodeSession answer;
      answer.set_id(message.id());
      answer.set_closed(true);
      world_.tell_outside(answer);
    }
    return;
  }
  if (message.has_closed()) {
    if (message.id() == 0) return on_outside_lost();
    for (const auto& [id, client] : clients_) {
      if (client.outside && client.number == message.id()) return client_gone(id);
    }
    return;
  }
  const ClientId id = find_or_add(std::nullopt, message.id());
  if (message.has_to_step()) hear(id, message.to_step());
}

void StepServer::on_outside_lost() {
  std::vector<ClientId> gone;
  for (const auto& [id, client] : clients_) {
    if (client.outside) gone.push_back(id);
  }
  for (const ClientId id : gone) client_gone(id);
}

// ---- steps -------------------------------------------------------------------------------------

void StepServer::run_step(ClientId id, wire::StepRun run) {
  if (closed_ || stopping_) return refuse(id, Error(ErrorKind::Conflict, "the job is ending"));
  if (run.programs_size() == 0) return refuse(id, Error(ErrorKind::Invalid, "no program to run"));
  if (const Result<void> good = check_step_run(run); !good) return refuse(id, good.error());
  // Its turn comes after those that wait already.
  const bool others_wait = run.exact() && !waiting_.empty();
  if (!others_wait && try_run(id, run)) return;
  if (!clients_.contains(id)) return;
  const std::size_t bytes = run.ByteSizeLong();
  if (waiting_bytes_ + bytes > kMaxBytesOfWaitingRuns) {
    return refuse(id, Error(ErrorKind::Exhausted, "too many steps wait for cores"));
  }
  wire::FromStep waits;
  waits.mutable_waits()->set_reason("waits for cores that other steps use");
  say(id, waits);
  clients_.at(id).waits = true;
  waiting_bytes_ += bytes;
  waiting_.push_back({id, std::move(run), bytes});
}

// False if it has to wait.
bool StepServer::try_run(ClientId id, wire::StepRun& run) {
  const StepOrder& order = world_.order;
  Result<std::optional<StepLayout>> layout =
      lay_out_step(run, order.allocation, order.spec.components.front().cpus_per_task, in_use_);
  if (!layout) {
    refuse(id, layout.error());
    return true;
  }
  if (!layout.value()) return false;
  Client& client = clients_.at(id);
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
  facts.window = std::clamp<std::uint32_t>(kOutputOnItsWay / static_cast<std::uint32_t>(parts),
                                           kMinWindow, kMaxWindow);
  // Who has no descriptors here gets frames.
  if (!client.descriptors.out) run.set_pass_out(false);
  if (!client.descriptors.err) run.set_pass_err(false);
  if (run.terminal() || !run.pass_out()) client.descriptors.out.reset();
  if (run.terminal() || !run.pass_err()) client.descriptors.err.reset();
  const auto& first_ranks = layout.value()->nodes.front().ranks;
  const bool reader_is_here =
      layout.value()->nodes.front().node_index == 0 &&
      ((run.input() == wire::INPUT_ALL && layout.value()->tasks == 1) ||
       (run.input() == wire::INPUT_ONE &&
        std::binary_search(first_ranks.begin(), first_ranks.end(), run.input_rank())));
  if (run.terminal() || !run.pass_in() || !reader_is_here) client.descriptors.in.reset();

  Step& step = steps_[number];
  step.client = id;
  step.internal = internal;
  step.owns_job = run.owns_job();
  step.wants_input = run.terminal() || (!internal && run.input() != wire::INPUT_NONE &&
                                        !client.descriptors.in && run.in().empty());
  client.step = number;
  take_cores(*layout.value(), in_use_);
  if (step.owns_job && owner_patience_) {
    world_.loop.cancel(*std::exchange(owner_patience_, std::nullopt));
  }
  step.control =
      std::make_unique<StepControl>(std::move(facts), std::move(run), *std::move(layout.value()));
  perform(number, step.control->start(world_.loop.now()));
  return true;
}

void StepServer::try_waiting() {
  while (!waiting_.empty() && !closed_ && !stopping_) {
    // In their order, as far as they fit: a wide one is not overtaken for ever.
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= next.bytes;
    const auto client = clients_.find(next.client);
    if (client == clients_.end()) continue;
    client->second.waits = false;
    if (!try_run(next.client, next.run)) {
      client->second.waits = true;
      waiting_bytes_ += next.bytes;
      waiting_.push_front(std::move(next));
      return;
    }
  }
}

// A program of ours on the node of the file, with the user's rights, in the node's file system.
void StepServer::follow(ClientId id, const wire::StepFollow& what) {
  const StepOrder& order = world_.order;
  if (world_.facts.step_tool.empty()) {
    return refuse(id, Error(ErrorKind::Unsupported, "this node has no jrun to read files with"));
  }
  const auto task = static_cast<std::int32_t>(what.task());
  wire::StepRun run;
  for (const NodeShare& share : order.allocation.shares) {
    const bool is_here = task >= share.first_task && task < share.first_task + share.tasks;
    if (is_here) run.add_only_nodes(share.node.value);
  }
  if (order.spec.launch == LaunchMode::Batch || run.only_nodes_size() != 1) {
    run.clear_only_nodes();
    run.add_only_nodes(order.allocation.shares.front().node.value);
  }
  LaunchFacts there = world_.facts;
  there.node = NodeName(run.only_nodes(0));
  StepOrder of_node = order;
  for (std::uint32_t i = 0; i < order.allocation.shares.size(); ++i) {
    if (order.allocation.shares[i].node == there.node) of_node.node_index = i;
  }
  run.set_nodes(1);
  run.set_tasks(1);
  run.set_overlap(true);
  run.set_bind(static_cast<std::uint32_t>(BindTo::None));
  run.set_host_files(true);
  run.set_input(wire::INPUT_ALL);  // which ends with the job (drain)
  run.set_workdir("/");
  run.set_job_env(true);
  wire::StepProgram& program = *run.add_programs();
  program.add_argv(world_.facts.step_tool);
  program.add_argv("--read-file");
  program.add_argv(what.follow() ? "follow" : "once");
  program.add_argv(cat(what.lines()));
  program.add_argv(plan_output_path(of_node, there, task, static_cast<int>(what.stream())));
  run_step(id, std::move(run));
}

void StepServer::attach(ClientId id, const wire::StepAttach& what) {
  const auto step = steps_.find(what.step());
  if (step == steps_.end() || step->second.internal) {
    return refuse(id, Error(ErrorKind::NotFound, cat("step ", what.step(), " does not run")));
  }
  if (!step->second.control->sends_output()) {
    return refuse(id, Error(ErrorKind::Unsupported,
                            cat("the output of step ", what.step(),
                                " goes straight to its jrun's; start it with --label or --pty, or "
                                "on several nodes")));
  }
  Client& client = clients_.at(id);
  client.step = what.step();
  client.observes = true;
  step->second.observers.push_back(id);
  wire::FromStep started;
  started.mutable_started()->set_step(what.step());
  started.mutable_started()->set_tasks(step->second.control->layout().tasks);
  started.mutable_started()->set_wants_input(what.with_input() && step->second.wants_input);
  say(id, started);
}

void StepServer::hold(ClientId id) {
  clients_.at(id).holds = true;
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
  std::vector<ClientId> holders;
  for (const auto& [id, client] : clients_) {
    if (client.holds) holders.push_back(id);
  }
  for (const ClientId id : holders) {
    wire::FromStep message;
    message.mutable_ended()->set_exit_code(exit_code);
    say(id, message);
    end_client(id);
  }
}

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
      say(step.client, client->message);
      for (const ClientId id : observers) say(id, client->message);
    } else if (const auto* arm = std::get_if<control_action::Arm>(&action)) {
      const StepAlarm alarm = arm->alarm;
      if (const auto old = step.alarms.find(alarm); old != step.alarms.end()) {
        world_.loop.cancel(old->second);
      }
      step.alarms[alarm] = world_.loop.arm(arm->at, [this, number, alarm] {
        const auto rung = steps_.find(number);
        if (rung == steps_.end()) return;
        rung->second.alarms.erase(alarm);
        perform(number, rung->second.control->on_alarm(alarm, world_.loop.now()));
      });
    } else if (const auto* lies = std::get_if<control_action::Cut>(&action)) {
      cut(from, lies->why);
    } else {
      over(number);
    }
  }
}

void StepServer::over(std::uint32_t number) {
  auto step = steps_.extract(number);
  for (const auto& [alarm, timer] : step.mapped().alarms) world_.loop.cancel(timer);
  const StepControl& control = *step.mapped().control;
  const StepRecord record = control.record(world_.loop.now());
  if (!step.mapped().internal) {
    records_.push_back(record);
    if (records_.size() > kMaxRememberedSteps) records_.pop_front();
  }
  give_back_cores(control.layout(), in_use_);
  end_client(step.mapped().client);
  for (const ClientId id : step.mapped().observers) end_client(id);
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
    if (message.has_start()) {
      const auto client = clients_.find(running.client);
      if (client != clients_.end()) descriptors = std::exchange(client->second.descriptors, {});
    }
    return order_part(step, message, std::move(descriptors));
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

// ---- parts -------------------------------------------------------------------------------------

void StepServer::order_part(std::uint32_t step,
                            const wire::ToPart& message,
                            StepDescriptors descriptors) {
  const auto found = parts_.find(step);
  if (!message.has_start()) {
    if (found != parts_.end()) found->second->on(message);
    return;
  }
  if (found != parts_.end()) return;
  const std::uint32_t place = message.start().place();
  const auto say_to_origin = [this, step, place](wire::FromPart said) {
    const bool ended = said.has_ended();
    if (is_origin()) {
      // Not from inside of the part's own call: the step may end by it.
      auto passed = std::make_shared<wire::FromPart>(std::move(said));
      world_.loop.post([this, alive = alive_, step, place, passed] {
        if (*alive) from_part(step, place, std::move(*passed));
      });
    } else {
      wire::Peer peer;
      peer.mutable_step()->set_step(step);
      *peer.mutable_step()->mutable_from_part() = std::move(said);
      world_.tell_peer(0, peer);
    }
    if (ended) drop_part(step);
  };
  std::vector<std::uint32_t> nodes(message.start().node_indices().begin(),
                                   message.start().node_indices().end());
  const auto tell = [this, step, nodes](std::uint32_t to, const wire::Peer& said) {
    if (to >= nodes.size()) return;
    wire::Peer peer;
    peer.mutable_step()->set_step(step);
    peer.mutable_step()->set_exchange(said.SerializeAsString());
    world_.tell_peer(nodes[to], peer);
  };
  StepPartWorld world{
      .loop = world_.loop,
      .runtime = world_.runtime,
      .order = world_.order,
      .facts = world_.facts,
      .sandbox = world_.sandbox,
      .make_pmix_link = world_.make_pmix_link,
      .next_program_id = [this] { return next_program_++; },
      // Who reads for others is no part of the job, which does not wait for it.
      .count_programs = message.start().run().host_files() ? [](int) {} : world_.count_programs};
  auto part = std::make_unique<StepPart>(std::move(world), step, say_to_origin, tell);
  StepPart& started = *part;
  parts_[step] = std::move(part);
  wire::PartStart& known = part_starts_[step];
  *known.mutable_node_indices() = message.start().node_indices();
  started.start(message.start(), std::move(descriptors));
  std::vector<std::pair<std::uint32_t, std::string>> early;
  std::erase_if(early_, [&](auto& entry) {
    if (entry.first != step) return false;
    early.push_back(std::move(entry.second));
    return true;
  });
  for (const auto& [from, bytes] : early) {
    wire::PeerStep again;
    again.set_step(step);
    again.set_exchange(bytes);
    on_peer_step(from, again);
  }
}

void StepServer::drop_part(std::uint32_t step) {
  const auto found = parts_.find(step);
  if (found == parts_.end()) return;
  auto kept = std::make_shared<std::unique_ptr<StepPart>>(std::move(found->second));
  parts_.erase(found);
  part_starts_.erase(step);
  world_.loop.post([kept] { kept->reset(); });  // we are inside one of its calls
}

void StepServer::on_peer_step(std::uint32_t from, const wire::PeerStep& message) {
  if (closed_) return;
  const std::uint32_t step = message.step();
  if (message.has_to_part()) {
    if (from == 0 && !is_origin()) order_part(step, message.to_part(), {});
  } else if (message.has_from_part()) {
    const auto found = steps_.find(step);
    if (found == steps_.end()) return;
    const auto& nodes = found->second.control->layout().nodes;
    for (std::size_t place = 0; place < nodes.size(); ++place) {
      if (nodes[place].node_index == from) return from_part(step, place, message.from_part());
    }
  } else if (message.what_case() == wire::PeerStep::kExchange) {
    const auto part = parts_.find(step);
    if (part == parts_.end()) {
      // Its servers may be quicker than the order to start ours.
      if (early_.size() < kMaxEarlyExchange) early_.push_back({step, {from, message.exchange()}});
      return;
    }
    wire::Peer said;
    if (!said.ParseFromString(message.exchange())) return;
    const auto& nodes = part_starts_[step].node_indices();
    for (int place = 0; place < nodes.size(); ++place) {
      if (nodes[place] == from) {
        return part->second->on_exchange(static_cast<std::uint32_t>(place), said);
      }
    }
  }
}

void StepServer::on_peer_lost(std::uint32_t node_index) {
  if (closed_) return;
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, step] : steps_) numbers.push_back(number);
  for (const std::uint32_t number : numbers) {
    const auto step = steps_.find(number);
    if (step == steps_.end()) continue;
    const auto& nodes = step->second.control->layout().nodes;
    for (std::size_t place = 0; place < nodes.size(); ++place) {
      if (nodes[place].node_index != node_index) continue;
      perform(number, step->second.control->on_part_lost(place, world_.loop.now()));
      break;
    }
  }
  std::vector<std::uint32_t> parts;
  for (const auto& [number, part] : parts_) parts.push_back(number);
  for (const std::uint32_t number : parts) {
    const auto part = parts_.find(number);
    if (part == parts_.end()) continue;
    if (node_index == 0) {
      part->second->signal(SIGKILL);  // nobody is left to say how it ends
      continue;
    }
    const auto& nodes = part_starts_[number].node_indices();
    for (int place = 0; place < nodes.size(); ++place) {
      if (nodes[place] == node_index) {
        part->second->on_place_lost(static_cast<std::uint32_t>(place));
        break;
      }
    }
  }
  // Clients relayed from there.
  std::vector<ClientId> gone;
  for (const auto& [id, client] : clients_) {
    if (client.node == node_index || (node_index == 0 && client.relayed)) gone.push_back(id);
  }
  for (const ClientId id : gone) client_gone(id);
}

bool StepServer::signal_ranks(int number) {
  bool any = false;
  std::vector<std::uint32_t> numbers;
  for (const auto& [step, part] : parts_) {
    if (step < 0xf0000000) numbers.push_back(step);
  }
  for (const std::uint32_t step : numbers) {
    const auto part = parts_.find(step);
    if (part == parts_.end()) continue;
    part->second->signal(number);
    any = true;
  }
  return any;
}

}  // namespace gangway::executor
