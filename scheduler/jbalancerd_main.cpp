// jbalancerd: keeps HAProxy in front of the cluster's services. Wiring only.
//
// SIGTERM and SIGINT end jbalancerd and nothing else: HAProxy goes on with what it has, and the
// next jbalancerd on the same spool takes it over.
//
// Exit codes: 0 told to end; 64 usage; 69 another jbalancerd works on this spool, or there is no
// haproxy; 70 internal; 73 the spool cannot be made; 78 configuration.
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/log.hpp"
#include "queues/base/spool_lock.hpp"
#include "queues/base/system_program.hpp"
#include "queues/base/text.hpp"
#include "queues/config/config.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/socket_transport.hpp"
#include "scheduler/balancer/balancer.hpp"
#include "scheduler/balancer/haproxy.hpp"
#include "scheduler/balancer/scheduler_link.hpp"

namespace gangway::balancer {
namespace {

constexpr int kUnavailable = 69;
constexpr int kInternal = 70;
constexpr int kCannotCreate = 73;
constexpr int kConfiguration = 78;

int fail(int code, const Error& why) {
  std::fprintf(stderr, "jbalancerd: %s\n", why.message().c_str());
  return code;
}

int serve(const std::string& config_path) {
  const Result<config::Config> config = config::load_config(config_path);
  if (!config) return fail(kConfiguration, config.error());
  const std::string program = find_system_program("haproxy");
  if (program.empty()) {
    return fail(kUnavailable,
                Error(ErrorKind::Unsupported, "there is no haproxy; install the package haproxy"));
  }
  const Result<Fd> lock = lock_spool(config->balancer.spool, "jbalancerd");
  if (!lock) {
    return fail(lock.error().kind() == ErrorKind::Conflict ? kUnavailable : kCannotCreate,
                lock.error());
  }
  // Debian's package makes this user, who may do nothing.
  Haproxy haproxy(program, config->balancer.spool);
  HaproxySettings for_file{.user = "", .idle_socket = haproxy.idle_socket()};
  if (::geteuid() == 0 && ::getpwnam("haproxy") != nullptr) for_file.user = "haproxy";

  io::AsioLoop loop;
  loop.watch_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.watch_signal(SIGINT, [&loop] { loop.stop(); });
  io::Greeting greeting;
  greeting.program = "jbalancerd";
  greeting.cluster = config->cluster;
  io::SocketTransport transport(loop, greeting, static_cast<std::uint64_t>(::getpid()));
  Balancer* balancing = nullptr;
  SchedulerLink link(transport, [&](std::uint64_t version, std::vector<Route> routes) {
    balancing->set_routes(version, std::move(routes));
  });
  Balancer balancer(loop, haproxy, config->balancer, for_file,
                    [&link](std::uint64_t version, const std::vector<std::uint64_t>& drained) {
                      link.confirm(version, drained);
                    });
  balancing = &balancer;
  balancer.start();
  io::ConnectOptions options;
  options.handler = &link;
  options.ping_on_unix = true;
  options.max_backoff = seconds(1);
  const auto connecting = transport.connect(config->scheduler.socket, options);
  if (!connecting) return fail(kConfiguration, connecting.error());
  log_info("balancer_ready", {{"spool", config->balancer.spool}, {"haproxy", program}});
  loop.run();
  log_info("balancer_ends", {});
  return 0;
}

int run(int argc, char** argv) {
  std::string config_path(config::kDefaultConfigPath);
  bool verbose = false;
  CLI::App app("Keeps HAProxy in front of the cluster's services.", "jbalancerd");
  app.set_version_flag("-V,--version", "jbalancerd " GANGWAY_VERSION);
  app.add_option("--config", config_path, "configuration file")->capture_default_str();
  app.add_flag("--verbose", verbose, "log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 64;
  }
  set_log("jbalancerd", verbose ? LogLevel::Debug : LogLevel::Info);
  return serve(config_path);
}

}  // namespace
}  // namespace gangway::balancer

int main(int argc, char** argv) {
  using namespace gangway;
  try {
    return balancer::run(argc, argv);
  } catch (const std::exception& e) {
    return balancer::fail(balancer::kInternal, Error(ErrorKind::Internal, e.what()));
  }
}
