// The cluster's configuration: one YAML file, read whole, all its errors at once with line numbers.
//
// People's programs never read it: they find the scheduler by --socket, GANGWAY_SOCKET or the
// default path. Pure but for load_config(), which reads one file. docs/configuration.md lists every
// key.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/base/waiver.hpp"
#include "queues/model/backfill_policy.hpp"
#include "queues/model/queue.hpp"
#include "queues/model/service_ports.hpp"

namespace gangway::config {

inline constexpr std::string_view kDefaultConfigPath = "/etc/gangway/gangway.yaml";
inline constexpr std::size_t kMaxConfigBytes = 16 << 20;
inline constexpr std::string_view kDefaultSocketPath = "/run/gangway/jschedd.sock";

// Of each kind of resource ("gpu"), what stands behind its devices in the order of their numbers:
// device nodes ("/dev/nvidia0", several joined by +) or names in CDI ("nvidia.com/gpu=0").
using DeviceList = std::vector<std::pair<std::string, std::vector<std::string>>>;

struct SchedulerConfig {
  std::string socket{kDefaultSocketPath};
  std::string listen = "0.0.0.0:6810";  // for executors
  std::string spool = "/var/lib/gangway/scheduler";
};

struct ExecutorConfig {
  std::string scheduler = "127.0.0.1:6810";  // where jschedd listens
  std::string spool = "/var/lib/gangway/executor";
  std::string images;                      // image store; empty: <spool>/images
  std::optional<Bytes> image_quota;        // of the image store; none: unlimited
  std::optional<Duration> image_lifetime;  // without use, in the image store; none: unlimited
  std::string scratch;  // overlays' upper directories; empty: a tmpfs in each sandbox
  std::string address;  // reachable from the other nodes; empty: as the scheduler sees it
  std::optional<std::int64_t> cores;  // else what the kernel shows
  std::optional<Bytes> memory;
  std::vector<std::pair<std::string, std::int64_t>> named;
  DeviceList devices;
  std::vector<std::string> cdi{"/etc/cdi", "/var/run/cdi"};  // directories of CDI specifications
  std::vector<std::string> features;  // of this node, as jobs ask for them; sorted
  std::string cgroup = "gangway";     // the control group below which jobs get theirs
  WaiverSet waivers;
  bool shared_machine = false;  // other executors use the same cores (a cluster on one
                                // machine): tasks are not pinned, waiting ranks yield
};

// What some nodes have, in a file that all nodes share: it stands before the executor's own keys.
struct NodesConfig {
  std::vector<NodeName> names;
  std::optional<std::int64_t> cores;
  std::optional<Bytes> memory;
  std::vector<std::pair<std::string, std::int64_t>> named;
  DeviceList devices;
  std::vector<std::string> features;  // sorted
  friend bool operator==(const NodesConfig&, const NodesConfig&) = default;
};

struct MpiConfig {
  std::string tcp_networks;  // "10.77.0.0/24": what Open MPI's TCP may use; empty: its choice
};

// The way to services from outside, and what jbalancerd needs for it.
struct BalancerConfig {
  bool enabled = false;             // a jbalancerd runs; else nobody is waited for before a
                                    // replica is stopped
  std::string address = "0.0.0.0";  // for LoadBalancer and NodePort
  std::string network;  // namespace of `address`, as ip-netns(8) names it; empty: its own
  std::string inside = "127.0.0.1";  // for ports that are meant for the cluster alone
  std::int64_t ingress = 80;         // port for rules by host and path; 0: none
  std::int64_t ingress_tls = 443;    // the same with a certificate; 0: none
  // Ports that are somebody else's on this machine, and what is taken instead: "80" to 8080.
  std::vector<std::pair<std::string, std::int64_t>> ports;
  std::string certificates = "/etc/gangway/certificates";  // <user>/<secret>.pem in it
  std::string spool = "/var/lib/gangway/balancer";
  Duration drain = seconds(60);  // for requests in flight; then a replica is stopped all the same
  friend bool operator==(const BalancerConfig&, const BalancerConfig&) = default;
};

// Points for the terms of a job's priority; each is what the largest factor gives.
struct PriorityConfig {
  std::int64_t age = 1'000;
  Duration max_age = hours(168);
  std::int64_t fair_share = 10'000;
  std::int64_t size = 0;
  std::int64_t queue = 1'000;
  std::int64_t qos = 1'000;
  // For asking for the whole cluster's cores, memory or named resource.
  std::vector<std::pair<std::string, std::int64_t>> resources;
  friend bool operator==(const PriorityConfig&, const PriorityConfig&) = default;
};

struct FairShareConfig {
  bool classic = false;             // else Fair Tree
  Duration half_life = hours(168);  // 0: usage is never forgotten
  double core_weight = 1;           // of a core for a second
  double memory_weight = 0;         // of a GiB for a second
  std::vector<std::pair<std::string, double>> named_weights;
  friend bool operator==(const FairShareConfig&, const FairShareConfig&) = default;
};

struct Config {
  std::string cluster = "gangway";
  std::string key_file = "/etc/gangway/cluster.key";  // readable by the daemons alone
  Duration lease = minutes(10);
  Duration heartbeat = seconds(5);
  Duration prepare_timeout = minutes(30);
  Duration kill_grace = seconds(30);
  bool allow_root_jobs = false;
  BackfillPolicy backfill;
  std::vector<std::string> operators{"root"};
  PortRange service_ports{20000, 20999};   // of each node, for replicas that name no port
  PortRange endpoint_ports{30000, 32767};  // of the balancer, for endpoints that name none
  SchedulerConfig scheduler;
  ExecutorConfig executor;
  MpiConfig mpi;
  BalancerConfig balancer;
  PriorityConfig priority;
  FairShareConfig fair_share;
  std::vector<std::pair<std::string, std::int64_t>> qos;  // names and priorities
  std::vector<NodesConfig> nodes;                         // in the order of the file
  std::vector<Queue> queues;  // never empty: a queue "batch" if the file names none
};

struct ConfigError {
  int line = 0;  // from 1; 0: the file as a whole
  std::string message;
};

struct ParsedConfig {
  Config config;                    // what could be read
  std::vector<ConfigError> errors;  // empty: `config` may be used
};

// The executor's part as it is for `node`: of the entries of nodes: that name it, features and
// named resources are added up, and of cores and memory the last one counts.
[[nodiscard]] ExecutorConfig executor_of(const Config& config, const NodeName& node);

[[nodiscard]] ParsedConfig parse_config(std::string_view yaml);
// Errors: NotFound, Denied, Invalid: "<path>:<line>: <message>" for the first, and how many more.
[[nodiscard]] Result<Config> load_config(const std::string& path);
// YAML that parses back to the same configuration, with a comment for each key.
[[nodiscard]] std::string render_config(const Config& config);

}  // namespace gangway::config
