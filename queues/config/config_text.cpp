#include "queues/config/config_text.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "queues/base/text.hpp"

namespace gangway::config {

namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

// Exact to the millisecond, and read back by parse_time_limit().
std::string render_exactly(Duration d) {
  struct UnitOfTime {
    std::int64_t ms;
    std::string_view name;
  };
  constexpr UnitOfTime kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}};
  std::int64_t left = d.ns / 1'000'000;
  std::string out;
  for (const UnitOfTime& unit : kUnits) {
    if (left >= unit.ms) out += cat(left / unit.ms, unit.name);
    left %= unit.ms;
  }
  return out.empty() ? "0s" : out;
}

std::string render_exactly(Bytes amount) {
  std::int64_t left = amount.value;
  std::string_view unit = "B";
  for (const std::string_view larger : {"K", "M", "G", "T"}) {
    if (left == 0 || left % 1024 != 0) break;
    left /= 1024;
    unit = larger;
  }
  return cat(left, unit);
}

std::string render_exactly(double weight) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, weight);
  return {text, end.ptr};
}

Result<double> read_weight(std::string_view text) {
  constexpr double kMost = 1e6;
  double weight = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), weight);
  const bool whole = end.ec == std::errc{} && end.ptr == text.data() + text.size();
  if (whole && !text.empty() && weight >= 0 && weight <= kMost) return weight;
  return Error(ErrorKind::Invalid, "must be a number from 0 to 1000000");
}

Result<Duration> read_duration(std::string_view text) {
  const auto duration = is_digits(text) ? std::nullopt : parse_time_limit(text);
  if (duration) return *duration;
  return Error(ErrorKind::Invalid, "is no time with a unit, as 45s, 10m, 1h30m or 2d");
}

Result<Bytes> read_bytes(std::string_view text) {
  const bool plain = text.ends_with('B') && is_digits(text.substr(0, text.size() - 1));
  const auto amount = is_digits(text)
                          ? std::nullopt
                          : parse_bytes(plain ? text.substr(0, text.size() - 1) : text, Bytes{1});
  if (amount && amount->value > 0) return *amount;
  return Error(ErrorKind::Invalid, "is no size with a unit, as 512M or 4G");
}

Result<void> check_path(const std::string& path) {
  if (path.starts_with('/')) return {};
  return Error(ErrorKind::Invalid, "must be an absolute path");
}

Result<void> check_host_and_port(const std::string& text, int lowest_port) {
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    const auto port = parse_integer<std::uint16_t>(std::string_view(text).substr(colon + 1));
    if (port && *port >= lowest_port) return {};
  }
  return Error(ErrorKind::Invalid, "must be <address>:<port>, as 10.0.0.1:6810");
}

std::string quoted(std::string_view text) {
  const bool plain =
      !text.empty() && text != "null" && text != "Null" && text != "NULL" && text.back() != ':' &&
      std::ranges::all_of(text,
                          [](char c) {
                            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                   (c >= '0' && c <= '9') ||
                                   std::string_view("_./:-").find(c) != std::string_view::npos;
                          }) &&
      text.front() != '-' && text.front() != ':' && text.front() != '.';
  if (plain) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) {
      out += cat("\\x", to_hex(std::string_view(&c, 1)));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string flow_list(const std::vector<std::string>& words) {
  std::vector<std::string> parts;
  parts.reserve(words.size());
  for (const std::string& word : words) parts.push_back(quoted(word));
  return cat("[", join(parts, ", "), "]");
}

namespace {

template <typename Amount, typename Render>
std::string flow_map_of(const std::vector<std::pair<std::string, Amount>>& amounts,
                        const Render& render) {
  std::vector<std::string> parts;
  parts.reserve(amounts.size());
  for (const auto& [name, amount] : amounts)
    parts.push_back(cat(quoted(name), ": ", render(amount)));
  return parts.empty() ? std::string() : cat("{", join(parts, ", "), "}");
}

}  // namespace

std::string flow_map(const std::vector<std::pair<std::string, std::int64_t>>& amounts) {
  return flow_map_of(amounts, [](std::int64_t amount) { return cat(amount); });
}

std::string flow_map(const std::vector<std::pair<std::string, double>>& amounts) {
  return flow_map_of(amounts, [](double amount) { return render_exactly(amount); });
}

std::string flow_map(const DeviceList& devices) {
  return flow_map_of(devices, [](const std::vector<std::string>& each) { return flow_list(each); });
}

std::string render_limit(const std::optional<Duration>& limit) {
  return limit ? render_exactly(*limit) : std::string(kUnlimited);
}

}  // namespace gangway::config
