// Job arrays: many jobs that differ in one number, the index of each element.
//
// An array is one record: the job without an index. Of its elements it keeps which wait, and how
// the others ended; an element becomes a job of its own (42_7) when it leaves the queue, or when
// somebody acts on it alone. Elements are counted by their position, from 0 in the order of their
// indexes, so that sets of them are runs, whatever the steps of the indexes.
//
// Written as Slurm's --array: "0-9", "1,3,5-7", "0-100:10", and "%4" behind it: at most 4 at once.
// Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/model/interval_set.hpp"

namespace gangway {

inline constexpr std::uint32_t kMaxArrayElements = 1'000'000;
inline constexpr std::uint32_t kMaxArrayIndex = 999'999'999;
inline constexpr std::size_t kMaxArrayRanges = 10'000;  // after they are sorted into runs

// first, first + step, … up to last, which is one of them.
struct IndexRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t step = 1;
  friend bool operator==(const IndexRange&, const IndexRange&) = default;
  [[nodiscard]] std::uint32_t count() const { return (last - first) / step + 1; }
};

// The indexes of an array, or of some of its elements.
struct IndexList {
  std::vector<IndexRange> ranges;  // sorted; each ends before the next begins
  friend bool operator==(const IndexList&, const IndexList&) = default;

  [[nodiscard]] std::uint32_t count() const;
  // Requires: position < count().
  [[nodiscard]] std::uint32_t index_at(std::uint32_t position) const;
  [[nodiscard]] std::optional<std::uint32_t> position_of(std::uint32_t index) const;
  // How many indexes are below `index`.
  [[nodiscard]] std::uint32_t position_from(std::uint32_t index) const;
};

struct ArraySpec {
  IndexList indexes;
  std::uint32_t max_running = 0;  // 0: as many as there is room for
  friend bool operator==(const ArraySpec&, const ArraySpec&) = default;
};

// "0-9:2,20%4"; the throttle may be left out. Errors: Invalid, naming the part that is wrong and
// what would be right.
[[nodiscard]] Result<ArraySpec> parse_array(std::string_view text);
// "0-9:2,20". Errors: as above; a throttle is one.
[[nodiscard]] Result<IndexList> parse_index_list(std::string_view text);
// Of elements at `positions` of `indexes`: "3-9,12". With more than `max_bytes` the rest is "...".
[[nodiscard]] std::string render_indexes(const IndexList& indexes,
                                         const IntervalSet& positions,
                                         std::size_t max_bytes = std::string::npos);
[[nodiscard]] std::string render_indexes(const IndexList& indexes);
// The positions in `indexes` of those of `wanted` that are there.
[[nodiscard]] IntervalSet positions_of(const IndexList& indexes, const IndexList& wanted);
// Errors: Invalid, if the ranges are not as they have to be, or are too many.
[[nodiscard]] Result<void> validate(const ArraySpec& array);

}  // namespace gangway
