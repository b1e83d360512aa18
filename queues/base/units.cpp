#include "queues/base/units.hpp"

#include <algorithm>
#include <limits>

#include "queues/base/text.hpp"

namespace gangway {
namespace {
__extension__ using Wide = __int128;

// The unit named by what follows the number; nullopt if it names none.
std::optional<std::int64_t> unit_of(std::string_view suffix) {
  if (suffix.empty()) return std::nullopt;
  const std::string_view rest = suffix.substr(1);
  const auto power = [&](int shift) -> std::optional<std::int64_t> {
    if (!rest.empty() && rest != "B" && rest != "b" && rest != "iB" && rest != "ib") {
      return std::nullopt;
    }
    return std::int64_t{1} << shift;
  };
  switch (suffix.front()) {
    case 'B':
    case 'b':
      return rest.empty() ? std::optional<std::int64_t>(1) : std::nullopt;
    case 'K':
    case 'k':
      return power(10);
    case 'M':
    case 'm':
      return power(20);
    case 'G':
    case 'g':
      return power(30);
    case 'T':
    case 't':
      return power(40);
    default:
      return std::nullopt;
  }
}
}  // namespace

std::optional<Bytes> parse_bytes(std::string_view text, Bytes bare_unit) {
  constexpr std::string_view kDigits = "0123456789";
  const auto after_whole = text.find_first_not_of(kDigits);
  const auto whole = parse_integer<std::int64_t>(text.substr(0, after_whole));
  if (!whole || *whole < 0) return std::nullopt;
  text.remove_prefix(after_whole == std::string_view::npos ? text.size() : after_whole);

  std::int64_t fraction = 0;
  std::int64_t scale = 1;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const auto digits = std::min(text.find_first_not_of(kDigits), text.size());
    if (digits == 0 || digits > 9) return std::nullopt;
    fraction = *parse_integer<std::int64_t>(text.substr(0, digits));
    for (std::size_t i = 0; i < digits; ++i) scale *= 10;
    text.remove_prefix(digits);
  }

  std::int64_t unit = bare_unit.value;
  if (!text.empty()) {
    const auto named = unit_of(text);
    if (!named) return std::nullopt;
    unit = *named;
  }
  const Wide total = Wide{*whole} * unit + Wide{fraction} * unit / scale;
  if (total > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return Bytes{static_cast<std::int64_t>(total)};
}

std::string render_bytes(Bytes amount) {
  if (amount.value < 0) {
    // The least integer has no positive twin; nothing real is that far in the red.
    if (amount.value == std::numeric_limits<std::int64_t>::min()) ++amount.value;
    return "-" + render_bytes({-amount.value});
  }
  if (amount.value == 0) return "0";
  constexpr std::string_view kUnits = "BKMGT";
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && amount.value >> (10 * (unit + 1)) != 0) ++unit;
  const std::int64_t size = std::int64_t{1} << (10 * unit);
  const auto tenths = Wide{amount.value} * 10;
  if (tenths % size != 0 && unit > 0) {
    // "1025M" says it exactly where "1.0G" would not.
    const std::int64_t smaller = size >> 10;
    if (amount.value % smaller == 0 && amount.value / smaller < 10'000) {
      return cat(amount.value / smaller, kUnits[unit - 1]);
    }
  }
  const auto rounded = static_cast<std::int64_t>((tenths + size / 2) / size);
  if (rounded % 10 == 0) return cat(rounded / 10, kUnits[unit]);
  return cat(rounded / 10, '.', rounded % 10, kUnits[unit]);
}

}  // namespace gangway
