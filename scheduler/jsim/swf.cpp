#include "scheduler/jsim/swf.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "queues/base/text.hpp"

namespace gangway::jsim {

namespace {

// Columns, from 0. What stands behind the group is of no use to us and may be missing.
enum Column : std::size_t {
  kNumber = 0,
  kSubmit = 1,
  kRun = 3,
  kAllocated = 4,
  kRequested = 7,
  kRequestedTime = 8,
  kStatus = 10,
  kUser = 11,
  kGroup = 12,
  kColumns = 13,
};
constexpr std::size_t kFewest = kRequestedTime + 1;
constexpr double kMostSeconds = 5e9;  // some 150 years; the clock counts to 292
constexpr double kMostProcessors = 10e6;
constexpr double kMostNumber = 9e15;  // exact in a double, and far within an integer

struct Row {
  std::size_t line = 0;
  std::size_t columns = 0;
  std::array<double, kColumns> of{};
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

// nullopt: a word is not a number. What stands behind a ';' is a comment.
std::optional<Row> read_row(std::string_view line, std::size_t number) {
  Row row;
  row.line = number;
  row.of.fill(-1);
  line = line.substr(0, line.find(';'));
  const char* at = line.data();
  const char* const end = at + line.size();
  while (row.columns < kColumns) {
    while (at != end && is_space(*at)) ++at;
    if (at == end) break;
    if (*at == '+' && end - at > 1 && at[1] != '-') ++at;  // from_chars() knows no plus
    double& value = row.of[row.columns];
    const auto [after, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (after != end && !is_space(*after)) || !std::isfinite(value)) {
      return std::nullopt;
    }
    at = after;
    ++row.columns;
  }
  return row;
}

Duration to_duration(double s) {
  return Duration{static_cast<std::int64_t>(std::llround(s * 1e9))};
}

// A number that is a name: -1 if it is no whole one, or beyond all bounds.
std::int64_t to_number(double value) {
  return std::abs(value) <= kMostNumber ? static_cast<std::int64_t>(value) : -1;
}

// "; MaxProcs: 1,152 in all" says 1152 of "MaxProcs", in any case of letters.
std::optional<std::int32_t> header_number(std::string_view comment, std::string_view name) {
  comment = trim(comment.substr(std::min(comment.find_first_not_of(";#"), comment.size())));
  const auto is_same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  if (comment.size() < name.size() ||
      !std::equal(name.begin(), name.end(), comment.begin(), is_same)) {
    return std::nullopt;
  }
  comment = trim(comment.substr(name.size()));
  if (!comment.starts_with(':') && !comment.starts_with('=')) return std::nullopt;
  comment = trim(comment.substr(1));
  comment = comment.substr(0, comment.find_first_not_of("0123456789,"));
  std::string digits(comment);
  std::erase(digits, ',');
  const auto number = parse_integer<std::int32_t>(digits);
  return number && *number > 0 && *number <= kMostProcessors ? number : std::nullopt;
}

// Why the row is no job; empty: it is one.
std::string_view why_left_out(const Row& row, double machine, bool needs_estimate) {
  if (row.columns < kFewest) return "too few columns";
  const double allocated = row.of[kAllocated];
  const double requested = row.of[kRequested];
  if (allocated <= 0 && requested <= 0) return "no processors";
  if (allocated > machine || requested > machine) return "more processors than the machine has";
  const double processors = requested > 0 ? requested : allocated;
  if (processors != std::floor(processors)) return "part of a processor";
  if (row.of[kRun] <= 0) return "no run time";
  if (needs_estimate && row.of[kRequestedTime] <= 0) return "no requested time";
  if (row.of[kSubmit] < 0) return "submitted before the log begins";
  if (row.of[kSubmit] > kMostSeconds || row.of[kRun] > kMostSeconds ||
      row.of[kRequestedTime] > kMostSeconds) {
    return "a time beyond 150 years";
  }
  return {};
}

}  // namespace

Result<Trace> parse_swf(std::string_view text, const SwfOptions& options) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Trace trace;
  std::vector<Row> rows;
  std::optional<std::int32_t> processors;
  std::optional<std::int32_t> nodes;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    if (line.front() == ';' || line.front() == '#') {
      if (!processors) processors = header_number(line, "MaxProcs");
      if (!nodes) nodes = header_number(line, "MaxNodes");
      continue;
    }
    ++trace.rows;
    const auto row = read_row(line, number);
    if (row) {
      rows.push_back(*row);
    } else {
      trace.oddities.push_back({number, "", "not numbers"});
    }
  }

  double largest = 1;
  bool any_estimate = false;
  for (const Row& row : rows) {
    for (const double asked : {row.of[kRequested], row.of[kAllocated]}) {
      if (asked <= kMostProcessors) largest = std::max(largest, asked);
    }
    any_estimate |= row.of[kRequestedTime] > 0;
  }
  if (options.processors) {
    trace.processors = *options.processors;
  } else if (processors) {
    trace.processors = *processors;
  } else if (nodes) {
    trace.processors = *nodes;
    trace.notes.push_back(cat("the log names no MaxProcs; its MaxNodes, ", *nodes, ", is taken"));
  } else {
    trace.processors = static_cast<std::int32_t>(std::ceil(largest));
    trace.notes.push_back(
        cat("the log names no MaxProcs; its largest job's ", trace.processors, " are taken"));
  }
  const bool perfect = options.estimates == Estimates::Perfect || !any_estimate;
  if (options.estimates == Estimates::Requested && !any_estimate && !rows.empty()) {
    trace.notes.push_back("the log has no requested times; the run times are taken");
  }

  std::size_t partial = 0;
  for (const Row& row : rows) {
    const std::string_view why = why_left_out(row, trace.processors, any_estimate);
    if (!why.empty()) {
      trace.oddities.push_back({row.line, "", std::string(why)});
      continue;
    }
    TraceJob job;
    job.number = to_number(row.of[kNumber]);
    job.submit = Time{to_duration(row.of[kSubmit]).ns};
    job.run = to_duration(row.of[kRun]);
    if (any_estimate) job.run = std::min(job.run, to_duration(row.of[kRequestedTime]));
    job.estimate = perfect ? job.run : to_duration(row.of[kRequestedTime]);
    job.processors =
        static_cast<std::int32_t>(row.of[kRequested] > 0 ? row.of[kRequested] : row.of[kAllocated]);
    job.user = to_number(row.of[kUser]);
    job.group = to_number(row.of[kGroup]);
    // 2 to 4: a job's parts, from one checkpoint to the next, beside a line for the whole.
    partial += row.of[kStatus] >= 2 && row.of[kStatus] <= 4 ? 1U : 0U;
    trace.jobs.push_back(job);
  }
  if (partial > 0) {
    trace.notes.push_back(cat(partial, " of the jobs ", partial == 1 ? "is a part" : "are parts",
                              " of a job, by status (2 to 4)"));
  }
  std::stable_sort(trace.oddities.begin(), trace.oddities.end(),
                   [](const Oddity& a, const Oddity& b) { return a.line < b.line; });
  std::stable_sort(trace.jobs.begin(), trace.jobs.end(),
                   [](const TraceJob& a, const TraceJob& b) { return a.submit < b.submit; });
  if (trace.jobs.empty()) {
    return Error(ErrorKind::Invalid,
                 trace.rows == 0
                     ? "no line is a job"
                     : cat("none of ", trace.rows, " lines is a job: line ",
                           trace.oddities.front().line, ": ", trace.oddities.front().why));
  }
  return trace;
}

}  // namespace gangway::jsim
