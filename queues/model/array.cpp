#include "queues/model/array.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {

namespace {

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

constexpr std::string_view kExample = "write for example 0-9, 1,3,5 or 0-100:10%4";

Result<std::uint32_t> parse_index(std::string_view text, std::string_view item) {
  const auto index = parse_integer<std::uint32_t>(text);
  if (!index) return invalid(cat("\"", item, "\" is no index or range; ", kExample));
  if (*index > kMaxArrayIndex) {
    return invalid(cat("index ", *index, " is above ", kMaxArrayIndex));
  }
  return *index;
}

Result<IndexRange> parse_range(std::string_view item) {
  IndexRange range;
  std::string_view rest = trim(item);
  if (const std::size_t colon = rest.find(':'); colon != rest.npos) {
    const auto step = parse_integer<std::uint32_t>(rest.substr(colon + 1));
    if (!step || *step == 0) return invalid(cat("\"", item, "\": the step is no number above 0"));
    range.step = *step;
    rest = rest.substr(0, colon);
    if (rest.find('-') == rest.npos) {
      return invalid(cat("\"", item, "\": a step belongs to a range; ", kExample));
    }
  }
  const std::size_t dash = rest.find('-');
  GANGWAY_ASSIGN(range.first, parse_index(rest.substr(0, dash), item));
  range.last = range.first;
  if (dash != rest.npos) {
    GANGWAY_ASSIGN(range.last, parse_index(rest.substr(dash + 1), item));
  }
  if (range.last < range.first) return invalid(cat("\"", item, "\" ends before it begins"));
  range.last = range.first + (range.last - range.first) / range.step * range.step;
  if (range.first == range.last) range.step = 1;
  return range;
}

// Sorted runs of equal steps. Ranges that overlap are taken apart and put together again.
std::vector<IndexRange> into_runs(std::vector<IndexRange> ranges) {
  const auto by_first = [](const IndexRange& a, const IndexRange& b) { return a.first < b.first; };
  std::sort(ranges.begin(), ranges.end(), by_first);
  const auto overlap = std::adjacent_find(
      ranges.begin(), ranges.end(),
      [](const IndexRange& a, const IndexRange& b) { return a.last >= b.first; });
  if (overlap == ranges.end()) return ranges;
  std::vector<std::uint32_t> all;
  for (const IndexRange& range : ranges) {
    for (std::uint64_t i = range.first; i <= range.last; i += range.step) {
      all.push_back(static_cast<std::uint32_t>(i));
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::vector<IndexRange> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    IndexRange run{all[i], all[i], 1};
    if (i + 1 < all.size()) {
      const std::uint32_t step = all[i + 1] - all[i];
      std::size_t end = i + 1;
      while (end + 1 < all.size() && all[end + 1] - all[end] == step) ++end;
      // Two alone are a run only if they are neighbours: the second may begin a better one.
      if (step == 1 || end > i + 1) {
        run = {all[i], all[end], step};
        i = end;
      }
    }
    out.push_back(run);
  }
  return out;
}

Result<IndexList> parse_list(std::string_view text) {
  std::vector<IndexRange> ranges;
  std::uint64_t count = 0;
  for (const std::string_view item : split(text, ',')) {
    GANGWAY_ASSIGN(const IndexRange range, parse_range(item));
    ranges.push_back(range);
    count += range.count();
    if (count > std::uint64_t{4} * kMaxArrayElements) break;
  }
  if (ranges.empty()) return invalid(cat("it names no index; ", kExample));
  const auto too_many = [](auto number) {
    return invalid(cat(number, " elements, at most ", kMaxArrayElements, " are possible"));
  };
  if (count > std::uint64_t{4} * kMaxArrayElements) return too_many(count);
  IndexList list{into_runs(std::move(ranges))};
  if (list.count() > kMaxArrayElements) return too_many(list.count());
  if (list.ranges.size() > kMaxArrayRanges) {
    return invalid(cat("the indexes are too irregular: ", list.ranges.size(), " runs, at most ",
                       kMaxArrayRanges, " are possible"));
  }
  return list;
}

void append_range(std::string& out, std::uint32_t first, std::uint32_t last, std::uint32_t step) {
  if (!out.empty()) out += ',';
  out += cat(first);
  if (first == last) return;
  if (last - first == step && step != 1) {
    out += cat(',', last);
    return;
  }
  out += cat('-', last);
  if (step != 1) out += cat(':', step);
}

}  // namespace

std::uint32_t IndexList::count() const {
  std::uint64_t count = 0;
  for (const IndexRange& range : ranges) count += range.count();
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, 0xffffffff));
}

std::uint32_t IndexList::index_at(std::uint32_t position) const {
  for (const IndexRange& range : ranges) {
    if (position < range.count()) return range.first + position * range.step;
    position -= range.count();
  }
  CHECK(false);
  return 0;
}

std::uint32_t IndexList::position_from(std::uint32_t index) const {
  std::uint32_t position = 0;
  for (const IndexRange& range : ranges) {
    if (index <= range.first) break;
    if (index <= range.last) {
      return position + (index - range.first + range.step - 1) / range.step;
    }
    position += range.count();
  }
  return position;
}

std::optional<std::uint32_t> IndexList::position_of(std::uint32_t index) const {
  std::uint32_t position = 0;
  for (const IndexRange& range : ranges) {
    if (index < range.first) break;
    if (index <= range.last) {
      if ((index - range.first) % range.step != 0) return std::nullopt;
      return position + (index - range.first) / range.step;
    }
    position += range.count();
  }
  return std::nullopt;
}

Result<ArraySpec> parse_array(std::string_view text) {
  ArraySpec array;
  if (const std::size_t percent = text.find('%'); percent != text.npos) {
    const auto most = parse_integer<std::uint32_t>(text.substr(percent + 1));
    if (!most || *most > kMaxArrayElements) {
      return invalid(cat("\"", text.substr(percent), "\": behind % stands how many may run at ",
                         "once, for example %4"));
    }
    array.max_running = *most;
    text = text.substr(0, percent);
  }
  GANGWAY_ASSIGN(array.indexes, parse_list(text));
  return array;
}

Result<IndexList> parse_index_list(std::string_view text) { return parse_list(text); }

std::string render_indexes(const IndexList& indexes,
                           const IntervalSet& positions,
                           std::size_t max_bytes) {
  std::string out;
  std::uint64_t begin = 0;
  auto at = positions.intervals().begin();
  const auto end = positions.intervals().end();
  for (const IndexRange& range : indexes.ranges) {
    const std::uint64_t behind = begin + range.count();
    while (at != end && at->first < behind) {
      const auto from = static_cast<std::uint32_t>(std::max<std::uint64_t>(at->first, begin));
      const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(at->last, behind - 1));
      const auto index = [&](std::uint32_t position) {
        return range.first + static_cast<std::uint32_t>(position - begin) * range.step;
      };
      append_range(out, index(from), index(to), range.step);
      if (out.size() > max_bytes) {
        const std::size_t cut = out.rfind(',', max_bytes);
        return cat(out.substr(0, cut == std::string::npos ? max_bytes : cut + 1), "...");
      }
      if (at->last >= behind) break;  // the rest of it is in the next range
      ++at;
    }
    begin = behind;
  }
  return out;
}

std::string render_indexes(const IndexList& indexes) {
  return render_indexes(indexes, IntervalSet::below(indexes.count()));
}

// One walk along both lists, which are sorted.
IntervalSet positions_of(const IndexList& indexes, const IndexList& wanted) {
  IntervalSet out;
  std::uint32_t begin = 0;  // the position of the first of `own`
  auto own = indexes.ranges.begin();
  for (const IndexRange& range : wanted.ranges) {
    for (; own != indexes.ranges.end() && own->last < range.first; ++own) begin += own->count();
    // The last of these may reach into the next one that is wanted.
    std::uint32_t at = begin;
    for (auto some = own; some != indexes.ranges.end() && some->first <= range.last; ++some) {
      const std::uint32_t skipped =
          some->first < range.first ? (range.first - some->first + some->step - 1) / some->step : 0;
      const std::uint32_t low = at + skipped;
      const std::uint32_t high = at + (std::min(some->last, range.last) - some->first) / some->step;
      // A whole run is taken at once; others are looked at one by one.
      if (low <= high && range.step == 1) out.add({low, high});
      for (std::uint32_t p = low; range.step != 1 && p <= high; ++p) {
        if ((some->first + (p - at) * some->step - range.first) % range.step == 0) out.add(p);
      }
      at += some->count();
    }
  }
  return out;
}

Result<void> validate(const ArraySpec& array) {
  if (array.indexes.ranges.empty()) return invalid("--array: it names no index");
  if (array.indexes.ranges.size() > kMaxArrayRanges) {
    return invalid(cat("--array: more than ", kMaxArrayRanges, " runs of indexes"));
  }
  std::uint64_t count = 0;
  const IndexRange* before = nullptr;
  for (const IndexRange& range : array.indexes.ranges) {
    const bool is_right = range.step > 0 && range.first <= range.last &&
                          range.last <= kMaxArrayIndex &&
                          (range.last - range.first) % range.step == 0 &&
                          (before == nullptr || before->last < range.first);
    if (!is_right) {
      return invalid(cat("--array: ", range.first, '-', range.last, ':', range.step,
                         " is no range, or not behind the one before it"));
    }
    count += range.count();
    before = &range;
  }
  if (count > kMaxArrayElements) {
    return invalid(
        cat("--array: ", count, " elements, at most ", kMaxArrayElements, " are possible"));
  }
  return {};
}

}  // namespace gangway
