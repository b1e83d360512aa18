// StepPart: a step's ranks on this node: their start (behind a PMIx server of their own for MPI),
// their streams, their ends. It says to the origin what FromPart holds, and does what ToPart says.
//
// Output is read from a rank's pipe only as far as the origin's window goes: a reader that has
// stopped stops the ranks and nothing grows. Input goes to each rank's pipe, and what all have
// taken is told. A rank's streams may be descriptors of the client's own, which nobody reads here.
//
// The part is over when its ranks have ended and their pipes are at their ends; pipes that only a
// rank's leftover children hold are given up after kPipePatience of silence.
//
// One thread; nothing blocks. `say` may be called from inside of any call.
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
#include "executor/mpi_choice.hpp"
#include "executor/mpi_plan.hpp"
#include "executor/pmi_service.hpp"
#include "executor/pmix_link.hpp"
#include "executor/step_machine.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/wire/step.pb.h"

namespace gangway::executor {

inline constexpr Duration kPipePatience = seconds(1);

struct StepPartWorld {
  io::EventLoop& loop;
  containers::ContainerRuntime& runtime;
  const StepOrder& order;
  const LaunchFacts& facts;
  const containers::SandboxReady& sandbox;
  std::function<std::unique_ptr<PmixLink>(PmixHandler&)> make_pmix_link;
  std::function<std::uint32_t()> next_program_id;
  std::function<void(int by)> count_programs;  // of the user's, that run
};

// The client's standard streams; those that are not to be used are empty.
struct StepDescriptors {
  containers::SharedFd in;
  containers::SharedFd out;
  containers::SharedFd err;
};

class StepPart final : private PmixHandler {
 public:
  // `say` to the origin; `tell` a Peer message to the step's part at this place.
  StepPart(StepPartWorld world,
           std::uint32_t step,
           std::function<void(wire::FromPart)> say,
           std::function<void(std::uint32_t place, const wire::Peer&)> tell);
  ~StepPart() override;
  StepPart(const StepPart&) = delete;
  StepPart& operator=(const StepPart&) = delete;

  void start(const wire::PartStart& start, StepDescriptors descriptors);
  void on(const wire::ToPart& message);
  void on_exchange(std::uint32_t from_place, const wire::Peer& message);
  void on_place_lost(std::uint32_t place);
  void signal(int number);
  [[nodiscard]] bool is_over() const { return over_; }

 private:
  struct Pipe {  // of a rank's output, or the other side of its terminal
    std::uint32_t task = 0;
    std::uint32_t stream = 1;
    Fd fd;
    std::optional<io::WatchId> watch;
    BootTime heard;
  };
  struct Rank {
    std::uint32_t task = 0;
    std::uint32_t program = 0;  // its id in the sandbox
    bool alive = true;
    bool in_mpi = false;  // between MPI_Init and MPI_Finalize: others wait for it
    bool met = false;     // it has been in MPI_Init
    Fd input;
    std::string pending;  // for its input
    bool input_ends = false;
    std::optional<io::WatchId> writable;
  };

  void on_pmix_ready(wire::PmixReady ready) override;
  void on_pmix_exchange(wire::FromPmix message) override;
  void on_pmix_abort(wire::PmixAbort abort) override;
  void on_pmix_rank_state(wire::PmixRankState state) override;
  void on_pmix_synced() override;
  void on_pmix_closed(const Error& why) override;

  void choose_mpi_mode();
  void start_mpi(const MpiChoice& choice);
  void start_pmix(const RankMap& map);
  void start_ranks(const std::vector<RankEnvironment>& environments);
  [[nodiscard]] Result<void> make_streams(containers::ProgramRequest& program, Rank& rank);
  void on_terminal(int socket);
  void on_program_end(const containers::ProgramEnd& end);
  [[nodiscard]] bool must_be_asked(const Rank& rank, const containers::ProgramEnd& end) const;
  void end_rank(Rank& rank, const containers::ProgramEnd& end);
  void say_ended(const Rank& rank, const containers::ProgramEnd& end);
  [[nodiscard]] bool is_alone(const Rank& rank) const;
  void say_alone(std::uint32_t task);
  void end_unheard();
  void fail(const Error& why);
  void exchange(ExchangeActions actions);
  void start_spawned(const exchange_action::StartRanks& spawned);

  void add_pipe(std::uint32_t task, std::uint32_t stream, Fd fd);
  void read_pipe(std::size_t index);
  void watch_pipes();
  void end_pipe(Pipe& pipe);
  void arm_patience();
  void take_input(const wire::StepInput& input);
  void write_input(Rank& rank);
  void on_writable(Rank& rank);
  void close_input(Rank& rank);
  void note_input();
  void resize(const wire::TerminalSize& size);
  void settle();

  StepPartWorld world_;
  std::uint32_t step_;
  std::function<void(wire::FromPart)> say_;
  std::function<void(std::uint32_t, const wire::Peer&)> tell_;
  wire::PartStart start_;
  StepDescriptors descriptors_;
  std::deque<Rank> ranks_;  // grows at the end only: callbacks know their rank by its address
  std::size_t alive_ranks_ = 0;
  std::vector<std::unique_ptr<Pipe>> pipes_;
  std::size_t open_pipes_ = 0;
  std::int64_t window_ = 0;
  std::uint64_t input_given_ = 0;
  std::uint64_t input_told_ = 0;
  bool started_ = false;
  bool over_ = false;
  int early_signal_ = 0;  // came before the ranks
  std::optional<Error> error_;
  wire::PartUsage usage_;
  std::optional<io::TimerId> patience_;
  std::optional<io::WatchId> terminal_watch_;
  Fd terminal_socket_;
  int terminal_ = -1;  // of pipes_[0]
  std::optional<wire::TerminalSize> size_;

  MpiChoice mpi_;
  std::string meeting_;                       // the name of the ranks' key value space
  std::optional<std::uint32_t> ended_alone_;  // the first that came through without the others
  std::unique_ptr<PmixLink> pmix_;
  std::unique_ptr<PmiService> pmi_;
  std::vector<Fd> pmi_rank_ends_;               // until the programs have them
  std::deque<containers::ProgramEnd> unheard_;  // ends that wait for a sync
  Fd pmix_server_end_;
  std::optional<std::uint32_t> pmix_program_;
  std::optional<GangExchange> exchange_;
  std::vector<std::pair<std::uint32_t, wire::Peer>> early_exchange_;
  std::shared_ptr<bool> alive_;
};

}  // namespace gangway::executor
