#include "tests/sim/sim_runtime.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::sim {

namespace {
// "42.1" and "42_7.1" -> 42.
// Elements of an array are jobs of their own here.
std::string job_of(const std::string& sandbox) { return sandbox.substr(0, sandbox.find('.')); }
}  // namespace

void Ledger::violate(const std::string& what) {
  world_.note(cat("VIOLATION ", what));
  violations_.push_back(cat("at ", world_.now().boot.ns / 1'000'000, " ms: ", what));
}

std::optional<bool> Ledger::stands_still(const std::string& node,
                                         const std::string& sandbox) const {
  const auto there = on_node_.find(node);
  if (there == on_node_.end()) return std::nullopt;
  const auto found = there->second.find(sandbox);
  if (found == there->second.end() || found->second.programs == 0) return std::nullopt;
  return found->second.paused;
}

void Ledger::sandbox_up(const std::string& node,
                        const std::string& sandbox,
                        const std::vector<int>& cores) {
  Run& run = runs_[sandbox];
  run.prepared.insert(node);
  run.ever_prepared.insert(node);
  for (const auto& [other, there] : on_node_[node]) {
    if (may_take_turns(other, sandbox)) continue;
    for (const int core : cores) {
      if (std::ranges::find(there.cores, core) == there.cores.end()) continue;
      violate(cat("core ", core, " of ", node, " given to ", sandbox, " while ", other, " has it"));
    }
  }
  on_node_[node][sandbox].cores = cores;
}

void Ledger::paused(const std::string& node, const std::string& sandbox, bool on) {
  on_node_[node][sandbox].paused = on;
  world_.note(cat(sandbox, on ? " stands still on " : " goes on on ", node));
  check_turns(node, sandbox);
}

void Ledger::stopping(const std::string& node, const std::string& sandbox) {
  on_node_[node][sandbox].stopping = true;
}

// Two that have a core in common never run at the same time, unless one is on its way out.
void Ledger::check_turns(const std::string& node, const std::string& sandbox) {
  const auto& all = on_node_[node];
  const auto self = all.find(sandbox);
  if (self == all.end() || !self->second.runs()) return;
  for (const auto& [other, there] : all) {
    if (other == sandbox || !there.runs()) continue;
    for (const int core : self->second.cores) {
      if (std::ranges::find(there.cores, core) == there.cores.end()) continue;
      violate(cat(sandbox, " and ", other, " run at once on core ", core, " of ", node));
      return;
    }
  }
}

void Ledger::sandbox_down(const std::string& node, const std::string& sandbox) {
  runs_[sandbox].prepared.erase(node);
  on_node_[node].erase(sandbox);
}

void Ledger::program_started(const std::string& node, const std::string& sandbox) {
  Run& run = runs_[sandbox];
  if (!run.prepared.contains(node)) violate(cat(sandbox, " starts on unprepared ", node));
  ++run.programs;
  ++run.started;
  auto& alive = alive_[job_of(sandbox)];
  alive.insert(sandbox);
  if (alive.size() > 1)
    violate(cat("two attempts of a job run: ", *alive.begin(), " and ", sandbox));
  ++on_node_[node][sandbox].programs;
  check_turns(node, sandbox);
  world_.note(cat("program of ", sandbox, " starts on ", node));
}

void Ledger::program_ended(const std::string& node, const std::string& sandbox, bool by_itself) {
  Run& run = runs_[sandbox];
  --on_node_[node][sandbox].programs;
  if (--run.programs == 0) alive_[job_of(sandbox)].erase(sandbox);
  if (by_itself) ++run.ended_by_itself;
  world_.note(cat("program of ", sandbox, " ends on ", node, by_itself ? "" : " killed"));
}

SimRuntime::SimRuntime(Process& shepherd,
                       Ledger& ledger,
                       std::string node,
                       const RuntimeFaults& faults)
    : process_(shepherd), ledger_(ledger), node_(std::move(node)), faults_(faults) {}

SimRuntime::~SimRuntime() { down(); }

void SimRuntime::down() {
  for (const auto& [id, program] : programs_) {
    if (program.timer) process_.cancel(*program.timer);
    if (program.counted) ledger_.program_ended(node_, name_, false);
  }
  programs_.clear();
  if (up_) ledger_.sandbox_down(node_, name_);
  up_ = false;
}

void SimRuntime::prepare(containers::SandboxRequest request,
                         std::function<void(Result<containers::SandboxReady>)> done) {
  name_ = request.name;
  Rng& rng = process_.world().rng();
  const Duration takes{rng.between(faults_.prepare_min.ns, faults_.prepare_max.ns)};
  const bool fails = rng.chance(faults_.prepare_fails_per_mille);
  preparing_ = process_.arm(process_.now().boot + takes, [this, fails, cores = request.limits.cores,
                                                          done = std::move(done)] {
    preparing_.reset();
    if (fails) {
      done(Error{ErrorKind::Exhausted, "unpack: no space left (simulated)"});
      return;
    }
    up_ = true;
    ledger_.sandbox_up(node_, name_, cores);
    done(containers::SandboxReady{});
  });
}

void SimRuntime::start(std::vector<containers::ProgramRequest> programs,
                       std::function<void(containers::ProgramEnd)> on_end) {
  CHECK(up_);
  for (const auto& request : programs) {
    if (request.host_files) {  // the PMIx server: leaves when it is told to, see sim_pmix.hpp
      programs_[request.id] = {.counted = false, .on_end = on_end};
      continue;
    }
    if (request.only_inspect) {  // finds nothing
      programs_[request.id] = {.counted = false, .on_end = on_end};
      end(request.id, 0, true);
      continue;
    }
    Duration time = seconds(1);
    int wait_status = 0;
    bool stubborn = false;
    for (const std::string& word : request.argv) {
      if (word.starts_with("run=")) {
        const auto parsed = parse_time_limit(std::string_view(word).substr(4));
        CHECK(parsed.has_value());
        time = *parsed;
      } else if (word.starts_with("exit=")) {
        wait_status = parse_integer<int>(std::string_view(word).substr(5)).value_or(1) << 8;
      } else if (word.starts_with("signal=")) {
        wait_status = parse_integer<int>(std::string_view(word).substr(7)).value_or(9);
      } else if (word == "stubborn") {
        stubborn = true;
      }
    }
    ledger_.program_started(node_, name_);
    Program program{.timer = std::nullopt, .stubborn = stubborn, .on_end = on_end};
    program.wait_status = wait_status;
    programs_[request.id] = std::move(program);
    if (paused_) {
      programs_[request.id].left = time;
    } else {
      run(request.id, time);
    }
  }
}

void SimRuntime::run(std::uint32_t id, Duration time) {
  Program& program = programs_.at(id);
  program.left.reset();
  program.ends_at = process_.now().boot + time;
  program.timer = process_.arm(program.ends_at,
                               [this, id, status = program.wait_status] { end(id, status, true); });
}

void SimRuntime::pause(bool on, std::function<void(Result<void>)> done) {
  const std::uint64_t number = ++pause_number_;
  const Duration takes{process_.world().rng().between(0, faults_.pause_max.ns)};
  // Until it is done nobody may count on it: it begins at the latest moment and ends at the first.
  if (!on) set_paused(false);
  process_.arm(process_.now().boot + takes, [this, on, number, done = std::move(done)] {
    if (number != pause_number_ || !up_) return;
    if (on) set_paused(true);
    done({});
  });
}

void SimRuntime::set_paused(bool on) {
  if (paused_ == on || !up_) return;
  paused_ = on;
  ledger_.paused(node_, name_, on);
  std::vector<std::uint32_t> hit;
  for (auto& [id, program] : programs_) {
    if (on && program.timer) {
      process_.cancel(*std::exchange(program.timer, std::nullopt));
      program.left = program.ends_at - process_.now().boot;
    } else if (!on && program.pending_signal != 0) {
      hit.push_back(id);
    } else if (!on && program.left) {
      run(id, *program.left);
    }
  }
  for (const std::uint32_t id : hit) end(id, programs_.at(id).pending_signal, false);
}

void SimRuntime::end(std::uint32_t id, int wait_status, bool by_itself) {
  const auto found = programs_.find(id);
  if (found == programs_.end()) return;
  if (found->second.timer) process_.cancel(*found->second.timer);
  const auto on_end = std::move(found->second.on_end);
  const bool counted = found->second.counted;
  programs_.erase(found);
  if (counted) ledger_.program_ended(node_, name_, by_itself);
  process_.post([=] {
    on_end(containers::ProgramEnd{
        .id = id, .started = true, .wait_status = wait_status, .message = {}});
  });
}

void SimRuntime::signal(int signal_number, std::optional<std::uint32_t> id) {
  if (signal_number == SIGTERM || signal_number == SIGKILL) ledger_.stopping(node_, name_);
  std::vector<std::uint32_t> hit;
  for (auto& [program_id, program] : programs_) {
    if (id && *id != program_id) continue;
    if (!id && !program.counted && signal_number != SIGKILL) continue;
    if (signal_number == SIGKILL || (signal_number == SIGTERM && !program.stubborn)) {
      if (paused_ && signal_number != SIGKILL) {
        program.pending_signal = signal_number;
      } else {
        hit.push_back(program_id);
      }
    }
  }
  for (const std::uint32_t program_id : hit) end(program_id, signal_number, false);
}

void SimRuntime::signal_others(int signal_number, std::uint32_t id) {
  std::vector<std::uint32_t> others;
  for (const auto& [program_id, program] : programs_) {
    if (program_id != id && program.counted) others.push_back(program_id);
  }
  for (const std::uint32_t other : others) signal(signal_number, other);
}

void SimRuntime::cleanup(std::function<void(containers::SandboxUsage)> done) {
  if (preparing_) process_.cancel(*preparing_);
  preparing_.reset();
  std::vector<std::uint32_t> left;
  for (const auto& [id, program] : programs_) left.push_back(id);
  for (const std::uint32_t id : left) end(id, SIGKILL, false);
  const Duration takes{process_.world().rng().between(0, faults_.cleanup_max.ns)};
  process_.arm(process_.now().boot + takes, [this, done = std::move(done)] {
    down();
    done(containers::SandboxUsage{});
  });
}

}  // namespace gangway::sim
