// How values stand in the configuration file: read with a reason for each refusal, written so that
// they are read back exactly. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"
#include "queues/config/config.hpp"

namespace gangway::config {

// Stands where a time limit can be left out.
inline constexpr std::string_view kUnlimited = "unlimited";

// Errors of all of these: Invalid, a clause that follows the key and its value: "is no time ...".

// "45s", "10m", "1h30m", "hh:mm:ss"; a bare number is refused: it would be minutes in Slurm's files
// and seconds in most others.
[[nodiscard]] Result<Duration> read_duration(std::string_view text);
// "512M", "4G", "100B"; more than nothing.
[[nodiscard]] Result<Bytes> read_bytes(std::string_view text);
// "1", "0.25": a number from 0 to a million.
[[nodiscard]] Result<double> read_weight(std::string_view text);
[[nodiscard]] Result<void> check_path(const std::string& path);
[[nodiscard]] Result<void> check_host_and_port(const std::string& text, int lowest_port);
// 1 to 64 letters, digits, dots, dashes and underscores.
[[nodiscard]] bool is_name(std::string_view text);

// To the millisecond.
[[nodiscard]] std::string render_exactly(Duration d);
[[nodiscard]] std::string render_exactly(Bytes amount);
// The shortest text that reads back the same.
[[nodiscard]] std::string render_exactly(double weight);
// "unlimited" for none.
[[nodiscard]] std::string render_limit(const std::optional<Duration>& limit);
// As a YAML scalar, in quotes where it needs them.
[[nodiscard]] std::string quoted(std::string_view text);
// "[a, b]".
[[nodiscard]] std::string flow_list(const std::vector<std::string>& words);
// "{gpu: 2, tape: 1}"; nothing for none.
[[nodiscard]] std::string flow_map(
    const std::vector<std::pair<std::string, std::int64_t>>& amounts);
[[nodiscard]] std::string flow_map(const std::vector<std::pair<std::string, double>>& amounts);
[[nodiscard]] std::string flow_map(const DeviceList& devices);

}  // namespace gangway::config
