// CHECK(condition): a broken invariant is a bug, and a daemon with a bug stops at once, says where,
// and is started again from its log. Kept in release builds.
#pragma once

namespace gangway {
// Prints "CHECK failed: <condition> at <file>:<line>" to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace gangway

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::gangway::check_failed(#condition, __FILE__, __LINE__))
