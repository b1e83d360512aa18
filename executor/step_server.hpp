// StepServer: the steps of a job as its shepherds run them, without asking the scheduler.
//
// On every node it holds the parts of steps that run there (StepParts) and those who talk with them
// (StepClients). On the allocation's first node it is the origin as well: it hears jrun and its
// like, lays steps out, and keeps those with --exact waiting until cores are free. Who connects on
// another node is relayed to the first.
//
// Bounds: those of StepClients; what waits for cores, by bytes: who goes over it is refused. The
// number of steps in a job's life is bounded by that of a step's number alone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "executor/step_clients.hpp"
#include "executor/step_control.hpp"
#include "executor/step_part.hpp"
#include "executor/step_parts.hpp"
#include "executor/waiting_runs.hpp"
#include "queues/wire/gangway.pb.h"

namespace gangway::executor {

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
  void open(containers::SharedFd listener) { clients_.open(std::move(listener)); }
  void on_peer_step(std::uint32_t from, const wire::PeerStep& message);
  void on_peer_session(std::uint32_t from, const wire::PeerSession& message);
  void on_peer_lost(std::uint32_t node_index);
  void on_outside(const wire::NodeSession& message) { clients_.on_outside(message); }
  // The agent is gone, and with it all sessions through it.
  void on_outside_lost() { clients_.on_outside_lost(); }

  // To the ranks of this node's parts. False if there are none.
  bool signal_ranks(int number) { return parts_.signal(number); }
  // The job is being ended: signals of clients are not passed on any more.
  void note_stopping() { stopping_ = true; }
  // `then` once readers of the job's files have read to their ends; at once without any.
  void drain(std::function<void()> then);
  // The sandbox goes: nothing more is started or said.
  void close();
  // Of the last kMaxRememberedSteps that are over.
  [[nodiscard]] const std::deque<StepRecord>& records() const { return records_; }

 private:
  struct Step {
    std::unique_ptr<StepControl> control;
    ClientId client = 0;
    bool internal = false;  // reads a file of the job's for somebody
    bool wants_input = false;
    bool owns_job = false;
    std::map<StepAlarm, io::TimerId> alarms;
    std::vector<ClientId> observers;
  };

  StepClientsWorld clients_world();
  StepPartWorld parts_world();
  [[nodiscard]] bool is_origin() const { return world_.order.node_index == 0; }

  // ---- what clients want, at the origin
  void on_client_says(ClientId id, const wire::ToStep& message);
  void on_client_gone(ClientId id, const ClientRole& role);
  void run_step(ClientId id, wire::StepRun run);
  bool try_run(ClientId id, wire::StepRun& run);
  void try_waiting();
  void follow(ClientId id, const wire::StepFollow& what);
  void attach(ClientId id, const wire::StepAttach& what);
  void hold(ClientId id);
  void end_job(std::int32_t exit_code);

  // ---- steps, at the origin
  // `from`: who has said what the actions come of; 0: nobody.
  void perform(std::uint32_t number, ControlActions actions, ClientId from = 0);
  void arm(std::uint32_t number, Step& step, const control_action::Arm& wanted);
  void to_part(std::uint32_t step, std::size_t place, const wire::ToPart& message);
  void from_part(std::uint32_t step, std::size_t place, wire::FromPart message);
  void part_says(std::uint32_t step, std::uint32_t place, wire::FromPart said);
  void over(std::uint32_t number);
  void remember(const StepRecord& record);
  void cancel(std::optional<io::TimerId>& timer);
  [[nodiscard]] std::vector<std::uint32_t> step_numbers() const;
  [[nodiscard]] bool has_readers() const;
  void end_drain();

  StepServerWorld world_;
  std::uint32_t next_program_ = 0x40000000;
  StepClients clients_;
  StepParts parts_;

  std::uint32_t next_step_ = 0;
  std::uint32_t next_internal_step_ = kFirstInternalStep;
  std::map<std::uint32_t, Step> steps_;
  WaitingRuns waiting_;
  CoresInUse in_use_;
  std::deque<StepRecord> records_;
  std::optional<std::int32_t> end_code_;
  std::optional<io::TimerId> owner_patience_;
  std::function<void()> drained_;
  std::optional<io::TimerId> drain_patience_;

  bool stopping_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace gangway::executor
