// CoreSet: which core numbers of a node are free.
//
// Pure values.
#pragma once

#include <cstddef>
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
  // Numbers out of range are left out. take() says whether all the others were free.
  bool take(const std::vector<std::int32_t>& cores);
  void give(const std::vector<std::int32_t>& cores);

 private:
  // The first core of `free` (or not free) at `from` or later; size_ if there is none.
  [[nodiscard]] std::size_t next(std::size_t from, bool free) const;

  std::size_t size_ = 0;
  std::vector<std::uint64_t> free_;  // a bit for each core, 0 beyond the last
};

}  // namespace gangway::scheduler
