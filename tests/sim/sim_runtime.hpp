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
  void paused(const std::string& node, const std::string& sandbox, bool on);
  void stopping(const std::string& node, const std::string& sandbox);  // told to end

  // Whether two sandboxes may have the same cores, if they do not run at the same time.
  std::function<bool(const std::string&, const std::string&)> may_take_turns =
      [](const std::string&, const std::string&) { return false; };

  struct Run {                       // of one sandbox name ("42.1")
    std::set<std::string> prepared;  // nodes with a sandbox up now
    std::set<std::string> ever_prepared;
    int programs = 0;  // alive now, on all nodes
    int started = 0;
    int ended_by_itself = 0;
  };
  [[nodiscard]] const std::map<std::string, Run>& runs() const { return runs_; }
  // Of a sandbox with programs on that node; nullopt: there are none.
  [[nodiscard]] std::optional<bool> stands_still(const std::string& node,
                                                 const std::string& sandbox) const;
  // Broken rules so far, in words; empty if all is well.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  void violate(const std::string& what);

 private:
  struct OnNode {  // a sandbox
    std::vector<int> cores;
    int programs = 0;
    bool paused = false;
    bool stopping = false;
    [[nodiscard]] bool runs() const { return programs > 0 && !paused && !stopping; }
  };
  void check_turns(const std::string& node, const std::string& sandbox);

  World& world_;
  std::map<std::string, Run> runs_;
  std::map<std::string, std::map<std::string, OnNode>> on_node_;  // node -> sandbox
  std::map<std::string, std::set<std::string>> alive_;  // job -> sandboxes with live programs
  std::vector<std::string> violations_;
};

struct RuntimeFaults {
  Duration prepare_min = milliseconds(2);
  Duration prepare_max = milliseconds(800);
  int prepare_fails_per_mille = 0;  // with a temporary error
  Duration cleanup_max = milliseconds(20);
  Duration pause_max = milliseconds(10);
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
  void pause(bool on, std::function<void(Result<void>)> done) override;
  [[nodiscard]] containers::SandboxUsage usage() const override { return {}; }
  void cleanup(std::function<void(containers::SandboxUsage)> done) override;

 private:
  struct Program {
    std::optional<io::TimerId> timer;  // none: runs until it is killed
    bool stubborn = false;
    bool counted = true;  // one of the job's, not of ours
    std::function<void(containers::ProgramEnd)> on_end;
    int wait_status = 0;  // of its own end
    BootTime ends_at;
    std::optional<Duration> left;  // while it stands still
    int pending_signal = 0;        // that comes through when it goes on
  };
  void set_paused(bool on);
  void run(std::uint32_t id, Duration time);
  void end(std::uint32_t id, int wait_status, bool by_itself);
  void down();

  Process& process_;
  Ledger& ledger_;
  std::string node_;
  const RuntimeFaults& faults_;
  std::string name_;
  bool up_ = false;
  bool paused_ = false;
  std::uint64_t pause_number_ = 0;
  std::optional<io::TimerId> preparing_;
  std::map<std::uint32_t, Program> programs_;
};

}  // namespace gangway::sim
