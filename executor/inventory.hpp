// What this node has to give, by what the kernel shows and the operator says.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/units.hpp"
#include "queues/model/resources.hpp"

namespace gangway::executor {

struct MachineFacts {
  std::vector<int> cores;     // logical, that this process may use
  Bytes memory;               // of the machine, or of the control group we are in if that is less
  bool fast_network = false;  // has a fabric that Open MPI finds better than TCP
};
[[nodiscard]] Result<MachineFacts> read_machine();

// The operator's numbers stand before the machine's. Pure.
[[nodiscard]] Resources plan_capacity(
    const MachineFacts& machine,
    std::optional<std::int64_t> cores,
    std::optional<Bytes> memory,
    const std::vector<std::pair<std::string, std::int64_t>>& named);

// The address by which this machine is seen from `endpoint` ("10.0.0.1:6810"). Errors: Unavailable.
[[nodiscard]] Result<std::string> find_own_address(const std::string& endpoint);

}  // namespace gangway::executor
