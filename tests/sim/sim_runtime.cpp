#include "tests/sim/sim_runtime.hpp"

#include <csignal>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::sim {

namespace {
// "42.1" and "42_7.1" -> 42.
std::uint64_t job_of(const std::string& sandbox) {
  return parse_integer<std::uint64_t>(sandbox.substr(0, sandbox.find_first_of("._"))).value_or(0);
}
}  // namespace

void Ledger::violate(const std::string& what) {
  world_.note(cat("VIOLATION ", what));
  violations_.push_back(cat("at ", world_.now().boot.ns / 1'000'000, " ms: ", what));
}

void Ledger::sandbox_up(const std::string& node,
                        const std::string& sandbox,
                        const std::vector<int>& cores) {
  Run& run = runs_[sandbox];
  run.prepared.insert(node);
  run.ever_prepared.insert(node);
  for (const int core : cores) {
    const auto [at, fresh] = cores_[node].try_emplace(core, sandbox);
    if (!fresh) {
      violate(cat("core ", core, " of ", node, " given to ", sandbox, " while ", at->second,
                  " has it"));
    }
  }
}

void Ledger::sandbox_down(const std::string& node, const std::string& sandbox) {
  runs_[sandbox].prepared.erase(node);
  std::erase_if(cores_[node], [&](const auto& entry) { return entry.second == sandbox; });
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
  world_.note(cat("program of ", sandbox, " starts on ", node));
}

void Ledger::program_ended(const std::string& node, const std::string& sandbox, bool by_itself) {
  Run& run = runs_[sandbox];
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
      programs_[request.id] = {std::nullopt, false, false, on_end};
      continue;
    }
    Duration run = seconds(1);
    int wait_status = 0;
    bool stubborn = false;
    for (const std::string& word : request.argv) {
      if (word.starts_with("run=")) {
        const auto parsed = parse_time_limit(std::string_view(word).substr(4));
        CHECK(parsed.has_value());
        run = *parsed;
      } else if (word.starts_with("exit=")) {
        wait_status = parse_integer<int>(std::string_view(word).substr(5)).value_or(1) << 8;
      } else if (word.starts_with("signal=")) {
        wait_status = parse_integer<int>(std::string_view(word).substr(7)).value_or(9);
      } else if (word == "stubborn") {
        stubborn = true;
      }
    }
    ledger_.program_started(node_, name_);
    const std::uint32_t id = request.id;
    const io::TimerId timer = process_.arm(process_.now().boot + run,
                                           [this, id, wait_status] { end(id, wait_status, true); });
    programs_[id] = {timer, stubborn, true, on_end};
  }
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
  std::vector<std::uint32_t> hit;
  for (const auto& [program_id, program] : programs_) {
    if (id && *id != program_id) continue;
    if (!id && !program.counted && signal_number != SIGKILL) continue;
    if (signal_number == SIGKILL || (signal_number == SIGTERM && !program.stubborn)) {
      hit.push_back(program_id);
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
