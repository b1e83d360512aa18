// Tables for people and JSON for programs.
//
// A table is as wide as its contents; on a terminal that is narrower, the columns that may shrink
// are cut, the widest first, and a "+" marks the cut. Written to a file or a pipe nothing is cut.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gangway::submit {

enum class Align { Left, Right };
enum class Colour { None, Good, Bad, Busy, Dim };

struct Column {
  std::string header;
  Align align = Align::Left;
  bool shrinks = false;
};

struct Cell {
  std::string text;
  Colour colour = Colour::None;
};

struct TableStyle {
  int columns = 0;  // of the terminal; 0: no limit
  bool header = true;
  bool colours = false;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Requires: one cell for each column.
  void add(std::vector<Cell> row);
  [[nodiscard]] std::string render(const TableStyle& style) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// `text` with '?' for each control character, those of UTF-8's second set (U+0080 to U+009F) too,
// so that strangers' names do not reach a terminal as orders; those in `but` stay.
[[nodiscard]] std::string printable(std::string_view text, std::string_view but = {});

// Code points of UTF-8: what a terminal shows for the letters that people use in names.
[[nodiscard]] std::size_t display_width(std::string_view text);

// Writes JSON as it goes; commas and escapes are its matter. Bytes that are no UTF-8 become U+FFFD.
// Requires: calls in an order that makes a value.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(bool truth);
  JsonWriter& null();
  template <typename T>
  JsonWriter& field(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  void quote(std::string_view text);

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace gangway::submit
