// jshepherd: the process that owns one attempt of a job on one node. Wiring only.
//
//   jshepherd <attempt directory>            as jexecd's launcher starts it
//   jshepherd --spare <room>                 the same, ahead of time (spare_shepherd.hpp)
//   jshepherd --dry-run <attempt directory>  prints what it would ask the container runtime
//                                            for, and the operations that set the sandbox up
//
// Exit codes: 0 the attempt is over and released; 64 usage; 65 the order cannot be read; 70
// internal.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "containers/sandbox_plan.hpp"
#include "containers/sandbox_runtime.hpp"
#include "executor/inventory.hpp"
#include "executor/launch_plan.hpp"
#include "executor/loop_reactor.hpp"
#include "executor/network_devices.hpp"
#include "executor/shepherd.hpp"
#include "executor/socket_ports.hpp"
#include "executor/spare_shepherd.hpp"
#include "executor/spool.hpp"
#include "queues/base/find_program.hpp"
#include "queues/base/log.hpp"
#include "queues/base/process.hpp"
#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/socket_transport.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {
namespace {

constexpr int kUsage = 64;
constexpr int kBadData = 65;
constexpr int kInternal = 70;

// Nothing of whoever started us goes on into the sandbox, and nobody looks into a root process.
void make_own_process() {
  ::close_range(3, ~0U, 0);
  ::setsid();  // fails if we lead a session already, which is as good
  ::umask(077);
  // Open descriptors 0 to 2: files opened later must not take their places.
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) ::_exit(kInternal);
  }
  ::signal(SIGPIPE, SIG_IGN);
  // An ordinary user's shepherd must stay dumpable: its files in /proc, which it writes its child's
  // user map through, would belong to root otherwise.
  if (::geteuid() == 0) ::prctl(PR_SET_DUMPABLE, 0);
}

// The job should go before the one who can report its end. Needs a right that not every root has.
void protect_from_memory_pressure() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  constexpr std::string_view kProtected = "-500\n";
  if (::write(fd, kProtected.data(), kProtected.size()) < 0) {
    log_debug("oom_protection_missing", {{"why", std::strerror(errno)}});
  }
  ::close(fd);
}

Result<void> note_process(const AttemptDirectory& directory) {
  wire::AttemptRecord record;
  GANGWAY_ASSIGN(const std::string boot_id, read_boot_id());
  record.set_boot_id(boot_id);
  record.set_shepherd_pid(::getpid());
  const auto start_time = find_start_time(::getpid());
  if (!start_time) return Error(ErrorKind::Unsupported, "read /proc/self/stat");
  record.set_shepherd_start_time(*start_time);
  return directory.write_shepherd(record);
}

Result<LaunchFacts> gather_facts(const wire::ShepherdStart& start,
                                 const AttemptDirectory& directory) {
  LaunchFacts facts;
  facts.node = NodeName(start.node());
  facts.sandbox_directory = directory.sandbox();
  facts.user = read_user(start);
  if (start.order().has_membership() && start.order().membership().workflow() != 0) {
    facts.membership = Membership{WorkflowId{start.order().membership().workflow()},
                                  start.order().membership().member()};
  }
  GANGWAY_ASSIGN(const MachineFacts machine, read_machine());
  facts.usable_cores = machine.cores;
  facts.fast_network = machine.fast_network;
  facts.shared_machine = start.shared_machine();
  facts.tcp_networks = start.tcp_networks();
  facts.tcp_devices = find_network_devices(start.tcp_networks());
  facts.devices = read_devices(start);
  // Missing, it is the launch of an MPI job that fails, with the reason.
  facts.pmix_server = find_program("jpmixd").value_or("jpmixd");
  for (const wire::Pu& pu : start.topology()) {
    facts.topology.push_back({pu.os(), pu.core(), pu.socket(), pu.numa()});
  }
  // Without it jobs run; only jrun is not found in them.
  facts.step_tool = find_program("jrun").value_or("");
  facts.step_socket =
      std::make_shared<const Fd>(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!*facts.step_socket) return errno_error("make a socket", errno);
  facts.secret = start.order().secret();
  return facts;
}

containers::SandboxSettings sandbox_settings(const wire::ShepherdStart& start) {
  containers::SandboxSettings settings;
  settings.image_helper = find_program("jimage-unpack").value_or("jimage-unpack");
  settings.image_store = start.images();
  if (start.image_quota() > 0) settings.image_bounds.quota = Bytes{start.image_quota()};
  if (start.image_unused_ns() > 0) {
    settings.image_bounds.unused_for = Duration{start.image_unused_ns()};
  }
  if (!start.cgroup().empty()) settings.cgroup_parent = start.cgroup();
  for (const std::string& name : start.waivers()) {
    if (const auto waiver = parse_waiver(name)) settings.waivers.insert(*waiver);
  }
  return settings;
}

int fail(int code, const Error& why) {
  log_error("shepherd_failed", {{"why", why.message()}});
  return code;
}

// What is asked for, the operations that set it up, and the programs.
int dry_run(const StepOrder& order,
            const LaunchFacts& facts,
            const containers::SandboxSettings& settings) {
  containers::SandboxReady sandbox;
  sandbox.files_directory = "<files>";
  const containers::SandboxRequest request = plan_sandbox(order, facts);
  std::string out = render(request);
  containers::NodeFacts node;
  node.tree_path = "<the image's tree>";
  node.check_access = true;
  node.devices = settings.devices;
  node.waivers = settings.waivers;
  const Result<containers::SandboxPlan> plan = containers::make_sandbox_plan(request, node);
  if (!plan) return fail(kBadData, plan.error());
  out += cat("\n", containers::render_plan(*plan));
  for (const auto& program : plan_programs(order, facts, sandbox, {})) {
    out += cat("\n", render(program));
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

int run(const std::string& path, bool only_print) {
  AttemptDirectory directory(path);
  const Result<wire::AttemptRecord> record = directory.read_order();
  if (!record) return fail(kBadData, record.error());
  const wire::ShepherdStart& start = record->start();
  const Result<StepOrder> order = read_order(start.order());
  if (!order) return fail(kBadData, order.error());
  const Result<LaunchFacts> facts = gather_facts(start, directory);
  if (!facts) return fail(kInternal, facts.error());
  if (only_print) return dry_run(*order, *facts, sandbox_settings(start));

  if (const Result<void> noted = note_process(directory); !noted) {
    return fail(kInternal, noted.error());
  }
  protect_from_memory_pressure();

  io::AsioLoop loop;
  io::Greeting greeting;
  greeting.program = "jshepherd";
  io::SocketTransport transport(loop, greeting, static_cast<std::uint64_t>(::getpid()));
  SocketShepherdPorts ports(transport, {.agent_socket = start.agent_socket(),
                                        .node = NodeName(start.node()),
                                        .address = start.address(),
                                        .secret = start.order().secret()});
  LoopReactor reactor(loop);
  containers::SandboxRuntime runtime(reactor, sandbox_settings(start));
  Shepherd shepherd(
      {.loop = loop,
       .transport = transport,
       .ports = ports,
       .runtime = runtime,
       .records = directory,
       .make_pmix_link = [&loop](PmixHandler& handler) { return make_pmix_link(loop, handler); },
       .leave = [&loop] { loop.stop(); }},
      *order, *facts, BootTime{start.lease_until_boot_ns()}, ::getpid());
  const auto told_to_end = [&shepherd] {
    Outcome outcome;
    outcome.kind = OutcomeKind::NodeFailed;
    outcome.detail = "the job's shepherd was told to end by a signal";
    shepherd.stop(outcome);
  };
  loop.watch_signal(SIGTERM, told_to_end);
  loop.watch_signal(SIGINT, told_to_end);
  shepherd.start();
  loop.run();
  return 0;
}

}  // namespace
}  // namespace gangway::executor

int main(int argc, char** argv) {
  using namespace gangway;
  set_log("jshepherd", LogLevel::Info);
  const bool is_spare = argc == 3 && std::string_view(argv[1]) == executor::kSpareWord;
  const bool only_print = argc == 3 && std::string_view(argv[1]) == "--dry-run";
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("jshepherd " GANGWAY_VERSION);
    return 0;
  }
  if (argc != 2 && !only_print && !is_spare) {
    std::fputs("usage: jshepherd [--dry-run] <attempt directory>\n", stderr);
    return executor::kUsage;
  }
  try {
    if (!only_print) executor::make_own_process();
    if (is_spare) {
      const std::optional<std::string> directory = executor::wait_for_attempt(argc, argv);
      return directory ? executor::run(*directory, false) : 0;
    }
    return executor::run(argv[argc - 1], only_print);
  } catch (const std::exception& e) {
    log_error("shepherd_failed", {{"why", e.what()}});
    return executor::kInternal;
  }
}
