// jschedd: the scheduler of a cluster. Wiring only.
//
// SIGTERM and SIGINT end jschedd and nothing else: jobs go on, waiting ones wait in the store, and
// the next jschedd on the same spool goes on with both.
//
// `jschedd --check-store` only reads the store and says whether its log and its rows agree.
//
// Exit codes: 0 told to end; 64 usage; 65 the store is damaged; 66 there is no store to check;
// 69 another jschedd works on this spool, or has taken it over; 70 internal; 73 the store cannot be
// opened; 74 the store cannot be written any more; 78 configuration.
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "queues/base/digest.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/huge_pages.hpp"
#include "queues/base/log.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/spool_lock.hpp"
#include "queues/base/text.hpp"
#include "queues/config/cluster_key.hpp"
#include "queues/config/config.hpp"
#include "queues/io/asio_loop.hpp"
#include "queues/io/resolve.hpp"
#include "queues/io/socket_transport.hpp"
#include "scheduler/controller.hpp"
#include "scheduler/daemon.hpp"
#include "scheduler/durable_store.hpp"
#include "scheduler/mailer.hpp"

namespace gangway::scheduler {
namespace {

constexpr int kBadData = 65;
constexpr int kNoInput = 66;
constexpr int kUnavailable = 69;
constexpr int kInternal = 70;
constexpr int kCannotCreate = 73;
constexpr int kNoRoom = 74;
constexpr int kConfiguration = 78;

int fail(int code, const Error& why) {
  std::fprintf(stderr, "jschedd: %s\n", why.message().c_str());
  return code;
}

int fail_without_store(const Error& why) {
  return fail(why.kind() == ErrorKind::Corrupt ? kBadData : kCannotCreate, why);
}

// Names of users, from this host's database. Remembered, because asking may take a network's time
// and every submission asks.
class HostUsers final : public UserDirectory {
 public:
  [[nodiscard]] std::string name_of(std::uint32_t uid) const override {
    if (const auto known = names_.find(uid); known != names_.end()) return known->second;
    const passwd* user = ::getpwuid(uid);
    // Not remembered: a name service that is away for a moment must not rename anybody for good.
    if (user == nullptr) return std::to_string(uid);
    std::string name = user->pw_name;
    // A bound for a host with very many users; it costs some questions again.
    constexpr std::size_t kMaxNames = 100'000;
    if (names_.size() >= kMaxNames) names_.clear();
    names_.emplace(uid, name);
    return name;
  }

 private:
  mutable std::map<std::uint32_t, std::string> names_;
};

std::string store_path(const config::Config& config) {
  return config.scheduler.spool + "/jobs.sqlite";
}

// A file of the spool remembers the longest lease by which an attempt may be held: if it is made
// shorter in the configuration, nobody is given up before the longer one is over.
class LeaseFile {
 public:
  explicit LeaseFile(const std::string& spool) : path_(spool + "/lease") {}
  // Nothing, or nothing that can be read, there: `otherwise`.
  [[nodiscard]] Duration read(Duration otherwise) const {
    const Result<std::string> text = read_small_file(path_, 64);
    if (!text) return otherwise;
    const auto ns = parse_integer<std::int64_t>(trim(*text));
    return ns && *ns >= 0 && *ns <= kMaxDuration.ns ? Duration{*ns} : otherwise;
  }
  [[nodiscard]] Result<void> write(Duration lease) const {
    return replace_file(path_, cat(lease.ns, '\n'), 0600, Durability::OnDisk);
  }

 private:
  std::string path_;
};

// Tells a service manager that asked (systemd's Type=notify) that people may connect now. By hand,
// because it is one datagram and libsystemd is none of our needs.
void notify_ready() {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr std::string_view kReady = "READY=1";
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (!fd || ::sendto(fd.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
                      reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    log_warning("service_manager_not_told", {{"why", std::strerror(errno)}});
  }
}

ControllerConfig controller_config(const config::Config& config) {
  ControllerConfig made;
  made.cluster = config.cluster;
  made.queues = config.queues;
  made.lease = config.lease;
  made.heartbeat_every = config.heartbeat;
  // Three missed heartbeats are a reason to place nothing there.
  made.suspect_after = config.heartbeat * 3;
  made.prepare_timeout = config.prepare_timeout;
  made.kill_grace = config.kill_grace;
  made.backfill = config.backfill;
  made.allow_root_jobs = config.allow_root_jobs;
  made.operators = config.operators;
  made.service_ports = config.service_ports;
  made.endpoint_ports = config.endpoint_ports;
  made.has_balancer = config.balancer.enabled;
  // The balancer gives up first, and says so.
  made.drain_timeout = config.balancer.drain + seconds(10);
  made.own_uid = ::geteuid();
  made.priority = {.age = config.priority.age,
                   .fair_share = config.priority.fair_share,
                   .size = config.priority.size,
                   .queue = config.priority.queue,
                   .qos = config.priority.qos,
                   .resources = config.priority.resources,
                   .max_age = config.priority.max_age};
  made.fair_share = config.fair_share.classic ? FairShareKind::Classic : FairShareKind::Tree;
  made.usage = {.half_life = config.fair_share.half_life,
                .weights = {.core = config.fair_share.core_weight,
                            .memory_gib = config.fair_share.memory_weight,
                            .named = config.fair_share.named_weights}};
  made.qos = {config.qos.begin(), config.qos.end()};
  return made;
}

// Each waiting program holds a descriptor, and 1024 is soon used up.
void raise_descriptor_limit() {
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return;
  descriptors.rlim_cur = descriptors.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &descriptors);
}

constexpr const char* kDefaultSendmail = "/usr/sbin/sendmail";

// Reads the whole store, also under a running jschedd.
int check_store(const std::string& config_path) {
  const Result<config::Config> config = config::load_config(config_path);
  if (!config) return fail(kConfiguration, config.error());
  const std::string path = store_path(*config);
  // Opening would make it.
  if (::access(path.c_str(), F_OK) != 0) {
    return fail(kNoInput, errno_error(cat("check the store ", path), errno));
  }
  const auto store = store::SqliteStore::open(path);
  if (!store) return fail(kBadData, store.error());
  const Result<store::CheckReport> report = (*store)->check();
  if (!report) return fail(kBadData, report.error());
  for (const std::string& problem : report->problems) std::printf("%s\n", problem.c_str());
  std::printf("%s: %llu jobs, %llu specs, %llu events: %s\n", path.c_str(),
              static_cast<unsigned long long>(report->jobs),
              static_cast<unsigned long long>(report->specs),
              static_cast<unsigned long long>(report->events),
              report->problems.empty() ? "all is well" : "NOT well");
  return report->problems.empty() ? 0 : kBadData;
}

// Every error of the file, a line each.
int check_config(const std::string& path) {
  const Result<std::string> text = read_small_file(path, config::kMaxConfigBytes);
  if (!text) return fail(kConfiguration, text.error());
  const config::ParsedConfig parsed = config::parse_config(*text);
  for (const config::ConfigError& error : parsed.errors) {
    std::fprintf(stderr, "jschedd: %s:%d: %s\n", path.c_str(), error.line, error.message.c_str());
  }
  return parsed.errors.empty() ? 0 : kConfiguration;
}

int run(const std::string& config_path) {
  const Result<config::Config> config = config::load_config(config_path);
  if (!config) return fail(kConfiguration, config.error());
  const Result<std::string> key = config::read_cluster_key(config->key_file);
  if (!key) return fail(kConfiguration, key.error());
  const Result<std::string> endpoint = io::resolve_endpoint(config->scheduler.listen);
  if (!endpoint) return fail(kConfiguration, endpoint.error());
  // While we are small and have no thread, and before the lock, which its process would hold on to.
  const char* const program = std::getenv("GANGWAY_SENDMAIL");
  Result<Mailer> mailer = Mailer::start(program != nullptr ? program : kDefaultSendmail);
  if (!mailer) return fail(kInternal, mailer.error());
  const Result<Fd> lock = lock_spool(config->scheduler.spool, "jschedd");
  if (!lock) {
    return fail(lock.error().kind() == ErrorKind::Conflict ? kUnavailable : kCannotCreate,
                lock.error());
  }

  raise_descriptor_limit();
  io::AsioLoop loop;
  // Before the store starts its thread, which inherits what is blocked.
  loop.watch_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.watch_signal(SIGINT, [&loop] { loop.stop(); });
  DurableStoreOptions for_store;
  for_store.store.log_reserve = kLogReserve;
  auto store = DurableStore::open(store_path(*config), loop, for_store);
  if (!store) return fail_without_store(store.error());
  const Result<Epoch> epoch = (*store)->open_epoch();
  if (!epoch) return fail_without_store(epoch.error());
  Result<store::LiveState> live = (*store)->load_live();
  if (live) live = complete_live_state(*std::move(live), **store);
  if (!live) return fail_without_store(live.error());
  const std::size_t jobs = live->jobs.size();

  io::Greeting greeting;
  greeting.program = "jschedd";
  greeting.cluster = config->cluster;
  io::SocketTransport transport(loop, greeting, static_cast<std::uint64_t>(::getpid()));
  const HostUsers users;
  ControllerConfig for_controller = controller_config(*config);
  const LeaseFile lease_file(config->scheduler.spool);
  const Duration lease_before = lease_file.read(config->lease);
  for_controller.lease_before = std::max(lease_before, config->lease);
  if (const auto noted = lease_file.write(for_controller.lease_before); !noted) {
    return fail(kCannotCreate, noted.error());
  }
  if (lease_before > config->lease) {
    log_info("lease_was_longer", {{"until_it_is_over_s", cat(lease_before.ns / 1'000'000'000)}});
    (void)loop.arm(loop.now().boot + lease_before + for_controller.lease_drift, [&] {
      if (const auto noted = lease_file.write(config->lease); !noted) {
        log_warning("lease_not_noted", {{"why", noted.error().message()}});
      }
    });
  }
  Controller controller(
      std::move(for_controller), *epoch, *std::move(live), users,
      [&key](JobKey job, Attempt attempt) {
        return hmac_sha256(*key, cat("gangway gang ", to_string(job), " ", attempt));
      },
      loop.now());
  int code = 0;
  Daemon daemon(loop, transport, **store, *epoch, controller, [&](store::CommitEnd end) {
    const bool fenced = end == store::CommitEnd::Fenced;
    code = fail(fenced ? kUnavailable : kNoRoom,
                fenced ? Error(ErrorKind::Conflict, "another jschedd has taken the store over")
                       : Error(ErrorKind::Exhausted,
                               "the store cannot be written any more: no room, or an error of the "
                               "disk (store_commit_failed in the log says which)"));
    loop.stop();
  });
  daemon.set_mailer([&](const effect::SendMail& mail) { mailer->send(mail); });
  daemon.start();
  io::ListenOptions for_people;
  for_people.handler = &daemon;
  io::ListenOptions for_executors;
  for_executors.handler = &daemon;
  for_executors.key = *key;
  for (const auto& [where, options] :
       {std::pair(config->scheduler.socket, for_people), std::pair(*endpoint, for_executors)}) {
    const auto listening = transport.listen(where, options);
    if (!listening) return fail(kConfiguration, listening.error());
  }
  log_info("scheduler_ready", {{"cluster", config->cluster},
                               {"socket", config->scheduler.socket},
                               {"listen", *endpoint},
                               {"epoch", cat(epoch->value)},
                               {"jobs", cat(jobs)}});
  notify_ready();
  loop.run();
  log_info("scheduler_ends", {{"code", cat(code)}});
  return code;
}

int run(int argc, char** argv) {
  std::string config_path(config::kDefaultConfigPath);
  bool verbose = false;
  bool only_check = false;
  bool only_config = false;
  bool foreground = true;
  CLI::App app("Keeps the queue and decides what runs where.", "jschedd");
  app.set_version_flag("-V,--version", "jschedd " GANGWAY_VERSION);
  app.add_option("--config", config_path, "configuration file")->capture_default_str();
  app.add_flag("--check-config", only_config, "read the configuration, tell its errors, and end");
  app.add_flag("--foreground", foreground, "stay in the foreground, as it always does");
  app.add_flag("--verbose", verbose, "log more");
  app.add_flag("--check-store", only_check, "check the store of jobs and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 64;
  }
  set_log("jschedd", verbose ? LogLevel::Debug : LogLevel::Info);
  if (only_config) return check_config(config_path);
  return only_check ? check_store(config_path) : run(config_path);
}

}  // namespace
}  // namespace gangway::scheduler

int main(int argc, char** argv) {
  using namespace gangway;
  try {
    use_huge_pages(argv);
    return scheduler::run(argc, argv);
  } catch (const std::exception& e) {
    return scheduler::fail(scheduler::kInternal, Error(ErrorKind::Internal, e.what()));
  }
}
