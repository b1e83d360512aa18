#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/config/keys.hpp"

namespace gangway::config {

namespace {

// "20000-20999".
void read_ports(const Value& v, PortRange& out) {
  std::string text;
  v.read(text);
  const std::size_t dash = text.find('-');
  const auto first = parse_integer<std::int32_t>(std::string_view(text).substr(0, dash));
  const auto last = dash == std::string::npos
                        ? first
                        : parse_integer<std::int32_t>(std::string_view(text).substr(dash + 1));
  constexpr std::int32_t kMaxPort = 65535;
  if (!first || !last || *first < 1 || *last > kMaxPort || *first > *last) {
    return v.fail("must be ports from 1 to 65535, as 20000-20999");
  }
  out = {*first, *last};
}

std::string render_ports(const PortRange& ports) {
  return quoted(cat(ports.first, '-', ports.last));
}

const Key<Config> kClusterKeys[] = {
    {"cluster", "the name of the cluster",
     [](const Value& v, Config& c) {
       v.read(c.cluster);
       if (!is_name(c.cluster)) {
         v.fail("names have 1 to 64 letters, digits, dots, dashes and underscores");
       }
     },
     [](const Config& c) { return quoted(c.cluster); }},
    {"key_file", "the cluster's secret, readable by the daemons alone",
     [](const Value& v, Config& c) {
       v.read(c.key_file);
       v.check(check_path(c.key_file));
     },
     [](const Config& c) { return quoted(c.key_file); }},
    {"lease", "a job that may be run again is given up on a node that has been silent this long",
     [](const Value& v, Config& c) { v.read(c.lease, seconds(1)); },
     [](const Config& c) { return render_exactly(c.lease); }},
    {"heartbeat", "executors report at least this often",
     [](const Value& v, Config& c) { v.read(c.heartbeat, milliseconds(100)); },
     [](const Config& c) { return render_exactly(c.heartbeat); }},
    {"prepare_timeout", "for all nodes of a job to get ready, images included",
     [](const Value& v, Config& c) { v.read(c.prepare_timeout, seconds(1)); },
     [](const Config& c) { return render_exactly(c.prepare_timeout); }},
    {"kill_grace", "between TERM and KILL when a job is ended",
     [](const Value& v, Config& c) { v.read(c.kill_grace, Duration{}); },
     [](const Config& c) { return render_exactly(c.kill_grace); }},
    {"allow_root_jobs", "whether root may submit jobs",
     [](const Value& v, Config& c) { v.read(c.allow_root_jobs); },
     [](const Config& c) { return std::string(c.allow_root_jobs ? "true" : "false"); }},
    {"backfill", "fcfs, easy, easy:N, easy-sjbf, conservative or conservative-replan",
     [](const Value& v, Config& c) {
       std::string name;
       v.read(name);
       const auto policy = parse_backfill_policy(name);
       if (!policy) return v.fail(policy.error().message());
       const auto bound = c.backfill.starvation_bound;
       c.backfill = *policy;
       c.backfill.starvation_bound = bound;
     },
     [](const Config& c) { return to_string(c.backfill); }},
    {"starvation_bound",
     "easy-sjbf: a job that has waited so long is passed by shorter ones no more",
     [](const Value& v, Config& c) { v.read_limit(c.backfill.starvation_bound); },
     [](const Config& c) { return render_limit(c.backfill.starvation_bound); }},
    {"operators", "users who may drain nodes and act on the jobs of others",
     [](const Value& v, Config& c) {
       c.operators.clear();
       v.read_list([&c](const Value& item, const std::string& user) {
         if (user.empty()) item.fail("must be names of users");
         c.operators.push_back(user);
       });
     },
     [](const Config& c) { return flow_list(c.operators); }},
    {"service_ports", "ports of each node, for replicas of services that name none",
     [](const Value& v, Config& c) { read_ports(v, c.service_ports); },
     [](const Config& c) { return render_ports(c.service_ports); }},
    {"endpoint_ports", "ports of the balancer, for endpoints of services that name none",
     [](const Value& v, Config& c) { read_ports(v, c.endpoint_ports); },
     [](const Config& c) { return render_ports(c.endpoint_ports); }},
    {"qos", "qualities of service and their priorities, as {normal: 0, urgent: 100}",
     [](const Value& v, Config& c) {
       v.read_amounts(c.qos, [](const Value& amount, std::int64_t& out) {
         amount.read(out, -1'000'000'000, 1'000'000'000);
       });
     },
     [](const Config& c) { return flow_map(c.qos); }},
};

const Key<SchedulerConfig> kSchedulerKeys[] = {
    {"socket", "where people's programs find it (--socket, GANGWAY_SOCKET)",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.socket);
       v.check(check_path(s.socket));
     },
     [](const SchedulerConfig& s) { return quoted(s.socket); }},
    {"listen", "address and port for executors",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.listen);
       v.check(check_host_and_port(s.listen, 0));
     },
     [](const SchedulerConfig& s) { return quoted(s.listen); }},
    {"spool", "directory of the store of jobs",
     [](const Value& v, SchedulerConfig& s) {
       v.read(s.spool);
       v.check(check_path(s.spool));
     },
     [](const SchedulerConfig& s) { return quoted(s.spool); }},
};

const Key<ExecutorConfig> kExecutorKeys[] = {
    {"scheduler", "where the scheduler listens for executors",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.scheduler);
       v.check(check_host_and_port(e.scheduler, 1));
     },
     [](const ExecutorConfig& e) { return quoted(e.scheduler); }},
    {"spool", "directory of the jobs on this node",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.spool);
       v.check(check_path(e.spool));
     },
     [](const ExecutorConfig& e) { return quoted(e.spool); }},
    {"images", "directory of unpacked images; not set: <spool>/images",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.images);
       v.check(check_path(e.images));
     },
     [](const ExecutorConfig& e) { return e.images.empty() ? std::string() : quoted(e.images); }},
    {"image_quota", "images used longest ago make room for new ones above this; or unlimited",
     [](const Value& v, ExecutorConfig& e) {
       if (v.is_word(kUnlimited)) return e.image_quota.reset();
       Bytes quota;
       v.read(quota);
       if (quota.value > 0) e.image_quota = quota;
     },
     [](const ExecutorConfig& e) {
       return e.image_quota ? render_exactly(*e.image_quota) : std::string(kUnlimited);
     }},
    {"image_lifetime", "images that no job used for so long go when new ones come; or unlimited",
     [](const Value& v, ExecutorConfig& e) { v.read_limit(e.image_lifetime); },
     [](const ExecutorConfig& e) { return render_limit(e.image_lifetime); }},
    {"scratch", "without effect yet: what jobs write into their images is their own memory",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.scratch);
       v.check(check_path(e.scratch));
     },
     [](const ExecutorConfig& e) { return e.scratch.empty() ? std::string() : quoted(e.scratch); }},
    {"address", "where the other nodes reach this one; not set: as the scheduler sees it",
     [](const Value& v, ExecutorConfig& e) { v.read(e.address); },
     [](const ExecutorConfig& e) { return e.address.empty() ? std::string() : quoted(e.address); }},
    {"cores", "cores for jobs; not set: what the kernel shows",
     [](const Value& v, ExecutorConfig& e) {
       std::int64_t cores = 0;
       v.read(cores, 1, 1'000'000);
       if (cores > 0) e.cores = cores;
     },
     [](const ExecutorConfig& e) { return e.cores ? cat(*e.cores) : std::string(); }},
    {"memory", "memory for jobs; not set: what the kernel shows",
     [](const Value& v, ExecutorConfig& e) {
       Bytes memory;
       v.read(memory);
       if (memory.value > 0) e.memory = memory;
     },
     [](const ExecutorConfig& e) { return e.memory ? render_exactly(*e.memory) : std::string(); }},
    {"resources", "other things that jobs can ask for by name, as {gpu: 2}",
     [](const Value& v, ExecutorConfig& e) {
       v.read_amounts(e.named, [](const Value& amount, std::int64_t& out) {
         amount.read(out, 1, 1'000'000'000);
       });
     },
     [](const ExecutorConfig& e) { return flow_map(e.named); }},
    {"devices",
     "what stands behind each of them, in order, as {gpu: [/dev/nvidia0, nvidia.com/gpu=1]}",
     [](const Value& v, ExecutorConfig& e) { v.read_devices(e.devices); },
     [](const ExecutorConfig& e) { return flow_map(e.devices); }},
    {"cdi", "directories with CDI specifications, which name devices",
     [](const Value& v, ExecutorConfig& e) {
       std::vector<std::string> read;
       v.read_list([&](const Value& item, const std::string& path) {
         item.check(check_path(path));
         read.push_back(path);
       });
       e.cdi = std::move(read);
     },
     [](const ExecutorConfig& e) { return flow_list(e.cdi); }},
    {"features", "what jobs can ask of nodes by --constraint, as [skylake, ib]",
     [](const Value& v, ExecutorConfig& e) { v.read_features(e.features); },
     [](const ExecutorConfig& e) {
       return e.features.empty() ? std::string() : flow_list(e.features);
     }},
    {"cgroup", "the control group below which jobs get theirs",
     [](const Value& v, ExecutorConfig& e) {
       v.read(e.cgroup);
       if (e.cgroup.empty() || e.cgroup.starts_with('/') ||
           e.cgroup.find("..") != std::string::npos) {
         v.fail("must be a path below the root of the control groups, without a leading slash");
       }
     },
     [](const ExecutorConfig& e) { return quoted(e.cgroup); }},
    {"waivers",
     "what this node may leave unenforced because its kernel cannot do it (gangway doctor)",
     [](const Value& v, ExecutorConfig& e) {
       e.waivers.clear();
       v.read_list([&e](const Value& item, const std::string& word) {
         if (const std::optional<Waiver> waiver = parse_waiver(word)) {
           e.waivers.insert(*waiver);
           return;
         }
         std::vector<std::string> words;
         for (const Waiver waiver : all_waivers()) words.emplace_back(to_string(waiver));
         const std::string near = nearest(word, words);
         item.fail(near.empty() ? cat("is no waiver; there are ", join(words, ", "))
                                : cat("is no waiver; did you mean \"", near, "\"?"));
       });
     },
     [](const ExecutorConfig& e) {
       std::vector<std::string> words;
       for (const Waiver waiver : e.waivers) words.emplace_back(to_string(waiver));
       return flow_list(words);
     }},
    {"shared_machine",
     "other executors use the same cores: tasks are not pinned, waiting ranks yield",
     [](const Value& v, ExecutorConfig& e) { v.read(e.shared_machine); },
     [](const ExecutorConfig& e) { return std::string(e.shared_machine ? "true" : "false"); }},
};

const Key<MpiConfig> kMpiKeys[] = {
    {"tcp_networks", "networks that Open MPI's TCP may use, as 10.77.0.0/24; not set: its choice",
     [](const Value& v, MpiConfig& m) {
       v.read(m.tcp_networks);
       if (m.tcp_networks.find(' ') != std::string::npos) v.fail("is separated by commas alone");
     },
     [](const MpiConfig& m) {
       return m.tcp_networks.empty() ? std::string() : quoted(m.tcp_networks);
     }},
};

}  // namespace

std::span<const Key<Config>> cluster_keys() { return kClusterKeys; }
std::span<const Key<SchedulerConfig>> scheduler_keys() { return kSchedulerKeys; }
std::span<const Key<ExecutorConfig>> executor_keys() { return kExecutorKeys; }
std::span<const Key<MpiConfig>> mpi_keys() { return kMpiKeys; }

}  // namespace gangway::config
