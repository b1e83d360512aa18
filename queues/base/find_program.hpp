// Where our own programs are: in the directory that GANGWAY_LIBEXEC names, beside the running
// program (the build tree), or where an installation has put them, seen from it: ../bin, ../sbin,
// ../libexec/gangway.
#pragma once

#include <string>

#include "queues/base/result.hpp"

namespace gangway {

// The path of our program `name`. Errors: NotFound, naming the places.
[[nodiscard]] Result<std::string> find_program(const std::string& name);

}  // namespace gangway
