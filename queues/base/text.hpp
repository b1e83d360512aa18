// Small text tools of one line each at the place of use: joining, splitting, numbers.
//
// cat() exists because g++ 12 has no std::format and this layer stands under static programs that
// start in a millisecond.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gangway {

namespace detail {
inline void append_piece(std::string& out, std::string_view piece) { out.append(piece); }
inline void append_piece(std::string& out, char piece) { out.push_back(piece); }
template <std::integral T>
requires(!std::same_as<T, char> && !std::same_as<T, bool>) void append_piece(std::string& out,
                                                                             T number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end.ptr);
}
}  // namespace detail

// The pieces (text, characters, integers) in one string.
template <typename... Pieces>
[[nodiscard]] std::string cat(const Pieces&... pieces) {
  std::string out;
  (detail::append_piece(out, pieces), ...);
  return out;
}

// A decimal integer that fills all of `text`; nullopt otherwise or if out of range.
template <std::integral T>
[[nodiscard]] std::optional<T> parse_integer(std::string_view text) {
  T value{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

// "a,b,,c" -> {"a","b","","c"}; "" -> {}.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);
[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string to_hex(std::string_view bytes);
// Well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong).
[[nodiscard]] bool is_utf8(std::string_view text);
// For a misspelled `word`: the candidate with the least edit distance, if it is at most 2 (or a
// third of the length); "" otherwise. For "did you mean" lines.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

}  // namespace gangway
