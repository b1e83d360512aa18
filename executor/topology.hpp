// The machine's processors by hwloc, in the form that binding.hpp takes. The only file that
// includes hwloc.h. For jexecd and tests: the library is not in the static programs.
#pragma once

#include <string>

#include "executor/binding.hpp"
#include "queues/base/result.hpp"

namespace gangway::executor {

// Of this machine. Takes some 10 ms. Errors: Unsupported.
[[nodiscard]] Result<Topology> read_topology();
// From a file of `lstopo --of xml`. Errors: Invalid, NotFound.
[[nodiscard]] Result<Topology> read_topology_file(const std::string& path);

}  // namespace gangway::executor
