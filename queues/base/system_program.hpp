// Where a program of the system is, one that we have not made.
#pragma once

#include <string>
#include <string_view>

namespace gangway {

// Its path, on the PATH or where administrators' programs are; "": it is not installed.
[[nodiscard]] std::string find_system_program(std::string_view name);

}  // namespace gangway
