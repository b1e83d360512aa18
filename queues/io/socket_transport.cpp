#include "queues/io/socket_transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/log.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "queues/io/endpoint.hpp"
#include "queues/io/frame_socket.hpp"
#include "queues/io/keepalive.hpp"

namespace gangway::io {

namespace {

using wire::Frame;
using wire::FrameType;

constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 32;
// When the process has no descriptors left, asking again at once would only burn the core.
constexpr Duration kAcceptPause = milliseconds(200);
// For the other side to close after we have said our last word.
constexpr Duration kLinger = seconds(1);
// A local program that does not read its answers is not asked for more.
constexpr std::size_t kPauseReadingAbove = 4 << 20;
// Lines about refused strangers, so that a port scan does not fill the disk.
constexpr int kRefusalLinesPerMinute = 60;

Result<LocalUser> credentials_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return errno_error("read the peer's credentials", errno);
  }
  return LocalUser{.uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid};
}

// A listener must leave descriptors for the others and for files, and one user for other users:
// whoever uses up the process's last descriptor takes the executors' connections with it.
void bound_by_descriptors(TransportLimits& limits) {
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return;
  const auto all = static_cast<std::size_t>(descriptors.rlim_cur);
  limits.max_connections = std::min(limits.max_connections, all / 2);
  limits.max_connections_per_user = std::min(limits.max_connections_per_user, all / 8);
}

// The user whom the bounds of one user hold for.
std::optional<std::uint32_t> bounded_user(const PeerIdentity& identity) {
  const auto* user = std::get_if<LocalUser>(&identity);
  if (user == nullptr || user->uid == 0) return std::nullopt;
  return user->uid;
}

std::string render(const PeerIdentity& identity) {
  if (const auto* user = std::get_if<LocalUser>(&identity)) {
    return cat("uid ", user->uid, " pid ", user->pid);
  }
  return std::get<ClusterMember>(identity).name.value;
}

}  // namespace

struct SocketTransport::Impl {
  // A connection's life. Nothing is deleted inside a call from a handler: a peer that is to go is
  // marked, and finish() removes it in a turn of its own.
  enum class State {
    Connecting,  // the kernel works on it
    Handshaking,
    Open,
    Flushing,   // closing; what is queued goes out
    Lingering,  // all is out, our end is shut; waiting for the other end
    Dead,       // finish() is posted
  };

  struct Peer {
    Peer(PeerId its_id, Fd fd, const TransportLimits& its_limits, PeerHandler& its_handler, Now now)
        : id(its_id),
          socket(std::move(fd), kMaxHandshakePayload),
          limits(its_limits),
          handler(its_handler),
          keepalive(its_limits.ping_every, its_limits.pings_missed, now.boot) {}

    PeerId id;
    FrameSocket socket;
    TransportLimits limits;
    PeerHandler& handler;
    Keepalive keepalive;
    State state = State::Handshaking;
    std::variant<std::monostate, ServerHandshake, ClientHandshake> handshake;
    PeerIdentity identity;
    ListenerId listener;    // 0: outgoing
    ConnectorId connector;  // 0: incoming
    bool pings = false;
    bool throttled = false;         // not read while much is queued for it
    bool announced = false;         // on_connected was called
    bool dirty = false;             // waits for flush_dirty()
    std::size_t partial_bytes = 0;  // as counted in its listener
    WatchId readable;
    WatchId writable;
    TimerId timer;
    Error why{ErrorKind::Internal, "closed"};
  };

  struct Listener {
    ListenerId id;
    Endpoint endpoint;
    Fd fd;
    ListenOptions options;
    dev_t device = 0;  // of a unix socket's file
    ino_t inode = 0;
    std::size_t connections = 0;
    std::size_t partial_bytes = 0;
    std::map<std::uint32_t, std::size_t> connections_of_user;
    std::map<std::uint32_t, std::size_t> partial_bytes_of_user;  // none of root
    WatchId watch;
    TimerId pause;
  };

  struct Connector {
    ConnectorId id;
    Endpoint endpoint;
    ConnectOptions options;
    PeerId peer;  // of the attempt or connection under way; 0: waiting
    Duration backoff;
    bool failing = false;  // the last attempt failed; said once
    TimerId retry;
  };

  Impl(EventLoop& on, Greeting greeting, std::uint64_t seed)
      : loop(on), self(std::move(greeting)), rng(seed) {}

  ~Impl() {
    for (auto& [id, peer] : peers) {
      // One last try for what is queued; its failure is the loss that the header speaks of.
      if (peer.state == State::Open || peer.state == State::Flushing) {
        (void)peer.socket.write_slice();
      }
      unwatch(peer.readable);
      unwatch(peer.writable);
      loop.cancel(peer.timer);
    }
    for (auto& [id, listener] : listeners) stop(listener);
    for (auto& [id, connector] : connectors) loop.cancel(connector.retry);
  }

  // Posts cannot be taken back: those of a transport that has gone do nothing.
  void post(std::function<void()> then) {
    loop.post([token = std::weak_ptr(alive), then = std::move(then)] {
      if (!token.expired()) then();
    });
  }

  // ---- peers -----------------------------------------------------------------------------------

  Peer* find(PeerId id) {
    const auto found = peers.find(id);
    return found == peers.end() ? nullptr : &found->second;
  }

  Peer& add_peer(Fd fd, const TransportLimits& limits, PeerHandler& handler) {
    const PeerId id{++last_peer};
    const auto added = peers.try_emplace(id, id, std::move(fd), limits, handler, loop.now()).first;
    return added->second;
  }

  void set_timer(Peer& peer, BootTime at) {
    loop.cancel(peer.timer);
    peer.timer = loop.arm(at, [this, id = peer.id] {
      if (Peer* due = find(id)) on_time(*due);
    });
  }

  void watch_readable(Peer& peer) {
    if (peer.readable.value != 0) return;
    peer.readable = loop.watch_readable(peer.socket.fd(), [this, id = peer.id] {
      if (Peer* ready = find(id)) on_readable(*ready);
    });
  }

  void watch_writable(Peer& peer) {
    if (peer.writable.value != 0) return;
    peer.writable = loop.watch_writable(peer.socket.fd(), [this, id = peer.id] {
      if (Peer* ready = find(id)) on_writable(*ready);
    });
  }

  void unwatch(WatchId& watch) {
    if (watch.value != 0) loop.unwatch(watch);
    watch = WatchId{};
  }

  // Gone at once; what is queued is lost.
  void drop(Peer& peer, Error why) {
    if (peer.state == State::Dead) return;
    if (peer.state != State::Flushing && peer.state != State::Lingering) peer.why = std::move(why);
    peer.state = State::Dead;
    unwatch(peer.readable);
    unwatch(peer.writable);
    loop.cancel(peer.timer);
    post([this, id = peer.id] { finish(id); });
  }

  // Gone once what is queued has gone out.
  void begin_close(Peer& peer, Error why) {
    if (peer.state == State::Connecting) return drop(peer, std::move(why));
    if (peer.state != State::Open && peer.state != State::Handshaking) return;
    peer.state = State::Flushing;
    peer.why = std::move(why);
    set_timer(peer, loop.now().boot + peer.limits.flush_deadline);
    mark_dirty(peer);
  }

  void finish(PeerId id) {
    const auto found = peers.find(id);
    if (found == peers.end()) return;
    auto node = peers.extract(found);  // its descriptor is closed at the end of this turn
    Peer& peer = node.mapped();
    if (const auto place = listeners.find(peer.listener); place != listeners.end()) {
      Listener& listener = place->second;
      --listener.connections;
      change_partial(listener, peer, 0);
      if (const auto* user = std::get_if<LocalUser>(&peer.identity)) {
        const auto count = listener.connections_of_user.find(user->uid);
        if (--count->second == 0) listener.connections_of_user.erase(count);
      }
    }
    const ConnectorId connector = peer.connector;
    const bool was_open = peer.announced;
    if (!was_open && connector.value == 0 && may_log_refusal()) {
      log_info("connection_refused",
               {{"peer", render(peer.identity)}, {"why", peer.why.message()}});
    }
    if (was_open || connector.value != 0) peer.handler.on_closed(id, peer.why);
    if (const auto place = connectors.find(connector); place != connectors.end()) {
      on_lost(place->second, was_open, peer.why);
    }
  }

  bool may_log_refusal() {
    const BootTime now = loop.now().boot;
    if (now >= refusals_since + minutes(1)) {
      refusals_since = now;
      refusals_logged = 0;
    }
    return refusals_logged++ < kRefusalLinesPerMinute;
  }

  // ---- reading ---------------------------------------------------------------------------------

  void on_readable(Peer& peer) {
    if (peer.state == State::Flushing || peer.state == State::Lingering) {
      // Read, so that closing with unread bytes does not reset the connection under the last words.
      const auto end = peer.socket.discard_slice();
      if (!end || *end == FrameSocket::ReadEnd::Eof) drop(peer, peer.why);
      return;
    }
    const auto end = peer.socket.read_slice();
    if (!end) return drop(peer, end.error());
    if (*end == FrameSocket::ReadEnd::Bytes) peer.keepalive.on_sign(loop.now().boot);
    while (peer.state == State::Open || peer.state == State::Handshaking) {
      auto frame = peer.socket.next();
      if (!frame) return refuse(peer, frame.error());
      if (!frame->has_value()) break;
      if (peer.state == State::Handshaking) {
        on_handshake(peer, handshake_frame(peer, **frame));
      } else {
        on_open_frame(peer, **std::move(frame));
      }
    }
    if (peer.state == State::Dead) return;
    if (*end == FrameSocket::ReadEnd::Eof) {
      return drop(peer, {ErrorKind::Unavailable, "closed by the other side"});
    }
    count_partial(peer);
    if (peer.throttled && peer.socket.queued_bytes() > kPauseReadingAbove) unwatch(peer.readable);
  }

  void count_partial(Peer& peer) {
    const auto place = listeners.find(peer.listener);
    if (place == listeners.end()) return;
    Listener& listener = place->second;
    const bool was_partial = peer.partial_bytes > 0;
    const std::size_t of_user = change_partial(listener, peer, peer.socket.partial_bytes());
    const TransportLimits& limits = listener.options.limits;
    if (peer.partial_bytes == 0) {
      if (was_partial && !peer.pings && peer.state == State::Open) loop.cancel(peer.timer);
      return;
    }
    if (listener.partial_bytes > limits.max_partial_bytes) {
      return refuse(
          peer, {ErrorKind::Exhausted, "too many large messages are under way; try again later"});
    }
    if (of_user > limits.max_partial_bytes_per_user) {
      return refuse(peer, {ErrorKind::Exhausted,
                           "too many large messages of this user are under way; try again later"});
    }
    // Who is asked by pings shows life in that way.
    if (!peer.pings && peer.state == State::Open) {
      set_timer(peer, loop.now().boot + limits.partial_deadline);
    }
  }

  // Returns what its user has half sent then; 0 for whom no such bound holds.
  static std::size_t change_partial(Listener& listener, Peer& peer, std::size_t bytes) {
    const std::size_t before = std::exchange(peer.partial_bytes, bytes);
    listener.partial_bytes = listener.partial_bytes - before + bytes;
    const std::optional<std::uint32_t> user = bounded_user(peer.identity);
    if (!user || (before == 0 && bytes == 0)) return 0;
    std::size_t& of_user = listener.partial_bytes_of_user[*user];
    of_user = of_user - before + bytes;
    const std::size_t now = of_user;
    if (now == 0) listener.partial_bytes_of_user.erase(*user);
    return now;
  }

  void on_open_frame(Peer& peer, Frame frame) {
    switch (frame.type) {
      case FrameType::Ping:
        queue(peer, Frame{.type = FrameType::Pong, .stream = frame.stream, .payload = {}});
        return;
      case FrameType::Pong:
        return;
      case FrameType::Refused:
        return drop(peer, read_refusal(frame));
      case FrameType::Hello:
      case FrameType::Challenge:
      case FrameType::Proof:
      case FrameType::Welcome:
        return refuse(peer, {ErrorKind::Invalid, "a handshake frame after the handshake"});
      default:
        peer.handler.on_frame(peer.id, std::move(frame));
    }
  }

  // ---- handshake -------------------------------------------------------------------------------

  static HandshakeStep handshake_frame(Peer& peer, const Frame& frame) {
    if (auto* server = std::get_if<ServerHandshake>(&peer.handshake))
      return server->on_frame(frame);
    return std::get<ClientHandshake>(peer.handshake).on_frame(frame);
  }

  void on_handshake(Peer& peer, HandshakeStep step) {
    for (const Frame& frame : step.send) queue(peer, frame);
    if (step.failed) return begin_close(peer, *std::move(step.failed));
    if (!step.done) return;
    if (const auto* server = std::get_if<ServerHandshake>(&peer.handshake)) {
      if (std::holds_alternative<ClusterMember>(peer.identity)) {
        peer.identity = ClusterMember{server->node()};
      }
    }
    peer.handshake = std::monostate{};
    peer.socket.set_max_payload(peer.limits.max_payload);
    peer.state = State::Open;
    peer.announced = true;
    loop.cancel(peer.timer);
    peer.keepalive.on_sign(loop.now().boot);
    if (peer.pings) set_timer(peer, peer.keepalive.next());
    if (const auto place = connectors.find(peer.connector); place != connectors.end()) {
      place->second.backoff = place->second.options.first_backoff;
      place->second.failing = false;
    }
    peer.handler.on_connected(peer.id, peer.identity);
  }

  void refuse(Peer& peer, Error why) {
    queue(peer, make_refusal(why));
    begin_close(peer, std::move(why));
  }

  // ---- writing ---------------------------------------------------------------------------------

  void queue(Peer& peer, const Frame& frame) {
    peer.socket.queue(frame);
    mark_dirty(peer);
  }

  // All that one turn sends goes out together in the next.
  void mark_dirty(Peer& peer) {
    if (peer.dirty) return;
    peer.dirty = true;
    dirty.push_back(peer.id);
    if (dirty.size() == 1) post([this] { flush_dirty(); });
  }

  void flush_dirty() {
    const std::vector<PeerId> now_dirty = std::exchange(dirty, {});
    for (const PeerId id : now_dirty) {
      Peer* peer = find(id);
      if (peer == nullptr) continue;
      peer->dirty = false;
      if (peer->writable.value == 0) write_some(*peer);
    }
  }

  void on_writable(Peer& peer) {
    if (peer.state == State::Connecting) {
      unwatch(peer.writable);
      return on_connect_decided(peer);
    }
    write_some(peer);
  }

  void write_some(Peer& peer) {
    if (peer.state == State::Dead || peer.state == State::Connecting) return;
    const auto taken = peer.socket.write_slice();
    if (!taken) return drop(peer, taken.error());
    if (peer.socket.queued_bytes() > 0) {
      // A slow reader of a long queue is not dead, even if our question waits in that queue.
      if (*taken > 0) peer.keepalive.on_sign(loop.now().boot);
      return watch_writable(peer);
    }
    unwatch(peer.writable);
    watch_readable(peer);
    if (peer.state == State::Flushing) {
      peer.state = State::Lingering;
      ::shutdown(peer.socket.fd(), SHUT_WR);
      set_timer(peer, loop.now().boot + kLinger);
    }
  }

  // ---- time ------------------------------------------------------------------------------------

  void on_time(Peer& peer) {
    const BootTime now = loop.now().boot;
    switch (peer.state) {
      case State::Connecting:
        return drop(peer, {ErrorKind::Unavailable, "nobody answered in time"});
      case State::Handshaking: {
        auto* server = std::get_if<ServerHandshake>(&peer.handshake);
        on_handshake(peer, server != nullptr
                               ? server->on_time(now)
                               : std::get<ClientHandshake>(peer.handshake).on_time(now));
        return;
      }
      case State::Open:
        if (!peer.pings) {
          return refuse(peer, {ErrorKind::Unavailable, "a message was begun and not finished"});
        }
        switch (peer.keepalive.on_time(now)) {
          case Keepalive::Verdict::Dead:
            return drop(peer, {ErrorKind::Unavailable, cat("silent: ", peer.limits.pings_missed,
                                                           " pings without an answer")});
          case Keepalive::Verdict::Ask:
            queue(peer, Frame{.type = FrameType::Ping, .stream = 0, .payload = {}});
            break;
          case Keepalive::Verdict::Fine:
            break;
        }
        return set_timer(peer, peer.keepalive.next());
      case State::Flushing:
      case State::Lingering:
        return drop(peer, peer.why);
      case State::Dead:
        return;
    }
  }

  // ---- listening -------------------------------------------------------------------------------

  void watch(Listener& listener) {
    listener.watch = loop.watch_readable(listener.fd.get(), [this, id = listener.id] {
      if (const auto place = listeners.find(id); place != listeners.end()) accept(place->second);
    });
  }

  void accept(Listener& listener) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      Fd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        admit(listener, std::move(fd));
        continue;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_warning("accept_paused", {{"endpoint", to_string(listener.endpoint)},
                                      {"why", errno_error("accept", errno).message()}});
        unwatch(listener.watch);
        listener.pause = loop.arm(loop.now().boot + kAcceptPause, [this, id = listener.id] {
          if (const auto place = listeners.find(id); place != listeners.end()) watch(place->second);
        });
      }
      return;  // nobody waits any more, or the one who did has gone
    }
  }

  void admit(Listener& listener, Fd fd) {
    const ListenOptions& options = listener.options;
    PeerIdentity identity = ClusterMember{};
    if (listener.endpoint.is_unix()) {
      const Result<LocalUser> user = credentials_of(fd.get());
      if (!user) return;
      identity = *user;
    } else {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    Peer& peer = add_peer(std::move(fd), options.limits, *options.handler);
    peer.identity = identity;
    peer.listener = listener.id;
    peer.throttled = listener.endpoint.is_unix();
    peer.pings =
        options.limits.ping_every.ns > 0 && (!listener.endpoint.is_unix() || options.ping_on_unix);
    if (!options.key) peer.socket.set_max_payload(options.limits.max_payload);
    const BootTime deadline = loop.now().boot + options.limits.handshake_deadline;
    peer.handshake.emplace<ServerHandshake>(self, options.key, random_bytes(kNonceBytes), deadline);
    ++listener.connections;
    std::size_t of_user = 0;
    bool is_root = false;
    if (const auto* user = std::get_if<LocalUser>(&peer.identity)) {
      of_user = ++listener.connections_of_user[user->uid];
      is_root = user->uid == 0;
    }
    watch_readable(peer);
    set_timer(peer, deadline);
    if (listener.connections > options.limits.max_connections) {
      refuse(peer, {ErrorKind::Exhausted, "too many connections; try again later"});
    } else if (of_user > options.limits.max_connections_per_user && !is_root) {
      refuse(peer, {ErrorKind::Exhausted, "too many connections of this user; try again later"});
    }
  }

  void stop(Listener& listener) {
    unwatch(listener.watch);
    loop.cancel(listener.pause);
    if (!listener.endpoint.is_unix()) return;
    struct stat there {};
    // A newer listener may have put its own file there.
    if (::lstat(listener.endpoint.path.c_str(), &there) == 0 && there.st_dev == listener.device &&
        there.st_ino == listener.inode) {
      ::unlink(listener.endpoint.path.c_str());
    }
  }

  // ---- connecting ------------------------------------------------------------------------------

  void start_attempt(Connector& connector) {
    const ConnectOptions& options = connector.options;
    auto begun = begin_connect(connector.endpoint);
    // Without a socket there is nothing to watch, but the attempt ends as any other.
    const bool failed = !begun;
    Peer& peer = add_peer(failed ? Fd() : std::move(begun->fd), options.limits, *options.handler);
    peer.connector = connector.id;
    peer.identity = ClusterMember{options.peer};
    peer.pings =
        options.limits.ping_every.ns > 0 && (!connector.endpoint.is_unix() || options.ping_on_unix);
    peer.state = State::Connecting;
    connector.peer = peer.id;
    if (failed) return drop(peer, begun.error());
    const BootTime deadline = loop.now().boot + options.limits.handshake_deadline;
    peer.handshake.emplace<ClientHandshake>(self, options.node, options.key,
                                            random_bytes(kNonceBytes), deadline);
    set_timer(peer, deadline);
    if (begun->finished) {
      on_connect_decided(peer);
    } else {
      watch_writable(peer);
    }
  }

  void on_connect_decided(Peer& peer) {
    const auto place = connectors.find(peer.connector);
    if (place == connectors.end()) return drop(peer, {ErrorKind::Unavailable, "given up"});
    const Endpoint& endpoint = place->second.endpoint;
    if (const auto connected = finish_connect(peer.socket.fd(), endpoint); !connected) {
      return drop(peer, connected.error());
    }
    if (endpoint.is_unix()) {
      const Result<LocalUser> user = credentials_of(peer.socket.fd());
      if (!user) return drop(peer, user.error());
      peer.identity = *user;
    }
    peer.state = State::Handshaking;
    watch_readable(peer);
    on_handshake(peer, std::get<ClientHandshake>(peer.handshake).start());
  }

  // A connection is over or was never made.
  void on_lost(Connector& connector, bool was_open, const Error& why) {
    connector.peer = PeerId{};
    if (!was_open && !connector.failing) {
      log_warning("connect_failed",
                  {{"endpoint", to_string(connector.endpoint)}, {"why", why.message()}});
      connector.failing = true;
    }
    if (!connector.options.reconnect) {
      const ConnectorId id = connector.id;
      connectors.erase(id);
      return;
    }
    const std::int64_t quarter = connector.backoff.ns / 4;
    const Duration wait = connector.backoff + nanoseconds(rng.between(-quarter, quarter));
    connector.backoff = std::min(connector.backoff * 2, connector.options.max_backoff);
    connector.retry = loop.arm(loop.now().boot + wait, [this, id = connector.id] {
      if (const auto place = connectors.find(id); place != connectors.end()) {
        start_attempt(place->second);
      }
    });
  }

  EventLoop& loop;
  Greeting self;
  Rng rng;
  std::map<PeerId, Peer> peers;
  std::map<ListenerId, Listener> listeners;
  std::map<ConnectorId, Connector> connectors;
  std::vector<PeerId> dirty;
  std::shared_ptr<int> alive = std::make_shared<int>(0);
  BootTime refusals_since;
  int refusals_logged = 0;
  std::uint64_t last_peer = 0;
  std::uint64_t last_listener = 0;
  std::uint64_t last_connector = 0;
};

SocketTransport::SocketTransport(EventLoop& loop, Greeting self, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(loop, std::move(self), seed)) {}

SocketTransport::~SocketTransport() = default;

Result<Listening> SocketTransport::listen(const std::string& endpoint, ListenOptions options) {
  CHECK(options.handler != nullptr);
  GANGWAY_ASSIGN(Endpoint place, parse_endpoint(endpoint));
  if (place.is_unix() == options.key.has_value() || (options.key && options.key->empty())) {
    return Error(ErrorKind::Invalid,
                 cat("listen on ", endpoint, ": a key belongs to TCP, and to TCP alone"));
  }
  Impl::Listener listener;
  GANGWAY_ASSIGN(listener.fd, open_listener(place, options.socket_mode, kBacklog));
  if (place.is_unix()) {
    struct stat there {};
    if (::lstat(place.path.c_str(), &there) == 0) {
      listener.device = there.st_dev;
      listener.inode = there.st_ino;
    }
  } else {
    GANGWAY_ASSIGN(place.port, port_of(listener.fd.get()));
  }
  listener.id = ListenerId{++impl_->last_listener};
  listener.endpoint = place;
  listener.options = std::move(options);
  bound_by_descriptors(listener.options.limits);
  const ListenerId id = listener.id;
  impl_->watch(impl_->listeners.emplace(id, std::move(listener)).first->second);
  return Listening{.id = id, .endpoint = to_string(place), .port = place.port};
}

void SocketTransport::stop_listening(ListenerId id) {
  const auto found = impl_->listeners.find(id);
  if (found == impl_->listeners.end()) return;
  impl_->stop(found->second);
  impl_->listeners.erase(found);
}

Result<ConnectorId> SocketTransport::connect(const std::string& endpoint, ConnectOptions options) {
  CHECK(options.handler != nullptr);
  GANGWAY_ASSIGN(Endpoint place, parse_endpoint(endpoint));
  if (place.is_unix() == options.key.has_value() || (options.key && options.key->empty())) {
    return Error(ErrorKind::Invalid,
                 cat("connect to ", endpoint, ": a key belongs to TCP, and to TCP alone"));
  }
  if (!place.is_unix() && options.node.empty()) {
    return Error(ErrorKind::Invalid, cat("connect to ", endpoint, ": without a name of our own"));
  }
  Impl::Connector connector;
  connector.id = ConnectorId{++impl_->last_connector};
  connector.endpoint = std::move(place);
  connector.backoff = options.first_backoff;
  connector.options = std::move(options);
  const ConnectorId id = connector.id;
  impl_->start_attempt(impl_->connectors.emplace(id, std::move(connector)).first->second);
  return id;
}

void SocketTransport::disconnect(ConnectorId id) {
  const auto found = impl_->connectors.find(id);
  if (found == impl_->connectors.end()) return;
  impl_->loop.cancel(found->second.retry);
  const PeerId peer = found->second.peer;
  impl_->connectors.erase(found);
  close(peer);
}

Result<void> SocketTransport::send(PeerId peer, Frame frame) {
  Impl::Peer* known = impl_->find(peer);
  if (known == nullptr || known->state != Impl::State::Open) {
    return Error(ErrorKind::NotFound, "the connection is closed");
  }
  if (frame.payload.size() > wire::kMaxPayloadBytes) {
    return Error(ErrorKind::Invalid,
                 cat("a message of ", frame.payload.size(), " bytes is too large to be sent"));
  }
  const std::size_t size = wire::kHeaderBytes + frame.payload.size();
  if (known->socket.queued_bytes() + size > known->limits.max_queue_bytes) {
    const Error full(ErrorKind::Exhausted,
                     cat("reads too slowly: ", known->socket.queued_bytes(), " bytes are waiting"));
    impl_->drop(*known, full);
    return full;
  }
  impl_->queue(*known, frame);
  return {};
}

void SocketTransport::close(PeerId peer) {
  if (Impl::Peer* known = impl_->find(peer)) {
    impl_->begin_close(*known, {ErrorKind::Unavailable, "closed on this side"});
  }
}

std::size_t SocketTransport::queued_bytes(PeerId peer) const {
  const Impl::Peer* known = impl_->find(peer);
  return known == nullptr ? 0 : known->socket.queued_bytes();
}

}  // namespace gangway::io
