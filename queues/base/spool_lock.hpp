// One daemon on one spool: two would write over each other's files. The lock goes with its holder.
#pragma once

#include <string>
#include <string_view>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"

namespace gangway {

// Makes the directory (0700) if it is not there. Errors: Conflict, "another <daemon> works on
// <spool>"; those of the operating system, with the path.
[[nodiscard]] Result<Fd> lock_spool(const std::string& spool, std::string_view daemon);

}  // namespace gangway
