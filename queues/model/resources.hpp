// Resources: a vector of amounts (cores, memory, named ones such as gpu) with its arithmetic.
//
// Pure values. Named resources are kept sorted by name and without zeros, so equality is plain.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/units.hpp"

namespace gangway {

struct Resources {
  std::int64_t cores = 0;
  Bytes memory;
  std::vector<std::pair<std::string, std::int64_t>> named;  // sorted by name, amounts > 0

  friend bool operator==(const Resources&, const Resources&) = default;

  // 0 if there is none of that name.
  [[nodiscard]] std::int64_t amount_of(std::string_view name) const;
  void set_named(std::string_view name, std::int64_t amount);
  [[nodiscard]] bool is_zero() const;
};

[[nodiscard]] Resources operator+(const Resources& a, const Resources& b);
// Component-wise; may become negative (an over-committed node after its capacity shrank).
[[nodiscard]] Resources operator-(const Resources& a, const Resources& b);
[[nodiscard]] Resources operator*(const Resources& a, std::int64_t k);
// Every component of `want` is at most that of `have`.
[[nodiscard]] bool fits_in(const Resources& want, const Resources& have);
// How often `want` fits into `have`, at most `limit`. Requires: want is not zero.
[[nodiscard]] std::int64_t times_fitting(const Resources& want,
                                         const Resources& have,
                                         std::int64_t limit);
// "4 cores, 2G, gpu:1".
[[nodiscard]] std::string to_string(const Resources& r);

}  // namespace gangway
