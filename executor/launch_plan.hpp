// LaunchPlan: from an order and what is known of the node and the user to what the container
// runtime is asked for: the sandbox, the programs, their environment, files and cores. Pure and
// printable.
//
// Environment, later wins:
//   1. with an image: the image's own, then the job's less what describes the host's file system
//      (PATH, LD_LIBRARY_PATH, TMPDIR and the like, is_bound_to_host()), as pyxis and Sarus do it;
//      without an image: the job's
//   2. where nothing is set: HOME, USER, LOGNAME, SHELL, PATH, TMPDIR; for Open MPI its settings
//   3. ours: HOSTNAME, PWD, JOB_*, and the SLURM_* that public scripts read; of given devices what
//      their specification says, and for GPUs CUDA_VISIBLE_DEVICES and its kin, which count what
//      the job can see (from 0)
//   4. per rank, what its PMIx server asks for
// What an outer job left in the environment (its ranks, its array index) is dropped first.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/runtime.hpp"
#include "executor/binding.hpp"
#include "executor/environment.hpp"
#include "executor/step_machine.hpp"
#include "queues/base/result.hpp"
#include "queues/model/job_usage.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

// What a job must be shown to use one of the node's devices.
struct DeviceEdits {
  std::vector<containers::DeviceNode> nodes;
  std::vector<containers::BindMount> mounts;
  std::vector<std::string> env;  // "NAME=value"
};

// What of the node, the user and the submission the plan needs beside the order.
struct LaunchFacts {
  NodeName node;
  std::string sandbox_directory;  // for the runtime's own use
  containers::UserIdentity user;
  std::optional<Membership> membership;
  std::vector<int> usable_cores;  // logical cores that this machine really has; empty: unknown
  bool shared_machine = false;    // other executors use its cores as well: no pinning, ranks yield
  bool fast_network = false;      // has a fabric that Open MPI finds better than TCP
  std::string tcp_networks;       // "10.77.0.0/24": what Open MPI's TCP may use
  std::string tcp_devices;        // "eth0": this node's interfaces in these networks
  std::string pmix_server;        // path of jpmixd
  Topology topology;              // empty: unknown
  std::string step_tool;          // path of jrun, to be found in sandboxes; empty: there is none
  containers::SharedFd step_socket;  // where jrun inside will reach us; none: no steps
  std::map<std::string, std::vector<DeviceEdits>> devices{};  // by kind, in order of their numbers
  std::string secret;  // of this attempt; known to its shepherds alone
};

// Errors: Corrupt, naming the field.
[[nodiscard]] Result<StepOrder> read_order(const wire::Prepare& m);
// Of the node: what stands behind the numbers of its devices.
[[nodiscard]] std::map<std::string, std::vector<DeviceEdits>> read_devices(
    const wire::ShepherdStart& start);
[[nodiscard]] containers::UserIdentity read_user(const wire::ShepherdStart& start);

// The directory that each program starts in, and the name of the script in it and in the sandbox.
inline constexpr std::string_view kScriptName = "job_script";
// A node's name for each of its tasks, one a line: what mpirun, mpiexec and PBS scripts read.
inline constexpr std::string_view kNodeFileName = "nodes";
// jrun by the name under which it takes the words of rsh and ssh.
inline constexpr std::string_view kRemoteShellName = "jrsh";
inline constexpr std::uint32_t kScriptId = 0;  // a script's program id in the sandbox
// Program ids in the sandbox that are no task's.
inline constexpr std::uint32_t kPmixServerId = 0xfffffffe;
inline constexpr std::uint32_t kUsageWriterId = 0xfffffffd;
inline constexpr std::uint32_t kInspectionId = 0xfffffffc;

[[nodiscard]] containers::SandboxRequest plan_sandbox(const StepOrder& order,
                                                      const LaunchFacts& facts);

// This node's programs: the script, or each of its tasks (program id: the task's place on this
// node).
[[nodiscard]] std::vector<containers::ProgramRequest> plan_programs(
    const StepOrder& order,
    const LaunchFacts& facts,
    const containers::SandboxReady& sandbox,
    const std::vector<RankEnvironment>& ranks);

// ---- parts of it that steps use too ------------------------------------------------------------

// What programs of this node find, apart from what is of one rank.
[[nodiscard]] Environment plan_environment(const StepOrder& order,
                                           const LaunchFacts& facts,
                                           const containers::SandboxReady& sandbox);
// Whether kNodeFileName is in the sandbox.
[[nodiscard]] bool has_host_file(const StepOrder& order);
// What each task runs: the script, or the command behind the image's entry point.
[[nodiscard]] std::vector<std::string> plan_argv(const StepOrder& order,
                                                 const containers::SandboxReady& sandbox);
// What stands before a command in the image; empty without one.
[[nodiscard]] std::vector<std::string> plan_entrypoint(const StepOrder& order,
                                                       const containers::SandboxReady& sandbox);
// Where programs start.
[[nodiscard]] std::string plan_directory(const StepOrder& order,
                                         const containers::SandboxReady& sandbox);
// "2(x3),1": counts of consecutive nodes, as Slurm prints them.
[[nodiscard]] std::string render_counts(const std::vector<std::int64_t>& counts);

// The file that a task's output (stream 1) or errors (2) go to, as the host sees it.
[[nodiscard]] std::string plan_output_path(const StepOrder& order,
                                           const LaunchFacts& facts,
                                           std::int32_t task,
                                           int stream);

inline constexpr std::string_view kStepSocketName = "steps";

// For people and golden tests.
[[nodiscard]] std::string render(const containers::SandboxRequest& sandbox);
[[nodiscard]] std::string render(const containers::ProgramRequest& program);

// "gangway: n01 used 3.1 GB of 64 GB, 1.9 of 4 cores, for 0:10:00", of what this node was given.
[[nodiscard]] std::string render_used(const StepOrder& order,
                                      const LaunchFacts& facts,
                                      const UsedAmounts& used);

// The variable has been left by a job around the submission: true of that job and not of this one.
[[nodiscard]] bool is_of_an_outer_job(std::string_view name);

// The variable describes the file system or the session it was set in: with an image it is dropped.
[[nodiscard]] bool is_bound_to_host(std::string_view name);

}  // namespace gangway::executor
