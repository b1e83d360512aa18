// Canvas: a screen of cells, before any terminal has seen it.
//
// A cell is one column: its glyph is one printable character of UTF-8 with what combines with it; a
// wide one leaves the cell behind it empty (""). Control characters and bytes that are no UTF-8
// become "?". What does not fit is cut.
//
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gangway::monitor {

enum class Ink {
  Plain,
  Good,
  Bad,
  Busy,
  Dim,
  Accent,
  // How full something is; a terminal without colours shows only the digit.
  Heat0,
  Heat1,
  Heat2,
  Heat3,
};
inline constexpr int kInks = 10;

struct Style {
  Ink ink = Ink::Plain;
  bool bold = false;
  bool reverse = false;
  friend bool operator==(const Style&, const Style&) = default;
};

struct Cell {
  std::string glyph = " ";
  Style style;
  friend bool operator==(const Cell&, const Cell&) = default;
};

struct Size {
  int rows = 24;
  int columns = 80;
  friend bool operator==(const Size&, const Size&) = default;
};

class Canvas {
 public:
  explicit Canvas(Size size);
  [[nodiscard]] Size size() const { return size_; }
  // The column behind the text. Rows and columns outside are ignored; not beyond `end`, which is
  // the width if negative.
  int put(int row, int column, std::string_view text, Style style = {}, int end = -1);
  // Right-aligned: the last column is the one before `end`.
  void put_right(int row, int end, std::string_view text, Style style = {});
  void fill(int row, int column, int end, Style style);
  [[nodiscard]] const Cell& at(int row, int column) const;
  // Without the blanks at the end: for tests.
  [[nodiscard]] std::string text_of(int row) const;

 private:
  Size size_;
  std::vector<Cell> cells_;
};

// Glyphs of `text`, each with the columns it takes: 1 or 2.
struct Glyph {
  std::string text;
  int columns = 1;
};
[[nodiscard]] std::vector<Glyph> glyphs_of(std::string_view text);
[[nodiscard]] int columns_of(std::string_view text);

}  // namespace gangway::monitor
