// CoreSet: which core numbers of a node are free.
//
// Pure values.
#pragma once

#include <cstdint>
#include <vector>

namespace gangway::scheduler {

class CoreSet {
 public:
  CoreSet() = default;
  explicit CoreSet(std::int64_t count);  // 0 .. count - 1, all free

  // `count` free cores in rising order: the shortest run of neighbours that is long enough, because
  // neighbours share caches; the lowest free ones if there is none. Requires: so many are free.
  [[nodiscard]] std::vector<std::int32_t> choose(std::int64_t count) const;
  void take(const std::vector<std::int32_t>& cores);  // numbers out of range are left out
  void give(const std::vector<std::int32_t>& cores);

 private:
  std::vector<bool> free_;
};

}  // namespace gangway::scheduler
