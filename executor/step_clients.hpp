// StepClients: those who talk with a job's steps, and their connections.
//
// Programs inside the sandbox (jrun and its like) come over a socket: whoever runs there is the
// job's user, and the kernel's word for the uid is checked all the same. People outside come
// through the agent; the scheduler has checked them. On a node that is not the allocation's first,
// clients are relayed to there, and here what the first node answers them is passed on.
//
// Bounds: kMaxSessions at once over the socket, more wait in its queue; what is queued for clients
// that do not read, by bytes: who goes over it is cut off, and who only observes misses it.
//
// One thread. `hear` and `gone` may be called from inside of any call but say(), end() and
// refuse().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/launch_plan.hpp"
#include "executor/step_part.hpp"
#include "queues/base/result.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/frame_socket.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::executor {

inline constexpr std::size_t kMaxSessions = 200;
inline constexpr std::size_t kMaxWaitingBytesOfObserver = 4 << 20;
// For each client, before what is queued for all of them counts.
inline constexpr std::size_t kFreeWaitingBytes = 1 << 20;
inline constexpr std::size_t kMaxWaitingBytesOfClients = 64 << 20;

using ClientId = std::uint64_t;

// What a client is to the steps; for StepServer to set.
struct ClientRole {
  std::optional<std::uint32_t> step;
  bool observes = false;        // of that step
  bool waits = false;           // its step, for cores
  bool holds = false;           // until the job ends
  StepDescriptors descriptors;  // its standard streams, until a step has them
};

struct StepClientsWorld {
  io::EventLoop& loop;
  const StepOrder& order;
  const LaunchFacts& facts;
  std::function<void(std::uint32_t node_index, const wire::Peer&)> tell_peer;
  std::function<void(const wire::NodeSession&)> tell_outside;
  // Of those that are not relayed.
  std::function<void(ClientId, const wire::ToStep&)> hear;
  // The other side has left, and the client is forgotten.
  std::function<void(ClientId, const ClientRole&)> gone;
};

class StepClients final {
 public:
  explicit StepClients(StepClientsWorld world);
  ~StepClients();
  StepClients(const StepClients&) = delete;
  StepClients& operator=(const StepClients&) = delete;

  void open(containers::SharedFd listener);
  void on_peer_session(std::uint32_t from, const wire::PeerSession& message);
  void on_outside(const wire::NodeSession& message);
  void on_outside_lost();
  void on_node_lost(std::uint32_t node_index);

  // Null if there is no such client (any more).
  [[nodiscard]] ClientRole* find(ClientId id);
  [[nodiscard]] std::vector<ClientId> holders() const;

  // Nothing of clients that are gone.
  void say(ClientId id, const wire::FromStep& message);
  void end(ClientId id);  // after what was said
  void refuse(ClientId id, const Error& why);
  // Nothing it says counts any more; `gone` follows in a turn of its own.
  void cut(ClientId id, const Error& why);
  // Says `why` to all and forgets them, without `gone`; nobody comes any more.
  void close(const Error& why);

 private:
  struct Socket {
    explicit Socket(Fd fd) : frames(std::move(fd), wire::kMaxPayloadBytes) {}
    io::FrameSocket frames;
    std::optional<io::WatchId> readable;
    std::optional<io::WatchId> writable;
    bool greeted = false;
    bool closing = false;  // after what is queued
  };
  struct Client {
    std::unique_ptr<Socket> socket;     // inside, on this node
    std::optional<std::uint32_t> node;  // relayed from there
    std::uint64_t number = 0;           // of the other side
    bool outside = false;
    bool relayed = false;  // its words go to the first node
    bool is_cut = false;
    ClientRole role;
  };

  [[nodiscard]] bool is_origin() const { return world_.order.node_index == 0; }
  void accept_waiting();
  void watch_listener();
  void pause_accepting();
  void on_readable(ClientId id);
  void on_writable(ClientId id);
  void read_greeting(ClientId id, Client& client);
  void hear(ClientId id, const wire::ToStep& message);
  void leave(ClientId id);  // the other side has
  void drop(ClientId id);
  [[nodiscard]] bool has_too_much_queued(const Socket& socket) const;
  ClientId find_or_add(std::optional<std::uint32_t> node, std::uint64_t number);

  StepClientsWorld world_;
  containers::SharedFd listener_;
  std::optional<io::WatchId> accepting_;
  ClientId next_client_ = 1;
  std::map<ClientId, Client> clients_;
  std::size_t sockets_ = 0;
  bool closed_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace gangway::executor
