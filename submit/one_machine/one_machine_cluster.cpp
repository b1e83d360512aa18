#include "submit/one_machine/one_machine_cluster.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <thread>

#include "containers/kernel_probe.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/find_program.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/system_program.hpp"
#include "queues/base/text.hpp"
#include "queues/config/config.hpp"
#include "queues/model/node.hpp"
#include "submit/client.hpp"
#include "submit/one_machine/cluster_config.hpp"
#include "submit/one_machine/command.hpp"
#include "submit/one_machine/daemon_start.hpp"
#include "submit/one_machine/files.hpp"
#include "submit/one_machine/leftovers.hpp"
#include "submit/one_machine/node_network.hpp"
#include "submit/one_machine/own_directory.hpp"
#include "submit/one_machine/process_table.hpp"

namespace gangway::one_machine {
namespace {

constexpr int kDefaultNodes = 4;
constexpr Duration kDaemonGrace = seconds(3);
constexpr Duration kShepherdGrace = seconds(5);
constexpr Duration kStartLimit = seconds(30);
constexpr Duration kPoll = milliseconds(10);

bool is_root() { return ::geteuid() == 0; }

void pause(Duration d) { std::this_thread::sleep_for(std::chrono::nanoseconds(d.ns)); }

BootTime boot_now() { return SystemClock().now().boot; }

std::vector<NodeName> read_nodes(const ClusterLayout& layout) {
  std::vector<NodeName> nodes;
  const auto text = read_small_file(layout.nodes_file());
  if (!text) return nodes;
  for (const auto line : split(*text, '\n')) {
    const std::string name(trim(line));
    // Directories are called so: nothing that leads elsewhere.
    if (!name.empty() && name.front() != '.' && name.find('/') == std::string::npos) {
      nodes.emplace_back(name);
    }
  }
  return nodes;
}

std::optional<ProcessId> find_daemon(const ClusterLayout& layout, const std::string& daemon) {
  auto process = read_record(layout.record_file(daemon));
  return process && is_alive(*process) ? process : std::nullopt;
}

std::vector<ProcessId> find_daemons(const ClusterLayout& layout,
                                    const std::vector<NodeName>& nodes) {
  std::vector<ProcessId> found;
  for (const char* const name : {kSchedulerName, kBalancerName}) {
    if (const auto process = find_daemon(layout, name)) found.push_back(*process);
  }
  for (const auto& node : nodes) {
    if (const auto process = find_daemon(layout, node.value)) found.push_back(*process);
  }
  return found;
}

Result<Machine> look_at_machine() {
  Machine machine;
  machine.own_networks = is_root();
  machine.has_haproxy = !find_system_program("haproxy").empty();
  machine.cores = std::max(1U, std::thread::hardware_concurrency());
  struct sysinfo memory {};
  if (::sysinfo(&memory) != 0) return errno_error("ask for the machine's memory", errno);
  machine.memory = Bytes{static_cast<std::int64_t>(memory.totalram * memory.mem_unit)};
  if (const passwd* user = ::getpwuid(::geteuid())) {
    machine.user = user->pw_name;
  } else {
    machine.user = std::to_string(::geteuid());
  }
  if (machine.own_networks) return machine;

  const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!probe || ::bind(probe.get(), generic, size) != 0 ||
      ::getsockname(probe.get(), generic, &size) != 0) {
    return errno_error("find a free port on 127.0.0.1", errno);
  }
  machine.free_port = ntohs(address.sin_port);
  return machine;
}

Result<void> write_key(const ClusterLayout& layout) {
  if (::access(layout.key_file().c_str(), F_OK) == 0) return {};
  return replace_file(layout.key_file(), to_hex(random_bytes(32)) + "\n", 0600, Durability::OnDisk);
}

// The configuration that is there, or the defaults.
Result<config::Config> earlier_config(const ClusterLayout& layout) {
  if (::access(layout.config_file().c_str(), F_OK) == 0) {
    return config::load_config(layout.config_file());
  }
  return config::parse_config("").config;
}

Result<void> write_configuration(const ClusterLayout& layout,
                                 const NetworkPlan& network,
                                 const Machine& machine,
                                 const ClusterWishes& wishes,
                                 const std::vector<containers::ProbeRow>& kernel) {
  GANGWAY_ASSIGN(config::Config before, earlier_config(layout));
  const auto whole = cluster_config(std::move(before), layout, network, machine, wishes, kernel);
  GANGWAY_TRY(
      replace_file(layout.config_file(), config::render_config(whole), 0644, Durability::OnDisk));
  GANGWAY_TRY(make_directory(layout.scheduler_spool(), 0700));
  std::string names;
  for (const auto& node : network.nodes) {
    names += node.node.value + "\n";
    GANGWAY_TRY(make_directory(layout.node_directory(node.node), 0755));
    GANGWAY_TRY(replace_file(layout.node_config(node.node),
                             config::render_config(node_config(whole, layout, node, machine)), 0644,
                             Durability::OnDisk));
  }
  GANGWAY_TRY(replace_file(layout.nodes_file(), names, 0644, Durability::OnDisk));
  return write_key(layout);
}

Result<void> start_scheduler(const ClusterLayout& layout, const NetworkPlan& network) {
  GANGWAY_ASSIGN(const std::string program, find_program("jschedd"));
  const auto started =
      start_daemon({.argv = {program, "--config", layout.config_file()},
                    .log_file = layout.log_file(kSchedulerName),
                    .record_file = layout.record_file(kSchedulerName),
                    .network_namespace = is_root() ? namespace_path(network.switch_namespace) : "",
                    .host_name = ""});
  if (!started) return started.error().with_context("scheduler");
  return {};
}

Result<void> start_balancer(const ClusterLayout& layout, const NetworkPlan& network) {
  GANGWAY_ASSIGN(const std::string program, find_program("jbalancerd"));
  const auto started =
      start_daemon({.argv = {program, "--config", layout.config_file()},
                    .log_file = layout.log_file(kBalancerName),
                    .record_file = layout.record_file(kBalancerName),
                    .network_namespace = is_root() ? namespace_path(network.switch_namespace) : "",
                    .host_name = ""});
  if (!started) return started.error().with_context("balancer");
  return {};
}

bool wants_balancer(const ClusterLayout& layout) {
  const auto config = config::load_config(layout.config_file());
  return config && config->balancer.enabled;
}

Result<void> start_node(const ClusterLayout& layout, const NodeAddress& node) {
  GANGWAY_ASSIGN(const std::string program, find_program("jexecd"));
  const auto started = start_daemon(
      {.argv = {program, "--config", layout.node_config(node.node), "--node", node.node.value},
       .log_file = layout.log_file(node.node.value),
       .record_file = layout.record_file(node.node.value),
       .network_namespace = is_root() ? namespace_path(node.network_namespace) : "",
       .host_name = is_root() ? node.node.value : ""});
  if (!started) return started.error().with_context(cat("node ", node.node.value));
  return {};
}

std::string last_line(const std::string& path) {
  constexpr std::size_t kMaxLogBytes = std::size_t{1} << 30;
  const auto text = read_small_file(path, kMaxLogBytes);
  if (!text) return {};
  const auto lines = split(trim(*text), '\n');
  return lines.empty() ? std::string() : std::string(lines.back());
}

// Asks the scheduler until `enough` says so. Fails when a daemon ends or the time is up.
Result<void> wait_until(const ClusterLayout& layout,
                        const std::vector<std::string>& daemons,
                        const std::function<bool(const wire::Pong&)>& enough,
                        const std::string& what) {
  const BootTime until = boot_now() + kStartLimit;
  submit::Client client("gangway", layout.socket());
  wire::Request ping;
  ping.mutable_ping();
  std::string last_answer = "no answer yet";
  while (true) {
    const auto response = client.call(ping, seconds(5));
    if (response && response->has_pong()) {
      if (enough(response->pong())) return {};
      last_answer = cat(response->pong().nodes_reached(), " nodes have registered");
    } else if (!response) {
      last_answer = response.error().message();
    }
    for (const auto& daemon : daemons) {
      if (find_daemon(layout, daemon)) continue;
      return Error(ErrorKind::Unavailable, cat(daemon, " ended; its log ", layout.log_file(daemon),
                                               " ends: ", last_line(layout.log_file(daemon))));
    }
    if (boot_now() > until) {
      return Error(ErrorKind::Unavailable,
                   cat("wait for ", what, ": ", last_answer, "; see ", layout.log_directory()));
    }
    pause(kPoll);
  }
}

// Starts what of the cluster does not run; returns the names.
Result<std::vector<std::string>> start_missing(const ClusterLayout& layout,
                                               const NetworkPlan& network) {
  std::vector<std::string> started;
  std::vector<std::string> daemons{kSchedulerName};
  if (!find_daemon(layout, kSchedulerName)) {
    GANGWAY_TRY(start_scheduler(layout, network));
    started.emplace_back(kSchedulerName);
  }
  // An executor that finds nobody waits before it tries again; so the scheduler comes first.
  GANGWAY_TRY(wait_until(
      layout, daemons, [](const wire::Pong&) { return true; }, "the scheduler"));
  if (wants_balancer(layout)) {
    daemons.emplace_back(kBalancerName);
    if (!find_daemon(layout, kBalancerName)) {
      GANGWAY_TRY(start_balancer(layout, network));
      started.emplace_back(kBalancerName);
    }
  }
  for (const auto& node : network.nodes) {
    daemons.push_back(node.node.value);
    if (find_daemon(layout, node.node.value)) continue;
    GANGWAY_TRY(start_node(layout, node));
    started.push_back(node.node.value);
  }
  const auto count = network.nodes.size();
  GANGWAY_TRY(wait_until(
      layout, daemons, [&](const wire::Pong& pong) { return pong.nodes_reached() >= count; },
      cat(count, " nodes")));
  return started;
}

// Processes, networks, mounts and groups; the directory stays.
Result<void> stop_everything(const ClusterLayout& layout, const std::vector<NodeName>& nodes) {
  auto known = find_daemons(layout, nodes);
  const auto haproxies = find_haproxies(layout);
  known.insert(known.end(), haproxies.begin(), haproxies.end());
  const auto shepherds = find_shepherds(layout, nodes);
  // Whatever hangs below them is noted now: a child of a process that has ended is nobody's.
  const auto members = find_members(layout, [&] {
    auto all = known;
    for (const auto& shepherd : shepherds) all.push_back(shepherd.process);
    return all;
  }());
  terminate(std::move(known), kDaemonGrace);
  stop_shepherds(shepherds, kShepherdGrace);
  std::vector<ProcessId> left = terminate(members, Duration{});
  constexpr int kRounds = 20;  // a program may fork faster than one look at /proc
  for (int round = 0; round < kRounds; ++round) {
    left = find_members(layout, left);
    if (left.empty()) break;
    left = terminate(std::move(left), Duration{});
  }
  if (!left.empty()) {
    return Error(ErrorKind::Internal, cat("process ", left[0].pid, " cannot be killed"));
  }
  GANGWAY_TRY(remove_control_groups(layout.name));
  GANGWAY_TRY(remove_network(layout));
  GANGWAY_TRY(remove_mounts(layout, nodes));
  ::unlink(layout.socket().c_str());
  return remove_tree(layout.run_directory());
}

// Only what we made: a mistyped --dir must not cost anybody their files.
Result<void> purge(const ClusterLayout& layout, const std::vector<NodeName>& nodes) {
  for (const auto& node : nodes) GANGWAY_TRY(remove_tree(layout.node_directory(node)));
  for (const auto& path :
       {layout.scheduler_spool(), layout.balancer_spool(), layout.log_directory(),
        layout.run_directory(), layout.config_file(), layout.key_file(), layout.socket(),
        layout.nodes_file(), layout.lock_file()}) {
    GANGWAY_TRY(remove_tree(path));
  }
  if (::rmdir(layout.directory.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY) {
    return errno_error(cat("remove ", layout.directory), errno);
  }
  return {};
}

Result<UpReport> start_fresh(const ClusterLayout& layout,
                             const NetworkPlan& network,
                             const ClusterWishes& wishes,
                             const Say& say) {
  GANGWAY_ASSIGN(const Machine machine, look_at_machine());
  const auto kernel = containers::render_rows(containers::probe_kernel());
  UpReport report;
  report.own_networks = machine.own_networks;
  report.waivers = needed_waivers(kernel);
  report.nodes = static_cast<int>(network.nodes.size());
  GANGWAY_TRY(write_configuration(layout, network, machine, wishes, kernel));
  if (machine.own_networks) {
    say("making the nodes' networks");
    GANGWAY_TRY(make_network(layout, network));
  }
  say("starting the scheduler and the executors");
  const auto started = start_missing(layout, network);
  if (!started) {
    std::vector<NodeName> nodes;
    for (const auto& node : network.nodes) nodes.push_back(node.node);
    if (const auto stopped = stop_everything(layout, nodes); !stopped) {
      say(cat("cleaning up failed as well: ", stopped.error().message()));
    }
    return started.error();
  }
  return report;
}

std::vector<std::string> find_warnings(const ClusterLayout& layout) {
  std::vector<std::string> warnings;
  if (is_root()) {
    if (const auto closed = find_closed_directory(layout.socket()); !closed.empty()) {
      warnings.push_back(
          cat(closed, " is closed to other users: they cannot reach ", layout.socket()));
    }
  }
  return warnings;
}

}  // namespace

bool ClusterStatus::whole() const {
  return scheduler_alive && scheduler_answers && balancer_alive.value_or(true) &&
         std::ranges::all_of(nodes,
                             [](const NodeStatus& n) { return n.process_alive && n.reached; });
}

bool ClusterStatus::nothing() const {
  return !scheduler_alive &&
         std::ranges::none_of(nodes, [](const NodeStatus& n) { return n.process_alive; });
}

Result<UpReport> bring_up(const ClusterLayout& layout,
                          const ClusterWishes& wishes,
                          const Say& say) {
  GANGWAY_TRY(require_own(layout));
  GANGWAY_TRY(make_directory(layout.directory, 0755));
  // Somebody may have made it first.
  GANGWAY_TRY(require_unchangeable_by_others(layout.directory));
  GANGWAY_ASSIGN(const Fd lock, lock_file(layout.lock_file()));
  GANGWAY_TRY(make_directory(layout.log_directory(), 0755));
  GANGWAY_TRY(make_directory(layout.run_directory(), 0755));

  const auto present = read_nodes(layout);
  const auto present_plan = plan_network(layout, present);
  const auto alive = find_daemons(layout, present).size();
  const bool can_go_on = !present.empty() && (!is_root() || network_exists(present_plan));
  if (can_go_on && (alive > 0 || !find_shepherds(layout, present).empty())) {
    GANGWAY_ASSIGN(auto restarted, start_missing(layout, present_plan));
    const bool was_running = restarted.empty();
    UpReport report{.was_running = was_running,
                    .restarted = std::move(restarted),
                    .own_networks = is_root(),
                    .waivers = {},
                    .warnings = find_warnings(layout),
                    .nodes = static_cast<int>(present.size())};
    if (wishes.nodes && *wishes.nodes != report.nodes) {
      report.warnings.push_back(
          cat("it has ", report.nodes, " nodes; to change that: gangway down, then gangway up"));
    }
    return report;
  }

  GANGWAY_TRY_CONTEXT(stop_everything(layout, present), "clean up what an earlier cluster left");
  GANGWAY_TRY(make_directory(layout.run_directory(), 0755));
  const int earlier = present.empty() ? kDefaultNodes : static_cast<int>(present.size());
  const auto network = plan_network(layout, node_names(wishes.nodes.value_or(earlier)));
  GANGWAY_ASSIGN(UpReport report, start_fresh(layout, network, wishes, say));
  report.warnings = find_warnings(layout);
  return report;
}

Result<DownReport> take_down(const ClusterLayout& layout, bool purge_too) {
  GANGWAY_TRY(require_own(layout));
  DownReport report;
  std::optional<Fd> lock;
  if (::access(layout.directory.c_str(), F_OK) == 0) {
    GANGWAY_ASSIGN(lock, lock_file(layout.lock_file()));
  }
  const auto nodes = read_nodes(layout);
  report.was_running =
      !find_daemons(layout, nodes).empty() || !find_shepherds(layout, nodes).empty();
  GANGWAY_TRY(stop_everything(layout, nodes));
  if (purge_too) GANGWAY_TRY(purge(layout, nodes));
  return report;
}

ClusterStatus look_at(const ClusterLayout& layout) {
  ClusterStatus status;
  status.scheduler_alive = find_daemon(layout, kSchedulerName).has_value();
  if (wants_balancer(layout)) {
    status.balancer_alive = find_daemon(layout, kBalancerName).has_value();
  }
  for (const auto& node : read_nodes(layout)) {
    status.nodes.push_back({.node = node,
                            .process_alive = find_daemon(layout, node.value).has_value(),
                            .reached = false,
                            .note = {}});
  }
  submit::Client client("gangway", layout.socket());
  wire::Request ask;
  ask.mutable_ping();
  const auto pong = client.call(ask, seconds(5));
  if (!pong || !pong->has_pong()) return status;
  status.scheduler_answers = true;
  status.version = pong->pong().version();

  ask.mutable_list_nodes();
  if (const auto answer = client.call(ask, seconds(5)); answer && answer->has_nodes()) {
    for (const auto& view : answer->nodes().nodes()) {
      const auto found =
          std::ranges::find(status.nodes, NodeName(view.state().name()), &NodeStatus::node);
      if (found == status.nodes.end()) continue;
      found->reached = view.state().contact() == static_cast<std::uint32_t>(Contact::Reached);
      if (view.state().drain()) found->note = cat("drained: ", view.state().drain_reason());
    }
  }
  ask.mutable_list_jobs();
  if (const auto answer = client.call(ask, seconds(5)); answer && answer->has_jobs()) {
    for (const auto& job : answer->jobs().jobs()) {
      ++(job.state().phase() == 0 ? status.waiting : status.running);
    }
  }
  return status;
}

}  // namespace gangway::one_machine
