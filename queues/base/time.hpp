// Time as integers of nanoseconds, and the Clock: the first of the five faces to the world.
//
// Time is a point on the wall clock (UTC, ns since 1970); it may jump. BootTime is a point on the
// clock that counts since boot, suspended time included, and never jumps: leases and deadlines are
// counted on it. Now is both at one instant; a turn of an event loop sees one Now.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace gangway {

struct Duration {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
  friend constexpr Duration operator*(Duration a, std::int64_t k) { return {a.ns * k}; }
  friend constexpr Duration operator/(Duration a, std::int64_t k) { return {a.ns / k}; }
};

constexpr Duration nanoseconds(std::int64_t n) { return {n}; }
constexpr Duration microseconds(std::int64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000'000}; }
constexpr Duration minutes(std::int64_t n) { return seconds(n * 60); }
constexpr Duration hours(std::int64_t n) { return seconds(n * 3600); }
constexpr double to_seconds(Duration d) { return static_cast<double>(d.ns) / 1e9; }

struct Time {
  std::int64_t ns = 0;

  static constexpr Time infinity() { return {std::numeric_limits<std::int64_t>::max()}; }
  friend constexpr auto operator<=>(Time, Time) = default;
  friend constexpr Time operator+(Time t, Duration d) {
    return t == infinity() ? t : Time{t.ns + d.ns};
  }
  friend constexpr Time operator-(Time t, Duration d) { return {t.ns - d.ns}; }
  friend constexpr Duration operator-(Time a, Time b) { return {a.ns - b.ns}; }
};

struct BootTime {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(BootTime, BootTime) = default;
  friend constexpr BootTime operator+(BootTime t, Duration d) { return {t.ns + d.ns}; }
  friend constexpr BootTime operator-(BootTime t, Duration d) { return {t.ns - d.ns}; }
  friend constexpr Duration operator-(BootTime a, BootTime b) { return {a.ns - b.ns}; }
};

struct Now {
  Time wall;
  BootTime boot;
  friend bool operator==(const Now&, const Now&) = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

// CLOCK_REALTIME and CLOCK_BOOTTIME.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override;
};

// Slurm's notation: "90" (minutes), "mm:ss", "hh:mm:ss", "d-hh", "d-hh:mm", "d-hh:mm:ss"; also with
// units: "1h30m", "45s", "2d", "500ms". nullopt if it is none of these or negative.
[[nodiscard]] std::optional<Duration> parse_time_limit(std::string_view text);
// "1-02:03:04", "02:03:04", "3:04": at least minutes and seconds.
[[nodiscard]] std::string render_duration(Duration d);
// Local time, "2026-11-23T20:41:07"; "-" for Time{0}, "never" for infinity.
[[nodiscard]] std::string render_local_time(Time t);

}  // namespace gangway
