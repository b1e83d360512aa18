#include "executor/step_part.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "executor/exit_status.hpp"
#include "executor/mpi_inspection.hpp"
#include "executor/step_plan.hpp"
#include "queues/base/check.hpp"
#include "queues/base/log.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

constexpr std::size_t kReadBytes = 32 << 10;
constexpr std::size_t kMaxEarlyExchange = 1024;

struct PipeEnds {
  Fd ours;
  containers::SharedFd theirs;
};

// A pipe whose end for us does not block.
Result<PipeEnds> make_pipe_for(bool we_read) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("make a pipe", errno);
  PipeEnds pipe;
  pipe.ours = Fd(ends[we_read ? 0 : 1]);
  pipe.theirs = std::make_shared<const Fd>(ends[we_read ? 1 : 0]);
  const int flags = ::fcntl(pipe.ours.get(), F_GETFL);
  if (flags < 0 || ::fcntl(pipe.ours.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return errno_error("set up a pipe", errno);
  }
  return pipe;
}

// The descriptor that lies in the socket; empty if none does (the program could not be started).
Fd receive_descriptor(int socket) {
  char byte = 0;
  ReceivedWithFds received = receive_with_fds(socket, {&byte, 1}, MSG_DONTWAIT);
  return received.fds.size() == 1 ? std::move(received.fds.front()) : Fd();
}

}  // namespace

StepPart::StepPart(StepPartWorld world,
                   std::uint32_t step,
                   std::function<void(wire::FromPart)> say,
                   std::function<void(std::uint32_t place, const wire::Peer&)> tell)
    : world_(std::move(world)),
      step_(step),
      say_(std::move(say)),
      tell_(std::move(tell)),
      alive_(std::make_shared<bool>(true)) {}

StepPart::~StepPart() {
  *alive_ = false;
  if (patience_) world_.loop.cancel(*patience_);
  if (terminal_watch_) world_.loop.unwatch(*terminal_watch_);
  for (const auto& pipe : pipes_) {
    if (pipe->watch) world_.loop.unwatch(*pipe->watch);
  }
  for (const Rank& rank : ranks_) {
    if (rank.writable) world_.loop.unwatch(*rank.writable);
  }
  if (pmix_) pmix_->close();
}

// ---- the start ---------------------------------------------------------------------------------

void StepPart::start(const wire::PartStart& start, StepDescriptors descriptors) {
  start_ = start;
  descriptors_ = std::move(descriptors);
  window_ = start_.window();
  if (start_.run().has_size()) size_ = start_.run().size();
  for (const wire::PartRank& rank : start_.ranks()) {
    Rank& one = ranks_.emplace_back();
    one.task = rank.rank();
    const bool gets_input =
        start_.run().input() == wire::INPUT_ALL ||
        (start_.run().input() == wire::INPUT_ONE && start_.run().input_rank() == rank.rank());
    one.input_ends = !gets_input && !start_.run().terminal();
  }
  choose_mpi_mode();
}

void StepPart::choose_mpi_mode() {
  const auto asked = static_cast<MpiMode>(start_.run().mpi());
  if (asked != MpiMode::Auto) return start_mpi(choose_mpi(asked, {}));
  PartPlan plan = plan_part(world_.order, world_.facts, world_.sandbox, step_, start_, {}, {});
  if (plan.programs.empty()) return start_mpi({.mode = MpiMode::None, .is_sure = false, .why = ""});
  containers::ProgramRequest look;
  look.id = world_.next_program_id();
  look.argv = plan.programs.front().argv;
  look.env = plan.programs.front().env;
  look.workdir = plan.programs.front().workdir;
  look.host_files = plan.programs.front().host_files;
  inspect_mpi(world_.runtime, std::move(look),
              [this, alive = alive_, many = start_.run().programs_size() > 1](MpiChoice choice) {
                if (!*alive) return;
                // The other programs may be of another kind.
                if (many) choice = {.mode = MpiMode::Auto, .is_sure = false, .why = choice.why};
                if (start_.tasks() == 1 && !choice.is_sure) choice.mode = MpiMode::None;
                start_mpi(choice);
              });
}

void StepPart::start_mpi(const MpiChoice& choice) {
  if (over_) return;
  mpi_ = choice;
  if (mpi_.mode == MpiMode::None) return start_ranks({});
  Result<RankMap> map = ranks_of_step(world_.order, step_, start_);
  if (!map) {
    if (mpi_.is_sure) return fail(map.error());
    mpi_ = {.mode = MpiMode::None, .is_sure = false, .why = map.error().message()};
    return start_ranks({});
  }
  meeting_ = map->name;
  exchange_.emplace(map->self, map->nodes);
  if (offers_pmi(mpi_.mode)) {
    pmi_ = std::make_unique<PmiService>(world_.loop, static_cast<PmixHandler&>(*this),
                                        plan_pmi_job(*map));
  }
  if (!offers_pmix(mpi_.mode)) return start_ranks({});
  start_pmix(*map);
}

void StepPart::start_pmix(const RankMap& map) {
  pmix_ = world_.make_pmix_link(*this);
  Result<Fd> server_end = pmix_->open();
  if (!server_end) return fail(server_end.error());
  pmix_server_end_ = *std::move(server_end);
  pmix_->setup(plan_pmix_setup(map, world_.facts));
  containers::ProgramRequest server = plan_step_pmix_server(world_.facts, pmix_server_end_.get());
  server.id = world_.next_program_id();
  server.err_fd = descriptors_.err;
  pmix_program_ = server.id;
  std::vector<containers::ProgramRequest> programs;
  programs.push_back(std::move(server));
  world_.runtime.start(std::move(programs),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (*alive) on_program_end(end);
                       });
}

void StepPart::start_ranks(const std::vector<RankEnvironment>& environments) {
  if (over_ || started_) return;
  if (early_signal_ != 0) return fail(Error(ErrorKind::Unavailable, "ended before its start"));
  started_ = true;
  PartPlan plan = plan_part(world_.order, world_.facts, world_.sandbox, step_, start_,
                            {.mode = mpi_.mode, .name = meeting_}, environments);
  CHECK(plan.programs.size() == ranks_.size());
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    plan.programs[i].id = world_.next_program_id();
    ranks_[i].program = plan.programs[i].id;
    if (Result<void> made = make_streams(plan.programs[i], ranks_[i]); !made) {
      return fail(made.error());
    }
    if (!pmi_) continue;
    Result<Fd> line = pmi_->open(ranks_[i].task);
    if (!line) return fail(line.error());
    plan.programs[i].inherit_fd = line->get();
    pmi_rank_ends_.push_back(*std::move(line));
  }
  alive_ranks_ = ranks_.size();
  world_.count_programs(static_cast<int>(alive_ranks_));
  world_.runtime.start(std::move(plan.programs),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (!*alive) return;
                         if (!pmi_) return on_program_end(end);
                         // What the rank has said before is heard first: it lies in our sockets.
                         world_.loop.post([this, alive, end] {
                           if (*alive) on_program_end(end);
                         });
                       });
  descriptors_ = {};
  wire::FromPart message;
  for (const std::string& binding : plan.bindings) {
    message.mutable_started()->add_bindings(binding);
  }
  message.mutable_started();
  say_(std::move(message));
  watch_pipes();
  for (Rank& rank : ranks_) write_input(rank);
  for (const auto& [place, early] : std::exchange(early_exchange_, {})) on_exchange(place, early);
}

Result<void> StepPart::make_streams(containers::ProgramRequest& program, Rank& rank) {
  const wire::StepRun& run = start_.run();
  if (run.terminal() && rank.task == 0) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      return errno_error("make a socket pair", errno);
    }
    terminal_socket_ = Fd(pair[0]);
    program.terminal = std::make_shared<const Fd>(pair[1]);
    add_pipe(rank.task, 1, Fd());
    terminal_watch_ = world_.loop.watch_readable(terminal_socket_.get(),
                                                 [this] { on_terminal(terminal_socket_.get()); });
    return {};
  }
  if (descriptors_.in && !rank.input_ends) {
    program.in_fd = descriptors_.in;
    rank.input_ends = true;
  } else if (!rank.input_ends && program.stdin_path.empty()) {
    GANGWAY_ASSIGN(PipeEnds pipe, make_pipe_for(/*we_read=*/false));
    rank.input = std::move(pipe.ours);
    program.in_fd = std::move(pipe.theirs);
  }
  if (!program.out.path.empty()) {
    if (program.err || !run.out().empty()) return {};
  } else if (descriptors_.out) {
    program.out_fd = descriptors_.out;
  } else {
    GANGWAY_ASSIGN(PipeEnds pipe, make_pipe_for(/*we_read=*/true));
    add_pipe(rank.task, 1, std::move(pipe.ours));
    program.out_fd = std::move(pipe.theirs);
  }
  if (program.err) return {};
  if (descriptors_.err) {
    program.err_fd = descriptors_.err;
  } else {
    GANGWAY_ASSIGN(PipeEnds pipe, make_pipe_for(/*we_read=*/true));
    add_pipe(rank.task, 2, std::move(pipe.ours));
    program.err_fd = std::move(pipe.theirs);
  }
  return {};
}

// The terminal comes from the rank's first moments; without it, it has not come so far.
void StepPart::on_terminal(int socket) {
  Fd terminal = receive_descriptor(socket);
  world_.loop.unwatch(*std::exchange(terminal_watch_, std::nullopt));
  Pipe& pipe = *pipes_.front();
  if (!terminal) return end_pipe(pipe);
  const int flags = ::fcntl(terminal.get(), F_GETFL);
  ::fcntl(terminal.get(), F_SETFL, flags | O_NONBLOCK);
  terminal_ = terminal.get();
  pipe.fd = std::move(terminal);
  if (size_) resize(*size_);
  watch_pipes();
  if (!ranks_.empty()) write_input(ranks_.front());
}

void StepPart::fail(const Error& why) {
  if (over_) return;
  if (!error_) error_ = why;
  for (const Rank& rank : ranks_) {
    if (started_ && rank.alive && rank.program != 0 && alive_ranks_ > 0) {
      world_.runtime.signal(SIGKILL, rank.program);
    }
  }
  if (alive_ranks_ == 0) {
    for (const auto& pipe : pipes_) {
      if (pipe->fd) end_pipe(*pipe);
    }
    open_pipes_ = 0;
    settle();
  }
}

// ---- ends --------------------------------------------------------------------------------------

void StepPart::on_program_end(const containers::ProgramEnd& end) {
  if (pmix_program_ && end.id == *pmix_program_) {
    pmix_program_.reset();
    if (over_ || (started_ && alive_ranks_ == 0)) return;
    fail(Error(ErrorKind::Unavailable,
               cat("pmix server: ",
                   end.started ? describe(read_wait_status(end.wait_status)) : end.message)));
    return end_unheard();
  }
  for (Rank& rank : ranks_) {
    if (rank.program != end.id || !rank.alive) continue;
    if (must_be_asked(rank, end)) {
      unheard_.push_back(end);
      wire::ToPmix sync;
      sync.mutable_sync();
      pmix_->send(sync);
      return;
    }
    return end_rank(rank, end);
  }
}

// Whether it has connected, its server knows: it may have had no time to tell.
bool StepPart::must_be_asked(const Rank& rank, const containers::ProgramEnd& end) const {
  return pmix_ && pmix_program_ && is_alone(rank) && end.started && end.wait_status == 0 && !over_;
}

void StepPart::on_pmix_synced() {
  if (unheard_.empty()) return;
  const containers::ProgramEnd end = unheard_.front();
  unheard_.pop_front();
  for (Rank& rank : ranks_) {
    if (rank.program == end.id && rank.alive) return end_rank(rank, end);
  }
}

void StepPart::end_rank(Rank& rank, const containers::ProgramEnd& end) {
  rank.alive = false;
  --alive_ranks_;
  world_.count_programs(-1);
  usage_.set_cpu_ns(usage_.cpu_ns() + end.cpu.ns);
  usage_.set_peak_memory_bytes(std::max(usage_.peak_memory_bytes(), end.peak_memory.value));
  usage_.set_read_bytes(usage_.read_bytes() + end.read.value);
  usage_.set_written_bytes(usage_.written_bytes() + end.written.value);
  close_input(rank);
  say_ended(rank, end);
  note_input();
  if (alive_ranks_ == 0) arm_patience();
  settle();
}

bool StepPart::is_alone(const Rank& rank) const {
  return mpi_.mode != MpiMode::None && start_.tasks() > 1 && !rank.met &&
         rank.task < start_.tasks();  // not one spawned later
}

void StepPart::say_alone(std::uint32_t task) {
  wire::FromPart message;
  message.mutable_aborted()->set_rank(task);
  message.mutable_aborted()->set_status(kAloneCode);
  message.mutable_aborted()->set_reason(
      render_alone(task, world_.facts.node.value, start_.tasks(), mpi_));
  say_(std::move(message));
}

void StepPart::say_ended(const Rank& rank, const containers::ProgramEnd& end) {
  ProgramResult result = read_wait_status(end.wait_status);
  if (!end.started && result.is_success()) result = {.exit_code = 127, .signal = 0};
  wire::FromPart message;
  wire::TaskEnded& task = *message.mutable_task_ended();
  task.set_task(rank.task);
  task.set_exit_code(result.exit_code);
  task.set_signal(result.signal);
  task.set_started(end.started);
  task.set_message(end.message);
  say_(std::move(message));
  if (end.started && result.is_success() && is_alone(rank)) {
    if (!ended_alone_) ended_alone_ = rank.task;
    // Without knowing better, others that have connected are what tells that it should have.
    const auto met = [](const Rank& other) { return other.met; };
    if (mpi_.is_sure || std::any_of(ranks_.begin(), ranks_.end(), met)) say_alone(rank.task);
  }
  // Ranks that wait for a dead one wait for ever.
  if (!rank.in_mpi || (end.started && result.is_success())) return;
  wire::FromPart abort;
  abort.mutable_aborted()->set_rank(rank.task);
  abort.mutable_aborted()->set_status(result.shell_code());
  abort.mutable_aborted()->set_message("it ended within MPI");
  say_(std::move(abort));
}

void StepPart::settle() {
  if (over_ || alive_ranks_ > 0 || open_pipes_ > 0 || (!started_ && !error_)) return;
  over_ = true;
  if (pmix_) pmix_->close();
  if (pmi_) pmi_->close();
  pmi_rank_ends_.clear();
  pmix_server_end_.reset();
  if (patience_) world_.loop.cancel(*std::exchange(patience_, std::nullopt));
  wire::FromPart message;
  wire::PartEnded& ended = *message.mutable_ended();
  *ended.mutable_usage() = usage_;
  if (error_) {
    ended.set_error_kind(static_cast<std::uint32_t>(error_->kind()));
    ended.set_error(error_->message());
  }
  say_(std::move(message));
}

// ---- output ------------------------------------------------------------------------------------

void StepPart::add_pipe(std::uint32_t task, std::uint32_t stream, Fd fd) {
  auto pipe = std::make_unique<Pipe>();
  pipe->task = task;
  pipe->stream = stream;
  pipe->fd = std::move(fd);
  pipe->heard = world_.loop.now().boot;
  pipes_.push_back(std::move(pipe));
  ++open_pipes_;
}

// While the window is open all pipes are read; while it is shut, none.
void StepPart::watch_pipes() {
  for (std::size_t i = 0; i < pipes_.size(); ++i) {
    Pipe& pipe = *pipes_[i];
    if (!pipe.fd) continue;
    if (window_ > 0 && !pipe.watch) {
      pipe.watch = world_.loop.watch_readable(pipe.fd.get(), [this, i] { read_pipe(i); });
    } else if (window_ <= 0 && pipe.watch) {
      world_.loop.unwatch(*std::exchange(pipe.watch, std::nullopt));
    }
  }
}

void StepPart::read_pipe(std::size_t index) {
  Pipe& pipe = *pipes_[index];
  if (!pipe.fd || window_ <= 0) return;
  char buffer[kReadBytes];
  const std::size_t most = std::min(sizeof buffer, static_cast<std::size_t>(window_));
  const ssize_t got = ::read(pipe.fd.get(), buffer, most);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {  // a terminal says EIO when its last user is gone
    end_pipe(pipe);
    return settle();
  }
  pipe.heard = world_.loop.now().boot;
  window_ -= got;
  if (window_ <= 0) watch_pipes();
  wire::FromPart message;
  message.mutable_output()->set_task(pipe.task);
  message.mutable_output()->set_stream(pipe.stream);
  message.mutable_output()->set_data(buffer, static_cast<std::size_t>(got));
  say_(std::move(message));
}

void StepPart::end_pipe(Pipe& pipe) {
  if (pipe.watch) world_.loop.unwatch(*std::exchange(pipe.watch, std::nullopt));
  if (pipe.fd.get() == terminal_) terminal_ = -1;
  pipe.fd.reset();
  if (open_pipes_ > 0) --open_pipes_;
}

void StepPart::arm_patience() {
  if (over_ || patience_ || open_pipes_ == 0) return;
  patience_ = world_.loop.arm(world_.loop.now().boot + kPipePatience, [this] {
    patience_.reset();
    const BootTime now = world_.loop.now().boot;
    for (const auto& pipe : pipes_) {
      if (pipe->fd && window_ > 0 && now - pipe->heard >= kPipePatience) end_pipe(*pipe);
      if (!pipe->fd && terminal_watch_) {  // its terminal never came
        world_.loop.unwatch(*std::exchange(terminal_watch_, std::nullopt));
        end_pipe(*pipe);
      }
    }
    arm_patience();
    settle();
  });
}

// ---- from the origin ---------------------------------------------------------------------------

void StepPart::on(const wire::ToPart& message) {
  if (over_) return;
  if (message.has_input()) {
    take_input(message.input());
  } else if (message.has_consumed()) {
    const bool shut = window_ <= 0;
    // No more than at the start, whatever is said.
    window_ += static_cast<std::int64_t>(
        std::min<std::uint64_t>(message.consumed().bytes(), start_.window()));
    window_ = std::min<std::int64_t>(window_, start_.window());
    if (shut) watch_pipes();
  } else if (message.has_signal()) {
    signal(static_cast<int>(message.signal().number()));
  } else if (message.has_size()) {
    size_ = message.size();
    resize(message.size());
  }
}

void StepPart::signal(int number) {
  if (over_ || number <= 0 || number >= NSIG) return;
  if (!started_) {
    if (number != SIGTERM && number != SIGKILL && number != SIGINT) return;
    early_signal_ = number;
    return fail(Error(ErrorKind::Unavailable, "ended before its start"));
  }
  for (const Rank& rank : ranks_) {
    if (rank.alive) world_.runtime.signal(number, rank.program);
  }
}

void StepPart::resize(const wire::TerminalSize& size) {
  if (terminal_ < 0) return;
  winsize wanted{};
  wanted.ws_row = static_cast<unsigned short>(std::min(size.rows(), 65535U));
  wanted.ws_col = static_cast<unsigned short>(std::min(size.columns(), 65535U));
  ::ioctl(terminal_, TIOCSWINSZ, &wanted);  // the kernel sends WINCH to the foreground
}

// ---- input -------------------------------------------------------------------------------------

void StepPart::take_input(const wire::StepInput& input) {
  input_given_ += input.data().size();
  for (Rank& rank : ranks_) {
    if (!rank.alive || rank.input_ends) continue;
    rank.pending += input.data();
    if (input.end()) {
      if (start_.run().terminal()) {
        rank.pending += '\x04';  // as a person would end it
      } else {
        rank.input_ends = true;
      }
    }
    write_input(rank);
  }
  note_input();
}

void StepPart::write_input(Rank& rank) {
  const bool is_terminal = start_.run().terminal() && rank.task == 0;
  const int fd = is_terminal ? terminal_ : rank.input.get();
  if (fd < 0) return;
  while (!rank.pending.empty()) {
    const ssize_t written = ::write(fd, rank.pending.data(), rank.pending.size());
    if (written > 0) {
      rank.pending.erase(0, static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      if (!rank.writable) {
        rank.writable = world_.loop.watch_writable(fd, [this, it = &rank] { on_writable(*it); });
      }
      return;
    }
    rank.pending.clear();  // it does not want any
    rank.input_ends = true;
  }
  if (rank.writable) world_.loop.unwatch(*std::exchange(rank.writable, std::nullopt));
  if (rank.input_ends && !is_terminal) rank.input.reset();
}

void StepPart::on_writable(Rank& rank) {
  write_input(rank);
  note_input();
}

void StepPart::close_input(Rank& rank) {
  if (rank.writable) world_.loop.unwatch(*std::exchange(rank.writable, std::nullopt));
  rank.pending.clear();
  rank.input_ends = true;
  rank.input.reset();
}

// What every rank has taken may come again.
void StepPart::note_input() {
  if (over_) return;
  std::size_t waiting = 0;
  for (const Rank& rank : ranks_) waiting = std::max(waiting, rank.pending.size());
  const std::uint64_t taken = input_given_ - std::min<std::uint64_t>(input_given_, waiting);
  if (taken <= input_told_) return;
  wire::FromPart message;
  message.mutable_input_consumed()->set_bytes(taken - input_told_);
  input_told_ = taken;
  say_(std::move(message));
}

// ---- PMIx --------------------------------------------------------------------------------------

void StepPart::on_pmix_ready(wire::PmixReady ready) {
  pmix_server_end_.reset();
  std::vector<RankEnvironment> environments;
  for (const wire::RankEnv& rank : ready.ranks()) {
    environments.push_back({rank.rank(), {rank.env().begin(), rank.env().end()}});
  }
  start_ranks(environments);
}

void StepPart::on_pmix_exchange(wire::FromPmix message) {
  if (!over_) exchange(exchange_->on_pmix(message));
}

void StepPart::on_pmix_abort(wire::PmixAbort abort) {
  wire::FromPart message;
  message.mutable_aborted()->set_rank(abort.rank());
  message.mutable_aborted()->set_status(abort.status());
  say_(std::move(message));
}

void StepPart::on_pmix_rank_state(wire::PmixRankState state) {
  for (Rank& rank : ranks_) {
    if (rank.task != state.rank()) continue;
    if (state.connected()) rank.in_mpi = rank.met = true;
    if (state.finalized()) rank.in_mpi = false;
  }
  if (!state.connected()) return;
  pmi_rank_ends_.clear();  // all have been started: they have their own
  // This one waits for it for ever.
  if (ended_alone_ && !mpi_.is_sure) say_alone(*std::exchange(ended_alone_, std::nullopt));
}

void StepPart::on_pmix_closed(const Error& why) {
  if (over_ || (started_ && alive_ranks_ == 0)) return;
  fail(why.with_context("pmix server"));
  end_unheard();
}

// Nobody will say more of these; the server's end is the reason by now.
void StepPart::end_unheard() {
  for (const containers::ProgramEnd& end : std::exchange(unheard_, {})) {
    for (Rank& rank : ranks_) {
      if (rank.program == end.id && rank.alive) {
        rank.met = true;
        end_rank(rank, end);
      }
    }
  }
}

void StepPart::on_exchange(std::uint32_t from_place, const wire::Peer& message) {
  if (over_ || !exchange_) return;
  if (!started_) {
    if (early_exchange_.size() < kMaxEarlyExchange) {
      early_exchange_.emplace_back(from_place, message);
    }
    return;
  }
  exchange(exchange_->on_peer(from_place, message));
}

void StepPart::on_place_lost(std::uint32_t place) {
  if (!over_ && exchange_) exchange(exchange_->on_peer_lost(place));
}

void StepPart::exchange(ExchangeActions actions) {
  for (ExchangeAction& action : actions) {
    if (const auto* tell = std::get_if<exchange_action::TellPeer>(&action)) {
      tell_(tell->node_index, tell->message);
    } else if (const auto* answer = std::get_if<exchange_action::TellPmix>(&action)) {
      const wire::ToPmix& message = answer->message;
      if (pmi_ && message.has_fence_done() && message.fence_done().id() >= kFirstPmiFence) {
        pmi_->on_fence_done(message.fence_done());
      } else if (pmix_) {
        pmix_->send(message);
      }
    } else if (const auto* told = std::get_if<exchange_action::SignalRanks>(&action)) {
      for (const Rank& rank : ranks_) {
        const bool is_meant = told->all || std::find(told->ranks.begin(), told->ranks.end(),
                                                     rank.task) != told->ranks.end();
        if (is_meant && rank.alive) world_.runtime.signal(told->number, rank.program);
      }
    } else if (const auto* spawned = std::get_if<exchange_action::StartRanks>(&action)) {
      start_spawned(*spawned);
    }
  }
}

void StepPart::start_spawned(const exchange_action::StartRanks& spawned) {
  if (over_ || !started_ || error_) return;
  std::vector<containers::ProgramRequest> programs =
      plan_spawned_in_part(world_.order, world_.facts, world_.sandbox, step_, start_,
                           {.mode = mpi_.mode, .name = meeting_}, spawned);
  for (std::size_t i = 0; i < programs.size(); ++i) {
    Rank& rank = ranks_.emplace_back();
    rank.task = spawned.ranks[i].rank();
    rank.program = programs[i].id = world_.next_program_id();
    rank.input_ends = true;
    if (Result<void> made = make_streams(programs[i], rank); !made) {
      rank.alive = false;
      return fail(made.error());
    }
  }
  alive_ranks_ += programs.size();
  world_.count_programs(static_cast<int>(programs.size()));
  world_.runtime.start(std::move(programs),
                       [this, alive = alive_](const containers::ProgramEnd& end) {
                         if (*alive) on_program_end(end);
                       });
  watch_pipes();
}

}  // namespace gangway::executor
