#include "scheduler/user_checks.hpp"

#include "queues/base/text.hpp"
#include "queues/model/service_ports.hpp"

namespace gangway::scheduler {

Result<void> check_spec_of_user(const JobSpec& spec, bool is_operator) {
  if (spec.nice < 0 && !is_operator) {
    return Error(ErrorKind::Denied, "--nice: below 0 only an operator sets it");
  }
  if (!spec.image && spec.container != ContainerSpec{}) {
    return Error(ErrorKind::Invalid, "what is asked of a container needs an image");
  }
  return {};
}

Result<void> check_no_ports(const JobSpec& spec) {
  for (const Component& component : spec.components) {
    for (const auto& [name, amount] : component.named_per_node.named) {
      const bool is_fixed = name.starts_with("tcp-") && parse_integer<std::int32_t>(name.substr(4));
      if (!is_fixed && name != kServicePort) continue;
      return Error(ErrorKind::Invalid, cat("--gres: ", name, " is for replicas of services"));
    }
  }
  return {};
}

}  // namespace gangway::scheduler
