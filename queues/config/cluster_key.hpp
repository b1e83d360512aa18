// The cluster's key: the secret by which daemons know each other over TCP. Reads one file.
#pragma once

#include <string>

#include "queues/base/result.hpp"

namespace gangway::config {

// The key in the file, without blanks around it. Errors: NotFound; Denied (the file is open to
// others: whoever can read it can be a node); Invalid (it has less than 16 characters).
[[nodiscard]] Result<std::string> read_cluster_key(const std::string& path);

}  // namespace gangway::config
