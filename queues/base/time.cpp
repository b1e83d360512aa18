#include "queues/base/time.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {
__extension__ using Wide = __int128;

std::int64_t read_clock(clockid_t clock) {
  timespec t{};
  CHECK(clock_gettime(clock, &t) == 0);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

std::optional<Duration> in_range(Wide ns) {
  if (ns < 0 || ns > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return Duration{static_cast<std::int64_t>(ns)};
}

// Digits only: from_chars alone would take a minus sign.
std::optional<std::int64_t> parse_count(std::string_view text) {
  if (text.empty() || text.front() == '-') return std::nullopt;
  return parse_integer<std::int64_t>(text);
}

// "d-hh", "d-hh:mm", "d-hh:mm:ss", "mm", "mm:ss", "hh:mm:ss". Like Slurm, fields are not held below
// 60: "90:00" is an hour and a half.
std::optional<Duration> parse_colons(std::string_view text) {
  constexpr Wide kSecond = 1'000'000'000;
  Wide total = 0;
  const auto dash = text.find('-');
  const bool has_days = dash != std::string_view::npos;
  if (has_days) {
    const auto days = parse_count(text.substr(0, dash));
    if (!days) return std::nullopt;
    total = Wide{*days} * 86400;
    text.remove_prefix(dash + 1);
  }
  const auto fields = split(text, ':');
  if (fields.empty() || fields.size() > 3) return std::nullopt;
  // With days the first field is hours; without, the last but one of two is minutes.
  std::array<Wide, 3> unit = {3600, 60, 1};
  if (!has_days && fields.size() <= 2) unit = {60, 1, 0};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto count = parse_count(fields[i]);
    if (!count) return std::nullopt;
    total += Wide{*count} * unit[i];
  }
  return in_range(total * kSecond);
}

// "1h30m", "500ms": each unit once, the larger first.
std::optional<Duration> parse_with_units(std::string_view text) {
  struct NamedUnit {
    std::string_view name;
    std::int64_t ns;
  };
  static constexpr std::array<NamedUnit, 5> kUnits = {{{"d", 86'400'000'000'000},
                                                       {"h", 3'600'000'000'000},
                                                       {"m", 60'000'000'000},
                                                       {"s", 1'000'000'000},
                                                       {"ms", 1'000'000}}};
  Wide total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = parse_count(text.substr(0, digits));
    if (!count) return std::nullopt;
    text.remove_prefix(digits);
    const auto letters = std::min(text.find_first_of("0123456789"), text.size());
    const auto name = text.substr(0, letters);
    while (next_unit < kUnits.size() && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kUnits.size()) return std::nullopt;
    total += Wide{*count} * kUnits[next_unit].ns;
    ++next_unit;
    text.remove_prefix(letters);
  }
  return in_range(total);
}

std::string two_digits(std::int64_t n) { return n < 10 ? cat('0', n) : cat(n); }
}  // namespace

Now SystemClock::now() const {
  return {.wall = {read_clock(CLOCK_REALTIME)}, .boot = {read_clock(CLOCK_BOOTTIME)}};
}

std::optional<Duration> parse_time_limit(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool has_letters = text.find_first_not_of("0123456789:-") != std::string_view::npos;
  return has_letters ? parse_with_units(text) : parse_colons(text);
}

std::string render_duration(Duration d) {
  if (d.ns < 0)
    return "-" + render_duration({d.ns == std::numeric_limits<std::int64_t>::min()
                                      ? std::numeric_limits<std::int64_t>::max()
                                      : -d.ns});
  const std::int64_t total = d.ns / 1'000'000'000;
  const std::int64_t days = total / 86400;
  const std::int64_t hour = total / 3600 % 24;
  const std::int64_t minute = total / 60 % 60;
  const std::string second = two_digits(total % 60);
  if (days > 0) {
    return cat(days, '-', two_digits(hour), ':', two_digits(minute), ':', second);
  }
  if (hour > 0) return cat(two_digits(hour), ':', two_digits(minute), ':', second);
  return cat(minute, ':', second);
}

std::string render_local_time(Time t) {
  if (t == Time{}) return "-";
  if (t == Time::infinity()) return "never";
  std::int64_t whole = t.ns / 1'000'000'000;
  if (t.ns % 1'000'000'000 < 0) --whole;
  const std::time_t stamp = whole;
  std::tm parts{};
  if (localtime_r(&stamp, &parts) == nullptr) return "-";
  std::array<char, 64> buffer{};
  const std::size_t length =
      std::strftime(buffer.data(), buffer.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {buffer.data(), length};
}

}  // namespace gangway
