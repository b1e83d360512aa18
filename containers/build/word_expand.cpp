#include "containers/build/word_expand.hpp"

#include <optional>

#include "containers/build/glob.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

constexpr char kNoStop = '\0';
constexpr int kMaxDepth = 32;  // of ${a:-${b:-…}}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Error bad(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

// Words as they grow: quoted characters stick to the word, blanks of plain text end it.
class Words {
 public:
  void plain(std::string_view text) {
    for (const char c : text) {
      if (is_blank(c)) {
        end();
      } else {
        word_ += c;
        is_open_ = true;
      }
    }
  }
  void raw(std::string_view text) {
    word_ += text;
    is_open_ = true;
  }
  std::vector<std::string> take() {
    end();
    return std::move(words_);
  }

 private:
  void end() {
    if (is_open_) words_.push_back(std::move(word_));
    word_.clear();
    is_open_ = false;
  }
  std::vector<std::string> words_;
  std::string word_;
  bool is_open_ = false;
};

class Expander {
 public:
  Expander(std::string_view text, const Variables& variables, char escape, bool quotes)
      : text_(text), variables_(variables), escape_(escape), quotes_(quotes) {}

  Result<std::string> run() { return until(kNoStop, false, 0); }
  std::vector<std::string> take_words() { return words_.take(); }

 private:
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }

  // `keep_escapes`: the result is a pattern, in which they still mean something.
  Result<std::string> until(char stop, bool keep_escapes, int depth) {
    if (depth > kMaxDepth) return bad("braces are nested too deep");
    std::string out;
    const bool outermost = depth == 0;
    const auto add = [&](std::string_view piece, bool plain) {
      out += piece;
      if (outermost) plain ? words_.plain(piece) : words_.raw(piece);
    };
    while (!at_end()) {
      const char c = text_[at_];
      if (stop != kNoStop && c == stop) {
        ++at_;
        return out;
      }
      if (c == '$') {
        GANGWAY_ASSIGN(const std::string value, dollar(depth));
        add(value, true);
      } else if (quotes_ && c == '\'') {
        GANGWAY_ASSIGN(const std::string value, single_quoted());
        add(value, false);
      } else if (quotes_ && c == '"') {
        GANGWAY_ASSIGN(const std::string value, double_quoted(depth));
        add(value, false);
      } else if (c == escape_ && (quotes_ || (at_ + 1 < text_.size() && text_[at_ + 1] == '$'))) {
        ++at_;
        if (keep_escapes) out += '\\';
        if (at_end()) break;
        add(text_.substr(at_++, 1), false);
      } else {
        add(text_.substr(at_++, 1), true);
      }
    }
    if (stop != kNoStop) return bad(cat("a '", stop, "' is missing"));
    return out;
  }

  Result<std::string> single_quoted() {
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return bad("a single quote is not closed");
    std::string out(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return out;
  }

  Result<std::string> double_quoted(int depth) {
    std::string out;
    for (++at_; !at_end();) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c == '$') {
        GANGWAY_ASSIGN(const std::string value, dollar(depth));
        out += value;
        continue;
      }
      ++at_;
      if (c == escape_) {
        if (at_end()) break;
        const char next = text_[at_];
        if (next == '"' || next == '$' || next == escape_) {
          out += next;
          ++at_;
          continue;
        }
      }
      out += c;
    }
    return bad("a double quote is not closed");
  }

  std::string name() {
    const std::size_t from = at_;
    if (is_letter(peek())) {
      while (is_letter(peek()) || is_digit(peek())) ++at_;
    } else if (is_digit(peek())) {
      while (is_digit(peek())) ++at_;
    } else if (!at_end() && std::string_view("@*#?-$!").find(peek()) != std::string_view::npos) {
      ++at_;
    }
    return std::string(text_.substr(from, at_ - from));
  }

  [[nodiscard]] std::optional<std::string> value_of(const std::string& name) const {
    const auto found = variables_.find(name);
    if (found == variables_.end()) return std::nullopt;
    return found->second;
  }

  Result<std::string> dollar(int depth) {
    ++at_;
    if (peek() != '{') {
      const std::string variable = name();
      if (variable.empty()) return std::string("$");
      return value_of(variable).value_or("");
    }
    ++at_;
    if (at_end()) return bad("a '}' is missing");
    const std::string variable = name();
    if (variable.empty()) return bad("${…} holds no name");
    if (at_end()) return bad("a '}' is missing");
    const std::optional<std::string> value = value_of(variable);
    char kind = text_[at_++];
    if (kind == '}') return value.value_or("");
    bool empty_is_unset = false;
    if (kind == ':') {
      empty_is_unset = true;
      if (at_end()) return bad("a '}' is missing");
      kind = text_[at_++];
    }
    const bool is_set = value && !(empty_is_unset && value->empty());
    switch (kind) {
      case '-': {
        GANGWAY_ASSIGN(std::string word, until('}', false, depth + 1));
        return is_set ? *value : word;
      }
      case '+': {
        GANGWAY_ASSIGN(std::string word, until('}', false, depth + 1));
        return is_set ? word : std::string();
      }
      case '?': {
        GANGWAY_ASSIGN(const std::string word, until('}', false, depth + 1));
        if (is_set) return *value;
        if (!word.empty()) return bad(cat(variable, ": ", word));
        return bad(cat(variable, value ? ": must not be empty" : ": must be set"));
      }
      case '#':
      case '%':
      case '/':
        if (!empty_is_unset) return change(value.value_or(""), kind, depth);
        break;
      default:
        break;
    }
    return bad(cat("${", variable, empty_is_unset ? ":" : "", std::string_view(&kind, 1),
                   "…}: no such modifier"));
  }

  Result<std::string> change(const std::string& value, char kind, int depth) {
    const bool twice = peek() == kind;
    if (twice) ++at_;
    if (kind == '/') {
      GANGWAY_ASSIGN(const std::string pattern, until('/', true, depth + 1));
      GANGWAY_ASSIGN(const std::string replacement, until('}', false, depth + 1));
      return replace_matches(value, pattern, replacement, twice);
    }
    GANGWAY_ASSIGN(const std::string pattern, until('}', true, depth + 1));
    return kind == '#' ? cut_front(value, pattern, twice) : cut_end(value, pattern, twice);
  }

  static std::string cut_front(const std::string& value, const std::string& pattern, bool longest) {
    std::optional<std::size_t> cut;
    for (std::size_t n = 0; n <= value.size() && (longest || !cut); ++n) {
      if (matches_shell_pattern(pattern, std::string_view(value).substr(0, n))) cut = n;
    }
    return value.substr(cut.value_or(0));
  }
  static std::string cut_end(const std::string& value, const std::string& pattern, bool longest) {
    std::optional<std::size_t> cut;
    for (std::size_t n = value.size() + 1; n-- > 0 && (longest || !cut);) {
      if (matches_shell_pattern(pattern, std::string_view(value).substr(n))) cut = n;
    }
    return value.substr(0, cut.value_or(value.size()));
  }
  static std::string replace_matches(const std::string& value,
                                     const std::string& pattern,
                                     const std::string& replacement,
                                     bool all) {
    std::string out;
    std::size_t at = 0;
    bool done = false;
    while (at < value.size() && !done) {
      std::size_t length = 0;  // the longest match here
      for (std::size_t n = value.size() - at; n > 0 && length == 0; --n) {
        if (matches_shell_pattern(pattern, std::string_view(value).substr(at, n))) length = n;
      }
      if (length == 0) {
        out += value[at++];
        continue;
      }
      out += replacement;
      at += length;
      done = !all;
    }
    return out + value.substr(at);
  }

  std::string_view text_;
  const Variables& variables_;
  char escape_;
  bool quotes_;
  std::size_t at_ = 0;
  Words words_;
};

}  // namespace

Result<std::string> expand_word(std::string_view word, const Variables& variables, char escape) {
  return Expander(word, variables, escape, true).run();
}

Result<std::vector<std::string>> expand_words(std::string_view text,
                                              const Variables& variables,
                                              char escape) {
  Expander expander(text, variables, escape, true);
  GANGWAY_TRY(expander.run());
  return expander.take_words();
}

Result<std::string> expand_text(std::string_view text, const Variables& variables, char escape) {
  return Expander(text, variables, escape, false).run();
}

}  // namespace gangway::containers::build
