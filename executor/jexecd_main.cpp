// jexecd: the executor of one node. Wiring only.
//
// SIGTERM and SIGINT end jexecd and nothing else: its shepherds and their jobs go on, and are taken
// over by the next jexecd on the same spool.
//
// Exit codes: 0 told to end; 64 usage; 69 the spool is in use, names cannot be resolved or the
// launcher is gone; 70 internal; 71 the kernel refuses something needed; 78 configuration.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "containers/cgroup.hpp"
#include "executor/agent_daemon.hpp"
#include "executor/inventory.hpp"
#include "executor/launcher.hpp"
#include "executor/process_host.hpp"
#include "executor/socket_ports.hpp"
#include "executor/spool.hpp"
#include "executor/topology.hpp"
#include "queues/base/find_program.hpp"
#include "queues/base/log.hpp"
#include "queues/base/process.hpp"
#include "queues/base/text.hpp"
#include "queues/config/cdi.hpp"
#include "queues/config/cluster_key.hpp"
#include "queues/config/config.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/endpoint.hpp"
#include "queues/io/resolve.hpp"
#include "queues/io/socket_transport.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/devices.hpp"

namespace gangway::executor {
namespace {

constexpr int kUnavailable = 69;
constexpr int kInternal = 70;
constexpr int kOsError = 71;
constexpr int kConfiguration = 78;

struct Options {
  std::string config;
  std::string node;
  std::string spool;
  std::string scheduler;
  std::string address;
  std::vector<std::string> features;
  bool verbose = false;
};

struct Failure {
  int code = kInternal;
  Error why;
};

int fail(int code, const Error& why) {
  std::fprintf(stderr, "jexecd: %s\n", why.message().c_str());
  return code;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  const std::string whole = name;
  return whole.substr(0, whole.find('.'));
}

// A kind without an amount has as many as are listed; more than are listed could not be shown.
Result<void> count_devices(config::ExecutorConfig& executor) {
  for (const auto& [kind, devices] : executor.devices) {
    Resources named;
    for (const auto& [name, amount] : executor.named) named.set_named(name, amount);
    add_kinds(named);
    const auto count = static_cast<std::int64_t>(devices.size());
    if (named.amount_of(kind) == 0) executor.named.emplace_back(kind, count);
    if (named.amount_of(kind) > count) {
      return Error(ErrorKind::Invalid, cat("devices: ", kind, ": ", count,
                                           " are listed, resources say ", named.amount_of(kind)));
    }
  }
  return {};
}

// The file, then what the command line says instead.
Result<config::Config> read_config(const Options& options) {
  config::Config config;
  if (!options.config.empty()) {
    GANGWAY_ASSIGN(config, config::load_config(options.config));
  } else if (const std::string path(config::kDefaultConfigPath);
             ::access(path.c_str(), R_OK) == 0) {
    GANGWAY_ASSIGN(config, config::load_config(path));
  }
  if (!options.spool.empty()) config.executor.spool = options.spool;
  if (!options.scheduler.empty()) config.executor.scheduler = options.scheduler;
  if (!options.address.empty()) config.executor.address = options.address;
  config.executor = config::executor_of(config, NodeName(options.node));
  for (const std::string& feature : options.features) {
    if (!is_feature_name(feature)) {
      return Error(ErrorKind::Invalid, cat("--feature ", feature, ": is no name of a feature"));
    }
    config.executor.features.push_back(feature);
  }
  GANGWAY_TRY(count_devices(config.executor));
  config.executor.features = sorted_features(std::move(config.executor.features));
  if (config.executor.features.size() > kMaxFeaturesOfNode) {
    return Error(ErrorKind::Invalid, cat("a node has at most ", kMaxFeaturesOfNode, " features"));
  }
  if (config.executor.images.empty()) config.executor.images = config.executor.spool + "/images";
  if (config.executor.spool.empty() || config.executor.spool.front() != '/') {
    return Error(ErrorKind::Invalid,
                 cat("--spool ", config.executor.spool, ": an absolute path is needed"));
  }
  return config;
}

void put_devices(const config::DeviceTable& table, wire::ShepherdStart& start) {
  for (const auto& [kind, devices] : table) {
    wire::NodeDevices* const out = start.add_devices();
    out->set_name(kind);
    for (const config::CdiEdits& edits : devices) {
      wire::DeviceEdits* const one = out->add_devices();
      for (const config::CdiNode& node : edits.nodes) {
        wire::Bind* const bind = one->add_nodes();
        bind->set_source(node.host_path);
        bind->set_destination(node.container_path);
      }
      for (const config::CdiMount& mount : edits.mounts) {
        wire::Bind* const bind = one->add_mounts();
        bind->set_source(mount.host_path);
        bind->set_destination(mount.container_path);
        bind->set_read_only(mount.read_only);
      }
      for (const std::string& variable : edits.env) one->add_env(variable);
      for (const std::string& what : edits.left_out) {
        log_warning("device_used_without", {{"kind", kind}, {"what", what}});
      }
    }
  }
}

wire::ShepherdStart node_part(const config::Config& config,
                              const Spool& spool,
                              const std::string& node,
                              const std::string& address) {
  wire::ShepherdStart start;
  start.set_node(node);
  start.set_address(address);
  start.set_agent_socket(spool.agent_socket());
  start.set_images(config.executor.images);
  start.set_image_quota(config.executor.image_quota.value_or(Bytes{}).value);
  start.set_image_unused_ns(config.executor.image_lifetime.value_or(Duration{}).ns);
  start.set_scratch(config.executor.scratch);
  start.set_cgroup(config.executor.cgroup);
  for (const Waiver waiver : config.executor.waivers) {
    start.add_waivers(std::string(to_string(waiver)));
  }
  start.set_tcp_networks(config.mpi.tcp_networks);
  start.set_shared_machine(config.executor.shared_machine);
  // Without it ranks are bound to processors as if each were a core.
  if (const Result<Topology> topology = read_topology()) {
    for (const Pu& pu : *topology) {
      wire::Pu* const one = start.add_topology();
      one->set_os(pu.os);
      one->set_core(pu.core);
      one->set_socket(pu.socket);
      one->set_numa(pu.numa);
    }
  } else {
    log_warning("topology_unknown", {{"why", topology.error().message()}});
  }
  return start;
}

// The scheduler as numbers. A name that cannot be resolved yet (the network is coming up) is tried
// again by whoever starts us again.
Result<std::string> numeric_address(const config::Config& config, const std::string& scheduler) {
  if (config.executor.address.empty()) return find_own_address(scheduler);
  GANGWAY_ASSIGN(const std::string endpoint,
                 io::resolve_endpoint(make_endpoint(config.executor.address, 1)));
  GANGWAY_ASSIGN(const io::Endpoint parsed, io::parse_endpoint(endpoint));
  return parsed.address;
}

int run(const Options& options, LauncherProcess launcher) {
  const Result<config::Config> config = read_config(options);
  if (!config) return fail(kConfiguration, config.error());
  const Result<config::DeviceTable> devices =
      config::resolve_devices(config->executor.devices, config->executor.cdi);
  if (!devices) return fail(kConfiguration, devices.error());
  const Result<std::string> key = config::read_cluster_key(config->key_file);
  if (!key) return fail(kConfiguration, key.error());
  const Result<std::string> scheduler = io::resolve_endpoint(config->executor.scheduler);
  if (!scheduler) {
    // A name service that is not up yet is no mistake in the file: try again later.
    return fail(scheduler.error().kind() == ErrorKind::Unavailable ? kUnavailable : kConfiguration,
                scheduler.error());
  }
  const Result<std::string> address = numeric_address(*config, *scheduler);
  if (!address) return fail(kConfiguration, address.error());
  const Result<std::string> shepherd = find_program("jshepherd");
  if (!shepherd) return fail(kConfiguration, shepherd.error());
  const Result<std::string> boot_id = read_boot_id();
  if (!boot_id) return fail(kOsError, boot_id.error());
  const Result<MachineFacts> machine = read_machine();
  if (!machine) return fail(kOsError, machine.error());
  Result<Spool> spool = Spool::open(config->executor.spool);
  if (!spool) {
    return fail(spool.error().kind() == ErrorKind::Conflict ? kUnavailable : kConfiguration,
                spool.error());
  }
  const Result<std::uint64_t> epoch = spool->read_epoch();
  if (!epoch) return fail(kOsError, epoch.error());

  AgentConfig agent;
  agent.node = NodeName(options.node);
  agent.capacity = plan_capacity(*machine, config->executor.cores, config->executor.memory,
                                 config->executor.named);
  agent.features = config->executor.features;
  agent.boot_id = *boot_id;
  agent.address = *address;
  agent.version = GANGWAY_VERSION;
  agent.allow_root_jobs = config->allow_root_jobs;
  if (::geteuid() != 0) agent.only_uid = ::geteuid();

  io::AsioLoop loop;
  std::optional<Failure> failure;
  const auto end_with = [&](int code, const Error& why) {
    if (!failure) failure = Failure{code, why};
    loop.stop();
  };
  loop.watch_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.watch_signal(SIGINT, [&loop] { loop.stop(); });
  io::Greeting greeting;
  greeting.program = "jexecd";
  greeting.cluster = config->cluster;
  const auto clean_leftovers = [layout = containers::read_cgroup_layout(),
                                parent = config->executor.cgroup](const std::string& name) {
    const Result<void> removed = containers::Cgroup::find(layout, parent, name).remove();
    if (!removed) log_warning("cgroup_remove_failed", {{"why", removed.error().message()}});
  };
  wire::ShepherdStart start_of_all = node_part(*config, *spool, agent.node.value, *address);
  put_devices(*devices, start_of_all);
  ProcessHost host(loop, *spool,
                   {.shepherd_program = *shepherd,
                    .boot_id = *boot_id,
                    .node = start_of_all,
                    .clean_leftovers = clean_leftovers},
                   std::move(launcher.socket),
                   [&](const Error& why) { end_with(kUnavailable, why); });
  const std::vector<RecoveredAttempt> recovered = host.recover();
  io::SocketTransport transport(loop, greeting, static_cast<std::uint64_t>(::getpid()));
  SocketAgentPorts ports(transport, *scheduler, agent.node, *key);
  AgentDaemon daemon({.loop = loop,
                      .transport = transport,
                      .ports = ports,
                      .host = host,
                      .on_fatal = [&](const Error& why) { end_with(kOsError, why); }},
                     agent, recovered, *epoch, ::geteuid());
  io::ListenOptions listen;
  listen.handler = &daemon.shepherds();
  listen.socket_mode = 0600;
  const auto listening = transport.listen(spool->agent_socket(), listen);
  if (!listening) return fail(kConfiguration, listening.error());
  log_info("executor_ready", {{"node", agent.node.value},
                              {"capacity", to_string(agent.capacity)},
                              {"features", join(agent.features, ",")},
                              {"address", *address},
                              {"scheduler", *scheduler},
                              {"spool", spool->root()}});
  daemon.start();
  loop.run();
  if (failure) return fail(failure->code, failure->why);
  log_info("executor_ends", {{"attempts_left_running", cat(daemon.agent().held_attempts())}});
  return 0;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Runs jobs on this node, as the scheduler orders.", "jexecd");
  app.set_version_flag("-V,--version", "jexecd " GANGWAY_VERSION);
  app.add_option(
      "--config", options.config,
      cat("configuration file (default: ", config::kDefaultConfigPath, " if it is there)"));
  app.add_option("--node", options.node, "this node's name (default: the host's short name)");
  app.add_option("--spool", options.spool, "directory for the attempts on this node");
  app.add_option("--scheduler", options.scheduler, "where jschedd listens, host:port");
  app.add_option("--address", options.address, "where the other nodes reach this one");
  app.add_option("--feature", options.features, "what jobs can ask for by --constraint, also again")
      ->allow_extra_args(false);
  app.add_flag("--verbose", options.verbose, "log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 64;
  }
  if (options.node.empty()) options.node = host_name();
  set_log("jexecd", options.verbose ? LogLevel::Debug : LogLevel::Info);
  // First of all, while this process is small and has one thread.
  Result<LauncherProcess> launcher = fork_launcher(&find_user, Spares::Keep);
  if (!launcher) return fail(kOsError, launcher.error());
  const pid_t launcher_pid = launcher->pid;
  const int code = run(options, *std::move(launcher));
  // It ends with our end of its socket.
  ::waitpid(launcher_pid, nullptr, 0);
  return code;
}

}  // namespace
}  // namespace gangway::executor

int main(int argc, char** argv) {
  using namespace gangway;
  try {
    return executor::run(argc, argv);
  } catch (const std::exception& e) {
    return executor::fail(executor::kInternal, Error(ErrorKind::Internal, e.what()));
  }
}
