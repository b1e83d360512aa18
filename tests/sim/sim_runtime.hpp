// Sandboxes and programs that take virtual time, and the ledger of what really runs.
//
// A program's behaviour is its argv: {"sim", "run=5s", "exit=3", "signal=9", "stubborn"}; stubborn
// ignores TERM. Everything dies with the shepherd's process, as the kernel sees to in the real one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "containers/runtime.hpp"
#include "queues/base/strong_id.hpp"
#include "tests/sim/sim_world.hpp"

namespace gangway::sim {

// What is true on the nodes, whatever anybody believes.
class Ledger {
 public:
  explicit Ledger(World& world) : world_(world) {}

  void sandbox_up(const std::string& node,
                  const std::string& sandbox,
                  const std::vector<int>& cores);
  void sandbox_down(const std::string& node, const std::string& sandbox);
  void program_started(const std::string& node, const std::string& sandbox);
  void program_ended(const std::string& node, const std::string& sandbox, bool by_itself);

  struct Run {                       // of one sandbox name ("42.1")
    std::set<std::string> prepared;  // nodes with a sandbox up now
    std::set<std::string> ever_prepared;
    int programs = 0;  // alive now, on all nodes
    int started = 0;
    int ended_by_itself = 0;
  };
  [[nodiscard]] const std::map<std::string, Run>& runs() const { return runs_; }
  // Broken rules so far, in words; empty if all is well.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  void violate(const std::string& what);

 private:
  World& world_;
  std::map<std::string, Run> runs_;
  std::map<std::string, std::map<int, std::string>> cores_;  // node -> core -> sandbox
  std::map<std::uint64_t, std::set<std::string>> alive_;     // job -> sandboxes with live programs
  std::vector<std::string> violations_;
};

struct RuntimeFaults {
  Duration prepare_min = milliseconds(2);
  Duration prepare_max = milliseconds(800);
  int prepare_fails_per_mille = 0;  // with a temporary error
  Duration cleanup_max = milliseconds(20);
};

class SimRuntime final : public containers::ContainerRuntime {
 public:
  SimRuntime(Process& shepherd, Ledger& ledger, std::string node, const RuntimeFaults& faults);
  ~SimRuntime() override;

  void prepare(containers::SandboxRequest request,
               std::function<void(Result<containers::SandboxReady>)> done) override;
  void start(std::vector<containers::ProgramRequest> programs,
             std::function<void(containers::ProgramEnd)> on_end) override;
  void signal(int signal_number, std::optional<std::uint32_t> id) override;
  void signal_others(int signal_number, std::uint32_t id) override;
  [[nodiscard]] containers::SandboxUsage usage() const override { return {}; }
  void cleanup(std::function<void(containers::SandboxUsage)> done) override;

 private:
  struct Program {
    std::optional<io::TimerId> timer;  // none: runs until it is killed
    bool stubborn = false;
    bool counted = true;  // one of the job's, not of ours
    std::function<void(containers::ProgramEnd)> on_end;
  };
  void end(std::uint32_t id, int wait_status, bool by_itself);
  void down();

  Process& process_;
  Ledger& ledger_;
  std::string node_;
  const RuntimeFaults& faults_;
  std::string name_;
  bool up_ = false;
  std::optional<io::TimerId> preparing_;
  std::map<std::uint32_t, Program> programs_;
};

}  // namespace gangway::sim
