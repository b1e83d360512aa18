#include "submit/service_submission.hpp"

#include <algorithm>
#include <map>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/image_resolve.hpp"
#include "submit/job_values.hpp"
#include "submit/jobspec_parse.hpp"

namespace gangway::submit {
namespace {

constexpr std::int64_t kMillisOfCore = 1000;

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

Result<void> check_replica(const ReplicaTemplate& replica) {
  if (replica.build) return invalid("build: the image is still to be built (jimage build)");
  if (replica.image.empty()) return invalid("image: a replica needs one");
  if (!replica.hostname.empty()) {
    return invalid("hostname: a replica has the name of its node");
  }
  if (!replica.stop_signal.empty() && !parse_signal(replica.stop_signal)) {
    return invalid(cat("stop signal: there is no signal ", replica.stop_signal));
  }
  return {};
}

}  // namespace

Result<JobSpec> make_replica_job(const ServiceSpec& spec, const ServiceSurroundings& around) {
  const ReplicaTemplate& replica = spec.replica;
  GANGWAY_TRY(check_replica(replica));
  JobSpec job;
  job.name = spec.name;
  job.kind = JobKind::Service;
  job.queue = QueueName(around.queue);
  job.account = AccountName(around.account);
  Component component;
  // Cores are whole.
  component.cpus_per_task = static_cast<std::int32_t>(
      std::max<std::int64_t>(1, (replica.cpu_millis + kMillisOfCore - 1) / kMillisOfCore));
  component.memory_per_node = replica.memory;
  job.components.push_back(component);
  job.workdir = around.directory;
  job.stdio.out = "%x.out";
  job.kill_grace = replica.kill_grace;
  if (replica.entrypoint) {
    job.container.entrypoint = "";
    job.argv = *replica.entrypoint;
    job.argv.insert(job.argv.end(), replica.arguments.begin(), replica.arguments.end());
    if (job.argv.empty()) return invalid("entrypoint: it is empty, and there are no arguments");
  } else if (replica.arguments.empty()) {
    job.container.own_command = true;
  } else {
    job.argv = replica.arguments;
  }
  job.container.workdir = replica.workdir;
  bool has_port = false;
  for (const auto& [name, value] : replica.env) {
    if (name.empty() || name.find('=') != std::string::npos) {
      return invalid(cat("env: \"", name, "\" is not the name of a variable"));
    }
    has_port = has_port || name == "PORT";
    job.container.env.push_back(cat(name, '=', value));
  }
  if (!has_port && !replica.ports.empty() && replica.ports.front().port > 0) {
    job.container.env.push_back(cat("PORT=", replica.ports.front().port));
  }
  for (const ServiceMount& mount : replica.mounts) {
    job.binds.push_back({.source = absolute_path(mount.source, around.directory),
                         .destination = mount.target,
                         .read_only = mount.read_only});
  }
  return job;
}

Result<wire::SubmitServices> make_submission(const ServiceSet& set,
                                             const ServiceSurroundings& around) {
  wire::SubmitServices request;
  std::map<std::string, ImageSpec> images;
  for (const ServiceSpec& spec : set.services) {
    const std::string which = cat("service ", spec.name);
    GANGWAY_TRY_CONTEXT(validate(spec), which);
    Result<JobSpec> job = make_replica_job(spec, around);
    if (!job) return job.error().with_context(which);
    auto image = images.find(spec.replica.image);
    if (image == images.end()) {
      Result<ImageSpec> resolved = resolve_image(spec.replica.image);
      if (!resolved) return resolved.error().with_context(which);
      image = images.emplace(spec.replica.image, *std::move(resolved)).first;
    }
    job->image = image->second;
    wire::NewService* const message = request.add_services();
    wire::to_wire(spec, message->mutable_spec());
    wire::to_wire(*job, message->mutable_job());
  }
  for (const Endpoint& endpoint : set.endpoints) {
    GANGWAY_TRY_CONTEXT(validate(endpoint), cat("endpoint ", endpoint.name));
    wire::to_wire(endpoint, request.add_endpoints());
  }
  for (const IngressRule& rule : set.rules) {
    GANGWAY_TRY(validate(rule));
    wire::to_wire(rule, request.add_rules());
  }
  return request;
}

std::string describe(const wire::ServicesApplied& applied) {
  std::string lines;
  for (const wire::ServicesApplied::One& one : applied.services()) {
    const std::string_view what = one.what() == wire::ServicesApplied::CREATED   ? "created"
                                  : one.what() == wire::ServicesApplied::UPDATED ? "updated"
                                  : one.what() == wire::ServicesApplied::SCALED  ? "changed"
                                                                                 : "unchanged";
    lines += cat("service ", one.name(), ' ', what, " (revision ", one.revision(), ")\n");
  }
  return lines;
}

}  // namespace gangway::submit
