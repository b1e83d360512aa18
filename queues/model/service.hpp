// Services: replicas of one template that are kept running, and how they are reached.
//
// A replica is an ordinary allocation: placed by the planner, charged to an account, preempted and
// requeued like any other. What makes a service is that somebody wants a number of them, all of the
// newest revision of the template: scheduler/policy/service_plan.hpp says what to do about it. The
// names and the numbers are those of Kubernetes and Compose.
//
// Pure values. Durations of 0 mean that nothing was said, where a default is given.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway {

using Labels = std::map<std::string, std::string>;

// A question that is asked of a replica again and again.
struct Probe {
  enum class Kind { Exec, Http, Tcp };
  Kind kind = Kind::Tcp;
  std::vector<std::string> command;  // Exec
  bool shell = false;                // …one line for the image's shell
  std::string path = "/";            // Http
  std::string port;                  // Http, Tcp: a number or the name of a port
  Duration initial_delay;
  Duration period = seconds(10);
  Duration timeout = seconds(1);
  std::int32_t successes = 1;  // in a row, until it counts as good
  std::int32_t failures = 3;   // in a row, until it counts as bad
  friend bool operator==(const Probe&, const Probe&) = default;
};

struct ContainerPort {
  std::string name;
  std::int32_t port = 0;  // 0: whichever the scheduler gives, told by $PORT
  std::string protocol = "TCP";
  friend bool operator==(const ContainerPort&, const ContainerPort&) = default;
};

struct ServiceMount {
  std::string source;
  std::string target;
  bool read_only = false;
  friend bool operator==(const ServiceMount&, const ServiceMount&) = default;
};

// What each replica is.
struct ReplicaTemplate {
  Labels labels;
  std::string image;  // as named; or made by `build`
  struct Build {
    std::string context;
    std::string dockerfile;
    std::string target;
    std::map<std::string, std::string> args;
    friend bool operator==(const Build&, const Build&) = default;
  };
  std::optional<Build> build;
  std::optional<std::vector<std::string>> entrypoint;  // none: the image's
  std::vector<std::string> arguments;                  // none: the image's
  std::vector<std::pair<std::string, std::string>> env;
  std::string workdir;
  std::string hostname;
  std::string stop_signal;
  std::vector<ContainerPort> ports;
  std::vector<ServiceMount> mounts;
  std::int64_t cpu_millis = 0;  // asked for; 0: nothing was said
  Bytes memory;
  Duration kill_grace = seconds(30);
  std::optional<Probe> startup;
  std::optional<Probe> readiness;  // no traffic before it is good
  std::optional<Probe> liveness;   // started anew when it is bad
  friend bool operator==(const ReplicaTemplate&, const ReplicaTemplate&) = default;
};

// A number of replicas, or a share of those that are wanted.
struct ReplicaShare {
  std::int32_t value = 25;
  bool is_percent = true;
  [[nodiscard]] std::int32_t of(std::int32_t replicas, bool round_up) const {
    if (!is_percent) return value;
    const std::int64_t product = std::int64_t{value} * replicas;
    return static_cast<std::int32_t>(round_up ? (product + 99) / 100 : product / 100);
  }
  friend bool operator==(const ReplicaShare&, const ReplicaShare&) = default;
};

struct UpdatePolicy {
  bool recreate = false;                     // all old ones end before a new one starts
  ReplicaShare max_surge;                    // above the wanted number, rounded up
  ReplicaShare max_unavailable;              // below it, rounded down; not both may be 0
  Duration min_ready;                        // a new one counts only after it was ready for so long
  Duration progress_deadline = minutes(10);  // without progress the update is turned back
  friend bool operator==(const UpdatePolicy&, const UpdatePolicy&) = default;
};

enum class RestartPolicy { Always, OnFailure, No };
enum class ServiceCondition { Started, Healthy, CompletedSuccessfully };

struct ServiceSpec {
  std::string name;
  Labels labels;
  Labels selector;  // of the template's labels
  std::int32_t replicas = 1;
  ReplicaTemplate replica;
  RestartPolicy restart = RestartPolicy::Always;
  UpdatePolicy update;
  std::int32_t revisions_kept = 10;
  std::vector<std::pair<std::string, ServiceCondition>> depends_on;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

// One address for the replicas that a selector chooses.
struct Endpoint {
  enum class Reach { Cluster, Node, LoadBalancer };
  struct Port {
    std::string name;
    std::int32_t port = 0;
    std::string target;          // a number or the name of a container's port
    std::int32_t node_port = 0;  // 0: any of the user's range
    friend bool operator==(const Port&, const Port&) = default;
  };
  std::string name;
  Labels labels;
  Labels selector;
  Reach reach = Reach::Cluster;
  std::vector<Port> ports;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// HTTP by host and path to an endpoint's port.
struct IngressRule {
  std::string host;  // "": any
  std::string path = "/";
  bool exact = false;  // else what begins with it, by whole components
  std::string endpoint;
  std::string port;  // a number or a name
  std::string tls_secret;
  friend bool operator==(const IngressRule&, const IngressRule&) = default;
};

// What is submitted together.
struct ServiceSet {
  std::vector<ServiceSpec> services;
  std::vector<Endpoint> endpoints;
  std::vector<IngressRule> rules;
  friend bool operator==(const ServiceSet&, const ServiceSet&) = default;
};

inline constexpr std::int32_t kMaxReplicas = 10'000;
inline constexpr std::int32_t kMaxRevisionsKept = 100;
inline constexpr std::size_t kMaxPortsOfReplica = 64;
inline constexpr std::size_t kMaxEndpointsOfService = 64;
inline constexpr std::size_t kMaxRulesOfService = 256;

// 1 to 63 lower-case letters, digits and dashes, as names of hosts are. Errors: Invalid.
[[nodiscard]] Result<void> check_service_name(std::string_view name);
// Everything that can be checked without knowing the cluster. Errors: Invalid, naming the field.
[[nodiscard]] Result<void> validate(const ServiceSpec& spec);
[[nodiscard]] Result<void> validate(const Endpoint& endpoint);
[[nodiscard]] Result<void> validate(const IngressRule& rule);

// Whether every label of the selector is among these. An empty selector selects nothing.
[[nodiscard]] bool selects(const Labels& selector, const Labels& labels);
// The container's port that an endpoint's port leads to: by name or number, or, if nothing is said,
// the port of the same number, or the only one. nullptr: there is none.
[[nodiscard]] const ContainerPort* find_target(const ReplicaTemplate& replica,
                                               const Endpoint::Port& port);

}  // namespace gangway
