// Host lists: "n[01-08,12],gpu3" <-> the names. As Slurm prints and reads them: ranges keep their
// zero padding; printing sorts, merges and compresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/strong_id.hpp"

namespace gangway {

// Errors: Invalid, naming the position. At most kMaxNodesPerJob names.
[[nodiscard]] Result<std::vector<NodeName>> parse_host_list(std::string_view text);
[[nodiscard]] std::string render_host_list(const std::vector<NodeName>& names);

}  // namespace gangway
