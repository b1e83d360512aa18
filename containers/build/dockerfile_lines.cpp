#include "containers/build/dockerfile_lines.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>

#include "containers/build/json_words.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}
std::string_view trim_both(std::string_view text) {
  text = trim_left(text);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}
std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

bool is_comment(std::string_view line) { return trim_left(line).starts_with('#'); }

// The first word and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view text) {
  text = trim_both(text);
  const auto end = std::ranges::find_if(text, is_blank);
  const auto length = static_cast<std::size_t>(end - text.begin());
  return {text.substr(0, length), trim_both(text.substr(length))};
}

std::vector<std::string> split_blanks(std::string_view text) {
  std::vector<std::string> words;
  for (auto [word, rest] = split_word(text); !word.empty();
       std::tie(word, rest) = split_word(rest)) {
    words.emplace_back(word);
  }
  return words;
}

// Go's quoting, in which the known results of others are written.
std::string quoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t named = std::string_view("\a\b\f\n\r\t\v").find(c);
    if (c == '"' || c == '\\') {
      out += cat('\\', c);
    } else if (named != std::string_view::npos) {
      out += cat('\\', std::string_view("abfnrtv")[named]);
    } else if (byte < 0x20 || byte == 0x7f) {
      out += cat("\\x", kHex[byte >> 4], kHex[byte & 15]);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Flags at the front of `rest`, which becomes what follows them.
std::vector<std::string> take_flags(std::string_view& rest) {
  std::vector<std::string> flags;
  std::size_t at = 0;
  while (true) {
    while (at < rest.size() && is_blank(rest[at])) ++at;
    if (!rest.substr(at).starts_with("--")) break;
    std::string word;
    char quote = '\0';
    for (; at < rest.size(); ++at) {
      const char c = rest[at];
      if (quote == '\0' && is_blank(c)) break;
      if (quote == '\0' && (c == '"' || c == '\'')) {
        quote = c;
      } else if (quote != '\0' && c == quote) {
        quote = '\0';
      } else if (c == '\\') {
        if (at + 1 < rest.size()) word += rest[++at];
      } else {
        word += c;
      }
    }
    if (word == "--") break;
    flags.push_back(std::move(word));
  }
  rest = trim_both(rest.substr(at));
  return flags;
}

// Words with their quotes and escapes left in.
std::vector<std::string> quoted_words(std::string_view text, char escape) {
  std::vector<std::string> words;
  std::string word;
  char quote = '\0';
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == '\0' && is_blank(c)) {
      end_word();
      continue;
    }
    if (c == escape && quote != '\'') {
      if (at + 1 == text.size()) break;
      word += c;
      word += text[++at];
      continue;
    }
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    }
    word += c;
  }
  end_word();
  return words;
}

class LinesParser {
 public:
  LinesParser(std::string_view text, std::string_view name) : name_(name) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      raw_.push_back(line);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
  }

  Result<DockerfileLines> parse() {
    GANGWAY_TRY(take_directives());
    while (at_ < raw_.size()) GANGWAY_TRY(take_instruction());
    if (file_.instructions.empty()) {
      return Error(ErrorKind::Invalid, cat(name_, ": has no instructions"));
    }
    return std::move(file_);
  }

 private:
  [[nodiscard]] Error bad(int line, std::string_view message) const {
    return Error(ErrorKind::Invalid, cat(name_, ":", line, ": ", message));
  }

  // "# key = value" lines, before anything else.
  Result<void> take_directives() {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < raw_.size(); ++i) {
      std::string_view line = trim_both(raw_[i]);
      if (!line.starts_with('#')) return {};
      line = trim_left(line.substr(1));
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) return {};
      const std::string key = lower(trim_both(line.substr(0, equals)));
      const std::string value(trim_both(line.substr(equals + 1)));
      if (value.empty() || (key != "escape" && key != "syntax" && key != "check")) return {};
      const int number = static_cast<int>(i) + 1;
      if (!seen.insert(key).second) {
        return bad(number, cat("the directive ", key, " is there twice"));
      }
      if (key == "syntax") file_.syntax = value;
      if (key != "escape") continue;
      if (value != "\\" && value != "`") {
        return bad(number, cat("escape=", value, ": only \\ and ` can continue lines"));
      }
      file_.escape = value[0];
    }
    return {};
  }

  // Whether the line goes on; then its mark is taken off.
  [[nodiscard]] bool take_continuation(std::string_view& line) const {
    std::string_view end = line;
    while (!end.empty() && (end.back() == ' ' || end.back() == '\t')) end.remove_suffix(1);
    if (!end.ends_with(file_.escape)) return false;
    end.remove_suffix(1);
    // Two of them are one that is meant.
    if (end.ends_with(file_.escape)) return false;
    line = end;
    return true;
  }

  Result<void> take_instruction() {
    const std::string_view opening = raw_[at_++];
    if (is_comment(opening)) return {};
    const int first = static_cast<int>(at_);
    std::string_view piece = trim_left(opening);
    bool goes_on = take_continuation(piece);
    std::string line(piece);
    if (line.empty() && !goes_on) return {};
    int blank = 0;
    while (goes_on && at_ < raw_.size()) {
      piece = raw_[at_++];
      if (is_comment(piece)) continue;
      if (trim_both(piece).empty()) {
        blank = static_cast<int>(at_);
        continue;
      }
      goes_on = take_continuation(piece);
      line += piece;
    }
    if (blank != 0) {
      file_.warnings.push_back(cat(name_, ":", blank, ": a blank line inside an instruction"));
    }
    if (trim_both(line).empty()) return {};
    GANGWAY_ASSIGN(InstructionLine instruction, parse_line(line, first, 0));
    GANGWAY_TRY(take_heredocs(instruction));
    instruction.first_line = first;
    instruction.last_line = static_cast<int>(at_);
    file_.instructions.push_back(std::move(instruction));
    return {};
  }

  Result<InstructionLine> parse_line(std::string_view text, int number, int depth) {
    InstructionLine line;
    line.original = std::string(trim_both(text));
    line.first_line = line.last_line = number;
    auto [word, rest] = split_word(text);
    line.name = lower(word);
    line.flags = take_flags(rest);
    const std::string& name = line.name;
    static const std::set<std::string> kJson = {"cmd", "entrypoint", "run", "shell"};
    static const std::set<std::string> kJsonOrList = {"add", "copy", "volume"};
    static const std::set<std::string> kWhole = {"maintainer", "stopsignal", "user", "workdir"};
    if (kJson.contains(name)) {
      GANGWAY_TRY(maybe_json(rest, number, line));
    } else if (kJsonOrList.contains(name)) {
      GANGWAY_TRY(maybe_json(rest, number, line));
      if (!line.json) line.arguments = split_blanks(rest);
    } else if (kWhole.contains(name)) {
      if (!rest.empty()) line.arguments.emplace_back(rest);
    } else if (name == "env" || name == "label") {
      GANGWAY_TRY(name_values(rest, number, line));
    } else if (name == "arg") {
      line.arguments = quoted_words(rest, file_.escape);
    } else if (name == "healthcheck") {
      GANGWAY_TRY(health(rest, number, line));
    } else if (name == "onbuild") {
      if (depth > 0) return bad(number, "ONBUILD ONBUILD: chaining is not allowed");
      if (!rest.empty()) {
        GANGWAY_ASSIGN(InstructionLine inner, parse_line(rest, number, depth + 1));
        line.inner = std::make_shared<const InstructionLine>(std::move(inner));
      }
    } else {
      line.arguments = split_blanks(rest);
    }
    return line;
  }

  Result<void> maybe_json(std::string_view rest, int number, InstructionLine& line) {
    if (rest.empty()) return {};
    switch (parse_json_words(rest, line.arguments)) {
      case JsonWords::Strings:
        line.json = true;
        return {};
      case JsonWords::OtherArray:
        return bad(number, cat(upper(line.name), ": a JSON array here holds strings only"));
      case JsonWords::NoArray:
        break;
    }
    if (rest.starts_with('[') && !rest.starts_with("[ ") && !rest.starts_with("[[")) {
      file_.warnings.push_back(cat(name_, ":", number, ": ", upper(line.name), " ", rest,
                                   ": not a JSON array (strings in double quotes), so it is taken ",
                                   "as it stands"));
    }
    line.arguments.emplace_back(rest);
    return {};
  }

  Result<void> name_values(std::string_view rest, int number, InstructionLine& line) {
    const std::vector<std::string> words = quoted_words(rest, file_.escape);
    if (words.empty()) return {};
    if (words[0].find('=') == std::string::npos) {
      const auto [name, value] = split_word(rest);
      if (value.empty()) {
        return bad(number, cat(upper(line.name), " ", name, ": needs a value: ", upper(line.name),
                               " ", name, "=VALUE"));
      }
      line.arguments = {std::string(name), std::string(value), ""};
      return {};
    }
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        return bad(number, cat(upper(line.name), ": ", word,
                               ": has no '='; quote a value that has ", "blanks in it"));
      }
      line.arguments.push_back(word.substr(0, equals));
      line.arguments.push_back(word.substr(equals + 1));
      line.arguments.emplace_back("=");
    }
    return {};
  }

  Result<void> health(std::string_view rest, int number, InstructionLine& line) {
    if (rest.empty()) return {};
    const auto [kind, command] = split_word(rest);
    GANGWAY_TRY(maybe_json(command, number, line));
    line.arguments.insert(line.arguments.begin(), std::string(kind));
    return {};
  }

  // "<<EOF", "<<-EOF", "<<'EOF'" among the words of RUN, COPY, ADD: the lines up to the name.
  Result<void> take_heredocs(InstructionLine& outer) {
    InstructionLine inner_copy = outer.inner ? *outer.inner : InstructionLine();
    InstructionLine& line = outer.inner ? inner_copy : outer;
    if (line.json || (line.name != "run" && line.name != "copy" && line.name != "add")) return {};
    for (const std::string& word : quoted_words(line.original, file_.escape)) {
      std::string_view mark = word;
      while (!mark.empty() && mark.front() >= '0' && mark.front() <= '9') mark.remove_prefix(1);
      if (!mark.starts_with("<<")) continue;
      mark.remove_prefix(2);
      const bool chomp = mark.starts_with('-');
      if (chomp) mark.remove_prefix(1);
      Heredoc heredoc;
      for (const char c : mark) {
        if (c == '"' || c == '\'') {
          heredoc.expand = false;
        } else {
          heredoc.name += c;
        }
      }
      // "<<<" is a here-string, and belongs to the shell.
      if (heredoc.name.empty() || heredoc.name.find('<') != std::string::npos) continue;
      bool ended = false;
      while (at_ < raw_.size() && !ended) {
        std::string_view text = raw_[at_++];
        while (chomp && text.starts_with('\t')) text.remove_prefix(1);
        ended = text == heredoc.name;
        if (!ended) heredoc.text += cat(text, '\n');
      }
      if (!ended) {
        return bad(line.first_line, cat("the here-document ends without a line ", heredoc.name));
      }
      line.heredocs.push_back(std::move(heredoc));
    }
    if (outer.inner) outer.inner = std::make_shared<const InstructionLine>(std::move(inner_copy));
    return {};
  }

  std::string name_;
  std::vector<std::string_view> raw_;
  std::size_t at_ = 0;
  DockerfileLines file_;
};

}  // namespace

Result<DockerfileLines> parse_dockerfile_lines(std::string_view text, std::string_view name) {
  if (text.size() > kMaxDockerfileBytes) {
    return Error(ErrorKind::Exhausted, cat(name, ": larger than a Dockerfile may be (1 MiB)"));
  }
  if (text.find('\0') != std::string_view::npos) {
    return Error(ErrorKind::Invalid, cat(name, ": not a text file"));
  }
  return LinesParser(text, name).parse();
}

std::string render_line(const InstructionLine& line) {
  std::string out = "(" + line.name;
  if (!line.flags.empty()) {
    out += " [";
    for (std::size_t i = 0; i < line.flags.size(); ++i) {
      out += cat(i == 0 ? "" : " ", quoted(line.flags[i]));
    }
    out += "]";
  }
  if (line.inner) out += " " + render_line(*line.inner);
  for (const std::string& argument : line.arguments) out += " " + quoted(argument);
  return out + ")";
}

}  // namespace gangway::containers::build
