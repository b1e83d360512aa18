#include "executor/step_clients.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "queues/base/log.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/message_frame.hpp"

namespace gangway::executor {
namespace {

wire::FromStep failure_of(const Error& why) {
  wire::FromStep message;
  message.mutable_failure()->set_kind(static_cast<std::uint32_t>(why.kind()));
  message.mutable_failure()->set_message(why.message());
  return message;
}

// To the first node, of a client that is relayed to it; or from there.
wire::Peer peer_session(std::uint64_t number) {
  wire::Peer peer;
  peer.mutable_session()->set_session(number);
  return peer;
}

}  // namespace

StepClients::StepClients(StepClientsWorld world)
    : world_(std::move(world)), alive_(std::make_shared<bool>(true)) {}

StepClients::~StepClients() { *alive_ = false; }

ClientRole* StepClients::find(ClientId id) {
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : &found->second.role;
}

std::vector<ClientId> StepClients::holders() const {
  std::vector<ClientId> holders;
  for (const auto& [id, client] : clients_) {
    if (client.role.holds) holders.push_back(id);
  }
  return holders;
}

void StepClients::close(const Error& why) {
  closed_ = true;
  pause_accepting();
  listener_.reset();
  std::vector<ClientId> all;
  for (const auto& [id, client] : clients_) all.push_back(id);
  for (const ClientId id : all) {
    say(id, failure_of(why));
    Client& client = clients_.at(id);
    if (client.socket) (void)client.socket->frames.write_slice();
    drop(id);
  }
}

// ---- the socket --------------------------------------------------------------------------------

void StepClients::open(containers::SharedFd listener) {
  listener_ = std::move(listener);
  if (listener_ && !closed_) watch_listener();
}

void StepClients::watch_listener() {
  accepting_ = world_.loop.watch_readable(listener_->get(), [this] { accept_waiting(); });
}

void StepClients::pause_accepting() {
  if (accepting_) world_.loop.unwatch(*std::exchange(accepting_, std::nullopt));
}

void StepClients::accept_waiting() {
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
void StepClients::read_greeting(ClientId id, Client& client) {
  char byte = 0;
  ReceivedWithFds received = receive_with_fds(client.socket->frames.fd(), {&byte, 1});
  if (received.bytes < 0 && errno == EAGAIN) return;
  if (received.bytes <= 0) return leave(id);
  client.socket->greeted = true;
  StepDescriptors& descriptors = client.role.descriptors;
  containers::SharedFd* const places[3] = {&descriptors.in, &descriptors.out, &descriptors.err};
  for (std::size_t i = 0; i < received.fds.size() && i < 3; ++i) {
    *places[i] = std::make_shared<const Fd>(std::move(received.fds[i]));
  }
}

void StepClients::on_readable(ClientId id) {
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
    if (!frame) return leave(id);
    if (!frame.value()) break;
    wire::ToStep message;
    if (frame.value()->type != wire::FrameType::ToStep ||
        !message.ParseFromString(frame.value()->payload)) {
      return leave(id);
    }
    hear(id, message);
  }
  if (!end || *end == io::FrameSocket::ReadEnd::Eof) leave(id);
}

void StepClients::on_writable(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || !found->second.socket) return;
  Socket& socket = *found->second.socket;
  const Result<std::size_t> written = socket.frames.write_slice();
  if (!written) return leave(id);
  if (socket.frames.queued_bytes() > 0) return;
  if (socket.writable) world_.loop.unwatch(*std::exchange(socket.writable, std::nullopt));
  if (socket.closing) drop(id);
}

// ---- one client --------------------------------------------------------------------------------

void StepClients::hear(ClientId id, const wire::ToStep& message) {
  Client& client = clients_.at(id);
  if (client.is_cut) return;
  if (!client.relayed) return world_.hear(id, message);
  wire::Peer peer = peer_session(id);
  *peer.mutable_session()->mutable_to_step() = message;
  client.role.descriptors = {};
  world_.tell_peer(0, peer);
}

void StepClients::say(ClientId id, const wire::FromStep& message) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (client.socket) {
    Socket& socket = *client.socket;
    if (client.role.observes && socket.frames.queued_bytes() > kMaxWaitingBytesOfObserver) return;
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
    wire::Peer peer = peer_session(client.number);
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
bool StepClients::has_too_much_queued(const Socket& socket) const {
  if (socket.frames.queued_bytes() <= kFreeWaitingBytes) return false;
  std::size_t all = 0;
  for (const auto& [id, client] : clients_) {
    if (client.socket) all += client.socket->frames.queued_bytes();
  }
  return all > kMaxWaitingBytesOfClients;
}

// In a turn of its own: we may be inside of what it has said.
void StepClients::cut(ClientId id, const Error& why) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || std::exchange(found->second.is_cut, true)) return;
  log_warning("step_client_cut", {{"why", why.message()}});
  world_.loop.post([this, alive = alive_, id] {
    if (*alive) leave(id);
  });
}

void StepClients::refuse(ClientId id, const Error& why) {
  say(id, failure_of(why));
  end(id);
}

void StepClients::end(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  client.role.step.reset();
  if (client.socket && client.socket->frames.queued_bytes() > 0) {
    client.socket->closing = true;
  } else {
    drop(id);
  }
}

void StepClients::drop(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  if (client.socket) {
    if (client.socket->readable) world_.loop.unwatch(*client.socket->readable);
    if (client.socket->writable) world_.loop.unwatch(*client.socket->writable);
    --sockets_;
  } else if (client.node) {
    wire::Peer peer = peer_session(client.number);
    peer.mutable_session()->set_closed(true);
    world_.tell_peer(*client.node, peer);
  } else if (client.outside) {
    wire::NodeSession session;
    session.set_id(client.number);
    session.set_closed(true);
    world_.tell_outside(session);
  }
  clients_.erase(found);
  if (listener_ && !accepting_ && !closed_ && sockets_ < kMaxSessions) watch_listener();
}

void StepClients::leave(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  if (found->second.relayed) {
    wire::Peer peer = peer_session(id);
    peer.mutable_session()->set_closed(true);
    world_.tell_peer(0, peer);
  }
  const ClientRole role = std::move(found->second.role);
  drop(id);
  world_.gone(id, role);
}

// ---- sessions from elsewhere -------------------------------------------------------------------

ClientId StepClients::find_or_add(std::optional<std::uint32_t> node, std::uint64_t number) {
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

void StepClients::on_peer_session(std::uint32_t from, const wire::PeerSession& message) {
  if (closed_) return;
  if (is_origin()) {
    const ClientId id = find_or_add(from, message.session());
    if (message.has_to_step()) {
      hear(id, message.to_step());
    } else if (message.has_closed()) {
      leave(id);
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
    end(message.session());
  }
}

void StepClients::on_outside(const wire::NodeSession& message) {
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
      if (client.outside && client.number == message.id()) return leave(id);
    }
    return;
  }
  const ClientId id = find_or_add(std::nullopt, message.id());
  if (message.has_to_step()) hear(id, message.to_step());
}

void StepClients::on_outside_lost() {
  std::vector<ClientId> gone;
  for (const auto& [id, client] : clients_) {
    if (client.outside) gone.push_back(id);
  }
  for (const ClientId id : gone) leave(id);
}

// Clients relayed from there, and those relayed to there.
void StepClients::on_node_lost(std::uint32_t node_index) {
  std::vector<ClientId> gone;
  for (const auto& [id, client] : clients_) {
    if (client.node == node_index || (node_index == 0 && client.relayed)) gone.push_back(id);
  }
  for (const ClientId id : gone) leave(id);
}

}  // namespace gangway::executor
