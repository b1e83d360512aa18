// A shepherd that has begun before there is an attempt for it: between jexecd's launcher, which
// keeps one, and jshepherd.
//
//   jshepherd --spare <room>
//
// reads the attempt's directory, one line, from its standard input, and goes on as if it had been
// called with it; at an end without a line it ends with 0. `room` is as long as a directory may be:
// whoever looks for the shepherds of a node by their command lines finds the directory there.
//
// It sees nothing of any job before its own, and serves one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gangway::executor {

inline constexpr std::string_view kSpareWord = "--spare";
inline constexpr std::size_t kMaxSpareDirectory = 512;  // longer ones get a shepherd of their own

// The directory; nullopt: it is not needed. Blocks. Puts /dev/null in place of standard input, and
// the directory in that of all arguments. Requires: argv as above.
[[nodiscard]] std::optional<std::string> wait_for_attempt(int argc, char** argv);

}  // namespace gangway::executor
