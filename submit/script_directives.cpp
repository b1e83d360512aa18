#include "submit/script_directives.hpp"

#include <algorithm>
#include <optional>

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

// Splits the words after the marker.
class WordSplitter {
 public:
  explicit WordSplitter(std::string_view text) : text_(text) {}

  std::vector<std::string> split() {
    std::vector<std::string> words;
    for (;;) {
      while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
      if (at_ >= text_.size() || text_[at_] == '#') return words;
      words.push_back(take_word());
    }
  }
  [[nodiscard]] bool found_open_quote() const { return found_open_quote_; }

 private:
  std::string take_word() {
    std::string word;
    while (at_ < text_.size() && !is_blank(text_[at_])) {
      const char c = text_[at_];
      if (c == '\\' && at_ + 1 < text_.size()) {
        word.push_back(text_[at_ + 1]);
        at_ += 2;
      } else if (c == '"' || c == '\'') {
        take_quoted(word, c);
      } else {
        word.push_back(c);
        ++at_;
      }
    }
    return word;
  }

  void take_quoted(std::string& word, char quote) {
    const std::size_t close = find_close(quote);
    if (close == std::string_view::npos) {
      found_open_quote_ = true;
      word.push_back(text_[at_++]);
      return;
    }
    for (++at_; at_ < close; ++at_) {
      // Inside double quotes a backslash still takes the special meaning of what follows.
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < close) ++at_;
      word.push_back(text_[at_]);
    }
    at_ = close + 1;
  }

  [[nodiscard]] std::size_t find_close(char quote) const {
    for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool found_open_quote_ = false;
};

struct Marker {
  std::string_view text;
  Dialect dialect;
};
constexpr Marker kMarkers[] = {
    {"#JOB", Dialect::Native}, {"#SBATCH", Dialect::Sbatch}, {"#PBS", Dialect::Pbs}};

std::optional<Marker> find_marker(std::string_view line) {
  for (const Marker& marker : kMarkers) {
    if (line.starts_with(marker.text) && line.size() > marker.text.size() &&
        is_blank(line[marker.text.size()])) {
      return marker;
    }
  }
  return std::nullopt;
}

}  // namespace

ScriptDirectives parse_directives(std::string_view script) {
  ScriptDirectives found;
  int number = 0;
  while (!script.empty()) {
    const std::size_t end = script.find('\n');
    const std::string_view line = script.substr(0, end);
    script.remove_prefix(end == std::string_view::npos ? script.size() : end + 1);
    ++number;
    std::size_t first = 0;
    while (first < line.size() && is_blank(line[first])) ++first;
    if (first == line.size()) continue;
    if (line[first] != '#') break;  // the first command
    const std::optional<Marker> marker = find_marker(line);
    if (!marker) continue;
    WordSplitter splitter(line.substr(marker->text.size()));
    Directive directive{.dialect = marker->dialect, .line = number, .words = splitter.split()};
    if (splitter.found_open_quote()) {
      found.warnings.push_back({number, "a quote is opened and not closed; taken as it stands"});
    }
    if (!directive.words.empty()) found.directives.push_back(std::move(directive));
  }
  const bool has_ours = std::ranges::any_of(
      found.directives, [](const Directive& d) { return d.dialect != Dialect::Pbs; });
  if (has_ours) {
    std::erase_if(found.directives, [](const Directive& d) { return d.dialect == Dialect::Pbs; });
  }
  return found;
}

}  // namespace gangway::submit
