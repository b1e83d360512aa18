#include "submit/render.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

constexpr std::size_t kNarrowest = 6;  // a cut column keeps this much

std::string_view escape_of(Colour colour) {
  switch (colour) {
    case Colour::None:
      return {};
    case Colour::Good:
      return "\033[32m";
    case Colour::Bad:
      return "\033[31m";
    case Colour::Busy:
      return "\033[36m";
    case Colour::Dim:
      return "\033[2m";
  }
  return {};
}

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The first `width` code points, the last of them a "+" if something is lost.
std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width || width == 0) return std::string(text);
  std::size_t seen = 0;
  std::size_t end = 0;
  while (end < text.size() && seen < width - 1) {
    ++end;
    while (end < text.size() && continues_code_point(text[end])) ++end;
    ++seen;
  }
  return cat(text.substr(0, end), "+");
}

void append_cell(std::string& line,
                 const Cell& cell,
                 std::size_t width,
                 const Column& column,
                 bool last,
                 bool colours) {
  const std::string text = column.shrinks ? cut(cell.text, width) : cell.text;
  const std::size_t shown = display_width(text);
  const std::size_t padding = width > shown ? width - shown : 0;
  if (column.align == Align::Right) line.append(padding, ' ');
  const std::string_view escape = colours ? escape_of(cell.colour) : std::string_view();
  line.append(escape).append(text);
  if (!escape.empty()) line.append("\033[0m");
  if (column.align == Align::Left && !last) line.append(padding, ' ');
}

// The number of bytes of the well-formed UTF-8 code point at the start of `text`; 0 if it is none.
std::size_t code_point_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!continues_code_point(text[i])) return 0;
  }
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;  // longer than needed
  if (lead == 0xed && byte(1) > 0x9f) return 0;  // a surrogate
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

std::string printable(std::string_view text, std::string_view but) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool second_set = byte == 0xc2 && i + 1 < text.size() &&
                            static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                            static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (second_set) ++i;
    const bool control = second_set || byte < ' ' || byte == 0x7f;
    out += control && but.find(text[i]) == std::string_view::npos ? '?' : text[i];
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return !continues_code_point(c); }));
}

void Table::add(std::vector<Cell> row) {
  CHECK(row.size() == columns_.size());
  for (Cell& cell : row) cell.text = printable(cell.text);
  rows_.push_back(std::move(row));
}

std::string Table::render(const TableStyle& style) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = style.header ? display_width(columns_[c].header) : 0;
    for (const auto& row : rows_) width = std::max(width, display_width(row[c].text));
    widths.push_back(width);
  }
  std::size_t total = columns_.empty() ? 0 : columns_.size() - 1;
  for (const std::size_t width : widths) total += width;
  while (style.columns > 0 && total > static_cast<std::size_t>(style.columns)) {
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool can = columns_[c].shrinks && widths[c] > kNarrowest;
      if (can && (widest == columns_.size() || widths[c] > widths[widest])) widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  std::string text;
  const auto add_line = [&](const auto& cell_at) {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) text.push_back(' ');
      append_cell(text, cell_at(c), widths[c], columns_[c], c + 1 == columns_.size(),
                  style.colours);
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text.push_back('\n');
  };
  if (style.header) {
    add_line([&](std::size_t c) { return Cell{columns_[c].header, Colour::None}; });
  }
  for (const auto& row : rows_) {
    add_line([&](std::size_t c) -> const Cell& { return row[c]; });
  }
  return text;
}

void JsonWriter::separate() {
  if (needs_comma_) text_.push_back(',');
  needs_comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  text_.push_back(bracket);
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  text_.push_back(bracket);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  quote(name);
  text_.push_back(':');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  quote(text);
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  separate();
  text_ += cat(number);
  return *this;
}

JsonWriter& JsonWriter::value(bool truth) {
  separate();
  text_ += truth ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  text_ += "null";
  return *this;
}

void JsonWriter::quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  text_.push_back('"');
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = code_point_length(text);
    if (length == 0) {
      text_ += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') {
      text_.push_back('\\');
      text_.push_back(c);
    } else if (c == '\n') {
      text_ += "\\n";
    } else if (c == '\t') {
      text_ += "\\t";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      const auto byte = static_cast<unsigned char>(c);
      text_ += "\\u00";
      text_.push_back(kHex[byte >> 4]);
      text_.push_back(kHex[byte & 15]);
    } else {
      text_.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  text_.push_back('"');
}

}  // namespace gangway::submit
