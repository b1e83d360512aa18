// Amounts with their unit in the type.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gangway {

struct Bytes {
  std::int64_t value = 0;
  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.value + b.value}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.value - b.value}; }
  friend constexpr Bytes operator*(Bytes a, std::int64_t k) { return {a.value * k}; }
};

constexpr Bytes kibibytes(std::int64_t n) { return {n << 10}; }
constexpr Bytes mebibytes(std::int64_t n) { return {n << 20}; }
constexpr Bytes gibibytes(std::int64_t n) { return {n << 30}; }

// "4G", "512M", "1.5T", "100" (in `bare_unit`, Slurm's is MiB); K, M, G, T are powers of 1024, an
// "iB" or "B" after them is allowed. nullopt if malformed, negative or too large.
[[nodiscard]] std::optional<Bytes> parse_bytes(std::string_view text, Bytes bare_unit);
// The shortest exact or one-decimal form: "512M", "1.5G".
[[nodiscard]] std::string render_bytes(Bytes amount);

}  // namespace gangway
