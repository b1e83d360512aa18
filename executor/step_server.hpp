// StepServer: the steps of a job as its shepherds run them, without asking the scheduler.
//
// On every node it holds the parts of steps that run there. On the allocation's first node it is
// the origin as well: it hears jrun and its like, lays steps out, and keeps those with --exact
// waiting until cores are free. Who connects on another node is relayed to the first.
//
// Sessions come over the socket inside the sandbox (whoever runs there is the job's user; the
// kernel's word for the uid is checked all the same) and through the agent (people outside; the
// scheduler has checked them).
//
// Bounds: kMaxSessions at once, more wait in the socket's queue; what is queued for clients that do
// not read, and what waits for cores, by bytes: who goes over it is cut off or refused. The number
// of steps in a job's life is bounded by that of a step's number alone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "executor/step_control.hpp"
#include "executor/step_part.hpp"
#include "queues/io/frame_socket.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::executor {

inline constexpr std::size_t kMaxSessions = 200;
inline constexpr std::size_t kMaxWaitingBytesOfObserver = 4 << 20;
// For each client, before what is queued for all of them counts.
inline constexpr std::size_t kFreeWaitingBytes = 1 << 20;
inline constexpr std::size_t kMaxWaitingBytesOfClients = 64 << 20;
inline constexpr std::size_t kMaxBytesOfWaitingRuns = 64 << 20;
inline constexpr Duration kOwnerPatience = minutes(2);
inline constexpr Duration kDrainPatience = seconds(2);

struct StepServerWorld {
  io::EventLoop& loop;
  containers::ContainerRuntime& runtime;
  const StepOrder& order;
  const LaunchFacts& facts;
  const containers::SandboxReady& sandbox;
  std::function<std::unique_ptr<PmixLink>(PmixHandler&)> make_pmix_link;
  std::function<void(std::uint32_t node_index, const wire::Peer&)> tell_peer;
  std::function<void(const wire::NodeSession&)> tell_outside;
  std::function<void(int by)> count_programs;
};

class StepServer final {
 public:
  explicit StepServer(StepServerWorld world);
  ~StepServer();
  StepServer(const StepServer&) = delete;
  StepServer& operator=(const StepServer&) = delete;

  // The socket listens and the sandbox is up.
  void open(containers::SharedFd listener);
  void on_peer_step(std::uint32_t from, const wire::PeerStep& message);
  void on_peer_session(std::uint32_t from, const wire::PeerSession& message);
  void on_peer_lost(std::uint32_t node_index);
  void on_outside(const wire::NodeSession& message);
  void on_outside_lost();  // the agent is gone, and with it all sessions through it

  // To the ranks of this node's parts. False if there are none.
  bool signal_ranks(int number);
  // The job is being ended: signals of clients are not passed on any more.
  void note_stopping() { stopping_ = true; }
  // `then` once readers of the job's files have read to their ends; at once without any.
  void drain(std::function<void()> then);
  // The sandbox goes: nothing more is started or said.
  void close();
  // Of the last kMaxRememberedSteps that are over.
  [[nodiscard]] const std::deque<StepRecord>& records() const { return records_; }

 private:
  using ClientId = std::uint64_t;
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
    bool holds = false;
    bool is_cut = false;  // nothing it says counts any more
    bool waits = false;   // its step, for cores
    std::optional<std::uint32_t> step;
    bool observes = false;  // of that step
    StepDescriptors descriptors;
  };
  struct Step {
    std::unique_ptr<StepControl> control;
    ClientId client = 0;
    bool internal = false;
    bool wants_input = false;
    bool owns_job = false;
    std::map<StepAlarm, io::TimerId> alarms;
    std::vector<ClientId> observers;
  };
  struct Waiting {
    ClientId client = 0;
    wire::StepRun run;
    std::size_t bytes = 0;
  };

  [[nodiscard]] bool is_origin() const { return world_.order.node_index == 0; }
  // ---- clients
  void accept_clients();
  void pause_accepting();
  void on_readable(ClientId id);
  void on_writable(ClientId id);
  void read_greeting(ClientId id, Client& client);
  void hear(ClientId id, const wire::ToStep& message);
  void say(ClientId id, const wire::FromStep& message);
  void end_client(ClientId id);  // after what was said
  void client_gone(ClientId id);
  void drop_client(ClientId id);
  void refuse(ClientId id, const Error& why);
  void cut(ClientId id, const Error& why);
  [[nodiscard]] bool has_too_much_queued(const Socket& socket) const;
  ClientId find_or_add(std::optional<std::uint32_t> node, std::uint64_t number);

  // ---- steps, at the origin
  void run_step(ClientId id, wire::StepRun run);
  bool try_run(ClientId id, wire::StepRun& run);
  void try_waiting();
  void follow(ClientId id, const wire::StepFollow& what);
  void attach(ClientId id, const wire::StepAttach& what);
  void hold(ClientId id);
  void end_job(std::int32_t exit_code);
  // `from`: who has said what the actions come of; 0: nobody.
  void perform(std::uint32_t step, ControlActions actions, ClientId from = 0);
  void to_part(std::uint32_t step, std::size_t place, const wire::ToPart& message);
  void from_part(std::uint32_t step, std::size_t place, wire::FromPart message);
  void over(std::uint32_t step);
  [[nodiscard]] bool has_readers() const;
  void end_drain();

  // ---- parts
  void order_part(std::uint32_t step, const wire::ToPart& message, StepDescriptors descriptors);
  void drop_part(std::uint32_t step);

  StepServerWorld world_;
  containers::SharedFd listener_;
  std::optional<io::WatchId> accepting_;
  ClientId next_client_ = 1;
  std::map<ClientId, Client> clients_;
  std::size_t sockets_ = 0;

  std::uint32_t next_step_ = 0;
  std::uint32_t next_internal_step_ = 0xf0000000;
  std::map<std::uint32_t, Step> steps_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  CoresInUse in_use_;
  std::deque<StepRecord> records_;
  std::optional<std::int32_t> end_code_;
  std::optional<io::TimerId> owner_patience_;
  std::function<void()> drained_;
  std::optional<io::TimerId> drain_patience_;

  std::map<std::uint32_t, std::unique_ptr<StepPart>> parts_;
  std::map<std::uint32_t, wire::PartStart> part_starts_;  // without the run: who is where
  std::deque<std::pair<std::uint32_t, std::pair<std::uint32_t, std::string>>> early_;
  std::uint32_t next_program_ = 0x40000000;
  bool stopping_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace gangway::executor
