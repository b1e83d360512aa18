#include "queues/model/service.hpp"

#include <algorithm>
#include <set>

#include "queues/base/text.hpp"
#include "queues/model/job_spec.hpp"

namespace gangway {
namespace {

constexpr std::size_t kMaxLabels = 64;
constexpr std::size_t kMaxHostName = 63;
constexpr std::int32_t kMaxPort = 65535;
constexpr std::int32_t kMaxInRow = 1000;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

Result<void> check_labels(const Labels& labels, std::string_view what) {
  if (labels.size() > kMaxLabels) return invalid(cat(what, ": more than ", kMaxLabels));
  for (const auto& [name, value] : labels) {
    if (name.empty() || name.size() > kMaxNameBytes || value.size() > kMaxNameBytes) {
      return invalid(cat(what, ": names have 1 to ", kMaxNameBytes, " characters, values at most ",
                         kMaxNameBytes));
    }
  }
  return {};
}

bool is_port(std::int32_t port) { return port > 0 && port <= kMaxPort; }

const ContainerPort* find_port(const std::vector<ContainerPort>& ports, std::string_view which) {
  for (const ContainerPort& port : ports) {
    if (!which.empty() && (port.name == which || (port.port > 0 && cat(port.port) == which))) {
      return &port;
    }
  }
  return nullptr;
}

Result<void> check_probe(const std::optional<Probe>& probe,
                         std::string_view name,
                         const std::vector<ContainerPort>& ports) {
  if (!probe) return {};
  if (probe->kind == Probe::Kind::Exec && probe->command.empty()) {
    return invalid(cat(name, ": a command is missing"));
  }
  if (probe->kind != Probe::Kind::Exec) {
    if (probe->port.empty() && ports.size() != 1) return invalid(cat(name, ": a port is missing"));
    const bool is_number =
        std::ranges::all_of(probe->port, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number && find_port(ports, probe->port) == nullptr) {
      return invalid(cat(name, ": there is no port ", probe->port));
    }
  }
  if (probe->kind == Probe::Kind::Http && !probe->path.starts_with('/')) {
    return invalid(cat(name, ": a path begins with /"));
  }
  if (probe->period < milliseconds(100) || probe->timeout < milliseconds(10) ||
      probe->initial_delay < Duration{} || probe->period > hours(24) ||
      probe->timeout > hours(24) || probe->initial_delay > hours(24)) {
    return invalid(cat(name, ": times are between 0.1 s and 24 hours"));
  }
  if (probe->successes < 1 || probe->failures < 1 || probe->successes > kMaxInRow ||
      probe->failures > kMaxInRow) {
    return invalid(cat(name, ": 1 to ", kMaxInRow, " answers in a row are asked for"));
  }
  return {};
}

Result<void> check_ports(const std::vector<ContainerPort>& ports) {
  if (ports.size() > kMaxPortsOfReplica) {
    return invalid(cat("ports: more than ", kMaxPortsOfReplica));
  }
  std::set<std::int32_t> numbers;
  std::set<std::string> names;
  for (const ContainerPort& port : ports) {
    if (port.port != 0 && !is_port(port.port)) {
      return invalid(cat("ports: ", port.port, " is no port"));
    }
    if (port.protocol != "TCP") {
      return invalid(cat("ports: protocol ", port.protocol, ": only TCP is carried out"));
    }
    if (!numbers.insert(port.port).second) {
      return invalid(port.port == 0 ? std::string("ports: only one may be without a number")
                                    : cat("ports: ", port.port, " stands there twice"));
    }
    if (!port.name.empty() && !names.insert(port.name).second) {
      return invalid(cat("ports: name ", port.name, " stands there twice"));
    }
  }
  return {};
}

Result<void> check_replica(const ReplicaTemplate& replica) {
  GANGWAY_TRY(check_labels(replica.labels, "labels"));
  GANGWAY_TRY(check_ports(replica.ports));
  GANGWAY_TRY(check_probe(replica.startup, "startup probe", replica.ports));
  GANGWAY_TRY(check_probe(replica.readiness, "readiness probe", replica.ports));
  GANGWAY_TRY(check_probe(replica.liveness, "liveness probe", replica.ports));
  if (replica.kill_grace < Duration{} || replica.kill_grace > hours(24)) {
    return invalid("kill grace: between 0 and 24 hours");
  }
  if (replica.cpu_millis < 0 || replica.cpu_millis > std::int64_t{kMaxCpusPerTask} * 1000) {
    return invalid("cpu: out of range");
  }
  return {};
}

}  // namespace

Result<void> check_service_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!name.empty() && name.size() <= kMaxHostName && name.front() != '-' && name.back() != '-' &&
      std::ranges::all_of(name, fits)) {
    return {};
  }
  return invalid(cat("name ", name, ": 1 to ", kMaxHostName,
                     " lower-case letters, digits and dashes are possible, as in names of hosts"));
}

Result<void> validate(const ServiceSpec& spec) {
  GANGWAY_TRY(check_service_name(spec.name));
  GANGWAY_TRY(check_labels(spec.labels, "labels"));
  GANGWAY_TRY(check_labels(spec.selector, "selector"));
  if (!spec.selector.empty() && !selects(spec.selector, spec.replica.labels)) {
    return invalid("selector: does not select the template's own labels");
  }
  if (spec.replicas < 0 || spec.replicas > kMaxReplicas) {
    return invalid(cat("replicas: ", spec.replicas, " is not between 0 and ", kMaxReplicas));
  }
  for (const ReplicaShare& share : {spec.update.max_surge, spec.update.max_unavailable}) {
    if (share.value < 0 || share.value > (share.is_percent ? 100 : kMaxReplicas)) {
      return invalid(cat("update: ", share.value, share.is_percent ? "%" : "", " is out of range"));
    }
  }
  // A share that is rounded to nothing is no bound that anybody meant.
  if (!spec.update.recreate && spec.update.max_surge.value == 0 &&
      spec.update.max_unavailable.value == 0) {
    return invalid("update: max_surge and max_unavailable cannot both be 0");
  }
  if (spec.update.min_ready < Duration{} || spec.update.min_ready > hours(24) ||
      spec.update.progress_deadline < seconds(1) ||
      spec.update.progress_deadline > hours(24) * 30) {
    return invalid("update: times are out of range");
  }
  if (spec.revisions_kept < 0 || spec.revisions_kept > kMaxRevisionsKept) {
    return invalid(cat("revisions kept: at most ", kMaxRevisionsKept));
  }
  if (spec.depends_on.size() > kMaxEndpointsOfService) {
    return invalid(cat("depends_on: more than ", kMaxEndpointsOfService));
  }
  return check_replica(spec.replica);
}

Result<void> validate(const Endpoint& endpoint) {
  GANGWAY_TRY(check_service_name(endpoint.name));
  GANGWAY_TRY(check_labels(endpoint.selector, "selector"));
  if (endpoint.selector.empty()) return invalid("selector: it has none");
  if (endpoint.ports.empty() || endpoint.ports.size() > kMaxPortsOfReplica) {
    return invalid(cat("ports: 1 to ", kMaxPortsOfReplica));
  }
  std::set<std::int32_t> numbers;
  for (const Endpoint::Port& port : endpoint.ports) {
    if (!is_port(port.port)) return invalid(cat("ports: ", port.port, " is no port"));
    if (port.node_port != 0 && !is_port(port.node_port)) {
      return invalid(cat("ports: ", port.node_port, " is no port"));
    }
    if (!numbers.insert(port.port).second) {
      return invalid(cat("ports: ", port.port, " stands there twice"));
    }
  }
  return {};
}

Result<void> validate(const IngressRule& rule) {
  if (rule.endpoint.empty()) return invalid("a rule names no endpoint");
  if (!rule.path.starts_with('/')) return invalid(cat("path ", rule.path, ": begins with /"));
  if (rule.host.size() > kMaxNameBytes || rule.path.size() > 4096 ||
      rule.tls_secret.size() > kMaxNameBytes) {
    return invalid("a rule is too long");
  }
  return {};
}

bool selects(const Labels& selector, const Labels& labels) {
  return !selector.empty() && std::ranges::all_of(selector, [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

const ContainerPort* find_target(const ReplicaTemplate& replica, const Endpoint::Port& port) {
  if (!port.target.empty()) return find_port(replica.ports, port.target);
  if (const ContainerPort* const same = find_port(replica.ports, cat(port.port))) return same;
  return replica.ports.size() == 1 ? &replica.ports.front() : nullptr;
}

}  // namespace gangway
