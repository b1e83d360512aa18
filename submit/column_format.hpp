// Columns that people choose, for any kind of row: as squeue's -o takes them, "%i %t",
// "%.18i %.8j %R", or by the names of squeue -O and sacct, "jobid:10,name,state". Tools parse this
// output, so with letters it is as theirs to the letter: a width pads and cuts, "." aligns to the
// right, text between stands as it is. Names without a width are as wide as what they hold.
//
// Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/text.hpp"
#include "submit/render.hpp"

namespace gangway::submit {

template <typename Row>
struct RowColumn {
  char letter = 0;         // 0: it has none
  std::string_view names;  // in lower case, parted by blanks
  std::string_view header;
  std::string (*text)(const Row&) = nullptr;
  // What it is sorted by, if not its text.
  std::int64_t (*number)(const Row&) = nullptr;
};
template <typename Row>
using RowColumns = std::span<const RowColumn<Row>>;

template <typename Row>
struct RowFormatItem {
  std::string text;  // literal, if there is no column
  const RowColumn<Row>* column = nullptr;
  std::size_t width = 0;  // 0: as wide as its value
  bool right = false;
  bool fits_all = false;  // as wide as the widest of its values
};
template <typename Row>
using RowFormat = std::vector<RowFormatItem<Row>>;

// "-" before it: the other way round.
template <typename Row>
struct RowSortKey {
  const RowColumn<Row>* column = nullptr;
  bool falling = false;
};

// ---- how -------------------------------------------------------------------------------------

namespace column_format {

[[nodiscard]] std::string lower(std::string_view text);
// `value` in so many columns.
void append(std::string& line, std::size_t width, bool right, std::string value);
// A word of a list of names: "jobid:10", "state%-12".
struct NamedItem {
  std::string_view name;
  std::size_t width = 0;  // 0: not said
  bool right = false;
};
[[nodiscard]] Result<NamedItem> parse_named_item(std::string_view word);
[[nodiscard]] Error no_name(std::string_view name, const std::vector<std::string_view>& all_names);
[[nodiscard]] bool begins_with_letter(std::string_view text);

template <typename Row>
const RowColumn<Row>* find(RowColumns<Row> columns, char letter) {
  if (letter == 0) return nullptr;
  for (const RowColumn<Row>& column : columns) {
    if (column.letter == letter) return &column;
  }
  return nullptr;
}

template <typename Row>
const RowColumn<Row>* find(RowColumns<Row> columns, std::string_view name) {
  const std::string wanted = lower(name);
  for (const RowColumn<Row>& column : columns) {
    for (const std::string_view one : split(column.names, ' ')) {
      if (!one.empty() && one == wanted) return &column;
    }
  }
  return nullptr;
}

template <typename Row>
Error no_column(RowColumns<Row> columns, std::string_view name) {
  std::vector<std::string_view> names;
  for (const RowColumn<Row>& column : columns) names.push_back(column.names);
  return no_name(name, names);
}

template <typename Row>
Error no_letter(RowColumns<Row> columns, std::string_view spelled) {
  std::string known;
  for (const RowColumn<Row>& column : columns) {
    if (column.letter != 0) known.push_back(column.letter);
  }
  return {ErrorKind::Invalid, cat("there is no ", spelled, "; the letters are ", known)};
}

template <typename Row>
Result<RowFormat<Row>> parse_names(RowColumns<Row> columns, std::string_view text) {
  RowFormat<Row> format;
  for (const std::string_view word : split(text, ',')) {
    GANGWAY_ASSIGN(const NamedItem named, parse_named_item(word));
    RowFormatItem<Row> item{.text = {},
                            .column = find(columns, named.name),
                            .width = named.width,
                            .right = named.right};
    if (item.column == nullptr) return no_column(columns, named.name);
    item.fits_all = named.width == 0;
    if (!format.empty()) format.push_back({.text = " "});
    format.push_back(std::move(item));
  }
  return format;
}

}  // namespace column_format

// Errors: Invalid, naming the letter or the name that does not exist.
template <typename Row>
[[nodiscard]] Result<RowFormat<Row>> parse_format(RowColumns<Row> columns, std::string_view text) {
  // "JOB %i" is text before a column, "jobid%10" is a name.
  const std::string_view first = text.substr(0, text.find_first_of(",:% "));
  if (column_format::begins_with_letter(text) && (text.find('%') == std::string_view::npos ||
                                                  column_format::find(columns, first) != nullptr)) {
    return column_format::parse_names(columns, text);
  }
  RowFormat<Row> format;
  std::string literal;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%' || at + 1 == text.size()) {
      literal.push_back(text[at]);
      continue;
    }
    RowFormatItem<Row> item;
    ++at;
    if (text[at] == '%') {
      literal.push_back('%');
      continue;
    }
    if (text[at] == '.') {
      item.right = true;
      ++at;
    }
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      item.width =
          std::min<std::size_t>(item.width * 10 + static_cast<std::size_t>(text[at] - '0'), 10'000);
      ++at;
    }
    const char letter = at < text.size() ? text[at] : '%';
    item.column = column_format::find(columns, letter);
    if (item.column == nullptr) return column_format::no_letter(columns, cat('%', letter));
    if (!literal.empty()) format.push_back({.text = std::exchange(literal, {})});
    format.push_back(std::move(item));
  }
  if (!literal.empty()) format.push_back({.text = std::move(literal)});
  return format;
}

template <typename Row>
[[nodiscard]] std::string render_formatted(const RowFormat<Row>& format,
                                           const std::vector<Row>& rows,
                                           bool header) {
  RowFormat<Row> items = format;
  for (RowFormatItem<Row>& item : items) {
    if (!item.fits_all) continue;
    if (header) item.width = item.column->header.size();
    for (const Row& row : rows) {
      item.width = std::max(item.width, display_width(item.column->text(row)));
    }
  }
  // Nothing stands behind the last one.
  if (!items.empty() && items.back().fits_all) items.back().width = 0;
  std::string text;
  const auto add_line = [&](const auto& value_of) {
    for (const RowFormatItem<Row>& item : items) {
      if (item.column == nullptr) {
        text += item.text;
      } else {
        column_format::append(text, item.width, item.right, value_of(*item.column));
      }
    }
    text.push_back('\n');
  };
  if (header) add_line([](const auto& column) { return std::string(column.header); });
  for (const Row& row : rows) {
    add_line([&](const auto& column) { return column.text(row); });
  }
  return text;
}

// As squeue's -S: letters or names parted by commas. Errors: Invalid, naming what does not exist.
template <typename Row>
[[nodiscard]] Result<std::vector<RowSortKey<Row>>> parse_sort(RowColumns<Row> columns,
                                                              std::string_view text) {
  std::vector<RowSortKey<Row>> keys;
  for (std::string_view word : split(text, ',')) {
    RowSortKey<Row> key;
    if (word.starts_with('-') || word.starts_with('+')) {
      key.falling = word.front() == '-';
      word.remove_prefix(1);
    }
    if (word.starts_with('%')) word.remove_prefix(1);
    key.column = word.size() == 1 ? column_format::find(columns, word.front())
                                  : column_format::find(columns, word);
    if (key.column == nullptr && word.size() == 1) return column_format::no_letter(columns, word);
    if (key.column == nullptr) return column_format::no_column(columns, word);
    keys.push_back(key);
  }
  return keys;
}

// Stable. By the first key, among equals by the second, and so on.
template <typename Row>
void sort_rows(const std::vector<RowSortKey<Row>>& keys, std::vector<Row>& rows) {
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    const RowColumn<Row>& column = *key->column;
    const auto before = [&](const Row& a, const Row& b) {
      return column.number != nullptr ? column.number(a) < column.number(b)
                                      : column.text(a) < column.text(b);
    };
    std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
      return key->falling ? before(b, a) : before(a, b);
    });
  }
}

}  // namespace gangway::submit
