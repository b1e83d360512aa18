// Shepherd: performs what its StepMachine decides, over the interfaces of the world. One process
// per job and node; it owns the sandbox, talks to its agent, and in an MPI job to the PMIx server
// process of its node and to the gang's other shepherds.
//
// The agent may come and go: each time it is back it hears how things stand. Connections to other
// shepherds are made when there is something to say; a link that breaks after it was open means
// that the other is gone. Everything but the callbacks of its own timers and of the interfaces
// happens in the caller's turn; nothing blocks but the record of the end: it is written before the
// end is told, and synced to the disk only if nobody releases it soon, because until the scheduler
// has noted the end a crash of this machine makes it a lost node all the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/gang_exchange.hpp"
#include "executor/launch_plan.hpp"
#include "executor/pmi_service.hpp"
#include "executor/pmix_link.hpp"
#include "executor/ports.hpp"
#include "executor/prober.hpp"
#include "executor/step_machine.hpp"
#include "executor/step_server.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/io/transport.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

inline constexpr Duration kSyncPatience = seconds(1);

struct ShepherdWorld {
  io::EventLoop& loop;
  io::Transport& transport;
  ShepherdPorts& ports;
  containers::ContainerRuntime& runtime;
  SpoolRecords& records;
  std::function<std::unique_ptr<PmixLink>(PmixHandler&)> make_pmix_link;
  std::function<void()> leave;  // the process may end; called in a turn of its own
};

class Shepherd final {
 public:
  // Everything in `world` outlives the shepherd.
  Shepherd(ShepherdWorld world,
           StepOrder order,
           LaunchFacts facts,
           BootTime lease_until,
           std::int32_t pid);
  ~Shepherd();
  Shepherd(const Shepherd&) = delete;
  Shepherd& operator=(const Shepherd&) = delete;

  void start();
  // From outside, as the agent's Stop: the machine shuts down.
  void stop(const Outcome& outcome);
  [[nodiscard]] const StepMachine& machine() const { return machine_; }

 private:
  // Before our PMIx server is there; more is dropped and fails in its time.
  static constexpr std::size_t kMaxForPmix = 1024;

  // Each kind of connection has a handler of its own.
  struct AgentSide final : io::PeerHandler {
    explicit AgentSide(Shepherd& s) : shepherd(s) {}
    void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
    void on_frame(io::PeerId peer, wire::Frame frame) override;
    void on_closed(io::PeerId peer, const Error& why) override;
    Shepherd& shepherd;
  };
  struct GangSide final : io::PeerHandler {
    GangSide(Shepherd& s, bool d) : shepherd(s), dialled(d) {}
    void on_connected(io::PeerId peer, const io::PeerIdentity& identity) override;
    void on_frame(io::PeerId peer, wire::Frame frame) override;
    void on_closed(io::PeerId peer, const Error& why) override;
    Shepherd& shepherd;
    const bool dialled;  // by us; else accepted
  };
  struct PmixSide final : PmixHandler {
    explicit PmixSide(Shepherd& s) : shepherd(s) {}
    void on_pmix_ready(wire::PmixReady ready) override;
    void on_pmix_exchange(wire::FromPmix message) override;
    void on_pmix_abort(wire::PmixAbort abort) override;
    void on_pmix_rank_state(wire::PmixRankState state) override;
    void on_pmix_synced() override;
    void on_pmix_closed(const Error& why) override;
    Shepherd& shepherd;
  };
  // What is known of another node of the gang.
  struct Peer {
    std::optional<io::PeerId> out;  // the link that our messages take: the first that was open
    bool dialling = false;
    bool lost = false;
    std::deque<wire::Frame> waiting;
    std::size_t waiting_bytes = 0;
  };

  void feed(const StepEvent& event);
  void perform(StepAction action);
  void prepare_sandbox();
  void choose_mpi_mode(std::uint16_t port);
  void start_pmix(const std::vector<PeerAddress>& peers);
  void start_programs(const std::vector<RankEnvironment>& ranks);
  void pause_programs(bool on);
  void report_paused(const step_action::ReportPaused& paused);
  void begin_probes();
  void report_health(const ReplicaHealth& health);
  void clean_up();
  void take_down();
  // Appends a line to the job's output, if it was asked for; then `then`.
  void write_usage(std::function<void()> then);
  void report_prepared(std::uint16_t port);
  void report_finished(const StepReport& report);
  void sync_finished();
  void arm(StepTimer timer, BootTime at);
  void cancel(StepTimer timer);

  void on_agent_message(const wire::ToShepherd& message);
  void tell_agent(const wire::FromShepherd& message);
  [[nodiscard]] wire::HeldAttempt::State held_state() const;

  [[nodiscard]] std::optional<std::uint32_t> find_node(std::string_view name) const;
  void exchange(ExchangeActions actions, std::uint32_t with);
  void signal_ranks(const exchange_action::SignalRanks& signal);
  void start_spawned(const exchange_action::StartRanks& start);
  void tell_pmix(const wire::ToPmix& message);
  void tell_peer(std::uint32_t node, const wire::Peer& message);
  void note_addresses(const std::vector<PeerAddress>& peers);
  void tell_outside(const wire::NodeSession& message);
  void warn(int number, bool script_only);
  void link_open(std::uint32_t node, io::PeerId link);
  void lose_peer(std::uint32_t node);
  void on_program_end(const containers::ProgramEnd& end);
  void feed_end(const containers::ProgramEnd& end);
  [[nodiscard]] bool is_ending() const;

  ShepherdWorld world_;
  LaunchFacts facts_;
  StepMachine machine_;
  BootTime lease_until_;
  std::int32_t pid_;

  AgentSide agent_side_;
  GangSide dialled_side_;
  GangSide accepted_side_;
  PmixSide pmix_side_;

  bool feeding_ = false;
  std::deque<StepEvent> events_;  // that came while one was being performed
  std::map<StepTimer, io::TimerId> timers_;
  std::optional<io::PeerId> agent_;
  containers::SandboxReady sandbox_;
  std::optional<wire::StepFinished> finished_;
  std::optional<io::TimerId> sync_;

  std::unique_ptr<PmixLink> pmix_;
  std::unique_ptr<PmiService> pmi_;
  std::vector<Fd> pmi_rank_ends_;               // until the programs have them
  std::deque<containers::ProgramEnd> unheard_;  // ends that wait for a sync
  Fd pmix_server_end_;
  std::optional<GangExchange> exchange_;
  std::vector<PeerAddress> addresses_;  // by node index; from the launch
  std::vector<Peer> peers_;             // by node index
  std::map<io::PeerId, std::uint32_t> node_of_link_;
  std::map<io::PeerId, std::string> unnamed_links_;  // accepted, PeerHello not heard yet: its name
  std::vector<wire::ToPmix> for_pmix_;               // from peers that launched before us
  std::unique_ptr<StepServer> steps_;
  bool cleaning_up_ = false;
  bool taken_down_ = false;
  std::unique_ptr<Prober> prober_;  // of a replica that runs and is not to end
  std::shared_ptr<bool> alive_;     // callbacks of the runtime may come after our end
};

}  // namespace gangway::executor
