#include "submit/service_text.hpp"

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

std::string counted(std::int64_t count, std::string_view one) {
  return cat(count, " ", one, count == 1 ? "" : "s");
}

std::string image_of(const ReplicaTemplate& replica) {
  return replica.build
             ? cat("what ", replica.build->context, "/", replica.build->dockerfile, " builds")
             : replica.image;
}

std::string_view reach_of(Endpoint::Reach reach) {
  switch (reach) {
    case Endpoint::Reach::Cluster:
      return "inside the cluster";
    case Endpoint::Reach::Node:
      return "at a port of the cluster's choice";
    case Endpoint::Reach::LoadBalancer:
      return "from outside";
  }
  return "";
}

}  // namespace

std::string describe(const ServiceFile& file) {
  std::string out;
  for (const ServiceSpec& spec : file.services) {
    out += cat("service ", spec.name, ": ", counted(spec.replicas, "replica"), " of ",
               image_of(spec.replica));
    for (const ContainerPort& port : spec.replica.ports) out += cat(", port ", port.port);
    out += "\n";
  }
  for (const Endpoint& endpoint : file.endpoints) {
    for (const Endpoint::Port& port : endpoint.ports) {
      out += cat("endpoint ", endpoint.name, ": port ", port.port, " to ", port.target, ", ",
                 reach_of(endpoint.reach), "\n");
    }
  }
  for (const IngressRule& rule : file.ingress) {
    out += cat("ingress ", rule.host.empty() ? "any host" : rule.host, rule.path,
               rule.exact ? " alone" : "", " to ", rule.endpoint, " port ", rule.port,
               rule.tls_secret.empty() ? "" : cat(", TLS by ", rule.tls_secret), "\n");
  }
  for (const BatchTemplate& job : file.jobs) {
    out +=
        cat("job ", job.name, ": ", counted(job.completions, "run"), " of ", image_of(job.replica));
    if (job.completions > 1) out += cat(", ", job.parallelism, " at a time");
    out += "\n";
  }
  return out;
}

}  // namespace gangway::submit
