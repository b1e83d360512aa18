#include "submit/monitor/canvas.hpp"

#include <algorithm>
#include <cstdint>

#include "queues/base/check.hpp"

namespace gangway::monitor {

namespace {

// One code point from the front of `text`, with its length in bytes; length 0: no UTF-8.
struct Decoded {
  std::uint32_t code = 0;
  std::size_t length = 0;
};

Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4U : first >= 0xe0 ? 3U : first >= 0xc2 ? 2U : 0U;
  if (length == 0 || first > 0xf4 || text.size() < length) return {};
  std::uint32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kSmallest[length] || code > 0x10ffff || surrogate) return {};
  return {code, length};
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
// The blocks that matter in names; a terminal knows more of them.
constexpr Range kWide[] = {
    {0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
constexpr Range kCombining[] = {{0x300, 0x36f},   {0x1ab0, 0x1aff}, {0x200b, 0x200f},
                                {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

template <std::size_t n>
bool is_in(const Range (&ranges)[n], std::uint32_t code) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& r) { return code >= r.first && code <= r.last; });
}

}  // namespace

std::vector<Glyph> glyphs_of(std::string_view text) {
  std::vector<Glyph> glyphs;
  while (!text.empty()) {
    const Decoded one = decode(text);
    if (one.length == 0) {
      glyphs.push_back({"?", 1});
      text.remove_prefix(1);
      continue;
    }
    const std::string_view bytes = text.substr(0, one.length);
    text.remove_prefix(one.length);
    const bool is_control = one.code < 0x20 || (one.code >= 0x7f && one.code < 0xa0) ||
                            (one.code >= 0x2028 && one.code <= 0x202e);
    if (is_control) {
      glyphs.push_back({"?", 1});
    } else if (is_in(kCombining, one.code)) {
      if (!glyphs.empty() && glyphs.back().text.size() < 16) glyphs.back().text += bytes;
    } else {
      glyphs.push_back({std::string(bytes), is_in(kWide, one.code) ? 2 : 1});
    }
  }
  return glyphs;
}

int columns_of(std::string_view text) {
  int columns = 0;
  for (const Glyph& glyph : glyphs_of(text)) columns += glyph.columns;
  return columns;
}

Canvas::Canvas(Size size) : size_{std::max(size.rows, 1), std::max(size.columns, 1)} {
  cells_.resize(static_cast<std::size_t>(size_.rows) * static_cast<std::size_t>(size_.columns));
}

const Cell& Canvas::at(int row, int column) const {
  CHECK(row >= 0 && row < size_.rows && column >= 0 && column < size_.columns);
  return cells_[static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns) +
                static_cast<std::size_t>(column)];
}

int Canvas::put(int row, int column, std::string_view text, Style style, int end) {
  if (end < 0 || end > size_.columns) end = size_.columns;
  if (row < 0 || row >= size_.rows || column < 0) return column;
  Cell* const cells =
      cells_.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns);
  for (Glyph& glyph : glyphs_of(text)) {
    if (column + glyph.columns > end) break;
    cells[column] = {std::move(glyph.text), style};
    if (glyph.columns == 2) cells[column + 1] = {"", style};
    column += glyph.columns;
  }
  return column;
}

void Canvas::put_right(int row, int end, std::string_view text, Style style) {
  put(row, std::max(0, end - columns_of(text)), text, style, end);
}

void Canvas::fill(int row, int column, int end, Style style) {
  if (row < 0 || row >= size_.rows) return;
  for (int c = std::max(column, 0); c < std::min(end, size_.columns); ++c) {
    cells_[static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns) +
           static_cast<std::size_t>(c)] = {" ", style};
  }
}

std::string Canvas::text_of(int row) const {
  std::string text;
  for (int c = 0; c < size_.columns; ++c) text += at(row, c).glyph;
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace gangway::monitor
