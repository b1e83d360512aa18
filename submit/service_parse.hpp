// Services out of the files that people have: Kubernetes' manifests and Compose files.
//
// The documented subset of each is read; whatever else stands in a file is an error that names the
// line and the field, because a field that is silently left out is a service that runs otherwise
// than its author thinks. Kubernetes: apps/v1 Deployment, v1 Service, networking.k8s.io/v1 Ingress,
// batch/v1 Job. Compose: services with image, build, command, entrypoint, environment, ports,
// volumes as binds, depends_on, healthcheck, restart, deploy.
//
// Pure: no file is looked at but the text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/model/service.hpp"

namespace gangway::submit {

// A Job of Kubernetes: a template that runs to its end.
struct BatchTemplate {
  std::string name;
  Labels labels;
  ReplicaTemplate replica;
  std::int32_t completions = 1;
  std::int32_t parallelism = 1;
  std::int32_t retries = 6;
  RestartPolicy restart = RestartPolicy::OnFailure;
  friend bool operator==(const BatchTemplate&, const BatchTemplate&) = default;
};

struct FieldError {
  int line = 0;         // from 1; 0: the file as a whole
  std::string message;  // "spec.replicas: must be a number"
  friend bool operator==(const FieldError&, const FieldError&) = default;
};

struct ServiceFile {
  std::vector<ServiceSpec> services;
  std::vector<Endpoint> endpoints;
  std::vector<IngressRule> ingress;
  std::vector<BatchTemplate> jobs;
  std::vector<FieldError> errors;  // in the order of their lines; empty: the rest may be used
};

[[nodiscard]] ServiceFile parse_k8s(std::string_view text);
// `directory`: where relative paths begin. $NAME, ${NAME} and ${NAME:-default} are of `variables`;
// one that is not there is an error.
[[nodiscard]] ServiceFile parse_compose(std::string_view text,
                                        std::string_view directory,
                                        const std::map<std::string, std::string>& variables);

}  // namespace gangway::submit
