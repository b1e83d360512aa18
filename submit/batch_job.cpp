#include "submit/batch_job.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::submit {

Result<BatchWords> batch_words(const BatchTemplate& job) {
  const ReplicaTemplate& replica = job.replica;
  const auto refuse = [&](std::string_view what) {
    return Error(ErrorKind::Unsupported, cat("Job ", job.name, ": ", what));
  };
  if (replica.startup || replica.readiness || replica.liveness) {
    return refuse("a job that runs to its end has no probes");
  }
  BatchWords words;
  std::vector<std::string>& options = words.options;
  options = {cat("--job-name=", job.name), cat("--image=", replica.image), "--export=NONE"};
  if (job.completions > 1) {
    const std::int32_t together = std::min(job.parallelism, job.completions);
    options.push_back(cat("--array=0-", job.completions - 1, "%", together));
  }
  // Kubernetes' pauses: 10 s, and twice as long each time.
  if (job.retries > 0) options.push_back(cat("--retries=", job.retries, ":10s"));
  if (replica.cpu_millis > 0) {
    options.push_back(cat("--cpus-per-task=", (replica.cpu_millis + 999) / 1000));
  }
  if (replica.memory > Bytes{}) {
    options.push_back(cat("--mem=", (replica.memory.value + 1023) / 1024, "K"));
  }
  for (const auto& [name, value] : replica.env) options.push_back(cat("--env=", name, "=", value));
  for (const ServiceMount& mount : replica.mounts) {
    if (mount.source.find_first_of(":,") != std::string::npos ||
        mount.target.find_first_of(":,") != std::string::npos) {
      return refuse(cat("volume ", mount.source, ": a path with ':' or ',' cannot be mounted"));
    }
    options.push_back(
        cat("--bind=", mount.source, ":", mount.target, mount.read_only ? ":ro" : ""));
  }
  if (!replica.workdir.empty()) options.push_back(cat("--workdir=", replica.workdir));
  if (replica.entrypoint && !replica.entrypoint->empty()) {
    options.push_back(cat("--entrypoint=", replica.entrypoint->front()));
    words.command.assign(replica.entrypoint->begin() + 1, replica.entrypoint->end());
  }
  words.command.insert(words.command.end(), replica.arguments.begin(), replica.arguments.end());
  return words;
}

}  // namespace gangway::submit
