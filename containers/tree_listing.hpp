// What a directory holds, as text: one line for each file, sorted, so that two states of a tree can
// be compared and every difference named.
//
//   d 755 etc
//   f 644 <size> <sha256> etc/passwd
//   l <target> etc/mtab
//   s 644 run/fifo            (anything else)
//
// Backslashes, spaces and control characters in names are written as \\ooo. Owners are not in it: a
// store has one for all files. A file that its owner may not read has "-" for a digest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers {

// Follows no symlinks. Errors: Exhausted (nested too deep for a path), whatever reading gives.
[[nodiscard]] Result<std::string> list_tree(int root);

// One clause for each name that differs: "etc/passwd has other contents". Pure.
[[nodiscard]] std::vector<std::string> compare_listings(std::string_view was, std::string_view is);

}  // namespace gangway::containers
