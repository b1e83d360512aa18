#include "submit/column_format.hpp"

namespace gangway::submit::column_format {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool begins_with_letter(std::string_view text) {
  const std::string first = lower(text.substr(0, 1));
  return !first.empty() && first[0] >= 'a' && first[0] <= 'z';
}

void append(std::string& line, std::size_t width, bool right, std::string value) {
  value = printable(value);
  if (width == 0) {
    line += value;
    return;
  }
  while (display_width(value) > width) value.pop_back();
  const std::size_t padding = width - display_width(value);
  if (right) line.append(padding, ' ');
  line += value;
  if (!right) line.append(padding, ' ');
}

// A width pads and cuts; sacct's "%" aligns to the right, unless "-" follows.
Result<NamedItem> parse_named_item(std::string_view word) {
  const std::size_t end = word.find_first_of(":%");
  NamedItem item{.name = word.substr(0, end)};
  if (end == std::string_view::npos) return item;
  std::string_view width = word.substr(end + 1);
  item.right = word[end] == '%';
  if (width.starts_with('-') || width.starts_with('.')) {
    item.right = width.front() == '.';
    width.remove_prefix(1);
  }
  const auto columns = parse_integer<std::size_t>(width);
  if (!columns || *columns == 0 || *columns > 10'000) {
    return Error(ErrorKind::Invalid,
                 cat("\"", word, "\" has no width; it is written ", item.name, ":10"));
  }
  item.width = *columns;
  return item;
}

Error no_name(std::string_view name, const std::vector<std::string_view>& all_names) {
  std::vector<std::string> names;
  std::vector<std::string> first;
  for (const std::string_view of_column : all_names) {
    if (of_column.empty()) continue;
    const std::vector<std::string_view> each = split(of_column, ' ');
    first.emplace_back(each.front());
    names.insert(names.end(), each.begin(), each.end());
  }
  const std::string near = nearest(lower(name), names);
  return {ErrorKind::Invalid, cat("there is no column \"", name, "\"; ",
                                  near.empty() ? cat("there are ", join(first, ", "))
                                               : cat("did you mean ", near, "?"))};
}

}  // namespace gangway::submit::column_format
